//! Operations on jobs.

use domain::limits;
use domain::time::Timestamp;
use serde_json::json;

use super::parameters::{flag, in_query, parameter};
use super::{Answer, Body, Form, JSON, OF_A_BODY, Operation};
use crate::schemas::{grouped, job_types, reference};

const LINES: &str = "application/x-ndjson";

/// The failed item of the documentation's example of results, as a line and in a table.
const LINES_OF_RESULTS: &str = "{\"position\":1,\"success\":false,\"errors\":[{\"code\":\"UnprocessableEntity\",\"status\":\"422\",\
    \"title\":\"Unprocessable Entity\",\"detail\":\"attributes.name breaks the rule \\\"required\\\": the attribute is missing\"}]}\n";
const TABLE_OF_RESULTS: &str = "position,client_ref,success,id,code,title,detail\r\n1,,false,,UnprocessableEntity,Unprocessable Entity,\
    \"attributes.name breaks the rule \"\"required\"\": the attribute is missing\"\r\n";

pub fn jobs() -> Vec<Operation> {
    let time = Timestamp::from_millis(1_509_724_806_000).in_seconds().to_string();
    let at = || json!({"type": "string", "format": "date-time"});
    let post = Operation::new("post", "/jobs", "createJob", "Post a job")
        .saying(format!(
            "At most {} items in at most {} bytes, which `Content-Encoding` may have compressed (gzip, deflate, br or zstd; then at most {} bytes, \
             and {} once it is decompressed). The answer promises that the job will run. A wrong item never fails the request: it fails in its own result. \
             A refusal, or a 503 with `X-Request-Id`, promises that no item will ever be applied.",
            grouped(limits::ITEMS_PER_JOB),
            grouped(limits::BODY_BYTES),
            grouped(limits::BODY_BYTES / 4 * 3),
            grouped(limits::DECOMPRESSED_BODY_BYTES),
        ))
        .taking([
            parameter("Idempotency-Key"),
            in_query("validate_only", "Makes every check and writes nothing.", flag(), json!(true)),
            in_query("type", "Of a body of lines: the job's `type`.", reference("JobType"), json!("resources")),
            in_query("action", "Of a body of lines: the job's `action`.", reference("JobAction"), json!("post")),
            in_query(
                "max_failures",
                "Of a body of lines: the job's `max_failures`.",
                json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
                json!(10),
            ),
        ])
        .answering(
            Answer::made("The job, `queued`. One whose `Content-Encoding` is unknown has `failed`.", "Job")
                .leading(&["getJob", "listJobResults", "abortJob"]),
        )
        .refusing(OF_A_BODY);
    let post = Operation {
        body: Some(Body {
            description: "A job, or, as lines, its items: then `type` and `action` stand in the query, and it has at most as many bytes as a compressed body."
                .to_owned(),
            forms: vec![
                Form::of(JSON, reference("JobRequest")),
                Form::of(LINES, json!({"type": "string", "description": "An item on each line."})),
            ],
        }),
        ..post
    };
    let columns =
        "The columns position, client_ref, success, id, code, title and detail; with that header on the first page.";
    let mut results = Answer::page("What came of the job's items.", "PagedResult");
    results.forms.push(Form::text(LINES, "A result on each line.", LINES_OF_RESULTS));
    results.forms.push(Form::text("text/csv", columns, TABLE_OF_RESULTS));
    results.headers.push("Link");
    let mut shown = Answer::of(200, "The job.", "Job");
    shown.headers.push("Preference-Applied");
    vec![
        Operation::new("get", "/jobs", "listJobs", "List jobs")
            .saying("The newest first, without their results. A page looks at 5,000 jobs at the most, so it may hold fewer than was asked and still have a `next`.")
            .paged()
            .taking([
                in_query("status", "Jobs in this state.", reference("JobStatus"), json!("completed")),
                in_query(
                    "type",
                    "Jobs of this type. Anything but `resources` and `relationships` is ignored, because published clients send one.",
                    json!({"type": "string", "examples": job_types()}),
                    json!("resources"),
                ),
                in_query("action", "Jobs of this action.", reference("JobAction"), json!("post")),
                in_query("created_after", "Jobs made then or later.", at(), json!(time)),
                in_query("created_before", "Jobs made earlier.", at(), json!(time)),
            ])
            .answering(Answer::page("A page of jobs.", "JobSummary")),
        post,
        Operation::new("get", "/jobs/{id}", "getJob", "Show a job, or wait for its end")
            .saying("A job can be seen for 24 hours.")
            .taking([
                in_query(
                    "wait",
                    "Seconds to wait for the job's end before it is answered as it is.",
                    json!({"type": "integer", "minimum": 0, "maximum": limits::WAIT_SECONDS}),
                    json!(20),
                ),
                json!({
                    "name": "Prefer", "in": "header", "schema": {"type": "string"}, "example": "wait=20",
                    "description": "`wait=20` is as `wait` in the query (RFC 7240).",
                }),
            ])
            .answering(shown)
            .refusing([404]),
        Operation::new("get", "/jobs/{id}/results", "listJobResults", "List what came of a job's items")
            .saying("In the order of the job's chunks: by position, but that items of one record stand together. Of a job that is processing, what is done so far. \
                     A page may hold fewer than was asked and still have a `next`; of lines and tables, `next` and `prev` stand in `Link`.")
            .paged()
            .taking([in_query("success", "Only items that were applied, or only those that were not.", flag(), json!(false))])
            .answering(results)
            .refusing([404]),
        Operation::new("post", "/jobs/{id}/abort", "abortJob", "Stop a job")
            .saying("Of a job that is processing, what is left is not begun.")
            .answering(Answer::of(200, "The job, which has ended.", "Job"))
            .answering(Answer::of(202, "The job, whose chunks under way are being finished.", "Job"))
            .refusing([404, 409]),
    ]
}
