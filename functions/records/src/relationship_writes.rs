//! Writes of single relationship records: creation and deletion. They are never changed.

use axum::extract::State;
use axum::response::Response;
use domain::job::Operation;
use domain::limits::RELATIONSHIP_BODY_BYTES;
use domain::request::item::Item;
use http::HeaderMap;
use serde_json::value::RawValue;
use wire::{Agent, DataBody, Failure, PathParameters};

use crate::Records;
use crate::single_write::{Request, key_of};

/// `POST /relationships/records`
pub(crate) async fn create(
    Agent(caller): Agent,
    State(records): State<Records>,
    headers: HeaderMap,
    DataBody(data): DataBody<RELATIONSHIP_BODY_BYTES>,
) -> Result<Response, Failure> {
    let operation = Operation::CreateRelationships;
    let key = key_of(&headers, operation, &[], &data)?;
    let request = Request { records: &records, account: &caller.account, operation, key };
    request.answer(|| Item::parse(operation, data.get())).await
}

/// `DELETE /relationships/records/{id}`
pub(crate) async fn delete(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters(id): PathParameters<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let operation = Operation::DeleteRelationships;
    let key = key_of(&headers, operation, &[&id], RawValue::NULL)?;
    Request { records: &records, account: &caller.account, operation, key }.answer(|| Item::unrelate(&id)).await
}

#[cfg(test)]
mod tests {
    use domain::account::usage::PerKind;
    use serde_json::{Value, json};
    use store::meter::Reading;

    use crate::harness::{Reply, Service};

    const LINKS: &str = "/relationships/records";

    /// With products, of which two are there, and relationship types of each cardinality from products to products.
    async fn with_products() -> (Service, [String; 2]) {
        let service = Service::start().await;
        service.define("Product").await;
        let (one, many) = (json!("product"), json!(["product"]));
        for (key, source, target) in [
            ("one-to-one", &one, &one),
            ("one-to-many", &one, &many),
            ("many-to-one", &many, &one),
            ("many-to-many", &many, &many),
        ] {
            let body = json!({"data": {"key": key, "source": source, "target": target}});
            assert_eq!(service.send("POST", "/relationships/types", &body).await.status, 201);
        }
        service.define_relationship("owns", "zen:user", &many).await;
        let first = service.put("product", Some("A"), json!({})).await;
        let second = service.put("product", Some("B"), json!({})).await;
        (service, [first.to_string(), second.to_string()])
    }

    fn body(key: &str, source: impl Into<Value>, target: impl Into<Value>) -> Value {
        json!({"data": {"relationship_type": key, "source": source.into(), "target": target.into()}})
    }

    fn id_of(reply: &Reply) -> String {
        reply.json["data"]["id"].as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned()
    }

    #[tokio::test]
    async fn a_relationship_is_made_shown_and_deleted_and_holds_its_ends_meanwhile() {
        let (service, [first, _]) = with_products().await;
        let made = service.send("POST", LINKS, &body("OWNS", "zen:user:1", &*first)).await;
        assert_eq!(made.status, 201, "{made:?}");
        let shown = json!({"data": {
            "id": id_of(&made),
            "relationship_type": "owns",
            "source": "zen:user:1",
            "target": first,
            "created_at": "2017-11-03T16:00:06.123Z",
        }});
        assert_eq!(made.json, shown);
        let location = format!("/api/sunshine/relationships/records/{}", id_of(&made));
        assert_eq!(made.header("location"), Some(location.as_str()));
        let path = format!("{LINKS}/{}", id_of(&made));
        assert_eq!(service.get(&path).await.json, shown);
        let record = format!("/objects/records/{first}");
        service.delete(&record).await.check_error(422, "UnprocessableEntity", "an end of 1 relationship record");

        let deleted = service.delete(&path).await;
        assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
        let words = format!("No relationship record has the id \"{}\"", id_of(&made));
        service.get(&path).await.check_error(404, "NotFound", &words);
        service.delete(&path).await.check_error(404, "NotFound", &words);
        assert_eq!(service.delete(&record).await.status, 204);
        // Its end is gone, so it cannot be made again.
        let again = service.send("POST", LINKS, &body("owns", "zen:user:1", &*first)).await;
        again.check_error(422, "UnprocessableEntity", &format!("target \"{first}\" does not exist"));
    }

