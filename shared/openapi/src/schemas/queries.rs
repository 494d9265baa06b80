//! Schemas of searches: the query, its operators, and how a page is found.

use domain::query::VALUES_IN_LIST;
use serde_json::{Map, Value, json};

use super::{count, group, object, reference, with_optional};

pub fn queries() -> Map<String, Value> {
    let window = |description: &str| {
        let edge = |description: &str| {
            json!({
                "type": "string", "description": description, "examples": ["2017-11-03T16:00:06Z"],
            })
        };
        json!({
            "type": "object", "description": description,
            "properties": {"start": edge("From this time on."), "end": edge("Before this time.")},
        })
    };
    let any_of = |operators: &str| {
        let description = format!("Records of which {operators} of these queries hold.");
        json!({"type": "array", "items": reference("Query"), "description": description})
    };
    let query = json!({
        "type": "object",
        "description": "Comparisons by attribute (dots reach into nested objects), `_type`, `_external_id`, `_id` or `*`, all of which hold. \
                        `{}` matches every record.",
        "properties": {"$and": any_of("all"), "$or": any_of("any"), "$not": reference("Query")},
        "additionalProperties": reference("Comparison"),
        "examples": [{"_type": "product", "price": {"$gt": 1, "$lte": 2}}],
    });
    let scalar = json!({"type": ["string", "number", "boolean", "null"]});
    let edge = |description: &str| json!({"type": ["string", "number"], "description": description});
    let operators = json!({
        "type": "object", "description": "Operators, all of which hold.", "additionalProperties": false,
        "properties": {
            "$eq": {"description": "An equal value."},
            "$ne": {"description": "Another value, or none."},
            "$gt": edge("More than this."), "$gte": edge("This or more."), "$lt": edge("Less than this."), "$lte": edge("This or less."),
            "$in": {"type": "array", "items": scalar, "maxItems": VALUES_IN_LIST, "description": "One of these."},
            "$contains": {"type": ["string", "number", "boolean", "null"], "description": "A text with this text in it, or an array with this element."},
            "$prefix": {"type": "string", "description": "A text that begins so."},
            "$exists": {"type": "boolean", "description": "What is there, or what is not."},
        },
    });
    let comparison = json!({
        "description": "A value, which is an equal one, or operators.",
        "anyOf": [
            {"type": "string"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"}, reference("Operators"),
        ],
    });
    let fields = ["_created_at", "_updated_at"];
    let directions = ["asc", "desc"];
    let with_direction = fields.iter().flat_map(|field| directions.map(|direction| format!("{field} {direction}")));
    let words: Vec<String> = fields.iter().map(|field| (*field).to_owned()).chain(with_direction).collect();
    let by_member = fields.map(|field| {
        json!({
            "type": "object", "properties": {field: {"type": "string", "enum": directions}}, "required": [field],
            "additionalProperties": false,
        })
    });
    let sort_by = json!({
        "description": "Without a direction, `desc`.", "examples": ["_updated_at asc"],
        "anyOf": [{"type": "string", "enum": words}, by_member[0], by_member[1]],
    });
    let search = with_optional(
        object("Which object records are wanted.", json!({"query": reference("Query")})),
        json!({
            "_created_at": window("When they were made."), "_updated_at": window("When they were last written."),
            "sort_by": sort_by,
        }),
    );
    let plan = object(
        "How a page was come by.",
        json!({
            "plan": {"type": "string", "enum": ["ids", "index", "created_at", "updated_at"]},
            "of": {
                "type": "object", "description": "What was gone through.",
                "properties": {
                    "ids": count("How many records are named."),
                    "types": {"type": "array", "items": {"type": "string"}, "description": "Keys of object types."},
                    "index": {"type": "string", "description": "The attribute whose index was used, or `_updated_at`."},
                },
            },
            "records_read": count("Records that this page has looked at."),
            "records_found": count("Of those, the ones that match."),
            "has_more": {"type": "boolean"},
        }),
    );
    group([
        ("Search", search),
        ("Query", query),
        ("Comparison", comparison),
        ("Operators", operators),
        ("SearchPlan", plan),
    ])
}
