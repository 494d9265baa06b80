//! The relationships of one end: its relationship records, and the object records at their other ends.

use std::collections::HashSet;

use axum::extract::State;
use domain::account::AccountId;
use domain::record::{End, ObjectRecord, RecordId, RelationshipRecord, Row, State as RowState};
use domain::request::item::no_such_id;
use domain::types::{EndType, RelationshipType, TypeKey};
use store::keys;
use store::page::Page;
use store::records::Side;
use wire::{Agent, Failure, List, PathParameters, Query};

use crate::object_records::READ_AT_ONCE;
use crate::paging::{PAGE_BYTES, Paging};
use crate::{Records, relationship_types};

/// The relationships of one type that one thing has.
struct Walk<'request> {
    records: &'request Records,
    account: &'request AccountId,
    end: End,
    /// The type of the object record that it starts at; none of what is kept elsewhere.
    object_type: Option<TypeKey>,
    relationship_type: RelationshipType,
}

impl<'request> Walk<'request> {
    /// # Errors
    /// 404 when there is no such record or no such relationship type. What is kept elsewhere is not looked up.
    async fn start(
        records: &'request Records,
        account: &'request AccountId,
        id: &str,
        key: &str,
    ) -> Result<Self, Failure> {
        let not_found = || Failure::from(no_such_id("record", id));
        let end = End::parse("id", id).map_err(|_| not_found())?;
        let object_type = match &end {
            End::Elsewhere(_) => None,
            End::Object(object) => match records.stored.record(account, *object).await?.map(|row| row.state) {
                Some(RowState::Object(record)) => Some(record.object_type),
                Some(RowState::Relationship(_) | RowState::Tombstone) | None => return Err(not_found()),
            },
        };
        let relationship_type = relationship_types::find(records, account, key).await?;
        Ok(Self { records, account, end, object_type, relationship_type })
    }

    /// What cursors of the list are bound to.
    fn list_name(&self, list: &str) -> String {
        format!("objects/records/{}/{list}/{}", self.end, self.relationship_type.key.folded())
    }

    /// Whether it can stand where the relationship type has `wanted`.
    fn fits(&self, wanted: &EndType) -> bool {
        match (&self.end, &self.object_type, wanted) {
            (_, Some(object_type), EndType::Object(wanted)) => object_type == wanted,
            (End::Elsewhere(id), None, wanted) => wanted.owns_elsewhere(id),
            (_, _, _) => false,
        }
    }

    /// On which sides of a relationship it may stand with an object record on the other.
    fn sides_with_objects(&self) -> Vec<Side> {
        let RelationshipType { source, target, .. } = &self.relationship_type;
        let is_object = |end: &EndType| matches!(end, EndType::Object(_));
        let mut sides = Vec::new();
        if self.fits(source) && is_object(target) {
            sides.push(Side::Source);
        }
        if self.fits(target) && is_object(source) {
            sides.push(Side::Target);
        }
        sides
    }

    /// The page of its relationships with it on one of these sides.
    async fn links(&self, sides: &[Side], paging: &Paging<'_>) -> Result<Page<RelationshipRecord>, Failure> {
        let key = &self.relationship_type.key;
        let page = self.records.stored.list_links(self.account, key, &self.end, sides, &paging.query()).await?;
        let of_row = |row: Row| row.relationship().cloned();
        let Page { items, more_after, more_before } = page;
        Ok(Page { items: items.into_iter().filter_map(of_row).collect(), more_after, more_before })
    }

    /// The object record at the other end of a relationship.
    fn other_end(&self, link: &RelationshipRecord) -> Option<RecordId> {
        if link.source == self.end { link.target.object() } else { link.source.object() }
    }

    /// The relationship that would lead to the same record the other way round, where there may be one.
    fn counterpart(&self, link: &RelationshipRecord) -> Option<RecordId> {
        let RelationshipType { key, cardinality, .. } = &self.relationship_type;
        let (end, other) = (self.end.to_string(), link.source.to_string());
        (link.source != self.end).then(|| RecordId::of_relationship(self.account, key, *cardinality, &end, &other))
    }