    #[tokio::test]
    async fn a_source_has_one_target_unless_the_target_is_in_brackets() {
        let (service, [first, second]) = with_products().await;
        for (key, more) in
            [("one-to-one", false), ("one-to-many", true), ("many-to-one", false), ("many-to-many", true)]
        {
            let relate =
                async |source: &str, target: &str| service.send("POST", LINKS, &body(key, source, target)).await;
            assert_eq!(relate(&first, &second).await.status, 201, "{key}");
            let words = format!("A relationship record of type {key} from \"{first}\" to \"{second}\" already exists");
            relate(&first, &second).await.check_error(422, "UnprocessableEntity", &words);
            let other = relate(&first, &first).await;
            if more {
                assert_eq!(other.status, 201, "{key}: {other:?}");
            } else {
                let words = format!("The {key} relationship type {key} already relates \"{first}\" to \"{second}\"");
                other.check_error(422, "UnprocessableEntity", &words);
            }
            // Several sources of one target are never refused.
            assert_eq!(relate(&second, &second).await.status, 201, "{key}");
        }
    }

    #[tokio::test]
    async fn ends_are_named_by_their_external_ids_too() {
        let (service, [first, second]) = with_products().await;
        let named = |external_id: Value| json!({"type": "PRODUCT", "external_id": external_id});
        let made = service.send("POST", LINKS, &body("many-to-many", named(json!("a")), named(json!("b")))).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!((&made.json["data"]["source"], &made.json["data"]["target"]), (&json!(first), &json!(second)));
        let taken = service.send("POST", LINKS, &body("many-to-many", &*first, named(json!("B")))).await;
        taken.check_error(422, "UnprocessableEntity", "already exists");
        service.define("shop").await;
        service.put("shop", Some("1"), json!({})).await;
        for (end, status, code, words) in [
            (
                named(json!("c")),
                422,
                "UnprocessableEntity",
                "target does not exist: no record of type PRODUCT has the external id \"c\"",
            ),
            (
                json!({"type": "shop", "external_id": 1}),
                422,
                "UnprocessableEntity",
                "target is of type shop, not of type Product",
            ),
            (json!({"type": "product"}), 422, "UnprocessableEntity", "target: external_id is required"),
            (json!({"external_id": "1"}), 422, "UnprocessableEntity", "target: type is required"),
            (named(json!("")), 422, "UnprocessableEntity", "target: external_id must be 1 to 255 characters, not 0"),
            (
                json!({"type": "no type!", "external_id": "1"}),
                404,
                "NotFound",
                "target: Object type \"no type!\" is not defined",
            ),
            (json!(["a"]), 422, "UnprocessableEntity", "target must be a string"),
        ] {
            let reply = service.send("POST", LINKS, &body("many-to-many", &*first, end)).await;
            reply.check_error(status, code, words);
        }
        let elsewhere = service.send("POST", LINKS, &body("owns", named(json!("a")), &*first)).await;
        elsewhere.check_error(422, "UnprocessableEntity", "source is of type PRODUCT, not of type zen:user");
    }

    #[tokio::test]
    async fn the_same_request_with_the_same_key_is_one_write() {
        let (service, [first, second]) = with_products().await;
        let text = body("one-to-one", &*first, &*second).to_string();
        let post = async |text: &str| service.send_keyed(Some("k"), "POST", LINKS, text).await;
        let (made, again) = (post(&text).await, post(&text).await);
        assert_eq!((made.status, again.status), (201, 201), "{again:?}");
        assert_eq!((&again.json, again.header("location")), (&made.json, made.header("location")));
        let used = "This Idempotency-Key was used with another request";
        post(&text.replace("one-to-one", "many-to-one")).await.check_error(422, "UnprocessableEntity", used);
        let path = format!("{LINKS}/{}", id_of(&made));
        let delete = async || service.send_keyed(Some("d"), "DELETE", &path, "").await.status;
        assert_eq!((delete().await, delete().await), (204, 204));
        post(&text).await.check_error(404, "NotFound", "No relationship record has the id");
        // Each was counted once: both ends are free.
        for end in [first, second] {
            assert_eq!(service.delete(&format!("/objects/records/{end}")).await.status, 204);
        }
    }

