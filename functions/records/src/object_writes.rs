//! Writes of single object records: creation, change, upsert and deletion.

use axum::extract::State;
use axum::response::Response;
use domain::account::AccountId;
use domain::job::Operation;
use domain::limits;
use domain::problem::Problem;
use domain::request::item::Item;
use http::HeaderMap;
use serde_json::value::RawValue;
use wire::{Agent, DataBody, Failure, PathParameters, Query};

use crate::Records;
use crate::single_write::{Request, key_of};

/// `POST /objects/records`
pub(crate) async fn create(
    Agent(caller): Agent,
    State(records): State<Records>,
    headers: HeaderMap,
    DataBody(data): DataBody<{ limits::RECORD_BODY_BYTES }>,
) -> Result<Response, Failure> {
    as_item(Operation::CreateObjects, &records, &caller.account, &headers, &data).await
}

/// `PATCH /objects/records`, and `PUT`, which some clients send instead.
pub(crate) async fn set(
    Agent(caller): Agent,
    State(records): State<Records>,
    headers: HeaderMap,
    DataBody(data): DataBody<{ limits::RECORD_BODY_BYTES }>,
) -> Result<Response, Failure> {
    as_item(Operation::SetObjects, &records, &caller.account, &headers, &data).await
}

/// A request whose `data` is what an item of the operation is.
async fn as_item(
    operation: Operation,
    records: &Records,
    account: &AccountId,
    headers: &HeaderMap,
    data: &RawValue,
) -> Result<Response, Failure> {
    let key = key_of(headers, operation, &[], data)?;
    let request = Request { records, account, operation, key };
    request.answer(|| of_bounded_size(Item::parse(operation, data.get())?, data)).await
}

/// `PATCH /objects/records/{id}`, and `PUT`, which some clients send instead.
pub(crate) async fn update(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters(id): PathParameters<String>,
    headers: HeaderMap,
    DataBody(data): DataBody<{ limits::RECORD_BODY_BYTES }>,
) -> Result<Response, Failure> {
    let operation = Operation::UpdateObjects;
    let key = key_of(&headers, operation, &[&id], &data)?;
    let request = Request { records: &records, account: &caller.account, operation, key };
    request.answer(|| of_bounded_size(Item::update(&id, data.get())?, &data)).await
}

/// `DELETE /objects/records/{id}`
pub(crate) async fn delete(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters(id): PathParameters<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let operation = Operation::DeleteObjects;
    let key = key_of(&headers, operation, &[&id], RawValue::NULL)?;
    Request { records: &records, account: &caller.account, operation, key }.answer(|| Item::delete(&id)).await
}

/// `DELETE /objects/records?type=&external_id=`
pub(crate) async fn delete_by_external_id(
    Agent(caller): Agent,
    State(records): State<Records>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let required = |name| {
        let missing =
            || Failure::bad_request(format!("`{name}` is required: `type` and `external_id` say which record"));
        query.get(name)?.ok_or_else(missing)
    };
    let (object_type, external_id) = (required("type")?, required("external_id")?);
    let operation = Operation::DeleteObjectsByExternalId;
    let key = key_of(&headers, operation, &[object_type, external_id], RawValue::NULL)?;
    let request = Request { records: &records, account: &caller.account, operation, key };
    request.answer(|| Item::delete_by_external_id(object_type, external_id)).await
}

/// As a job's item of this size is looked at when it is accepted: what is too large is refused for that alone.
fn of_bounded_size<'json>(item: Item<'json>, data: &RawValue) -> Result<Item<'json>, Problem> {
    if data.get().len() > limits::PLAIN_ITEM_BYTES {
        item.rewritten(None)?;
    }
    Ok(item)
}

#[cfg(test)]
mod tests {
    use domain::account::usage::PerKind;
    use domain::record::RecordId;
    use domain::types::TypeKey;
    use serde_json::{Value, json};
    use store::meter::Reading;

    use crate::harness::{Reply, Service};

    const RECORDS: &str = "/objects/records";

    async fn with_product() -> Service {
        let service = Service::start().await;
        assert_eq!(service.define("Product").await.status, 201);
        service
    }

    fn body(external_id: Option<&str>, attributes: impl Into<Value>) -> Value {
        json!({"data": {"type": "product", "external_id": external_id, "attributes": attributes.into()}})
    }

