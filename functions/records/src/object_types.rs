//! Object types: the schemas that records follow.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::account::AccountId;
use domain::account::usage::over_limit;
use domain::limits::TYPE_BODY_BYTES;
use domain::problem::Problem;
use domain::request::item::{object_type_not_found, parse_object_type};
use domain::request::json;
use domain::types::{EndType, ObjectTypeDefinition, Schema, TypeKey};
use http::StatusCode;
use http::header::LOCATION;
use serde_json::Value;
use store::catalog::Defined;
use store::keys::TypeKind;
use wire::{Agent, Data, DataBody, Failure, List, PathParameters, Query};

use crate::Records;
use crate::paging::{Paging, type_position};
use crate::type_deletion::Deletion;

/// No place becomes free by waiting: it takes somebody to delete a type. A minute keeps a client that repeats by itself
/// from being a burden.
const RETRY_WITHOUT_PLACE_SECONDS: u32 = 60;

/// `POST /objects/types`
pub(crate) async fn define(
    Agent(caller): Agent,
    State(records): State<Records>,
    DataBody(data): DataBody<TYPE_BODY_BYTES>,
) -> Result<Response, Failure> {
    let data = json::read_members(&data, ["key", "schema"])?;
    let key = key_of(&data)?.ok_or_else(key_required)?;
    let schema = schema_of(&data)?;
    let now = records.stored.clock().now();
    let object_type = ObjectTypeDefinition::new(key, &schema, now);
    let defined = records.catalog.define_object_type(&caller.account, &object_type).await?;
    defined_as_wanted(defined, TypeKind::Object, &object_type.key)?;
    let location = format!("{}/objects/types/{}", wire::BASE, object_type.key);
    Ok(([(LOCATION, location)], Data(StatusCode::CREATED, object_type)).into_response())
}

/// `GET /objects/types`
pub(crate) async fn list(
    Agent(caller): Agent,
    State(records): State<Records>,
    query: Query,
) -> Result<List<ObjectTypeDefinition>, Failure> {
    let paging = Paging::parse(&query, records.cursors.get().await?.scope(&caller.account, "objects/types"))?;
    let types = records.catalog.object_types(&caller.account).await?;
    let position = |object_type: &ObjectTypeDefinition| type_position(object_type.created_at, &object_type.key);
    Ok(paging.answer(paging.cut(types, position), position))
}

/// `GET /objects/types/{key}`
pub(crate) async fn show(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters(key): PathParameters<String>,
) -> Result<Data<ObjectTypeDefinition>, Failure> {
    let wanted = parse_object_type(&key)?;
    let object_type = records.catalog.object_type(&caller.account, &wanted).await?;
    object_type.map(|object_type| Data(StatusCode::OK, object_type)).ok_or_else(|| object_type_not_found(&key).into())
}

/// `PUT /objects/types/{key}`
pub(crate) async fn replace_schema(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters(key): PathParameters<String>,
    DataBody(data): DataBody<TYPE_BODY_BYTES>,
) -> Result<Data<ObjectTypeDefinition>, Failure> {
    let wanted = parse_object_type(&key)?;
    let data = json::read_members(&data, ["key", "schema"])?;
    if let Some(given) = key_of(&data)?
        && given != wanted
    {
        return Err(Failure::unprocessable(format!("key cannot be changed: it is \"{wanted}\", not \"{given}\"")));
    }
    let schema = schema_of(&data)?;
    let now = records.stored.clock().now();
    let replaced = records.catalog.replace_schema(&caller.account, &wanted, &schema, now).await?;
    replaced.map(|object_type| Data(StatusCode::OK, object_type)).ok_or_else(|| object_type_not_found(&key).into())
}

