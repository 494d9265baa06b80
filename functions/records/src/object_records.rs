//! Reads of object records: one by its id, and lists.

use std::collections::HashSet;

use axum::extract::State;
use domain::account::AccountId;
use domain::limits::RECORDS_NAMED;
use domain::record::{ObjectRecord, RecordId, State as RowState};
use domain::request::item::{no_such_id, parse_object_type};
use domain::types::TypeKey;
use http::StatusCode;
use store::keys::{self, TypeKind};
use store::page::Page;
use wire::{Agent, Data, Failure, List, PathParameters, Query};

use crate::Records;
use crate::object_types;
use crate::paging::{PAGE_BYTES, Paging};

/// Rows that are read together when records are named: at 32 KiB each 13 MB, of which a page keeps what fits.
pub(crate) const READ_AT_ONCE: usize = 400;

/// `GET /objects/records/{id}`
pub(crate) async fn show(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters(id): PathParameters<String>,
) -> Result<Data<ObjectRecord>, Failure> {
    let not_found = || Failure::from(no_such_id("record", &id));
    let wanted = RecordId::parse(&id).ok_or_else(not_found)?;
    match records.stored.record(&caller.account, wanted).await?.map(|row| row.state) {
        Some(RowState::Object(record)) => Ok(Data(StatusCode::OK, record)),
        Some(RowState::Relationship(_) | RowState::Tombstone) | None => Err(not_found()),
    }
}

/// `GET /objects/records`
///
/// The records of a type are listed by creation. Records that are named come in the order of their names, each once,
/// without those that do not exist; `order` has no effect then.
pub(crate) async fn list(
    Agent(caller): Agent,
    State(records): State<Records>,
    query: Query,
) -> Result<List<ObjectRecord>, Failure> {
    let account = &caller.account;
    let selection = Selection::parse(&query)?;
    let name = selection.list_name();
    let paging = Paging::parse(&query, records.cursors.get().await?.scope(account, &name))?;
    if let Some(key) = selection.object_type() {
        object_types::find(&records, account, key.as_str()).await?;
    }
    match selection {
        Selection::Type(key) => {
            let objects = |state| if let RowState::Object(record) = state { Some(record) } else { None };
            let page = records.page_of_type(account, TypeKind::Object, &key, &paging, objects).await?;
            Ok(paging
                .answer(page, |record: &ObjectRecord| keys::listed_at(record.created_at, record.position, record.id)))
        }
        Selection::Ids { ids, .. } => {
            let ids = entries(ids).filter_map(RecordId::parse).collect();
            named(&records, account, &paging, ids).await
        }
        Selection::ExternalId { object_type, external_id } => {
            let id = RecordId::of_external_id(account, &object_type, external_id);
            named(&records, account, &paging, vec![id]).await
        }
        Selection::ExternalIds { object_type, external_ids } => {
            let of_external_id = |external_id| RecordId::of_external_id(account, &object_type, external_id);
            named(&records, account, &paging, entries(external_ids).map(of_external_id).collect()).await
        }
    }
}

/// Which records a list is of.
#[derive(Debug, Eq, PartialEq)]
enum Selection<'query> {
    Type(TypeKey),
    /// Texts with commas between them. One that is no id is the id of no record.
    Ids {
        ids: &'query str,
    },
    ExternalId {
        object_type: TypeKey,
        external_id: &'query str,
    },
    /// Texts with commas between them: an external id that has a comma in it, or blanks around it, can only be asked for by
    /// itself.
    ExternalIds {
        object_type: TypeKey,
        external_ids: &'query str,
    },
}

