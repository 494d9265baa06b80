use std::collections::BTreeSet;

use super::*;
use crate::harness::{Reply, Service};

/// A service with so many records of each of these types, one a millisecond, whose name is `rare` for one in a hundred.
async fn stocked(types: &[&str], records: usize) -> Service {
    let service = Service::start().await;
    for key in types {
        service.define(key).await;
    }
    for number in 0..records {
        for key in types {
            let name = if number % 100 == 50 { "rare" } else { "common" };
            service.put(key, Some(&number.to_string()), json!({"name": name})).await;
        }
        service.clock().advance(1);
    }
    // What cursors are signed with is made and read once.
    service.send("POST", "/objects/query?per_page=1", &json!({"query": {"_type": types[0]}})).await;
    service
}

/// Every page of a search, with the read units and the requests of each.
async fn pages(service: &Service, parameters: &str, body: &Value) -> Vec<(Reply, f64)> {
    let meter = service.store().meter();
    let mut path = format!("/objects/query{parameters}");
    let mut pages = Vec::new();
    loop {
        let before = meter.read();
        let reply = service.send("POST", &path, body).await;
        let reads = (meter.read() - before).reads;
        let next = reply.link("next");
        pages.push((reply, reads.table_units + reads.index_units));
        match next {
            Some(next) => path = next.strip_prefix("/api/sunshine").unwrap().to_owned(),
            None => return pages,
        }
        assert!(pages.len() < 1_000, "the search does not end");
    }
}

