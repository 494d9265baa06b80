//! Permissions on the records of a type, by role: the same for all types, and not changeable for now.

use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};
use wire::{Agent, Data, Failure, PathParameters};

use crate::{Records, object_types, relationship_types};

/// `GET /objects/types/{key}/permissions`
pub(crate) async fn of_object_type(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters(key): PathParameters<String>,
) -> Result<Data<Value>, Failure> {
    object_types::find(&records, &caller.account, &key).await?;
    Ok(Data(StatusCode::OK, enforced()))
}

/// `GET /relationships/types/{key}/permissions`
pub(crate) async fn of_relationship_type(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters(key): PathParameters<String>,
) -> Result<Data<Value>, Failure> {
    relationship_types::find(&records, &caller.account, &key).await?;
    Ok(Data(StatusCode::OK, enforced()))
}

/// What the routes enforce, by role: each handler's first parameter is an agent or an admin. Nothing is enforced by what a user
/// is related to.
fn enforced() -> Value {
    let all = |allowed: bool| json!({"create": allowed, "read": allowed, "update": allowed, "delete": allowed});
    json!({"rbac": {"admin": all(true), "agent": all(true), "end_user": all(false)}, "rebac": {}})
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::harness::Service;

    #[tokio::test]
    async fn the_permissions_of_a_type_are_those_that_are_enforced() {
        let service = Service::start().await;
        service.define("product").await;
        service.define_relationship("owns", "zen:user", &json!("product")).await;
        let all = |allowed| json!({"create": allowed, "read": allowed, "update": allowed, "delete": allowed});
        let enforced = json!({"data": {
            "rbac": {"admin": all(true), "agent": all(true), "end_user": all(false)},
            "rebac": {},
        }});
        for (path, unknown, words) in [
            ("/objects/types/PRODUCT/permissions", "/objects/types/other/permissions", "Object type \"other\""),
            (
                "/relationships/types/owns/permissions",
                "/relationships/types/other/permissions",
                "Relationship type \"other\"",
            ),
        ] {
            let reply = service.get(path).await;
            assert_eq!((reply.status, &reply.json), (200, &enforced), "{path}");
            service.get(unknown).await.check_error(404, "NotFound", words);
            for method in ["PATCH", "PUT"] {
                service.send(method, path, &enforced).await.check_error(405, "MethodNotAllowed", method);
            }
            // What they say is so.
            assert_eq!(service.as_end_user().get(path).await.status, 403);
        }
    }
}