impl<'query> Selection<'query> {
    /// # Errors
    /// 400 naming the parameter that is missing, wrong or too many; 404 when `type` can be no type's key.
    fn parse(query: &'query Query) -> Result<Self, Failure> {
        let object_type = query.get("type")?;
        let (ids, external_id, external_ids) =
            (query.get("ids")?, query.get("external_id")?, query.get("external_ids")?);
        if let Some(ids) = ids {
            refuse_beside("ids", query, &["type", "external_id", "external_ids"])?;
            check_count("ids", ids)?;
            return Ok(Self::Ids { ids });
        }
        let key = |name| {
            let key = object_type.ok_or_else(|| Failure::bad_request(format!("`{name}` needs `type` beside it")))?;
            parse_object_type(key).map_err(Failure::from)
        };
        if let Some(external_id) = external_id {
            refuse_beside("external_id", query, &["external_ids"])?;
            return Ok(Self::ExternalId { object_type: key("external_id")?, external_id });
        }
        if let Some(external_ids) = external_ids {
            check_count("external_ids", external_ids)?;
            return Ok(Self::ExternalIds { object_type: key("external_ids")?, external_ids });
        }
        match object_type {
            Some(key) => Ok(Self::Type(parse_object_type(key)?)),
            None => Err(Failure::bad_request(
                "One of `type`, `ids`, `type` with `external_id` or `type` with `external_ids` is needed",
            )),
        }
    }

    /// The type that has to be defined.
    const fn object_type(&self) -> Option<&TypeKey> {
        match self {
            Self::Ids { .. } => None,
            Self::Type(key)
            | Self::ExternalId { object_type: key, .. }
            | Self::ExternalIds { object_type: key, .. } => Some(key),
        }
    }

    /// What tells this list's cursors from those of others.
    fn list_name(&self) -> String {
        // A key has no `&` in it, and what a client may choose freely stands last.
        match self {
            Self::Type(key) => format!("objects/records?type={}", key.folded()),
            Self::Ids { ids } => format!("objects/records?ids={ids}"),
            Self::ExternalId { object_type, external_id } => {
                format!("objects/records?type={}&external_id={external_id}", object_type.folded())
            }
            Self::ExternalIds { object_type, external_ids } => {
                format!("objects/records?type={}&external_ids={external_ids}", object_type.folded())
            }
        }
    }
}

fn refuse_beside(name: &str, query: &Query, others: &[&str]) -> Result<(), Failure> {
    for other in others {
        if query.get(other)?.is_some() {
            return Err(Failure::bad_request(format!("`{other}` does not go with `{name}`")));
        }
    }
    Ok(())
}

/// The entries of a list with commas, without the blanks around them: the API is published as `{id, id}`.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

/// Checks that a parameter does not name too much.
fn check_count(name: &str, given: &str) -> Result<(), Failure> {
    let count = given.split(',').count();
    if count > RECORDS_NAMED {
        return Err(Failure::bad_request(format!("`{name}` may name at most {RECORDS_NAMED} records, not {count}")));
    }
    Ok(())
}

