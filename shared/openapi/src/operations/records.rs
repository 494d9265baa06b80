//! Operations on single object records and relationship records, and searches.

use domain::limits;
use serde_json::json;

use super::parameters::{flag, in_query, required_in_query, some};
use super::{Answer, Operation};
use crate::schemas::{data, grouped, list, reference};

pub fn object_records() -> Vec<Operation> {
    let key = || json!({"type": "string"});
    let changed = || Answer::of(200, "The record as the request left it.", "ObjectRecord");
    let made = || {
        let next = ["getObjectRecord", "updateObjectRecord", "deleteObjectRecord"];
        Answer::made("The record, which was made.", "ObjectRecord").leading(&next)
    };
    let set = |method, id, summary| {
        Operation::new(method, "/objects/records", id, summary)
            .saying("A merge patch when there is one of that external id; else it is made.")
            .once()
            .reading("ObjectRecordToSet", limits::RECORD_BODY_BYTES)
            .answering(changed())
            .answering(made())
            .refusing([404])
    };
    let update = |method, id, summary| {
        Operation::new(method, "/objects/records/{id}", id, summary)
            .saying("A merge patch (RFC 7396) of what is there at that moment.")
            .once()
            .reading("ObjectRecordToUpdate", limits::RECORD_BODY_BYTES)
            .answering(changed())
            .refusing([404])
    };
    let explained = json!({"anyOf": [
        list(&reference("ObjectRecord")),
        data(&reference("SearchPlan")),
    ]});
    let named = format!("With commas between them, at most {}.", grouped(limits::RECORDS_NAMED));
    vec![
        Operation::new("get", "/objects/records", "listObjectRecords", "List object records")
            .saying("By one of `type`, `ids`, `type` with `external_id` and `type` with `external_ids`; without any of them it is 400.")
            .paged()
            .taking([
                in_query("type", "The key of an object type.", key(), json!("product")),
                in_query("ids", &format!("Ids of records. {named}"), key(), json!("40e83a4e-8438-8bb9-8f6f-51124535ce9f")),
                in_query("external_id", "The external id of a record.", key(), json!("3")),
                in_query("external_ids", &format!("External ids of records. {named}"), key(), json!("3,5")),
            ])
            .answering(Answer::page("A page of records.", "ObjectRecord"))
            .refusing([404]),
        Operation::new("post", "/objects/records", "createObjectRecord", "Make an object record")
            .once()
            .reading("ObjectRecordToCreate", limits::RECORD_BODY_BYTES)
            .answering(made())
            .refusing([404]),
        set("patch", "setObjectRecord", "Set an object record by its external id"),
        set("put", "setObjectRecordByPut", "Set an object record by its external id, by PUT"),
        Operation::new("delete", "/objects/records", "deleteObjectRecordByExternalId", "Delete an object record by its external id")
            .once()
            .taking([
                required_in_query("type", "The key of an object type.", some(), json!("product")),
                required_in_query("external_id", "The external id of a record.", some(), json!("5")),
            ])
            .answering(Answer::empty("It is gone."))
            .refusing([404]),
        Operation::new("get", "/objects/records/{id}", "getObjectRecord", "Show an object record")
            .answering(Answer::of(200, "The record.", "ObjectRecord"))
            .refusing([404]),
        update("patch", "updateObjectRecord", "Change an object record"),
        update("put", "updateObjectRecordByPut", "Change an object record, by PUT"),
        Operation::new("delete", "/objects/records/{id}", "deleteObjectRecord", "Delete an object record")
            .saying("Not while relationship records use it.")
            .once()
            .answering(Answer::empty("It is gone."))
            .refusing([404]),
        Operation::new("get", "/objects/records/{id}/relationships/{type}", "listRelationshipsOfRecord", "List a record's relationships")
            .saying("Relationship records that have it as their source.")
            .paged()
            .answering(Answer::page("A page of relationship records.", "RelationshipRecord"))
            .refusing([404]),
        Operation::new("get", "/objects/records/{id}/related/{type}", "listRelatedRecords", "List what a record is related to")
            .saying("Object records at the other end of its relationships, whichever side it stands on; each once, by the creation of the relationships.")
            .paged()
            .answering(Answer::page("A page of object records.", "ObjectRecord"))
            .refusing([404]),
        Operation::new("post", "/objects/query", "searchObjectRecords", "Search object records")
            .saying("A page looks at 2,000 records at the most, so it may hold fewer than was asked and still have a `next`, which comes back with the same body.")
            .paged()
            .taking([in_query("explain", "For admins: how the page is come by, in place of its records.", flag(), json!(false))])
            .reading_plain(reference("Search"), limits::QUERY_BODY_BYTES)
            .answering(Answer::new(200, "A page of records, or how it is come by.", explained)),
    ]
}

pub fn relationship_records() -> Vec<Operation> {
    vec![
        Operation::new(
            "get",
            "/relationships/records",
            "listRelationshipRecords",
            "List relationship records of a type",
        )
        .paged()
        .taking([required_in_query("type", "The key of a relationship type.", some(), json!("bought"))])
        .answering(Answer::page("A page of records.", "RelationshipRecord"))
        .refusing([404]),
        Operation::new("post", "/relationships/records", "createRelationshipRecord", "Make a relationship record")
            .once()
            .reading("RelationshipRecordToCreate", limits::RELATIONSHIP_BODY_BYTES)
            .answering(
                Answer::made("The record.", "RelationshipRecord")
                    .leading(&["getRelationshipRecord", "deleteRelationshipRecord"]),
            )
            .refusing([404]),
        Operation::new("get", "/relationships/records/{id}", "getRelationshipRecord", "Show a relationship record")
            .answering(Answer::of(200, "The record.", "RelationshipRecord"))
            .refusing([404]),
        Operation::new(
            "delete",
            "/relationships/records/{id}",
            "deleteRelationshipRecord",
            "Delete a relationship record",
        )
        .once()
        .answering(Answer::empty("It is gone."))
        .refusing([404]),
    ]
}
