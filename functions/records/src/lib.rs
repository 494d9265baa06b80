//! The function `records`: object types and relationship types, and single records of both kinds, over HTTP.

mod object_records;
mod object_types;
mod object_writes;
mod paging;
mod permissions;
mod relationship_records;
mod relationship_types;
mod relationship_writes;
mod search;
mod single_write;
mod type_deletion;
mod walks;

#[cfg(test)]
mod harness;

use std::sync::Arc;
use std::time::Duration;

use domain::account::AccountId;
use domain::record::State;
use domain::types::TypeKey;
use store::keys::TypeKind;
use store::page::Page;
use store::types::SchemaCache;
use store::{Catalog, Jobs, Store, Usages};
use wire::{CursorKeys, Failure, Routes, get, post};

use crate::paging::{PAGE_BYTES, Paging};

/// The function's state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Records {
    stored: store::Records,
    catalog: Catalog,
    usages: Usages,
    jobs: Jobs,
    cursors: CursorKeys,
    schemas: Arc<SchemaCache>,
    /// How long an index may trail its table.
    index_lag: Duration,
}

/// DynamoDB keeps an index up to date within a fraction of a second, as a rule, and promises no time.
const INDEX_LAG: Duration = Duration::from_millis(1_500);

impl Records {
    /// Makes the function over `store`, whose clock dates types and records.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let Store { records: stored, catalog, usages, jobs, .. } = store;
        let cursors = CursorKeys::of(catalog.clone());
        Self { stored, catalog, usages, jobs, cursors, schemas: Arc::default(), index_lag: INDEX_LAG }
    }

    /// Expects indexes that never trail their tables, as a local database has them: nothing is waited for.
    #[must_use]
    pub fn with_exact_indexes(self) -> Self {
        Self { index_lag: Duration::ZERO, ..self }
    }

    /// The page of the records of one type. A row of which `of_kind` makes nothing is of another kind, and not listed.
    async fn page_of_type<Record>(
        &self,
        account: &AccountId,
        kind: TypeKind,
        key: &TypeKey,
        paging: &Paging<'_>,
        of_kind: impl Fn(State) -> Option<Record>,
    ) -> Result<Page<Record>, Failure> {
        let query = paging.query();
        let page = self.stored.list_records(account, kind, key, &query, PAGE_BYTES).await?;
        Ok(Page {
            items: page.items.into_iter().filter_map(|row| of_kind(row.state)).collect(),
            more_after: page.more_after,
            more_before: page.more_before,
        })
    }
}

