//! Relationship types: which object types may be linked.

use std::collections::HashSet;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::account::AccountId;
use domain::limits::TYPE_BODY_BYTES;
use domain::problem::Problem;
use domain::request::item::relationship_type_not_found;
use domain::request::json;
use domain::types::{EndType, RelationshipType, TypeKey};
use http::StatusCode;
use http::header::LOCATION;
use store::keys::TypeKind;
use wire::{Agent, Data, DataBody, Failure, List, PathParameters, Query};

use crate::Records;
use crate::object_types::defined_as_wanted;
use crate::paging::{Paging, type_position};
use crate::type_deletion::Deletion;

/// `POST /relationships/types`
pub(crate) async fn define(
    Agent(caller): Agent,
    State(records): State<Records>,
    DataBody(data): DataBody<TYPE_BODY_BYTES>,
) -> Result<Response, Failure> {
    let account = &caller.account;
    let data = json::read_members(&data, ["key", "source", "target"])?;
    let mut relationship_type = RelationshipType::parse(&data, records.stored.clock().now())?;
    find_ends(&records, account, &mut relationship_type).await?;
    let defined = records.catalog.define_relationship_type(account, &relationship_type).await?;
    defined_as_wanted(defined, TypeKind::Relationship, &relationship_type.key)?;
    let location = format!("{}/relationships/types/{}", wire::BASE, relationship_type.key);
    Ok(([(LOCATION, location)], Data(StatusCode::CREATED, relationship_type)).into_response())
}

/// Looks for the object types that it names, and spells them as they were defined.
///
/// # Errors
/// 422 naming the first that is not defined.
async fn find_ends(
    records: &Records,
    account: &AccountId,
    relationship_type: &mut RelationshipType,
) -> Result<(), Failure> {
    let ends = [("source", &mut relationship_type.source), ("target", &mut relationship_type.target)];
    // A set, because a type may be linked with itself and the database takes a key only once.
    let named: HashSet<TypeKey> = ends.iter().filter_map(|(_, end)| object_key(end).cloned()).collect();
    let defined = records.catalog.named_object_types(account, &named).await?;
    for (member, end) in ends {
        let Some(key) = object_key(end) else { continue };
        let Some(found) = defined.iter().find(|found| found.key == *key) else {
            let detail = format!("{member} names the object type \"{key}\", which is not defined");
            return Err(Failure::unprocessable(detail));
        };
        *end = EndType::Object(found.key.clone());
    }
    Ok(())
}

const fn object_key(end: &EndType) -> Option<&TypeKey> {
    match end {
        EndType::Object(key) => Some(key),
        EndType::Elsewhere(_) => None,
    }
}

/// `GET /relationships/types`
pub(crate) async fn list(
    Agent(caller): Agent,
    State(records): State<Records>,
    query: Query,
) -> Result<List<RelationshipType>, Failure> {
    let paging = Paging::parse(&query, records.cursors.get().await?.scope(&caller.account, "relationships/types"))?;
    let types = records.catalog.relationship_types(&caller.account).await?;
    let position = |listed: &RelationshipType| type_position(listed.created_at, &listed.key);
    Ok(paging.answer(paging.cut(types, position), position))
}

/// `GET /relationships/types/{key}`
pub(crate) async fn show(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters(key): PathParameters<String>,
) -> Result<Data<RelationshipType>, Failure> {
    find(&records, &caller.account, &key).await.map(|found| Data(StatusCode::OK, found))
}

/// `DELETE /relationships/types/{key}`
pub(crate) async fn delete(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters(key): PathParameters<String>,
) -> Result<StatusCode, Failure> {
    let account = &caller.account;
    let revision = records.catalog.types_revision(account).await?;
    let defined = find(&records, account, &key).await?.key;
    let missing = relationship_type_not_found(&key);
    let deletion =
        Deletion { records: &records, account, kind: TypeKind::Relationship, key: &defined, revision, missing };
    deletion.carry_out().await
}

/// The relationship type that a request calls `key`.
///
/// # Errors
/// 404 naming the key when there is no such type.
pub(crate) async fn find(records: &Records, account: &AccountId, key: &str) -> Result<RelationshipType, Failure> {
    let wanted = parse_key(key)?;
    let found = records.catalog.relationship_type(account, &wanted).await?;
    found.ok_or_else(|| relationship_type_not_found(key).into())
}