    fn id_of(reply: &Reply) -> String {
        reply.json["data"]["id"].as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned()
    }

    async fn attributes_of(service: &Service, id: &str) -> Value {
        service.get(&format!("{RECORDS}/{id}")).await.json["data"]["attributes"].clone()
    }

    async fn listed(service: &Service) -> usize {
        service.get(&format!("{RECORDS}?type=product")).await.members("id").len()
    }

    #[tokio::test]
    async fn a_record_is_made_and_shown_where_its_location_says() {
        let service = with_product().await;
        let reply = service.send("POST", RECORDS, &body(Some("Ab"), json!({"name": "chair", "void": null}))).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let made = json!({"data": {
            "type": "Product",
            "id": id_of(&reply),
            "external_id": "Ab",
            "attributes": {"name": "chair"},
            "created_at": "2017-11-03T16:00:06.123Z",
            "updated_at": "2017-11-03T16:00:06.123Z",
            "type_version": 1,
        }});
        assert_eq!(reply.json, made);
        let location = format!("/api/sunshine/objects/records/{}", id_of(&reply));
        assert_eq!(reply.header("location"), Some(location.as_str()));
        assert_eq!(service.get(location.strip_prefix("/api/sunshine").unwrap()).await.json, made);
        // The id is that of a job's item with this external id.
        let product = TypeKey::parse("product").unwrap();
        assert_eq!(id_of(&reply), RecordId::of_external_id(service.account(), &product, "ab").to_string());

        let taken = service.send("POST", RECORDS, &body(Some("aB"), json!({}))).await;
        taken.check_error(
            422,
            "UnprocessableEntity",
            "External Id is already in use for the Resource Type key: Product",
        );
        assert_eq!(taken.json["errors"][0]["message"], taken.json["errors"][0]["detail"]);
        // Without an external id there may be any number of them.
        for _ in 0..2 {
            assert_eq!(service.send("POST", RECORDS, &body(None, json!({}))).await.status, 201);
        }
        assert_eq!(listed(&service).await, 3);
    }

