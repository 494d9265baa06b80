//! Schemas of jobs and of their items' results, as answers have them.

use domain::job::{JobStatus, Operation};
use domain::limits;
use serde_json::{Map, Value, json};

use super::{client_ref, count, group, id, names, object, reference, seconds, with_optional};

/// Every action of a job, once each.
fn actions() -> Vec<&'static str> {
    names(Operation::ALL.map(Operation::action))
}

/// The values of a job's `type`.
pub fn job_types() -> Vec<&'static str> {
    names(Operation::ALL.map(Operation::job_type))
}

/// Every state of a job.
fn states() -> Vec<&'static str> {
    names(JobStatus::ALL.map(JobStatus::as_str))
}

pub fn jobs() -> Map<String, Value> {
    let progress = object(
        "How far the job is, in items.",
        json!({
            "total": count("Items in the job."), "processed": count("Items that have a result: counted chunk by chunk."),
            "succeeded": count("Items that were applied."), "failed": count("Items that changed nothing."),
        }),
    );
    // Null where the job's body could not be read.
    let known = |name: &str| json!({"anyOf": [reference(name), {"type": "null"}]});
    let members = json!({
        "id": {"type": "string", "format": "uuid", "description": "Made when the job was posted."},
        "job_status": reference("JobStatus"),
        "created_at": seconds("When it was posted."),
        "updated_at": seconds("When its state last changed."),
        "completed_at": {"type": ["string", "null"], "format": "date-time", "description": "When it ended; null until then."},
        "type": known("JobType"),
        "action": known("JobAction"),
        "progress": reference("Progress"),
    });
    let optional = json!({
        "validate_only": {"type": "boolean", "const": true, "description": "Everything was checked, and nothing was written."},
        "error": reference("Problem"),
    });
    let summary = with_optional(object("A job in a list: without its results.", members.clone()), optional.clone());
    let mut whole = members;
    whole["results"] = json!({
        "type": "array", "items": reference("ItemResult"), "maxItems": limits::ITEMS_PER_JOB,
        "description": "Empty until the job is `completed` or `failed`; then one entry for each item, at its position.",
    });
    let whole = with_optional(object("A job with what came of its items.", whole), optional);

    let success = |position: bool| {
        let mut members = json!({"success": {"type": "boolean", "const": true}, "data": reference("ResultData")});
        if position {
            members["position"] = count("Where the item stands in the job, from 0.");
        }
        with_optional(object("An item that was applied.", members), json!({"client_ref": client_ref()}))
    };
    let failure = |position: bool| {
        let mut members = json!({
            "success": {"type": "boolean", "const": false},
            "errors": {"type": "array", "minItems": 1, "items": reference("Problem")},
        });
        if position {
            members["position"] = count("Where the item stands in the job, from 0.");
        }
        with_optional(object("An item that changed nothing, and why.", members), json!({"client_ref": client_ref()}))
    };
    let one_of =
        |description: &str, names: [&str; 2]| json!({"description": description, "oneOf": names.map(reference)});
    let result_data = json!({
        "type": "object", "properties": {"id": id("The record's id.")},
        "description": "The record. Only where a job validates, and nobody can know the id yet, it is `{}`.",
    });
    let named =
        |names: Vec<&str>, description: &str| json!({"type": "string", "enum": names, "description": description});
    group([
        (
            "JobStatus",
            named(states(), "`queued` and `processing` jobs are active. The other three are ends, and never left."),
        ),
        ("JobType", named(job_types(), "What kind of records a job is about.")),
        ("JobAction", named(actions(), "What a job does with them.")),
        ("Progress", progress),
        ("JobSummary", summary),
        ("Job", whole),
        ("ItemResult", one_of("What came of one item.", ["ItemSuccess", "ItemFailure"])),
        ("ItemSuccess", success(false)),
        ("ItemFailure", failure(false)),
        ("PagedResult", one_of("What came of one item, and which it is.", ["PagedSuccess", "PagedFailure"])),
        ("PagedSuccess", success(true)),
        ("PagedFailure", failure(true)),
        ("ResultData", result_data),
    ])
}