/// The page of the records with these ids. Its positions are places among the different ids.
async fn named(
    records: &Records,
    account: &AccountId,
    paging: &Paging<'_>,
    mut ids: Vec<RecordId>,
) -> Result<List<ObjectRecord>, Failure> {
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(*id));

    let query = paging.query();
    // The position was signed, so it is one that this function gave out.
    let from: Option<usize> = query.from.and_then(|position| position.parse().ok());
    let places: Vec<usize> = match from {
        None => (0..ids.len()).collect(),
        Some(from) if query.backwards => (0..from.min(ids.len())).rev().collect(),
        Some(from) => (from + 1..ids.len()).collect(),
    };
    let mut found: Vec<(usize, ObjectRecord)> = Vec::new();
    let mut bytes = 0;
    let mut more = false;
    'reading: for places in places.chunks(READ_AT_ONCE.min(query.limit + 1)) {
        let wanted = places.iter().map(|place| ids[*place]);
        let mut rows = records.stored.records(account, wanted).await?;
        for place in places {
            let Some(RowState::Object(record)) = rows.remove(&ids[*place]).map(|row| row.state) else { continue };
            let size = record.attributes.len() + 256;
            if found.len() == query.limit || (!found.is_empty() && bytes + size > PAGE_BYTES) {
                more = true;
                break 'reading;
            }
            bytes += size;
            found.push((*place, record));
        }
    }
    let behind = from.is_some() && !found.is_empty();
    let (more_before, more_after) = if query.backwards { (more, behind) } else { (behind, more) };
    if query.backwards {
        found.reverse();
    }
    let List { items, links } =
        paging.answer(Page { items: found, more_after, more_before }, |(place, _)| place.to_string());
    Ok(List { items: items.into_iter().map(|(_, record)| record).collect(), links })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::harness::{Service, encoded};

    fn selection(query: &str) -> Result<String, (u16, String)> {
        let query = Query::parse(&format!("/objects/records?{query}").parse().unwrap());
        Selection::parse(&query)
            .map(|selection| selection.list_name())
            .map_err(|failure| (failure.status().as_u16(), failure.problems()[0].detail.clone().into_owned()))
    }

    fn check(query: &str, list: &str) {
        assert_eq!(selection(query), Ok(format!("objects/records?{list}")), "{query}");
    }

    fn check_refused(query: &str, status: u16, words: &str) {
        let (refused, detail) = selection(query).unwrap_err();
        assert_eq!(refused, status, "{query}");
        assert!(detail.contains(words), "{query}: {detail}");
    }

    #[test]
    fn a_request_says_which_records_it_wants() {
        check("type=Product&unknown=x", "type=product");
        check("ids=a,b", "ids=a,b");
        check("type=product&external_id=&external_ids=", "type=product");
        check("type=&ids=a&ids=a", "ids=a");
        check("external_id=A%2Cb&type=product", "type=product&external_id=A,b");
        check("type=product&external_ids=A,b%26c", "type=product&external_ids=A,b&c");
        check(&format!("ids={}", ["a"; 1_000].join(",")), &format!("ids={}", ["a"; 1_000].join(",")));
    }

    #[test]
    fn a_request_that_makes_no_sense_is_told_which_parameter_is_wrong() {
        check_refused("", 400, "One of `type`, `ids`");
        check_refused("per_page=3", 400, "One of `type`, `ids`");
        check_refused("ids=", 400, "One of `type`, `ids`");
        check_refused("type=&ids=&external_id=", 400, "One of `type`, `ids`");
        check_refused("ids=a&ids=b", 400, "`ids` is given more than once");
        check_refused("ids=a&type=product", 400, "`type` does not go with `ids`");
        check_refused("ids=a&external_id=b", 400, "`external_id` does not go with `ids`");
        check_refused("ids=a&external_ids=b", 400, "`external_ids` does not go with `ids`");
        check_refused("external_id=a", 400, "`external_id` needs `type`");
        check_refused("external_ids=a", 400, "`external_ids` needs `type`");
        check_refused(
            "type=product&external_id=a&external_ids=b",
            400,
            "`external_ids` does not go with `external_id`",
        );
        let many = ["a"; 1_001].join(",");
        check_refused(&format!("ids={many}"), 400, "`ids` may name at most 1000 records, not 1001");
        check_refused(&format!("type=product&external_ids={many}"), 400, "`external_ids` may name at most 1000");
        check_refused("type=no+type!", 404, "\"no type!\"");
        check_refused("type=&external_id=a", 400, "`external_id` needs `type`");
    }

    #[tokio::test]
    async fn a_record_is_shown() {
        let service = Service::start().await;
        service.define("Product").await;
        let named = service.put("product", Some("Ab"), json!({"name": "chair"})).await;
        let nameless = service.put("product", None, json!({})).await;
        let reply = service.get(&format!("/objects/records/{named}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let shown = json!({"data": {
            "type": "Product",
            "id": named.to_string(),
            "external_id": "Ab",
            "attributes": {"name": "chair"},
            "created_at": "2017-11-03T16:00:06.123Z",
            "updated_at": "2017-11-03T16:00:06.123Z",
            "type_version": 1,
        }});
        assert_eq!(reply.json, shown);
        let upper = named.to_string().to_uppercase();
        assert_eq!(service.get(&format!("/objects/records/{upper}")).await.json, shown);
        let reply = service.get(&format!("/objects/records/{nameless}")).await;
        assert_eq!((reply.status, &reply.json["data"]["external_id"]), (200, &json!(null)));
    }

    #[tokio::test]
    async fn an_id_of_no_record_is_the_same_404_whatever_else_it_is() {
        let service = Service::start().await;
        service.define("product").await;
        service.define_relationship("owns", "zen:user", &json!("product")).await;
        let record = service.put("product", None, json!({})).await;
        let link = service.relate("owns", "zen:user:1", &record.to_string()).await;
        let deleted = service.put("product", Some("gone"), json!({})).await;
        service.remove(deleted).await;
        let unknown = "40e83a4e-8438-8bb9-8f6f-51124535ce9f".to_owned();
        for id in ["7".to_owned(), unknown, link.to_string(), deleted.to_string()] {
            let reply = service.get(&format!("/objects/records/{id}")).await;
            reply.check_error(404, "NotFound", &format!("No record has the id \"{id}\""));
        }
        let foreign = service.as_stranger().get(&format!("/objects/records/{record}")).await;
        foreign.check_error(404, "NotFound", &format!("No record has the id \"{record}\""));
    }

    #[tokio::test]
    async fn the_records_of_a_type_are_listed_by_creation_page_by_page() {
        let service = Service::start().await;
        service.define("product").await;
        service.define("other").await;
        let mut ids = Vec::new();
        for number in 0..23 {
            let external_id = number.to_string();
            ids.push(service.put("product", (number % 2 == 0).then_some(&external_id), json!({})).await.to_string());
            service.put("other", Some(&external_id), json!({})).await;
            service.clock().advance(1);
        }
        let whole = service.get("/objects/records?type=PRODUCT").await;
        assert_eq!(whole.json["links"], json!({"next": null, "previous": null}));
        assert_eq!(whole.members("id"), ids);
        service.check_pages("/objects/records?type=product&per_page=8", "id", &ids).await;

        let next = service.get("/objects/records?type=product&per_page=8").await.link("next").unwrap();
        assert!(next.starts_with("/api/sunshine/objects/records?type=product&per_page=8&cursor="), "{next}");
        let next = next.strip_prefix("/api/sunshine").unwrap();
        for other in [
            next.replace("type=product", "type=other"),
            next.replace("type=product", "ids=7"),
            format!("{next}x"),
            next.replace("/objects/", "/relationships/"),
        ] {
            let reply = service.get(&other).await;
            reply.check_error(400, "BadRequest", "`cursor`");
        }
        service.as_stranger().get(next).await.check_error(400, "BadRequest", "`cursor`");
        service.get("/objects/records?type=product&order=up").await.check_error(400, "BadRequest", "`order`");
    }

    #[tokio::test]
    async fn records_made_in_one_millisecond_are_listed_once_each() {
        let service = Service::start().await;
        service.define("product").await;
        let mut ids = Vec::new();
        for number in 0..17 {
            ids.push(service.put("product", Some(&number.to_string()), json!({})).await.to_string());
        }
        ids.sort();
        service.check_pages("/objects/records?type=product&per_page=6", "id", &ids).await;
    }

    #[tokio::test]
    async fn the_records_of_a_type_that_is_not_defined_are_a_404_that_names_it() {
        let service = Service::start().await;
        service.define("product").await;
        for query in ["type=other", "type=other&external_id=1", "type=other&external_ids=1,2"] {
            let reply = service.get(&format!("/objects/records?{query}")).await;
            reply.check_error(404, "NotFound", "Object type \"other\" is not defined");
        }
        let foreign = service.as_stranger().get("/objects/records?type=product").await;
        foreign.check_error(404, "NotFound", "Object type \"product\" is not defined");
        service.get("/objects/records").await.check_error(400, "BadRequest", "`type`");
        let empty = service.get("/objects/records?type=product").await;
        assert_eq!(empty.json, json!({"data": [], "links": {"next": null, "previous": null}}));
    }

    #[tokio::test]
    async fn records_are_found_by_their_ids_in_the_order_asked_for() {
        let service = Service::start().await;
        service.define("product").await;
        service.define("other").await;
        let first = service.put("product", Some("1"), json!({})).await.to_string();
        let second = service.put("other", None, json!({})).await.to_string();
        let deleted = service.put("product", Some("3"), json!({})).await;
        service.remove(deleted).await;
        let unknown = "40e83a4e-8438-8bb9-8f6f-51124535ce9f";
        let path =
            format!("/objects/records?ids={second},7,{unknown},{deleted},,{first},{},{first}", second.to_uppercase());
        let reply = service.get(&path).await;
        assert_eq!(reply.members("id"), [second.clone(), first.clone()]);
        assert_eq!(reply.json["links"], json!({"next": null, "previous": null}));
        assert_eq!(service.get("/objects/records?ids=7").await.json["data"], json!([]));
        assert_eq!(service.as_stranger().get(&path).await.json["data"], json!([]));
    }

    #[tokio::test]
    async fn named_records_come_page_by_page() {
        let service = Service::start().await;
        service.define("product").await;
        let mut ids = Vec::new();
        let mut asked = Vec::new();
        for number in 0..8 {
            let id = service.put("product", Some(&number.to_string()), json!({})).await;
            ids.push(id.to_string());
            asked.extend([id.to_string(), number.to_string()]);
        }
        let path = format!("/objects/records?per_page=3&ids={}", asked.join(","));
        service.check_pages_as_given(&path, "id", &ids).await;
        service
            .check_pages_as_given(
                "/objects/records?type=product&per_page=3&external_ids=0,1,x,2,3,4,,5,6,7",
                "id",
                &ids,
            )
            .await;
    }

    #[tokio::test]
    async fn records_are_found_by_their_external_ids_in_whatever_case() {
        let service = Service::start().await;
        service.define("product").await;
        service.define("other").await;
        let upper = service.put("product", Some("ÄB-1"), json!({})).await.to_string();
        let comma = service.put("product", Some("a,b &c"), json!({})).await.to_string();
        service.put("other", Some("x"), json!({})).await;
        let check = async |query: &str, ids: &[&String]| {
            let reply = service.get(&format!("/objects/records?{query}")).await;
            assert_eq!(reply.status, 200, "{query}: {reply:?}");
            assert_eq!(reply.members("id"), ids.iter().map(|id| id.as_str()).collect::<Vec<_>>(), "{query}");
        };
        check(&format!("type=product&external_id={}", encoded("äb-1")), &[&upper]).await;
        check(&format!("type=PRODUCT&external_ids=x,{},x,{}", encoded("Äb-1"), encoded("äb-1")), &[&upper]).await;
        check("type=product&external_id=x", &[]).await;
        check(&format!("type=product&external_id={}", encoded("A,b &C")), &[&comma]).await;
        // With a comma in it, it reads as two.
        check(&format!("type=product&external_ids={}", encoded("a,b &c")), &[]).await;
        let foreign = service.as_stranger();
        foreign.define("product").await;
        let reply = foreign.get(&format!("/objects/records?type=product&external_id={}", encoded("äb-1"))).await;
        assert_eq!(reply.json["data"], json!([]));
    }

    #[tokio::test]
    async fn a_page_ends_before_it_is_too_large_to_answer() {
        let service = Service::start().await;
        service.define("product").await;
        let mut ids = Vec::new();
        for number in 0..150 {
            let id = service.put("product", Some(&number.to_string()), json!({"name": "x".repeat(32_000)})).await;
            ids.push(id.to_string());
            service.clock().advance(1);
        }
        for path in ["/objects/records?type=product".to_owned(), format!("/objects/records?ids={}", ids.join(","))] {
            let first = service.get(&path).await;
            assert_eq!(first.members("id"), ids[..123], "123 records of 32 KB fit 4 MB");
            let second = service.get_link(&first, "next").await;
            assert_eq!(second.members("id"), ids[123..]);
            assert_eq!(second.link("next"), None);
            assert_eq!(service.get_link(&second, "previous").await.members("id"), ids[..123]);
        }
    }
}