fn found(pages: &[(Reply, f64)]) -> Vec<String> {
    pages.iter().flat_map(|(page, _)| page.members("id")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_page_costs_the_same_from_the_first_to_the_last() {
    let service = stocked(&["product"], 400).await;
    let pages = pages(&service, "?per_page=10", &json!({"query": {"_type": "product", "name": "common"}})).await;
    assert_eq!(found(&pages).len(), 396);
    let costs: Vec<f64> = pages[..pages.len() - 2].iter().map(|(_, units)| *units).collect();
    // Half a unit for each of eight shards, once or twice, and one for each record that is looked at, which are 11 and then 22 more at the most.
    assert!(costs.iter().all(|units| *units <= 8.0 * 0.5 * 4.0 + 11.0 + 22.0), "{costs:?}");
    let (most, least) = (costs.iter().copied().fold(0.0, f64::max), costs.iter().copied().fold(f64::MAX, f64::min));
    assert!(most - least <= 30.0, "{costs:?}");
    assert!(costs.iter().sum::<f64>() / f64::from(38) <= 20.0, "{costs:?}");
}

#[tokio::test]
async fn what_is_named_by_id_is_read_and_nothing_else() {
    let service = stocked(&["product", "shop"], 60).await;
    let id = service.put("product", Some("another"), json!({"name": "rare"})).await;
    for (query, units) in [
        (json!({"_id": id.to_string()}), 1.0),
        (json!({"_type": "product", "_external_id": {"$in": ["1", "2", "none"]}}), 3.0),
        (json!({"_id": {"$in": []}}), 0.0),
    ] {
        let pages = pages(&service, "", &json!({"query": query})).await;
        assert_eq!((pages.len(), pages[0].1), (1, units), "{query}");
    }
}

#[tokio::test]
async fn a_page_looks_at_so_many_and_goes_on_from_there() {
    let service = stocked(&["product"], 2_300).await;
    let body = json!({"query": {"_type": "product", "name": "rare"}});
    let all = pages(&service, "?per_page=100", &body).await;
    // The first has looked at as many as it may, and is not full.
    assert_eq!(all.len(), 2);
    assert!(all[0].0.members("id").len() < 23 && all[0].1 < 2_000.0 * 1.0 + 400.0, "{}", all[0].1);
    assert_eq!(found(&all).len(), 23);
    let nothing = json!({"query": {"_type": "product", "name": "nothing"}});
    let empty = pages(&service, "", &nothing).await;
    assert_eq!((empty.len(), found(&empty).len()), (2, 0));
    // And a range of the creation is no way through what is outside of it.
    let start = Timestamp::from_millis(1_509_724_806_123 + 1_000).in_millis().to_string();
    let end = Timestamp::from_millis(1_509_724_806_123 + 1_100).in_millis().to_string();
    for order in ["asc", "desc"] {
        let body = json!({"query": {"_type": "product"}, "_created_at": {"start": start, "end": end}});
        let within = pages(&service, &format!("?per_page=1000&order={order}"), &body).await;
        assert_eq!((within.len(), found(&within).len()), (1, 100));
        assert!(within[0].1 < 8.0 * 2.0 + 400.0 * 1.2, "{order}: {}", within[0].1);
    }
}

#[tokio::test]
async fn nobody_learns_anything_of_another_account() {
    let service = stocked(&["product"], 30).await;
    let stranger = service.as_stranger();
    let id = service.put("product", Some("another"), json!({"name": "rare"})).await.to_string();
    for query in [json!({}), json!({"_type": "product"}), json!({"_id": id}), json!({"name": "rare"})] {
        let reply = stranger.send("POST", "/objects/query", &json!({"query": query})).await;
        assert_eq!(reply.text, r#"{"data":[],"links":{"next":null,"previous":null}}"#, "{query}");
    }
    let body = json!({"query": {"_type": "product"}});
    let next = service.send("POST", "/objects/query?per_page=1", &body).await.link("next").unwrap();
    let theirs = stranger.send("POST", next.strip_prefix("/api/sunshine").unwrap(), &body).await;
    theirs.check_error(400, "BadRequest", "cursor");
}

#[tokio::test]
async fn a_search_by_update_reads_no_more_than_it_may() {
    let service = stocked(&["product"], 40).await;
    service.clock().advance(1_000);
    let since = service.clock().now().in_millis().to_string();
    for number in [3, 1, 2] {
        let item = json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": "changed"}});
        assert_eq!(service.send("PATCH", "/objects/records", &json!({"data": item})).await.status, 200);
        service.clock().advance(1);
    }
    let body = json!({"query": {"_type": "product"}, "_updated_at": {"start": since}, "sort_by": "_updated_at asc"});
    let pages = pages(&service, "?per_page=2", &body).await;
    let names: Vec<_> = pages.iter().flat_map(|(page, _)| page.members("external_id")).collect();
    assert_eq!(names, ["3", "1", "2"]);
}

/// A service with so many records of a type that has indexes, one a millisecond; one in a hundred is rare.
async fn indexed(records: usize) -> Service {
    let service = Service::start().await;
    let schema = json!({
        "properties": {"name": {"type": "string"}, "size": {"type": "number"}},
        "x-indexed": ["name", "size", "_updated_at"],
    });
    let defined = service.send("POST", "/objects/types", &json!({"data": {"key": "product", "schema": schema}})).await;
    assert_eq!(defined.status, 201, "{defined:?}");
    for number in 0..records {
        let name = if number % 100 == 50 { format!("Rare {}", number % 3) } else { format!("common {number}") };
        service.put("product", Some(&number.to_string()), json!({"name": name, "size": number % 2})).await;
        service.clock().advance(1);
    }
    service.send("POST", "/objects/query?per_page=1", &json!({"query": {"_type": "product"}})).await;
    service
}

/// The external ids that a search finds, page by page, and the plan that an admin is told.
async fn found_by(service: &Service, parameters: &str, body: &Value) -> (Vec<String>, Vec<f64>, String) {
    let pages = pages(service, parameters, body).await;
    let ids = pages.iter().flat_map(|(page, _)| page.members("external_id")).map(str::to_owned).collect();
    let explained = service.as_admin().send("POST", "/objects/query?explain=true", body).await;
    let plan = explained.json["data"]["plan"].as_str().unwrap_or_else(|| panic!("{explained:?}")).to_owned();
    (ids, pages.iter().map(|(_, units)| *units).collect(), plan)
}

#[tokio::test]
async fn an_indexed_value_is_found_among_many_by_reading_what_is_shown_and_one_more() {
    let service = indexed(2_300).await;
    let meter = service.store().meter();
    for order in ["asc", "desc"] {
        let body = json!({"query": {"_type": "product", "name": "Rare 0"}});
        let (found, units, plan) = found_by(&service, &format!("?per_page=3&order={order}"), &body).await;
        let mut expected: Vec<String> = (0..2_300)
            .filter(|number| number % 100 == 50 && number % 3 == 0)
            .map(|number| number.to_string())
            .collect();
        if order == "desc" {
            expected.reverse();
        }
        assert_eq!((found, plan.as_str()), (expected, "index"));
        // The type, half a unit for each of eight parts, and the records: those that are shown and one more.
        assert!(units.iter().all(|units| *units <= 1.0 + 8.0 * 0.5 + 4.0), "{units:?}");
    }
    let before = meter.read();
    service.send("POST", "/objects/query?per_page=3", &json!({"query": {"_type": "product", "name": "Rare 0"}})).await;
    assert!((meter.read() - before).reads.table_units <= 1.0 + 4.0, "the type, and four records");
    for (query, expected) in [
        (json!({"name": {"$in": ["Rare 1", "RARE 2", "nothing"]}}), "index"),
        (json!({"name": {"$prefix": "rare"}}), "index"),
        (json!({"name": {"$prefix": "rare"}, "size": 0}), "index"),
        (json!({"name": "nothing"}), "index"),
        (json!({"name": {"$in": []}}), "index"),
        (json!({"name": {"$contains": "are"}}), "created_at"),
        (json!({"$or": [{"name": "Rare 1"}, {"size": 7}]}), "created_at"),
        (json!({"name": {"$prefix": "common 21"}, "size": {"$gte": 1}}), "index"),
    ] {
        for order in ["asc", "desc"] {
            let body = json!({"query": {"$and": [{"_type": "product"}, query]}});
            let (found, _, plan) = found_by(&service, &format!("?per_page=7&order={order}"), &body).await;
            assert_eq!(plan, expected, "{query}");
            // The same without the help of an index: it cannot help where a branch has nothing to do with it.
            let body = json!({"query": {"$or": [{"$and": [{"_type": "product"}, query]}, {"_id": "none"}]}});
            let (all, _, plan) = found_by(&service, &format!("?per_page=1000&order={order}"), &body).await;
            assert_eq!((found, plan.as_str()), (all, "created_at"), "{query}");
        }
    }
}

#[tokio::test]
async fn what_was_updated_since_is_found_without_reading_the_rest() {
    let service = indexed(300).await;
    let since = service.clock().now().in_millis().to_string();
    let mut changed = Vec::new();
    for number in (0..300).step_by(29) {
        service.clock().advance(1);
        let item = json!({"type": "product", "external_id": number.to_string(), "attributes": {"size": 7}});
        assert_eq!(service.send("PATCH", "/objects/records", &json!({"data": item})).await.status, 200);
        changed.push(number.to_string());
    }
    for (sort, expected) in
        [("_updated_at asc", changed.clone()), ("_updated_at desc", changed.iter().rev().cloned().collect())]
    {
        let body = json!({"query": {"_type": "product"}, "_updated_at": {"start": since}, "sort_by": sort});
        let (found, units, plan) = found_by(&service, "?per_page=4", &body).await;
        assert_eq!((found, plan.as_str()), (expected, "index"), "{sort}");
        // The type, eight parts once or twice, and hardly more records than are shown.
        assert!(units.iter().all(|units| *units <= 1.0 + 2.0 * 8.0 * 0.5 + 13.0), "{units:?}");
    }
    let body = json!({"query": {"_type": "product"}, "_updated_at": {"start": since}});
    let (found, _, plan) = found_by(&service, "?per_page=4&order=asc", &body).await;
    assert_eq!((found, plan.as_str()), (changed.clone(), "index"));
    // By an attribute and in the order of updates.
    let body = json!({"query": {"_type": "product", "size": 7}, "sort_by": "_updated_at asc"});
    let (found, units, plan) = found_by(&service, "?per_page=20", &body).await;
    assert_eq!((found, plan.as_str(), units.len()), (changed, "index", 1));
    // A span with no time in it has nothing.
    let body = json!({"query": {"_type": "product", "size": 7}, "_updated_at": {"start": since, "end": "2017-01-01T00:00:00Z"}});
    assert_eq!(found_by(&service, "", &body).await.0.len(), 0);
    // All of them, which no search by update without an index could sort beyond ten thousand.
    let body = json!({"query": {"_type": "product"}, "sort_by": "_updated_at desc"});
    let (found, _, _) = found_by(&service, "?per_page=50", &body).await;
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 300);
    assert_eq!(found.len(), 300);
}

/// What the documentation says that indexes cost, in write units of the indexes, by the database's own count.
#[tokio::test]
async fn an_entry_costs_a_unit_and_a_change_of_it_two() {
    let service = indexed(1).await;
    let meter = service.store().meter();
    let units = async |external_id: &str, attributes: Value, status: u16| {
        let before = meter.read();
        let item = json!({"type": "product", "external_id": external_id, "attributes": attributes});
        service.clock().advance(1);
        assert_eq!(service.send("PATCH", "/objects/records", &json!({"data": item})).await.status, status);
        (meter.read() - before).writes.index_units.to_string()
    };
    // One in the list of the type, two attributes, and the last update.
    assert_eq!(units("new", json!({"name": "a", "size": 1}), 201).await, "4");
    // The last update alone changes with every write: one taken away, one made.
    assert_eq!(units("new", json!({"name": "a"}), 200).await, "2");
    assert_eq!(units("new", json!({"name": "b"}), 200).await, "4");
    assert_eq!(units("new", json!({"size": null}), 200).await, "3");
    assert_eq!(units("plain", json!({}), 201).await, "2");
    let before = meter.read();
    assert_eq!(service.delete("/objects/records?type=product&external_id=new").await.status, 204);
    assert_eq!((meter.read() - before).writes.index_units.to_string(), "3");
}

/// Entries follow the records: a value that was changed, taken away or deleted is not found any more, and another one is.
#[tokio::test]
async fn entries_follow_what_becomes_of_a_record() {
    let service = indexed(3).await;
    let find = async |query: Value| {
        let (found, _, plan) = found_by(&service, "", &json!({"query": {"$and": [{"_type": "product"}, query]}})).await;
        assert_eq!(plan, "index");
        found
    };
    let set = async |attributes: Value| {
        let item = json!({"type": "product", "external_id": "1", "attributes": attributes});
        assert_eq!(service.send("PATCH", "/objects/records", &json!({"data": item})).await.status, 200);
    };
    assert_eq!(find(json!({"name": "common 1"})).await, ["1"]);
    set(json!({"name": "Other"})).await;
    assert_eq!((find(json!({"name": "common 1"})).await.len(), find(json!({"name": "Other"})).await.len()), (0, 1));
    assert_eq!(find(json!({"name": "other"})).await.len(), 0, "equality is with case");
    assert_eq!(find(json!({"name": {"$prefix": "oTh"}})).await, ["1"]);
    set(json!({"name": null})).await;
    assert_eq!(
        (find(json!({"name": "Other"})).await.len(), find(json!({"size": 1.0})).await),
        (0, vec!["1".to_owned()])
    );
    assert_eq!(service.delete("/objects/records?type=product&external_id=1").await.status, 204);
    assert_eq!(find(json!({"size": 1})).await.len(), 0);
    service.put("product", Some("1"), json!({"size": 1})).await;
    assert_eq!(find(json!({"size": 1})).await, ["1"]);
}

/// An index that a type is given later is used once it is filled, and one that is taken away or moved is not used any more.
#[tokio::test]
async fn an_index_is_used_only_while_it_has_every_record() {
    let service = Service::start().await;
    service.define("product").await;
    service.put("product", Some("1"), json!({"name": "a"})).await;
    let body = json!({"query": {"_type": "product", "name": "a"}});
    let replace = async |indexed: Option<Value>| {
        let mut schema = json!({"properties": {"name": {"type": "string"}, "size": {"type": "number"}}});
        if let Some(indexed) = indexed {
            schema["x-indexed"] = indexed;
        }
        let replaced = service.send("PUT", "/objects/types/product", &json!({"data": {"schema": schema}})).await;
        assert_eq!(replaced.status, 200, "{replaced:?}");
        replaced.json["data"]["indexes"].clone()
    };
    let plan = async || found_by(&service, "", &body).await;
    assert_eq!(replace(Some(json!(["name"]))).await, json!([{"name": "name", "ready": false}]));
    assert_eq!(plan().await.2, "created_at");
    assert_eq!(service.store().catalog.fillings().await.unwrap().len(), 1);
    let fill = async || {
        let filling = service.store().catalog.fillings().await.unwrap().remove(0);
        let defined = service.store().catalog.object_type(service.account(), &filling.key).await.unwrap().unwrap();
        assert!(service.store().catalog.indexes_are_filled(&filling, &defined).await.unwrap());
        service.store().catalog.end_filling(&filling).await.unwrap();
    };
    fill().await;
    assert_eq!(plan().await.2, "index");
    assert_eq!(replace(Some(json!(["name", "size"]))).await[0], json!({"name": "name", "ready": true}));
    assert_eq!(plan().await.2, "index");
    assert_eq!(replace(Some(json!(["size", "name"]))).await[1], json!({"name": "name", "ready": false}));
    assert_eq!(plan().await.2, "created_at");
    fill().await;
    assert_eq!(plan().await.2, "index");
    assert_eq!(replace(None).await, Value::Null);
    assert_eq!(plan().await.2, "created_at");
    // Asked for again, it has to be filled again.
    assert_eq!(replace(Some(json!(["size", "name"]))).await[1]["ready"], json!(false));
    // A type that is defined with an index has no record that it could lack.
    let schema = json!({"properties": {"name": {"type": "string"}}, "x-indexed": ["name"]});
    let defined = service.send("POST", "/objects/types", &json!({"data": {"key": "shop", "schema": schema}})).await;
    assert_eq!(defined.json["data"]["indexes"], json!([{"name": "name", "ready": true}]));
}

/// Paging through a type that others write meanwhile shows each record that stands once, by every way, and costs the same from the
/// first page to the last. `SUNDIAL_SEARCH_RECORDS` takes another number of records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_whole_and_flat_while_others_write() {
    let records = std::env::var("SUNDIAL_SEARCH_RECORDS").map_or(2_000, |count| count.parse().unwrap());
    let service = indexed(records).await;
    let body = |query: &Value, sort: &str| json!({"query": {"$and": [{"_type": "product"}, query]}, "sort_by": sort});
    // One in ten is written again and again, and others come and go: what stands is shown, and once.
    let stands = |id: &str| id.parse::<usize>().is_ok_and(|number| number % 10 != 0 && number < records);
    let done = std::sync::atomic::AtomicBool::new(false);
    let writing = async {
        let mut round = 0;
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            round += 1;
            let number = (round * 7_919 * 10) % records;
            let item = json!({"type": "product", "external_id": number.to_string(), "attributes": {"size": round}});
            assert!(service.send("PATCH", "/objects/records", &json!({"data": item})).await.status < 300);
            let id =
                service.put("product", Some(&format!("passing {round}")), json!({"name": "Rare 0", "size": 1})).await;
            service.remove(id).await;
            service.clock().advance(1);
        }
        round
    };
    let reading = async {
        for (what, query, sort, expected) in [
            ("all", json!({}), "_created_at asc", records * 9 / 10),
            ("rare by index", json!({"name": "Rare 0"}), "_created_at desc", 0),
            ("one in two by index", json!({"size": 1}), "_created_at asc", records / 2),
            ("all by update", json!({}), "_updated_at asc", records * 9 / 10),
        ] {
            let (mut path, body) = ("/objects/query?per_page=100".to_owned(), body(&query, sort));
            let (mut shown, mut pages) = (Vec::new(), 0);
            loop {
                let reply = service.send("POST", &path, &body).await;
                assert_eq!(reply.status, 200, "{reply:?}");
                shown.extend(reply.members("external_id").into_iter().filter(|id| stands(id)).map(str::to_owned));
                pages += 1;
                let Some(next) = reply.link("next") else { break };
                path = next.strip_prefix("/api/sunshine").unwrap().to_owned();
                assert!(pages <= 20 + records / 50, "{what}: the search does not end");
            }
            let distinct: BTreeSet<_> = shown.iter().collect();
            assert_eq!(distinct.len(), shown.len(), "{what}: one is shown twice");
            if expected > 0 {
                assert_eq!(shown.len(), expected, "{what}");
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (rounds, ()) = tokio::join!(writing, reading);
    assert!(rounds > 10, "others write meanwhile");

    // What each page costs, with nobody else there.
    for (query, sort, most) in [
        // Two reads of each eighth of the type's list and the records, or the index's; and the type.
        (json!({}), "_created_at asc", 101.0 + 16.0),
        (json!({"size": 1}), "_created_at asc", 101.0 + 16.0),
        (json!({}), "_updated_at asc", 101.0 + 16.0),
        (json!({"name": "Rare 0"}), "_created_at asc", 101.0 + 16.0),
    ] {
        let costs: Vec<f64> =
            pages(&service, "?per_page=100", &body(&query, sort)).await.iter().map(|(_, units)| *units).collect();
        let greatest = costs.iter().copied().fold(0.0, f64::max);
        let first = costs.first().copied().unwrap_or_default();
        eprintln!("{query} {sort}: {} pages, {first} read units the first, {greatest} the dearest", costs.len());
        assert!(greatest <= most, "{query} {sort}: {costs:?}");
    }
}