/// `DELETE /objects/types/{key}`
pub(crate) async fn delete(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters(key): PathParameters<String>,
) -> Result<StatusCode, Failure> {
    let account = &caller.account;
    // Read before the types: a definition in between makes the deletion fail.
    let revision = records.catalog.types_revision(account).await?;
    let defined = find(&records, account, &key).await?;
    let relationship_types = records.catalog.relationship_types(account).await?;
    let end = EndType::Object(defined.clone());
    if let Some(user) = relationship_types.iter().find(|user| user.source == end || user.target == end) {
        return Err(Failure::unprocessable(format!(
            "The relationship type \"{}\" names the object type \"{defined}\" as its source or target: delete it first",
            user.key
        )));
    }
    let missing = object_type_not_found(&key);
    let deletion = Deletion { records: &records, account, kind: TypeKind::Object, key: &defined, revision, missing };
    deletion.carry_out().await
}

/// The key of the object type that a request calls `key`, as it was defined.
///
/// # Errors
/// 404 naming the key when there is no such type.
pub(crate) async fn find(records: &Records, account: &AccountId, key: &str) -> Result<TypeKey, Failure> {
    let wanted = parse_object_type(key)?;
    let found = records.catalog.named_object_types(account, [&wanted]).await?;
    found.into_iter().next().map(|stored| stored.key).ok_or_else(|| object_type_not_found(key).into())
}

/// Nothing when the type was defined, or else the refusal that says why not.
pub(crate) fn defined_as_wanted(defined: Defined, kind: TypeKind, key: &TypeKey) -> Result<(), Failure> {
    let (kind, plural) = match kind {
        TypeKind::Object => ("object type", "resource types"),
        TypeKind::Relationship => ("relationship type", "relationship types"),
    };
    match defined {
        Defined::Done => Ok(()),
        Defined::KeyTaken => Err(Failure::unprocessable(format!("key \"{key}\" is already in use for another {kind}"))),
        Defined::TooMany => Err(Failure::too_many(over_limit(plural).detail, RETRY_WITHOUT_PLACE_SECONDS)),
        Defined::EndMissing => Err(Failure::unprocessable(format!(
            "source or target of the {kind} \"{key}\" names an object type that was deleted a moment ago"
        ))),
    }
}

fn key_of(data: &Value) -> Result<Option<TypeKey>, Problem> {
    match data.get("key") {
        None => Ok(None),
        Some(Value::String(key)) => TypeKey::parse(key).map(Some),
        Some(_) => Err(key_required()),
    }
}

fn key_required() -> Problem {
    Problem::unprocessable("key is required and must be a string")
}

