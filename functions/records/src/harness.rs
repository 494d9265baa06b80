//! A test harness: the function's routes over a database in memory.

use std::sync::Arc;

use access::{Access, Settings};
use axum::Router;
use axum::body::Body;
use database::{TestDatabase, token_of};
use domain::account::{AccountId, Role};
use domain::clock::Clock;
use domain::record::RecordId;
use domain::time::Timestamp;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use store::Store;
use tower::ServiceExt;
use wire::{AllowedOrigins, BASE, with_middleware};

/// The routes, with the credentials of one caller.
#[derive(Clone)]
pub(crate) struct Service {
    router: Router,
    store: Store,
    account: AccountId,
    /// Of an agent, of an end user and of an admin of the same account, and of an agent of another one.
    tokens: Arc<[String; 4]>,
    authorization: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null for an empty body.
    pub(crate) json: Value,
}

/// What [`Service::define`] gives types for a schema.
pub(crate) fn schema() -> Value {
    json!({"properties": {"name": {"type": "string"}}})
}

/// As a value in a query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02X}"))
}

impl Service {
    /// Starts the routes on a database of their own, at 2017-11-03T16:00:06.123Z; the caller is an agent of the account
    /// `acme`.
    pub(crate) async fn start() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_509_724_806_123), 1);
        let database = TestDatabase::start("test").await;
        // What access asks is not counted as the routes' own.
        let (access, store) = (database.store(clock.clone()), database.store(clock.clone()));
        let account = AccountId::parse("acme").unwrap();
        let stranger = AccountId::parse("stranger").unwrap();
        let authorization = async |account, role| format!("Bearer {}", token_of(&store, account, role).await);
        let tokens = Arc::new([
            authorization(&account, Role::Agent).await,
            authorization(&account, Role::EndUser).await,
            authorization(&account, Role::Admin).await,
            authorization(&stranger, Role::Agent).await,
        ]);
        let records = crate::Records::new(store.clone()).with_exact_indexes();
        let settings = Settings { requests_per_minute: 1_000_000, ..Settings::default() };
        let router =
            with_middleware(crate::routes(records), Access::new(access, settings), AllowedOrigins::default(), clock);
        Self { router, store, account, authorization: tokens[0].clone(), tokens }
    }

    /// The same routes with an agent of another account as the caller.
    pub(crate) fn as_stranger(&self) -> Self {
        Self { authorization: self.tokens[3].clone(), ..self.clone() }
    }

    /// The same routes with an admin of the account as the caller.
    pub(crate) fn as_admin(&self) -> Self {
        Self { authorization: self.tokens[2].clone(), ..self.clone() }
    }

    /// The same routes with an end user of the account as the caller.
    pub(crate) fn as_end_user(&self) -> Self {
        Self { authorization: self.tokens[1].clone(), ..self.clone() }
    }

    /// The same routes with credentials that nobody has.
    pub(crate) fn as_nobody(&self) -> Self {
        Self { authorization: "Bearer wrong".to_owned(), ..self.clone() }
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) const fn account(&self) -> &AccountId {
        &self.account
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.store.clock()
    }

    pub(crate) async fn send_text(&self, method: &str, path: &str, body: &str) -> Reply {
        self.send_keyed(None, method, path, body).await
    }

    /// Sends a request, with an `Idempotency-Key` if there is one.
    pub(crate) async fn send_keyed(&self, key: Option<&str>, method: &str, path: &str, body: &str) -> Reply {
        let mut request =
            Request::builder().method(method).uri(format!("{BASE}{path}")).header("authorization", &self.authorization);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let json = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        Reply { status: parts.status.as_u16(), headers: parts.headers, text, json }
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.send_text(method, path, &body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send_text("GET", path, "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send_text("DELETE", path, "").await
    }

    /// Gets the page that the link `name` of `page` leads to.
    pub(crate) async fn get_link(&self, page: &Reply, name: &str) -> Reply {
        self.get(page.link(name).unwrap().strip_prefix(BASE).unwrap()).await
    }

    pub(crate) async fn define(&self, key: &str) -> Reply {
        self.send("POST", "/objects/types", &json!({"data": {"key": key, "schema": schema()}})).await
    }

    pub(crate) async fn define_relationship(&self, key: &str, source: &str, target: &Value) -> Reply {
        let body = json!({"data": {"key": key, "source": source, "target": target}});
        self.send("POST", "/relationships/types", &body).await
    }

    /// Creates an object record.
    pub(crate) async fn put(&self, object_type: &str, external_id: Option<&str>, attributes: Value) -> RecordId {
        let mut data = json!({"type": object_type, "attributes": attributes});
        if let Some(external_id) = external_id {
            data["external_id"] = external_id.into();
        }
        self.create("/objects/records", &data).await
    }

    /// Deletes an object record.
    pub(crate) async fn remove(&self, id: RecordId) {
        assert_eq!(self.delete(&format!("/objects/records/{id}")).await.status, 204);
    }

    /// Creates a relationship record.
    pub(crate) async fn relate(&self, relationship_type: &str, source: &str, target: &str) -> RecordId {
        let data = json!({"relationship_type": relationship_type, "source": source, "target": target});
        self.create("/relationships/records", &data).await
    }

    /// Deletes a relationship record.
    pub(crate) async fn unrelate(&self, id: RecordId) {
        assert_eq!(self.delete(&format!("/relationships/records/{id}")).await.status, 204);
    }

    async fn create(&self, path: &str, data: &Value) -> RecordId {
        let made = self.send("POST", path, &json!({"data": data})).await;
        assert_eq!(made.status, 201, "{made:?}");
        RecordId::parse(made.json["data"]["id"].as_str().unwrap()).unwrap()
    }

    /// Turns the pages of the list at `path` from its start to its end and back, in both orders, and checks that the
    /// items' member `name` has these values, oldest first.
    pub(crate) async fn check_pages(&self, path: &str, name: &str, values: &[impl AsRef<str>]) {
        let mut values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
        self.check_pages_as_given(path, name, &values).await;
        self.check_pages_as_given(&format!("{path}&order=asc"), name, &values).await;
        values.reverse();
        self.check_pages_as_given(&format!("{path}&order=desc"), name, &values).await;
    }

    /// Checks pages as [`check_pages`](Self::check_pages) does, for a list that has one order.
    pub(crate) async fn check_pages_as_given(&self, path: &str, name: &str, values: &[impl AsRef<str>]) {
        let mut pages = vec![self.get(path).await];
        while pages[pages.len() - 1].link("next").is_some() {
            pages.push(self.get_link(&pages[pages.len() - 1], "next").await);
        }
        let shown: Vec<_> = pages.iter().flat_map(|page| page.members(name)).collect();
        assert_eq!(shown, values.iter().map(AsRef::as_ref).collect::<Vec<_>>(), "{path}");
        assert_eq!(pages.len(), 3, "{path}");
        assert_eq!(pages[0].link("previous"), None);
        for pair in pages.windows(2) {
            assert_eq!(self.get_link(&pair[1], "previous").await.json["data"], pair[0].json["data"], "{path}");
        }
        // And forward again from a page that was reached backwards.
        let middle = self.get_link(&pages[2], "previous").await;
        assert_eq!(self.get_link(&middle, "next").await.json["data"], pages[2].json["data"]);
        assert_eq!(self.get_link(&middle, "previous").await.link("previous"), None);
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The member `name` of each item of a list.
    pub(crate) fn members(&self, name: &str) -> Vec<&str> {
        let items = self.json["data"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        items.iter().map(|item| item[name].as_str().unwrap()).collect()
    }

    pub(crate) fn link(&self, name: &str) -> Option<String> {
        self.json["links"][name].as_str().map(str::to_owned)
    }

    /// Checks that the answer is one error of this status and code, and that its detail has these words.
    #[track_caller]
    pub(crate) fn check_error(&self, status: u16, code: &str, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let errors = self.json["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{self:?}");
        assert_eq!(errors[0]["code"], code);
        assert_eq!(errors[0]["status"], status.to_string());
        let detail = errors[0]["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
    }
}
