//! Reads of relationship records: one by its id, and lists.

use axum::extract::State;
use domain::record::{RecordId, RelationshipRecord, State as RowState};
use domain::request::item::no_such_id;
use http::StatusCode;
use store::keys::{self, TypeKind};
use wire::{Agent, Data, Failure, List, PathParameters, Query};

use crate::paging::Paging;
use crate::{Records, relationship_types};

/// `GET /relationships/records/{id}`
pub(crate) async fn show(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters(id): PathParameters<String>,
) -> Result<Data<RelationshipRecord>, Failure> {
    let not_found = || Failure::from(no_such_id("relationship record", &id));
    let wanted = RecordId::parse(&id).ok_or_else(not_found)?;
    match records.stored.record(&caller.account, wanted).await?.map(|row| row.state) {
        Some(RowState::Relationship(record)) => Ok(Data(StatusCode::OK, record)),
        Some(RowState::Object(_) | RowState::Tombstone) | None => Err(not_found()),
    }
}

/// `GET /relationships/records`
pub(crate) async fn list(
    Agent(caller): Agent,
    State(records): State<Records>,
    query: Query,
) -> Result<List<RelationshipRecord>, Failure> {
    let account = &caller.account;
    let given = query.get("type")?.ok_or_else(|| Failure::bad_request("`type` is needed"))?;
    let key = relationship_types::parse_key(given)?;
    let name = format!("relationships/records?type={}", key.folded());
    let paging = Paging::parse(&query, records.cursors.get().await?.scope(account, &name))?;
    relationship_types::find(&records, account, given).await?;
    let relationships = |state| if let RowState::Relationship(record) = state { Some(record) } else { None };
    let page = records.page_of_type(account, TypeKind::Relationship, &key, &paging, relationships).await?;
    Ok(paging
        .answer(page, |record: &RelationshipRecord| keys::listed_at(record.created_at, record.position, record.id)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::harness::Service;

    async fn owned_products(service: &Service) {
        service.define("product").await;
        service.define_relationship("Owns", "zen:user", &json!(["product"])).await;
    }

    #[tokio::test]
    async fn a_record_is_shown() {
        let service = Service::start().await;
        owned_products(&service).await;
        let product = service.put("product", None, json!({})).await.to_string();
        let link = service.relate("owns", "zen:user:1", &product).await;
        let reply = service.get(&format!("/relationships/records/{link}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let shown = json!({"data": {
            "id": link.to_string(),
            "relationship_type": "Owns",
            "source": "zen:user:1",
            "target": product,
            "created_at": "2017-11-03T16:00:06.123Z",
        }});
        assert_eq!(reply.json, shown);
    }

    #[tokio::test]
    async fn an_id_of_no_record_is_the_same_404_whatever_else_it_is() {
        let service = Service::start().await;
        owned_products(&service).await;
        let product = service.put("product", None, json!({})).await.to_string();
        let kept = service.relate("owns", "zen:user:1", &product).await.to_string();
        let deleted = service.relate("owns", "zen:user:2", &product).await;
        service.unrelate(deleted).await;
        let unknown = "40e83a4e-8438-8bb9-8f6f-51124535ce9f";
        for id in ["7", unknown, &product, &deleted.to_string()] {
            let reply = service.get(&format!("/relationships/records/{id}")).await;
            reply.check_error(404, "NotFound", &format!("No relationship record has the id \"{id}\""));
        }
        let foreign = service.as_stranger().get(&format!("/relationships/records/{kept}")).await;
        foreign.check_error(404, "NotFound", &format!("No relationship record has the id \"{kept}\""));
    }

    #[tokio::test]
    async fn the_records_of_a_type_are_listed_by_creation_page_by_page() {
        let service = Service::start().await;
        owned_products(&service).await;
        // An object type and a relationship type may share their key.
        service.define("owns").await;
        service.put("owns", None, json!({})).await;
        let product = service.put("product", None, json!({})).await.to_string();
        let mut ids = Vec::new();
        for number in 0..14 {
            ids.push(service.relate("owns", &format!("zen:user:{number}"), &product).await.to_string());
            service.clock().advance(1);
        }
        assert_eq!(service.get("/relationships/records?type=OWNS").await.members("id"), ids);
        service.check_pages("/relationships/records?type=owns&per_page=5", "id", &ids).await;
        service.as_stranger().get("/relationships/records?type=owns").await.check_error(404, "NotFound", "\"owns\"");
        service.get("/relationships/records?type=likes").await.check_error(404, "NotFound", "\"likes\"");
        service.get("/relationships/records?type=no+type").await.check_error(404, "NotFound", "\"no type\"");
        service.get("/relationships/records").await.check_error(400, "BadRequest", "`type`");
    }
}