/// Parses the key of a type. A text that is no key is refused like the key of a type that does not exist.
pub(crate) fn parse_key(key: &str) -> Result<TypeKey, Problem> {
    TypeKey::parse(key).map_err(|_| relationship_type_not_found(key))
}

#[cfg(test)]
mod tests {
    use domain::types::DeletionMark;
    use serde_json::json;
    use store::catalog::{Defined, Deleted};

    use super::*;
    use crate::harness::Service;

    #[tokio::test]
    async fn a_type_is_defined_shown_and_deleted() {
        let service = Service::start().await;
        service.define("Product").await;
        let body = json!({"data": {"key": "Owns", "source": "zen:user", "target": ["product"]}});
        let reply = service.send("POST", "/relationships/types", &body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        assert_eq!(reply.header("location"), Some("/api/sunshine/relationships/types/Owns"));
        let defined = json!({"data": {
            "key": "Owns",
            "source": "zen:user",
            // As it was defined.
            "target": ["Product"],
            "created_at": "2017-11-03T16:00:06.123Z",
            "updated_at": "2017-11-03T16:00:06.123Z",
        }});
        assert_eq!(reply.json, defined);
        let shown = service.get("/relationships/types/OWNS").await;
        assert_eq!((shown.status, shown.json), (200, defined));

        let reply = service.define_relationship("like", "product", &json!("product")).await;
        assert_eq!((reply.status, &reply.json["data"]["target"]), (201, &json!("Product")));

        let deleted = service.delete("/relationships/types/owns").await;
        assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
        for path in ["/relationships/types/owns", "/relationships/types/7%20up"] {
            service.get(path).await.check_error(404, "NotFound", "Relationship type");
            service.delete(path).await.check_error(404, "NotFound", "Relationship type");
        }
        service.as_stranger().get("/relationships/types/like").await.check_error(404, "NotFound", "\"like\"");
        let replaced = service.send("PUT", "/relationships/types/like", &body).await;
        replaced.check_error(405, "MethodNotAllowed", "PUT");
    }

    #[tokio::test]
    async fn the_ends_are_given_back_as_they_were_sent() {
        let service = Service::start().await;
        service.define("product").await;
        for (key, source, target) in [
            ("one-one", json!("product"), json!("zen:user")),
            ("one-many", json!("product"), json!(["zen:user"])),
            ("many-one", json!(["product"]), json!("zen:user")),
            ("many-many", json!(["product"]), json!(["zen:user"])),
        ] {
            let body = json!({"data": {"key": key, "source": source, "target": target}});
            assert_eq!(service.send("POST", "/relationships/types", &body).await.status, 201);
            let shown = &service.get(&format!("/relationships/types/{key}")).await.json["data"];
            assert_eq!((&shown["source"], &shown["target"]), (&source, &target), "{key}");
        }
    }

    #[tokio::test]
    async fn a_definition_with_a_mistake_names_it() {
        let service = Service::start().await;
        service.define("product").await;
        service.define_relationship("taken", "product", &json!("product")).await;
        let check = async |data: serde_json::Value, words: &str| {
            let reply = service.send("POST", "/relationships/types", &json!({"data": data})).await;
            reply.check_error(422, "UnprocessableEntity", words);
        };
        check(json!({"source": "product", "target": "product"}), "key is required").await;
        check(json!({"key": "a", "source": "product", "target": "product"}), "key must be 2 to 32").await;
        check(json!({"key": "has", "target": "product"}), "source is required").await;
        check(json!({"key": "has", "source": "product"}), "target is required").await;
        check(json!({"key": "has", "source": "product", "target": ["product", "product"]}), "target must be").await;
        check(json!({"key": "has", "source": "zen:", "target": "product"}), "source must be").await;
        check(json!({"key": "has", "source": "shop", "target": "product"}), "source names the object type \"shop\"")
            .await;
        check(json!({"key": "has", "source": "product", "target": ["shop"]}), "target names the object type \"shop\"")
            .await;
        check(json!({"key": "TAKEN", "source": "product", "target": "product"}), "key \"TAKEN\" is already in use")
            .await;
        for name in ["key", "source", "target"] {
            let body = format!(r#"{{"data":{{"key":"has","source":"product","target":"product","{name}":0}}}}"#);
            let reply = service.send_text("POST", "/relationships/types", &body).await;
            reply.check_error(422, "UnprocessableEntity", &format!("{name} is given more than once"));
        }
        let stranger = service.as_stranger().define_relationship("has", "product", &json!("product")).await;
        stranger.check_error(422, "UnprocessableEntity", "source names");
    }

    #[tokio::test]
    async fn the_51st_type_is_a_429() {
        let service = Service::start().await;
        for number in 0..50 {
            let reply = service.define_relationship(&format!("type{number}"), "zen:user", &json!("zen:user")).await;
            assert_eq!(reply.status, 201);
        }
        let refused = service.define_relationship("one-more", "zen:user", &json!("zen:user")).await;
        refused.check_error(
            429,
            "TooManyRequests",
            "You have exceeded the maximum number of relationship types for this account",
        );
        assert_eq!(refused.header("retry-after"), Some("60"));
        // Object types have places of their own.
        assert_eq!(service.define("product").await.status, 201);
    }

    #[tokio::test]
    async fn types_are_listed_by_creation_page_by_page() {
        let service = Service::start().await;
        let keys = ["delta", "alpha", "echo", "bravo", "charlie"];
        for key in keys {
            service.define_relationship(key, "zen:user", &json!("zen:user")).await;
            service.clock().advance(1);
        }
        assert_eq!(service.get("/relationships/types").await.members("key"), keys);
        service.check_pages("/relationships/types?per_page=2", "key", &keys).await;
        // A cursor of one list is none of another.
        let next = service.get("/relationships/types?per_page=2").await.link("next").unwrap();
        let cursor = next.split_once('?').unwrap().1;
        service.get(&format!("/objects/types?{cursor}")).await.check_error(400, "BadRequest", "`cursor`");
    }

    #[tokio::test]
    async fn a_type_with_records_is_not_deleted() {
        let service = Service::start().await;
        service.define("product").await;
        service.define_relationship("owns", "zen:user", &json!(["product"])).await;
        let record = service.put("product", None, json!({})).await;
        let link = service.relate("owns", "zen:user:1", &record.to_string()).await;
        let words = "/api/sunshine/relationships/records?type=owns";
        service.delete("/relationships/types/owns").await.check_error(422, "UnprocessableEntity", words);
        service.unrelate(link).await;
        assert_eq!(service.delete("/relationships/types/owns").await.status, 204);
    }

    #[tokio::test]
    async fn an_object_type_is_not_deleted_from_under_a_relationship_type_that_is_being_defined() {
        let service = Service::start().await;
        service.define("product").await;
        let (store, account) = (service.store(), service.account());
        let product = TypeKey::parse("product").unwrap();
        let owns = json!({"key": "owns", "source": "zen:user", "target": "product"});
        let owns = RelationshipType::parse(&owns, service.clock().now()).unwrap();

        let mark = DeletionMark::new(service.clock());
        let delete = async |kind, key: &TypeKey, revision| {
            assert!(store.catalog.mark_type(account, kind, key, &mark).await.unwrap());
            store.catalog.delete_type(account, kind, key, &mark, revision).await.unwrap()
        };
        // The deletion looked for types that name it, and then one was defined.
        let revision = store.catalog.types_revision(account).await.unwrap();
        assert_eq!(store.catalog.define_relationship_type(account, &owns).await.unwrap(), Defined::Done);
        assert_eq!(delete(TypeKind::Object, &product, revision).await, Deleted::TypesChanged);

        // The definition looked for its ends, and then one was deleted.
        let revision = store.catalog.types_revision(account).await.unwrap();
        assert_eq!(delete(TypeKind::Relationship, &owns.key, revision).await, Deleted::Done);
        assert_eq!(delete(TypeKind::Object, &product, revision + 1).await, Deleted::Done);
        assert!(!store.catalog.mark_type(account, TypeKind::Object, &product, &mark).await.unwrap());
        let again = store.catalog.delete_type(account, TypeKind::Object, &product, &mark, revision + 2).await.unwrap();
        assert_eq!(again, Deleted::MarkGone);
        assert_eq!(store.catalog.define_relationship_type(account, &owns).await.unwrap(), Defined::EndMissing);
    }
}