    #[tokio::test]
    async fn many_that_relate_and_delete_the_same_two_leave_nothing_dangling() {
        let (service, [first, second]) = with_products().await;
        let text = body("one-to-many", &*first, &*second);
        let clients = (0..64).map(|client: usize| {
            let (service, text, second) = (&service, &text, &second);
            async move {
                let made = service.send("POST", LINKS, text).await;
                assert!([201, 422].contains(&made.status), "{made:?}");
                if client.is_multiple_of(8) {
                    let reply = service.delete(&format!("/objects/records/{second}")).await;
                    assert!([204, 404, 422].contains(&reply.status), "{reply:?}");
                }
                if made.status == 201 {
                    let reply = service.delete(&format!("{LINKS}/{}", id_of(&made))).await;
                    assert!([204, 404].contains(&reply.status), "{reply:?}");
                }
            }
        });
        futures_util::future::join_all(clients).await;
        let left = service.get(&format!("{LINKS}?type=one-to-many")).await.members("id").len();
        let is_there = service.get(&format!("/objects/records/{second}")).await.status == 200;
        assert!(is_there || left == 0, "a relationship dangles");
        // The counts are right: a record is free exactly when no relationship is left.
        let expected = if left == 0 { 204 } else { 422 };
        assert_eq!(service.delete(&format!("/objects/records/{first}")).await.status, expected);
    }

    #[tokio::test]
    async fn nothing_of_another_account_is_related_or_deleted() {
        let (service, [first, second]) = with_products().await;
        let made = id_of(&service.send("POST", LINKS, &body("one-to-one", &*first, &*second)).await);
        let stranger = service.as_stranger();
        let words = "Relationship type \"one-to-one\" is not defined";
        stranger.send("POST", LINKS, &body("one-to-one", &*first, &*second)).await.check_error(404, "NotFound", words);
        stranger.define("product").await;
        stranger.define_relationship("one-to-one", "product", &json!("product")).await;
        let reply = stranger.send("POST", LINKS, &body("one-to-one", &*first, &*second)).await;
        reply.check_error(422, "UnprocessableEntity", "source");
        let reply = stranger.delete(&format!("{LINKS}/{made}")).await;
        reply.check_error(404, "NotFound", "No relationship record has the id");
        assert_eq!(service.get(&format!("{LINKS}/{made}")).await.status, 200);
    }

    #[tokio::test]
    async fn a_write_costs_what_the_documentation_says() {
        let (service, [first, second]) = with_products().await;
        let meter = service.store().meter();
        let check = async |key: Option<&str>, method: &str, path: &str, body: Value, expected: [f64; 3]| {
            let before = meter.read();
            let reply = service.send_keyed(key, method, path, &body.to_string()).await;
            assert!([201, 204].contains(&reply.status), "{reply:?}");
            let Reading { writes, reads, .. } = meter.read() - before;
            let units = [writes.table_units, writes.index_units, reads.table_units];
            assert_eq!(format!("{units:?}"), format!("{expected:?}"), "{method} {path} {key:?}");
            reply
        };
        // Write units in the table: two for the relationship, two for each end that is a record, two for the count of relationships,
        // and two for a key. Reads of the type before and after, the relationship, the ends, and of how many there are and may be.
        let made = check(None, "POST", LINKS, body("one-to-one", &*first, &*second), COST_OF_TWO_ENDS).await;
        check(Some("k"), "POST", LINKS, body("owns", "zen:user:1", &*second), COST_OF_ONE_END_WITH_KEY).await;
        check(None, "DELETE", &format!("{LINKS}/{}", id_of(&made)), Value::Null, COST_OF_DELETION).await;
    }

    const COST_OF_TWO_ENDS: [f64; 3] = [8.0, 3.0, 5.0 + 5.0];
    const COST_OF_ONE_END_WITH_KEY: [f64; 3] = [8.0, 3.0, 5.0 + 5.0];
    const COST_OF_DELETION: [f64; 3] = [8.0, 3.0, 1.0];

    #[tokio::test]
    async fn a_relationship_beyond_the_limit_is_refused_as_published() {
        let (service, [first, second]) = with_products().await;
        let limits = PerKind { objects: None, relationships: Some(Some(1)) };
        service.store().usages.change_limits(service.account(), limits).await.unwrap();
        let made = service.send("POST", LINKS, &body("one-to-many", &*first, &*second)).await;
        let refused = service.send("POST", LINKS, &body("one-to-many", &*second, &*first)).await;
        let words = "You have exceeded the maximum number of relationships for this account";
        refused.check_error(429, "TooManyRequests", words);
        assert_eq!(refused.header("retry-after"), Some("60"));
        assert_eq!(service.delete(&format!("{LINKS}/{}", id_of(&made))).await.status, 204);
        assert_eq!(service.send("POST", LINKS, &body("one-to-many", &*second, &*first)).await.status, 201);
    }
}