    #[tokio::test]
    async fn a_record_is_changed_by_a_merge_patch_with_either_method() {
        let service = with_product().await;
        service.send("PUT", "/objects/types/product", &json!({"data": {"schema": {"properties": {
            "name": {"type": "string"}, "at": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}},
        }}}})).await;
        let id = id_of(&service.send("POST", RECORDS, &body(Some("1"), json!({"name": "a", "at": {"x": 1}}))).await);
        service.clock().advance(1_000);
        let path = format!("{RECORDS}/{id}");
        let patch = json!({"data": {"id": "ignored", "type": 7, "external_id": "2", "attributes": {"at": {"y": 2}}}});
        let reply = service.send("PATCH", &path, &patch).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let data = &reply.json["data"];
        assert_eq!(data["attributes"], json!({"name": "a", "at": {"x": 1, "y": 2}}));
        assert_eq!((&data["external_id"], &data["type_version"]), (&json!("1"), &json!(2)));
        assert_eq!(data["created_at"], "2017-11-03T16:00:06.123Z");
        assert_eq!(data["updated_at"], "2017-11-03T16:00:07.123Z");
        assert_eq!(reply.header("location"), None);
        let reply = service
            .send(
                "PUT",
                &path.to_uppercase().replace("/OBJECTS/RECORDS", RECORDS),
                &json!({"data": {"attributes": {"name": null}}}),
            )
            .await;
        assert_eq!((reply.status, &reply.json["data"]["attributes"]), (200, &json!({"at": {"x": 1, "y": 2}})));
        assert_eq!(service.get(&path).await.json, reply.json);
    }

    #[tokio::test]
    async fn a_set_makes_what_is_not_there_and_changes_what_is() {
        let service = with_product().await;
        let first = service.send("PATCH", RECORDS, &body(Some("A"), json!({"name": "one"}))).await;
        let location = format!("/api/sunshine/objects/records/{}", id_of(&first));
        assert_eq!((first.status, first.header("location")), (201, Some(location.as_str())));
        let second = service.send("PUT", RECORDS, &body(Some("a"), json!({"name": "two"}))).await;
        assert_eq!((second.status, second.header("location")), (200, None));
        assert_eq!((id_of(&second), &second.json["data"]["external_id"]), (id_of(&first), &json!("A")));
        service.delete(&format!("{RECORDS}/{}", id_of(&first))).await;
        let third = service.send("PATCH", RECORDS, &body(Some("a"), json!({"name": "three"}))).await;
        assert_eq!((third.status, id_of(&third)), (201, id_of(&first)));
        let nameless = service.send("PATCH", RECORDS, &body(None, json!({}))).await;
        nameless.check_error(422, "UnprocessableEntity", "external_id must be a string");
    }

    #[tokio::test]
    async fn a_record_is_deleted_by_its_id_or_its_external_id() {
        let service = with_product().await;
        let id = id_of(&service.send("POST", RECORDS, &body(Some("1"), json!({}))).await);
        let path = format!("{RECORDS}/{id}");
        let deleted = service.delete(&path).await;
        assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
        let words = format!("No record has the id \"{id}\"");
        service.get(&path).await.check_error(404, "NotFound", &words);
        service.delete(&path).await.check_error(404, "NotFound", &words);
        service.send("PATCH", &path, &json!({"data": {"attributes": {}}})).await.check_error(404, "NotFound", &words);

        service.send("POST", RECORDS, &body(Some("a b"), json!({}))).await;
        let query = format!("{RECORDS}?type=PRODUCT&external_id=A+b");
        assert_eq!(service.delete(&query).await.status, 204);
        let words = "No record of type Product has the external id \"A b\"";
        service.delete(&query).await.check_error(404, "NotFound", words);
        let unknown = service.delete(&format!("{RECORDS}?type=other&external_id=1")).await;
        unknown.check_error(404, "NotFound", "Object type \"other\" is not defined");
        for (query, name) in [
            ("", "type"),
            ("?external_id=1", "type"),
            ("?type=product", "external_id"),
            ("?type=product&external_id=", "external_id"),
            ("?type=product&external_ids=1,2", "external_id"),
            (&format!("?ids={id}"), "type"),
        ] {
            let words = format!("`{name}` is required");
            service.delete(&format!("{RECORDS}{query}")).await.check_error(400, "BadRequest", &words);
        }
    }

    #[tokio::test]
    async fn what_relationships_use_is_not_deleted() {
        let service = with_product().await;
        service.define_relationship("owns", "zen:user", &json!("product")).await;
        let id = id_of(&service.send("POST", RECORDS, &body(Some("1"), json!({}))).await);
        service.relate("owns", "zen:user:1", &id).await;
        for path in [format!("{RECORDS}/{id}"), format!("{RECORDS}?type=product&external_id=1")] {
            service.delete(&path).await.check_error(422, "UnprocessableEntity", "an end of 1 relationship record");
        }
        // It can be changed all the same, and keeps its count.
        let path = format!("{RECORDS}/{id}");
        assert_eq!(service.send("PATCH", &path, &json!({"data": {"attributes": {"name": "x"}}})).await.status, 200);
        let keyed = service.send_keyed(Some("k"), "PATCH", &path, r#"{"data":{"attributes":{"name":"y"}}}"#).await;
        assert_eq!(keyed.status, 200);
        service.delete(&path).await.check_error(422, "UnprocessableEntity", "an end of 1 relationship record");
    }

    #[tokio::test]
    async fn every_broken_rule_is_an_error_and_nothing_is_written() {
        let service = with_product().await;
        let reply = service.send("POST", RECORDS, &body(Some("1"), json!({"name": 1, "color": "red"}))).await;
        assert_eq!((reply.status, reply.json["errors"].as_array().unwrap().len()), (422, 2), "{reply:?}");
        assert_eq!(listed(&service).await, 0);
        let large = service.send("POST", RECORDS, &body(None, json!({"name": "x".repeat(40_000)}))).await;
        large.check_error(422, "UnprocessableEntity", "32768");
        let escaped =
            format!(r#"{{"data":{{"type":"product","attributes":{{"name":"{}"}}}}}}"#, "\\u0078".repeat(32_000));
        assert_eq!(service.send_text("POST", RECORDS, &escaped).await.status, 201, "as it is kept it is small enough");
    }

    #[tokio::test]
    async fn nothing_of_another_account_is_touched_or_told() {
        let service = with_product().await;
        let id = id_of(&service.send("POST", RECORDS, &body(Some("1"), json!({"name": "ours"}))).await);
        let stranger = service.as_stranger();
        let path = format!("{RECORDS}/{id}");
        let words = format!("No record has the id \"{id}\"");
        stranger.send("PATCH", &path, &json!({"data": {"attributes": {}}})).await.check_error(404, "NotFound", &words);
        stranger.delete(&path).await.check_error(404, "NotFound", &words);
        let reply = stranger.send("PATCH", RECORDS, &body(Some("1"), json!({}))).await;
        reply.check_error(404, "NotFound", "Object type \"product\" is not defined");
        stranger.define("product").await;
        let theirs = stranger.send("PATCH", RECORDS, &body(Some("1"), json!({"name": "theirs"}))).await;
        assert_eq!(theirs.status, 201);
        assert_eq!(attributes_of(&service, &id).await, json!({"name": "ours"}));
    }

    #[tokio::test]
    async fn the_same_request_with_the_same_key_is_one_write() {
        let service = with_product().await;
        let text = body(None, json!({"name": "once"})).to_string();
        let post = async |key, text: &str| service.send_keyed(Some(key), "POST", RECORDS, text).await;
        let first = post("k", &text).await;
        let again = post("k", &text).await;
        assert_eq!((first.status, again.status), (201, 201), "{again:?}");
        assert_eq!((&again.json, again.header("location")), (&first.json, first.header("location")));
        assert_eq!(listed(&service).await, 1);
        // It is shown as it now stands.
        let path = format!("{RECORDS}/{}", id_of(&first));
        service.send("PATCH", &path, &json!({"data": {"attributes": {"name": "changed"}}})).await;
        assert_eq!(post("k", &text).await.json["data"]["attributes"]["name"], "changed");

        let used = "This Idempotency-Key was used with another request";
        post("k", &text.replace("once", "twice")).await.check_error(422, "UnprocessableEntity", used);
        for (method, path, text) in [("PATCH", RECORDS, text.as_str()), ("PATCH", &path, &text), ("DELETE", &path, "")]
        {
            let reply = service.send_keyed(Some("k"), method, path, text).await;
            reply.check_error(422, "UnprocessableEntity", used);
        }
        let bad = service.send_keyed(Some(""), "POST", RECORDS, &text).await;
        bad.check_error(400, "BadRequest", "Idempotency-Key must be");

        // A key of another account is another key.
        let stranger = service.as_stranger();
        stranger.define("product").await;
        let theirs = stranger.send_keyed(Some("k"), "POST", RECORDS, &text).await;
        assert_eq!(theirs.status, 201);
        assert_ne!(id_of(&theirs), id_of(&first));

        // Once somebody has deleted it, it is not made again.
        service.delete(&path).await;
        post("k", &text).await.check_error(404, "NotFound", &format!("No record has the id \"{}\"", id_of(&first)));
        assert_eq!(listed(&service).await, 0);
        // After a day the key is a new one.
        service.clock().advance(24 * 60 * 60 * 1_000 - 1_000);
        assert_eq!(post("k", &text).await.status, 404);
        service.clock().advance(1_000);
        assert_eq!(post("k", &text).await.status, 201);
        assert_eq!(post("k", &text).await.status, 201);
        assert_eq!(listed(&service).await, 1);
    }

    #[tokio::test]
    async fn a_change_with_a_key_is_not_made_again_over_a_later_one() {
        let service = with_product().await;
        let id = id_of(&service.send("POST", RECORDS, &body(Some("1"), json!({"name": "0"}))).await);
        let path = format!("{RECORDS}/{id}");
        let patch = |name: &str| json!({"data": {"attributes": {"name": name}}}).to_string();
        let set = body(Some("2"), json!({"name": "set"})).to_string();
        assert_eq!(service.send_keyed(Some("p"), "PATCH", &path, &patch("1")).await.status, 200);
        assert_eq!(service.send_keyed(Some("s"), "PATCH", RECORDS, &set).await.status, 201);
        service.send_text("PATCH", &path, &patch("2")).await;
        let again = service.send_keyed(Some("p"), "PUT", &path, &patch("1")).await;
        assert_eq!((again.status, &again.json["data"]["attributes"]), (200, &json!({"name": "2"})));
        // The same patch of another record is another request.
        let other = id_of(&service.send("POST", RECORDS, &body(None, json!({"name": "other"}))).await);
        let mistaken = service.send_keyed(Some("p"), "PATCH", &format!("{RECORDS}/{other}"), &patch("1")).await;
        mistaken.check_error(422, "UnprocessableEntity", "This Idempotency-Key was used with another request");
        service.delete(&format!("{RECORDS}/{other}")).await;
        // What made its record says so again.
        assert_eq!(service.send_keyed(Some("s"), "PATCH", RECORDS, &set).await.status, 201);

        let query = format!("{RECORDS}?type=product&external_id=2");
        for (key, path) in [("d", &path), ("x", &query)] {
            assert_eq!(service.send_keyed(Some(key), "DELETE", path, "").await.status, 204);
        }
        service.send("PATCH", RECORDS, &body(Some("2"), json!({"name": "new"}))).await;
        for (key, path) in [("d", &path), ("x", &query)] {
            assert_eq!(service.send_keyed(Some(key), "DELETE", path, "").await.status, 204);
        }
        assert_eq!(listed(&service).await, 1, "the new one is not deleted");
    }

    #[tokio::test]
    async fn a_request_that_was_refused_leaves_its_key_free() {
        let service = with_product().await;
        let post = async |text: &str| service.send_keyed(Some("k"), "POST", RECORDS, text).await;
        assert_eq!(post(&body(Some("1"), json!({"name": 7})).to_string()).await.status, 422);
        assert_eq!(post(&body(Some("1"), json!({"name": "7"})).to_string()).await.status, 201);
    }

    #[tokio::test]
    async fn many_requests_with_one_key_at_once_are_one_write() {
        let service = with_product().await;
        let text = body(None, json!({"name": "once"})).to_string();
        let requests = (0..16).map(|_| service.send_keyed(Some("k"), "POST", RECORDS, &text));
        let replies = futures_util::future::join_all(requests).await;
        assert!(replies.iter().all(|reply| reply.status == 201 && reply.json == replies[0].json), "{replies:?}");
        assert_eq!(listed(&service).await, 1);
    }

    /// Those that find it gone find out by whom.
    #[tokio::test]
    async fn many_deletions_with_one_key_at_once_are_one_and_all_say_so() {
        let service = with_product().await;
        let path = format!("{RECORDS}/{}", id_of(&service.send("POST", RECORDS, &body(None, json!({}))).await));
        let requests = (0..16).map(|_| service.send_keyed(Some("k"), "DELETE", &path, ""));
        let replies = futures_util::future::join_all(requests).await;
        assert!(replies.iter().all(|reply| reply.status == 204), "{replies:?}");
        assert_eq!(service.send_keyed(Some("another"), "DELETE", &path, "").await.status, 404);
    }

    #[tokio::test]
    async fn many_writers_of_one_record_lose_no_change() {
        const WRITERS: usize = 64;
        let service = Service::start().await;
        let properties: serde_json::Map<_, _> =
            (0..WRITERS).map(|writer| (format!("p{writer}"), json!({"type": "integer"}))).collect();
        let schema = json!({"data": {"key": "product", "schema": {"properties": properties}}});
        assert_eq!(service.send("POST", "/objects/types", &schema).await.status, 201);
        // By all three ways of changing a record, and beside one that makes it.
        let writers = (0..WRITERS).map(|writer| {
            let (service, attributes) = (&service, json!({format!("p{writer}"): writer}));
            async move {
                let text = body(Some("1"), attributes).to_string();
                let key = format!("k{writer}");
                service.send_keyed((writer % 2 == 0).then_some(&*key), "PATCH", RECORDS, &text).await
            }
        });
        let replies = futures_util::future::join_all(writers).await;
        let made = replies.iter().filter(|reply| reply.status == 201).count();
        let changed = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!(
            (made, changed),
            (1, WRITERS - 1),
            "{:?}",
            replies.iter().map(|reply| reply.status).collect::<Vec<_>>()
        );
        let there = attributes_of(&service, &id_of(&replies[0])).await;
        assert_eq!(there.as_object().unwrap().len(), WRITERS, "{there}");
        assert!((0..WRITERS).all(|writer| there[format!("p{writer}")] == writer), "{there}");
    }

    #[tokio::test]
    async fn a_write_costs_what_the_documentation_says() {
        let service = with_product().await;
        let meter = service.store().meter();
        let check = async |key: Option<&str>, method: &str, path: &str, body: Value, expected: [f64; 3]| {
            let before = meter.read();
            let reply = service.send_keyed(key, method, path, &body.to_string()).await;
            assert!([200, 201, 204].contains(&reply.status), "{reply:?}");
            let Reading { writes, reads, .. } = meter.read() - before;
            let units = [writes.table_units, writes.index_units, reads.table_units];
            assert_eq!(format!("{units:?}"), format!("{expected:?}"), "{method} {path} {key:?}");
            reply
        };
        let small = json!({"name": "chair"});
        let patch = json!({"data": {"attributes": {"name": "table"}}});
        // Write units in the table and in the index, and read units. A create costs two for the record and two for the count of records,
        // and reads its type before and after, and how many there are and may be.
        let made = check(None, "POST", RECORDS, body(Some("1"), small.clone()), [4.0, 1.0, 2.0 + 5.0]).await;
        check(None, "POST", RECORDS, body(None, small.clone()), [4.0, 1.0, 2.0 + 5.0]).await;
        let path = format!("{RECORDS}/{}", id_of(&made));
        // A read of the record and one of its type, a write, and nothing in the index.
        check(None, "PATCH", &path, patch.clone(), [1.0, 0.0, 2.0]).await;
        check(None, "PATCH", RECORDS, body(Some("1"), small.clone()), [1.0, 0.0, 2.0]).await;
        check(None, "PATCH", RECORDS, body(Some("2"), small.clone()), [4.0, 1.0, 3.0 + 5.0]).await;
        // With a key the key costs two more, and the record two where it is one otherwise, and a read more looks for the key.
        check(Some("k"), "POST", RECORDS, body(Some("3"), small.clone()), [6.0, 1.0, 3.0 + 5.0]).await;
        check(Some("u"), "PATCH", &path, patch.clone(), [4.0, 0.0, 3.0]).await;
        check(Some("u"), "PATCH", &path, patch, [0.0, 0.0, 2.0]).await;
        check(None, "DELETE", &path, Value::Null, [4.0, 1.0, 1.0]).await;
    }

    #[tokio::test]
    async fn a_record_beyond_the_limit_is_refused_as_published_until_there_is_room() {
        let service = with_product().await;
        let limits = PerKind { objects: Some(Some(2)), relationships: None };
        service.store().usages.change_limits(service.account(), limits).await.unwrap();
        let first = service.send("POST", RECORDS, &body(Some("1"), json!({}))).await;
        assert_eq!(service.send("PATCH", RECORDS, &body(Some("2"), json!({}))).await.status, 201);
        for (key, method, external_id) in
            [(None, "POST", Some("3")), (None, "POST", None), (None, "PATCH", Some("3")), (Some("k"), "POST", None)]
        {
            let text = body(external_id, json!({})).to_string();
            let refused = service.send_keyed(key, method, RECORDS, &text).await;
            let words = "You have exceeded the maximum number of resources for this account";
            refused.check_error(429, "TooManyRequests", words);
            assert_eq!(refused.json["errors"][0]["message"], words);
            assert_eq!(refused.header("retry-after"), Some("60"));
        }
        // What makes nothing has no limit, and another account has one of its own.
        let path = format!("{RECORDS}/{}", id_of(&first));
        assert_eq!(service.send("PATCH", &path, &json!({"data": {"attributes": {}}})).await.status, 200);
        assert_eq!(service.send("PATCH", RECORDS, &body(Some("2"), json!({}))).await.status, 200);
        let stranger = service.as_stranger();
        stranger.define("product").await;
        assert_eq!(stranger.send("POST", RECORDS, &body(Some("3"), json!({}))).await.status, 201);
        assert_eq!(listed(&service).await, 2);
        // Once one is deleted there is room for another, and the limit can be raised.
        assert_eq!(service.delete(&path).await.status, 204);
        assert_eq!(
            service.send_keyed(Some("k"), "POST", RECORDS, &body(None, json!({})).to_string()).await.status,
            201
        );
        assert_eq!(service.send("POST", RECORDS, &body(None, json!({}))).await.status, 429);
        let usual = PerKind { objects: Some(None), relationships: None };
        service.store().usages.change_limits(service.account(), usual).await.unwrap();
        assert_eq!(service.send("POST", RECORDS, &body(None, json!({}))).await.status, 201);
        let usage = service.store().usages.usage(service.account()).await.unwrap();
        assert_eq!((usage.counts.objects, usage.limits.objects), (3, 1_000_000));
    }
}