fn schema_of(data: &Value) -> Result<Schema, Problem> {
    match data.get("schema") {
        Some(schema) => Schema::parse(schema),
        None => Err(Problem::unprocessable("schema is required and must be an object")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::harness::{Service, schema};

    #[tokio::test]
    async fn a_type_is_defined_shown_replaced_and_deleted() {
        let service = Service::start().await;
        let given = json!({"properties": {"name": {"type": "string"}}, "required": ["name"]});
        let shown = |given: &serde_json::Value| {
            let mut shown = given.clone();
            shown["additionalProperties"] = json!(false);
            shown
        };
        let reply = service.send("POST", "/objects/types", &json!({"data": {"key": "Product", "schema": given}})).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        assert_eq!(reply.header("location"), Some("/api/sunshine/objects/types/Product"));
        let defined = json!({"data": {
            "key": "Product",
            "schema": shown(&given),
            "version": 1,
            "created_at": "2017-11-03T16:00:06.123Z",
            "updated_at": "2017-11-03T16:00:06.123Z",
        }});
        assert_eq!(reply.json, defined);
        let found = service.get("/objects/types/pRODUCT").await;
        assert_eq!((found.status, found.json), (200, defined));

        service.clock().advance(1_000);
        let reply = service.send("PUT", "/objects/types/product", &json!({"data": {"schema": schema()}})).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let replaced = json!({"data": {
            "key": "Product",
            "schema": shown(&schema()),
            "version": 2,
            "created_at": "2017-11-03T16:00:06.123Z",
            "updated_at": "2017-11-03T16:00:07.123Z",
        }});
        assert_eq!(reply.json, replaced);
        // The key may be said again, in any case.
        let reply = service
            .send("PUT", "/objects/types/product", &json!({"data": {"key": "PRODUCT", "schema": schema()}}))
            .await;
        assert_eq!((reply.status, &reply.json["data"]["version"]), (200, &json!(3)));

        let deleted = service.delete("/objects/types/PRODUCT").await;
        assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
        service.get("/objects/types/product").await.check_error(404, "NotFound", "\"product\"");
        assert_eq!(service.define("product").await.status, 201);
    }

    #[tokio::test]
    async fn a_definition_with_a_mistake_names_it() {
        let service = Service::start().await;
        service.define("product").await;
        let check = async |data: serde_json::Value, words: &str| {
            let reply = service.send("POST", "/objects/types", &json!({"data": data})).await;
            reply.check_error(422, "UnprocessableEntity", words);
        };
        check(json!({"schema": schema()}), "key is required").await;
        check(json!({"key": 7, "schema": schema()}), "key is required and must be a string").await;
        check(json!({"key": "-up", "schema": schema()}), "not \"-up\"").await;
        check(json!({"key": "other"}), "schema is required").await;
        check(json!({"key": "other", "schema": []}), "schema must be an object").await;
        check(
            json!({"key": "other", "schema": {"properties": {}}}),
            "The properties element of a schema cannot be empty.",
        )
        .await;
        let text = "x".repeat(40_000);
        let large = json!({"key": "other", "schema": {"properties": {"a": {"type": "string", "title": text}}}});
        check(large, "at most 32768 bytes").await;
        check(json!({"key": "PRODUCT", "schema": schema()}), "key \"PRODUCT\" is already in use").await;

        let put = async |data: serde_json::Value, words: &str| {
            let reply = service.send("PUT", "/objects/types/product", &json!({"data": data})).await;
            reply.check_error(422, "UnprocessableEntity", words);
        };
        put(json!({"key": "other", "schema": schema()}), "key cannot be changed").await;
        put(json!({"key": null, "schema": schema()}), "key is required and must be a string").await;
        put(json!({"key": "product"}), "schema is required").await;
        put(json!({"schema": {"$schema": "x"}}), "$schema").await;
        let unchanged = service.get("/objects/types/product").await;
        assert_eq!(unchanged.json["data"]["version"], 1);
    }

    #[tokio::test]
    async fn a_schema_is_refused_when_a_member_stands_twice_or_it_nests_too_deep() {
        let service = Service::start().await;
        service.define("product").await;
        let nested = |levels: usize| format!("{}{}", r#"{"not":"#.repeat(levels - 1) + "{}", "}".repeat(levels - 1));
        let schema = |rest: &str| format!(r#"{{"properties":{{"name":{{"type":"string"{rest}}}}}}}"#);
        for (method, path, key) in
            [("POST", "/objects/types", r#""key":"other","#), ("PUT", "/objects/types/product", "")]
        {
            let send = async |members: String| {
                service.send_text(method, path, &format!(r#"{{"data":{{{key}{members}}}}}"#)).await
            };
            for (members, words) in [
                (format!(r#""schema":{0},"sch\u0065ma":{0}"#, schema("")), "schema is given more than once"),
                (
                    format!(r#""schema":{}"#, schema(r#","type":"number""#)),
                    r#"the member "type" is given more than once"#,
                ),
                (format!(r#""schema":{}"#, schema(r#","enum":[{"x":1,"x":1}]"#)), r#"the member "x" is given"#),
                (format!(r#""schema":{}"#, schema(&format!(r#","not":{}"#, nested(98)))), "at most 100 levels"),
                (format!(r#""schema":{}"#, schema(&format!(r#","not":{}"#, nested(20_000)))), "at most 100 levels"),
            ] {
                send(members).await.check_error(422, "UnprocessableEntity", words);
            }
            let deepest = schema(&format!(r#","not":{}"#, nested(97)));
            // What is ignored may stand there twice.
            let reply = send(format!(r#""x":1,"x":{{"y":1,"y":1}},"schema":{deepest}"#)).await;
            assert!(reply.status == 200 || reply.status == 201, "{reply:?}");
            let shown =
                service.get(reply.header("location").map_or(path, |it| it.strip_prefix("/api/sunshine").unwrap()));
            let mut expected: serde_json::Value = serde_json::from_str(&deepest).unwrap();
            expected["additionalProperties"] = json!(false);
            assert_eq!(shown.await.json["data"]["schema"], expected);
        }
        let twice = r#"{"data":{"key":"other","k\u0065y":"other","schema":{}}}"#;
        let reply = service.send_text("POST", "/objects/types", twice).await;
        reply.check_error(422, "UnprocessableEntity", "key is given more than once");
    }

    #[tokio::test]
    async fn a_key_of_no_type_is_a_404_that_names_it() {
        let service = Service::start().await;
        service.define("product").await;
        let stranger = service.as_stranger();
        for (service, path, name) in [
            (&service, "/objects/types/unknown", "\"unknown\""),
            (&service, "/objects/types/7%20up", "\"7 up\""),
            (&stranger, "/objects/types/product", "\"product\""),
        ] {
            service.get(path).await.check_error(404, "NotFound", name);
            service.delete(path).await.check_error(404, "NotFound", name);
            let body = json!({"data": {"schema": schema()}});
            service.send("PUT", path, &body).await.check_error(404, "NotFound", name);
        }
        assert_eq!(stranger.get("/objects/types").await.json["data"], json!([]));
        assert_eq!(service.get("/objects/types/product").await.json["data"]["version"], 1);
    }

    #[tokio::test]
    async fn the_51st_type_is_a_429_and_fits_when_one_is_deleted() {
        let service = Service::start().await;
        for number in 0..50 {
            assert_eq!(service.define(&format!("type{number}")).await.status, 201);
        }
        let refused = service.define("one-more").await;
        refused.check_error(
            429,
            "TooManyRequests",
            "You have exceeded the maximum number of resource types for this account",
        );
        assert_eq!(refused.header("retry-after"), Some("60"));
        // A taken key is told as such all the same.
        service.define("type7").await.check_error(422, "UnprocessableEntity", "\"type7\"");
        assert_eq!(service.delete("/objects/types/type7").await.status, 204);
        assert_eq!(service.define("one-more").await.status, 201);
        assert_eq!(service.get("/objects/types").await.json["data"].as_array().unwrap().len(), 50);
    }

    #[tokio::test]
    async fn types_are_listed_by_creation_page_by_page() {
        let service = Service::start().await;
        let keys = ["delta", "alpha", "echo", "bravo", "charlie"];
        for key in keys {
            service.define(key).await;
            service.clock().advance(1);
        }
        let whole = service.get("/objects/types").await;
        assert_eq!(whole.json["links"], json!({"next": null, "previous": null}));
        assert_eq!(whole.members("key"), keys);
        service.check_pages("/objects/types?per_page=2", "key", &keys).await;
        service.get("/objects/types?per_page=0").await.check_error(400, "BadRequest", "`per_page`");
    }

    #[tokio::test]
    async fn a_type_in_use_is_not_deleted() {
        let service = Service::start().await;
        for key in ["product", "shop", "free"] {
            service.define(key).await;
        }
        let record = service.put("product", Some("1"), json!({})).await;
        let words = "/api/sunshine/objects/records?type=product";
        service.delete("/objects/types/product").await.check_error(422, "UnprocessableEntity", words);

        service.define_relationship("sold-in", "product", &json!(["shop"])).await;
        for path in ["/objects/types/shop", "/objects/types/product"] {
            service.delete(path).await.check_error(422, "UnprocessableEntity", "\"sold-in\"");
        }
        assert_eq!(service.delete("/objects/types/free").await.status, 204);

        assert_eq!(service.delete("/relationships/types/sold-in").await.status, 204);
        assert_eq!(service.delete("/objects/types/shop").await.status, 204);
        service.remove(record).await;
        assert_eq!(service.delete("/objects/types/product").await.status, 204);
    }
}