    /// Of these relationships, those that lead to a record that a relationship from here leads to as well.
    async fn led_to_twice(&self, links: &[RelationshipRecord]) -> Result<HashSet<RecordId>, Failure> {
        let wanted: HashSet<RecordId> = links.iter().filter_map(|link| self.counterpart(link)).collect();
        let rows = self.records.stored.records(self.account, wanted).await?;
        let is_twice = |link: &&RelationshipRecord| {
            let counterpart = self.counterpart(link).and_then(|id| rows.get(&id)).and_then(Row::relationship);
            counterpart.is_some_and(|counterpart| counterpart.target == link.source)
        };
        Ok(links.iter().filter(is_twice).map(|link| link.id).collect())
    }
}

/// A relationship's place in every list that it stands in.
fn place_of(link: &RelationshipRecord) -> String {
    keys::listed_at(link.created_at, link.position, link.id)
}

/// `GET /objects/records/{id}/relationships/{type}`: lists the relationships of a record or of something kept elsewhere
/// that have it as their source.
pub(crate) async fn relationships(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters((id, key)): PathParameters<(String, String)>,
    query: Query,
) -> Result<List<RelationshipRecord>, Failure> {
    let walk = Walk::start(&records, &caller.account, &id, &key).await?;
    let name = walk.list_name("relationships");
    let paging = Paging::parse(&query, records.cursors.get().await?.scope(&caller.account, &name))?;
    Ok(paging.answer(walk.links(&[Side::Source], &paging).await?, place_of))
}