/// The routes of types and records, without the middleware around them.
pub fn routes(records: Records) -> Routes {
    Routes::new()
        .route("/objects/types", get(object_types::list).post(object_types::define))
        .route(
            "/objects/types/{key}",
            get(object_types::show).put(object_types::replace_schema).delete(object_types::delete),
        )
        .route(
            "/objects/records",
            get(object_records::list)
                .post(object_writes::create)
                .patch(object_writes::set)
                .put(object_writes::set)
                .delete(object_writes::delete_by_external_id),
        )
        .route(
            "/objects/records/{id}",
            get(object_records::show)
                .patch(object_writes::update)
                .put(object_writes::update)
                .delete(object_writes::delete),
        )
        .route("/objects/records/{id}/relationships/{type}", get(walks::relationships))
        .route("/objects/records/{id}/related/{type}", get(walks::related))
        .route("/objects/query", post(search::search))
        .route("/objects/types/{key}/permissions", get(permissions::of_object_type))
        .route("/relationships/types/{key}/permissions", get(permissions::of_relationship_type))
        .route("/relationships/types", get(relationship_types::list).post(relationship_types::define))
        .route("/relationships/types/{key}", get(relationship_types::show).delete(relationship_types::delete))
        .route("/relationships/records", get(relationship_records::list).post(relationship_writes::create))
        .route("/relationships/records/{id}", get(relationship_records::show).delete(relationship_writes::delete))
        .with_state(records)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::harness::Service;

    const ROUTES: [(&str, &str); 27] = [
        ("POST", "/objects/query"),
        ("POST", "/objects/types"),
        ("GET", "/objects/types"),
        ("GET", "/objects/types/product"),
        ("PUT", "/objects/types/product"),
        ("DELETE", "/objects/types/product"),
        ("GET", "/objects/types/product/permissions"),
        ("GET", "/relationships/types/owns/permissions"),
        ("GET", "/objects/records?type=product"),
        ("GET", "/objects/records/40e83a4e-8438-8bb9-8f6f-51124535ce9f"),
        ("GET", "/objects/records/40e83a4e-8438-8bb9-8f6f-51124535ce9f/relationships/owns"),
        ("GET", "/objects/records/zen:user:1/related/owns"),
        ("POST", "/objects/records"),
        ("PATCH", "/objects/records"),
        ("PUT", "/objects/records"),
        ("DELETE", "/objects/records?type=product&external_id=1"),
        ("PATCH", "/objects/records/40e83a4e-8438-8bb9-8f6f-51124535ce9f"),
        ("PUT", "/objects/records/40e83a4e-8438-8bb9-8f6f-51124535ce9f"),
        ("DELETE", "/objects/records/40e83a4e-8438-8bb9-8f6f-51124535ce9f"),
        ("POST", "/relationships/types"),
        ("GET", "/relationships/types"),
        ("GET", "/relationships/types/owns"),
        ("DELETE", "/relationships/types/owns"),
        ("GET", "/relationships/records?type=owns"),
        ("POST", "/relationships/records"),
        ("DELETE", "/relationships/records/40e83a4e-8438-8bb9-8f6f-51124535ce9f"),
        ("GET", "/relationships/records/40e83a4e-8438-8bb9-8f6f-51124535ce9f"),
    ];

    #[tokio::test]
    async fn every_route_is_for_agents_only() {
        let service = Service::start().await;
        for (method, path) in ROUTES {
            let body = json!({"data": {}});
            assert_eq!(service.as_nobody().send(method, path, &body).await.status, 401, "{method} {path}");
            assert_eq!(service.as_end_user().send(method, path, &body).await.status, 403, "{method} {path}");
            let reply = service.send(method, path, &body).await;
            assert!([200, 400, 404, 422].contains(&reply.status), "{method} {path}: {reply:?}");
        }
    }

    #[tokio::test]
    async fn a_method_that_a_route_does_not_have_is_a_405_that_says_which_it_has() {
        let service = Service::start().await;
        let reply = service.send("PATCH", "/objects/types/product", &json!({})).await;
        reply.check_error(405, "MethodNotAllowed", "PATCH");
        let mut allowed: Vec<_> = reply.header("allow").unwrap().split(',').collect();
        allowed.sort_unstable();
        assert_eq!(allowed, ["DELETE", "GET", "HEAD", "PUT"]);
    }

    #[tokio::test]
    async fn bodies_are_json_of_a_limited_size_with_an_object_data() {
        let service = Service::start().await;
        service.define("product").await;
        for (method, path) in [
            ("POST", "/objects/types"),
            ("PUT", "/objects/types/product"),
            ("POST", "/relationships/types"),
            ("POST", "/objects/records"),
            ("PATCH", "/objects/records"),
            ("PATCH", "/objects/records/40e83a4e-8438-8bb9-8f6f-51124535ce9f"),
            ("POST", "/relationships/records"),
        ] {
            service.send_text(method, path, "{").await.check_error(400, "BadRequest", "not JSON");
            service.send(method, path, &json!({"key": "a"})).await.check_error(400, "BadRequest", "`data`");
            service.send(method, path, &json!({"data": []})).await.check_error(400, "BadRequest", "`data`");
            let twice = r#"{"data":{},"d\u0061ta":{}}"#;
            service.send_text(method, path, twice).await.check_error(
                400,
                "BadRequest",
                "`data` is given more than once",
            );
            let large = json!({"data": {"padding": "x".repeat(300_000)}});
            service.send(method, path, &large).await.check_error(413, "PayloadTooLarge", "limit of");
        }
    }
}