/// `GET /objects/records/{id}/related/{type}`: lists the object records at the other ends of the relationships that it
/// has on either side, by the creation of the relationships.
pub(crate) async fn related(
    Agent(caller): Agent,
    State(records): State<Records>,
    PathParameters((id, key)): PathParameters<(String, String)>,
    query: Query,
) -> Result<List<ObjectRecord>, Failure> {
    let walk = Walk::start(&records, &caller.account, &id, &key).await?;
    let name = walk.list_name("related");
    let paging = Paging::parse(&query, records.cursors.get().await?.scope(&caller.account, &name))?;
    let sides = walk.sides_with_objects();
    let backwards = paging.query().backwards;
    let Page { items: mut links, more_after, more_before } = walk.links(&sides, &paging).await?;
    let twice = if sides.len() > 1 { walk.led_to_twice(&links).await? } else { HashSet::new() };

    // In the order of reading, so that a page that has to end early ends where the next one goes on.
    if backwards {
        links.reverse();
    }
    let (mut more, behind) = if backwards { (more_before, more_after) } else { (more_after, more_before) };
    // Places without a record are kept until the links are made: a page is where it is, whatever it shows.
    let mut found: Vec<(String, Option<ObjectRecord>)> = Vec::with_capacity(links.len());
    let mut bytes = 0;
    'reading: for links in links.chunks(READ_AT_ONCE) {
        let wanted: HashSet<RecordId> = links.iter().filter_map(|link| walk.other_end(link)).collect();
        let rows = records.stored.records(&caller.account, wanted).await?;
        for link in links {
            let row = walk.other_end(link).and_then(|other| rows.get(&other)).and_then(Row::object);
            let record = row.filter(|_| !twice.contains(&link.id));
            let size = record.map_or(0, |record| record.attributes.len() + 256);
            if bytes > 0 && bytes + size > PAGE_BYTES {
                more = true;
                break 'reading;
            }
            bytes += size;
            found.push((place_of(link), record.cloned()));
        }
    }
    if backwards {
        found.reverse();
    }
    let (more_before, more_after) = if backwards { (more, behind) } else { (behind, more) };
    let List { items, links } =
        paging.answer(Page { items: found, more_after, more_before }, |(place, _)| place.clone());
    Ok(List { items: items.into_iter().filter_map(|(_, record)| record).collect(), links })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::harness::Service;

    async fn world() -> Service {
        let service = Service::start().await;
        for key in ["product", "shop"] {
            service.define(key).await;
        }
        service.define_relationship("sold-in", "product", &json!(["shop"])).await;
        service.define_relationship("owns", "zen:user", &json!(["product"])).await;
        service.define_relationship("likes", "product", &json!(["product"])).await;
        service.define_relationship("next", "product", &json!("product")).await;
        service
    }

    async fn put(service: &Service, key: &str) -> String {
        service.clock().advance(1);
        service.put(key, None, json!({})).await.to_string()
    }

    async fn relate(service: &Service, key: &str, source: &str, target: &str) -> String {
        service.clock().advance(1);
        service.relate(key, source, target).await.to_string()
    }

    async fn related(service: &Service, id: &str, key: &str) -> Vec<String> {
        let reply = service.get(&format!("/objects/records/{id}/related/{key}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.members("id").into_iter().map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn relationships_are_those_from_it_and_related_is_what_is_on_either_side() {
        let service = world().await;
        let (chair, table) = (put(&service, "product").await, put(&service, "product").await);
        let (here, there) = (put(&service, "shop").await, put(&service, "shop").await);
        let first = relate(&service, "sold-in", &chair, &there).await;
        let second = relate(&service, "sold-in", &chair, &here).await;
        relate(&service, "sold-in", &table, &here).await;
        let owned = relate(&service, "owns", "zen:user:1", &chair).await;

        let reply = service.get(&format!("/objects/records/{chair}/relationships/SOLD-IN")).await;
        assert_eq!(reply.members("id"), [first.clone(), second]);
        assert_eq!(reply.json["data"][0], service.get(&format!("/relationships/records/{first}")).await.json["data"]);
        let reply = service.get(&format!("/objects/records/{here}/relationships/sold-in")).await;
        assert_eq!(reply.json, json!({"data": [], "links": {"next": null, "previous": null}}));
        let reply = service.get("/objects/records/zen:user:1/relationships/owns").await;
        assert_eq!(reply.members("id"), [owned]);

        assert_eq!(related(&service, &chair, "sold-in").await, [there, here.clone()]);
        assert_eq!(related(&service, &here.to_uppercase(), "sold-in").await, [chair.clone(), table]);
        assert_eq!(related(&service, "zen:user:1", "owns").await, [chair.as_str()]);
        // At the other end is what is kept elsewhere.
        assert_eq!(related(&service, &chair, "owns").await, [""; 0]);
        for id in ["zen:user:2", "zen:ticket:1"] {
            assert_eq!(related(&service, id, "owns").await, [""; 0], "{id}");
        }
        assert_eq!(related(&service, &here, "likes").await, [""; 0]);
        // As the record's own routes show it.
        let reply = service.get("/objects/records/zen%3Auser%3A1/related/owns").await;
        assert_eq!(reply.json["data"][0], service.get(&format!("/objects/records/{chair}")).await.json["data"]);
    }

    #[tokio::test]
    async fn what_is_not_there_is_a_404_that_names_it() {
        let service = world().await;
        let chair = put(&service, "product").await;
        let link = relate(&service, "owns", "zen:user:1", &chair).await;
        let gone = service.put("product", None, json!({})).await;
        service.remove(gone).await;
        let unknown = "40e83a4e-8438-8bb9-8f6f-51124535ce9f".to_owned();
        for list in ["relationships", "related"] {
            for id in ["7".to_owned(), "zen".to_owned(), unknown.clone(), link.clone(), gone.to_string()] {
                let reply = service.get(&format!("/objects/records/{id}/{list}/owns")).await;
                reply.check_error(404, "NotFound", &format!("No record has the id \"{id}\""));
            }
            for key in ["hates", "product"] {
                let reply = service.get(&format!("/objects/records/{chair}/{list}/{key}")).await;
                reply.check_error(404, "NotFound", &format!("Relationship type \"{key}\" is not defined"));
            }
            let foreign = service.as_stranger();
            foreign.define_relationship("owns", "zen:user", &json!("zen:user")).await;
            let reply = foreign.get(&format!("/objects/records/{chair}/{list}/owns")).await;
            reply.check_error(404, "NotFound", "No record has the id");
            let reply = foreign.get(&format!("/objects/records/zen:user:1/{list}/owns")).await;
            assert_eq!(reply.json["data"], json!([]));
        }
    }

    #[tokio::test]
    async fn a_record_is_related_once_however_many_ways_lead_to_it() {
        let service = world().await;
        let mut products = Vec::new();
        for _ in 0..4 {
            products.push(put(&service, "product").await);
        }
        let [a, b, c, d] = [0, 1, 2, 3].map(|place: usize| products[place].as_str());
        for (source, target) in [(b, a), (a, b), (a, a), (c, a), (a, d)] {
            relate(&service, "likes", source, target).await;
        }
        assert_eq!(related(&service, a, "likes").await, [b, a, c, d]);
        assert_eq!(related(&service, b, "likes").await, [a]);
        // Where a source has one target, its relationship may lead elsewhere.
        for (source, target) in [(b, a), (a, c), (c, a)] {
            relate(&service, "next", source, target).await;
        }
        assert_eq!(related(&service, a, "next").await, [b, c]);
        assert_eq!(related(&service, c, "next").await, [a]);
    }

    #[tokio::test]
    async fn both_lists_come_page_by_page_and_in_both_orders() {
        let service = world().await;
        let chair = put(&service, "product").await;
        let (mut links, mut others) = (Vec::new(), Vec::new());
        for place in 0..14 {
            let other = put(&service, "product").await;
            // From both sides, and made in one order.
            let (source, target) = if place % 3 == 0 { (&other, &chair) } else { (&chair, &other) };
            let link = relate(&service, "likes", source, target).await;
            if source == &chair {
                links.push(link);
            }
            others.push(other);
        }
        let path = format!("/objects/records/{chair}/related/likes");
        service.check_pages(&format!("{path}?per_page=5"), "id", &others).await;
        service.check_pages(&format!("/objects/records/{chair}/relationships/likes?per_page=4"), "id", &links).await;
        // A cursor of one walk is none of another.
        let next = service.get(&format!("{path}?per_page=5")).await.link("next").unwrap();
        let cursor = next.split_once('?').unwrap().1;
        for other in [
            format!("/objects/records/{chair}/relationships/likes"),
            format!("/objects/records/{}/related/likes", others[0]),
            format!("/objects/records/{chair}/related/next"),
        ] {
            service.get(&format!("{other}?{cursor}")).await.check_error(400, "BadRequest", "`cursor`");
        }
        service.get(&format!("{path}?per_page=x")).await.check_error(400, "BadRequest", "`per_page`");
    }

    #[tokio::test]
    async fn a_page_ends_before_it_is_too_large_to_answer() {
        let service = world().await;
        let chair = put(&service, "product").await;
        let mut others = Vec::new();
        for place in 0..150_usize {
            let large = json!({"name": "x".repeat(32_000)});
            let other = service.put("product", Some(&place.to_string()), large).await.to_string();
            relate(&service, "likes", &chair, &other).await;
            others.push(other);
        }
        let first = service.get(&format!("/objects/records/{chair}/related/likes")).await;
        assert_eq!(first.members("id"), others[..123], "123 records of 32 KB fit 4 MB");
        let second = service.get_link(&first, "next").await;
        assert_eq!(second.members("id"), others[123..]);
        assert_eq!(second.link("next"), None);
        assert_eq!(service.get_link(&second, "previous").await.members("id"), others[..123]);
    }

    /// In the number of a record's relationships, and in the page's number.
    #[tokio::test]
    async fn a_page_costs_the_same_however_many_there_are() {
        let service = world().await;
        let meter = service.store().meter();
        let (few, many) = (put(&service, "product").await, put(&service, "product").await);
        for place in 0..200 {
            let shop = service.put("shop", Some(&place.to_string()), json!({})).await.to_string();
            for source in [Some(&many), (place < 12).then_some(&few)].into_iter().flatten() {
                service.relate("sold-in", source, &shop).await;
            }
            service.clock().advance(1);
        }
        // What cursors are signed with is made and read once.
        service.get(&format!("/objects/records/{many}/related/sold-in?per_page=1")).await;
        let mut costs = Vec::new();
        for source in [&few, &many] {
            let mut page = format!("/objects/records/{source}/related/sold-in?per_page=10");
            for _ in 0..20 {
                let before = meter.read();
                let reply = service.get(&page).await;
                let reads = (meter.read() - before).reads;
                if reply.members("id").len() == 10 {
                    costs.push((reads.table_units + reads.index_units, reads.requests));
                }
                match reply.link("next") {
                    Some(next) => page = next.strip_prefix("/api/sunshine").unwrap().to_owned(),
                    None => break,
                }
            }
        }
        assert_eq!(costs.len(), 21);
        let most = costs.iter().map(|(units, _)| *units).fold(0.0, f64::max);
        let least = costs.iter().map(|(units, _)| *units).fold(f64::MAX, f64::min);
        // The record, its type, a query of half a unit for each of four shards and at most one more of each, ten relationships and
        // one more than the page shows, and ten records.
        assert!(most <= 1.0 + 1.0 + 2.0 * 2.0 + 11.0 + 10.0, "{costs:?}");
        assert!(most - least <= 3.0, "{costs:?}");
    }
}
