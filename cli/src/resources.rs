//! Commands that show and change one thing at a time.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::arguments::{
    JobsCommand, Page, RecordsCommand, RelationshipTypesCommand, RelationshipsCommand, TypesCommand,
};
use crate::client::{Client, Repeat, Request, escape};
use crate::export;
use crate::failure::{Failure, Verdict};
use crate::output::{Output, write_json};
use crate::progress::Progress;
use crate::text::grouped;

/// The most that the API lists at a time.
const LARGEST_PAGE: usize = 1_000;

pub(crate) async fn jobs(command: JobsCommand, client: &Client, output: &Output) -> Result<Verdict, Failure> {
    match command {
        JobsCommand::List { status, page } => {
            let mut request = Request::get("/jobs").query("order", "desc");
            if let Some(status) = status {
                request = request.query("status", status);
            }
            let jobs = list(client, request, page, None).await?;
            show_list(output, &jobs, &["ID", "STATUS", "ACTION", "ITEMS", "FAILED", "CREATED (UTC)"], job_cells)?;
            Ok(Verdict::Succeeded)
        }
        JobsCommand::Show { id } => {
            let job = data(client.send(Request::get(&format!("/jobs/{}", escape(&id)))).await?);
            show_job(output, &job)?;
            Ok(Verdict::Succeeded)
        }
        JobsCommand::Watch { id, exit_status } => {
            let job = watch(client, &id).await?;
            show_job(output, &job)?;
            Ok(if exit_status { job_verdict(&job) } else { Verdict::Succeeded })
        }
        JobsCommand::Abort { id } => {
            let request = Request::post(&format!("/jobs/{}/abort", escape(&id)), &json!({}));
            // An abort that is asked for twice is the same abort.
            let job = data(client.send(request.repeat(Repeat::Always)).await?);
            show_job(output, &job)?;
            Ok(Verdict::Succeeded)
        }
        JobsCommand::Results { id, failed, page } => {
            let mut request = Request::get(&format!("/jobs/{}/results", escape(&id)));
            if failed {
                request = request.query("success", "false");
            }
            let results = list(client, request, page, None).await?;
            show_list(output, &results, &["POSITION", "REF", "RESULT", "ID OR ERROR"], result_cells)?;
            Ok(Verdict::Succeeded)
        }
    }
}

pub(crate) async fn records(command: RecordsCommand, client: &Client, output: &Output) -> Result<Verdict, Failure> {
    const HEADINGS: [&str; 5] = ["ID", "TYPE", "EXTERNAL ID", "UPDATED (UTC)", "ATTRIBUTES"];
    match command {
        RecordsCommand::Get { id } => {
            let request = Request::get(&format!("/objects/records/{}", escape(&id)));
            show_one(output, &data(client.send(request).await?))?;
        }
        RecordsCommand::List { object_type, external_id, page } => {
            let mut request = Request::get("/objects/records").query("type", object_type);
            if let Some(external_id) = external_id {
                request = request.query("external_id", external_id);
            }
            show_list(output, &list(client, request, page, None).await?, &HEADINGS, record_cells)?;
        }
        RecordsCommand::Search { query, object_type, conditions, page } => {
            let body = search_body(query.as_deref(), object_type, conditions)?;
            let request = Request::post("/objects/query", &body).repeat(Repeat::Always);
            show_list(output, &list(client, request, page, Some(&body)).await?, &HEADINGS, record_cells)?;
        }
        RecordsCommand::Export { object_type, format, output: path } => {
            return export::run(&object_type, format, path.as_deref(), client, output).await;
        }
        RecordsCommand::Delete { id } => {
            client.send(Request::delete(&format!("/objects/records/{}", escape(&id)))).await?;
            say_deleted(output, &id)?;
        }
    }
    Ok(Verdict::Succeeded)
}

pub(crate) async fn types(command: TypesCommand, client: &Client, output: &Output) -> Result<Verdict, Failure> {
    let path = |key: &str| format!("/objects/types/{}", escape(key));
    match command {
        TypesCommand::List { page } => {
            let types = list(client, Request::get("/objects/types"), page, None).await?;
            show_list(output, &types, &["KEY", "VERSION", "UPDATED (UTC)", "ATTRIBUTES"], |object_type| {
                let names = object_type["schema"]["properties"].as_object();
                let names = names.map(|names| names.keys().cloned().collect::<Vec<_>>().join(", "));
                let text = |name: &str| plain(&object_type[name]);
                vec![text("key"), text("version"), time(&object_type["updated_at"]), names.unwrap_or_default()]
            })?;
        }
        TypesCommand::Show { key } => show_type(output, &data(client.send(Request::get(&path(&key))).await?))?,
        TypesCommand::Create { key, schema } => {
            let body = json!({"data": {"key": key, "schema": schema_file(&schema)?}});
            show_type(output, &data(client.send(Request::post("/objects/types", &body)).await?))?;
        }
        TypesCommand::Replace { key, schema } => {
            let body = json!({"data": {"schema": schema_file(&schema)?}});
            show_type(output, &data(client.send(Request::put(&path(&key), &body)).await?))?;
        }
        TypesCommand::Delete { key } => {
            client.send(Request::delete(&path(&key))).await?;
            say_deleted(output, &key)?;
        }
    }
    Ok(Verdict::Succeeded)
}

pub(crate) async fn relationships(
    command: RelationshipsCommand,
    client: &Client,
    output: &Output,
) -> Result<Verdict, Failure> {
    let path = |id: &str| format!("/relationships/records/{}", escape(id));
    match command {
        RelationshipsCommand::Types(command) => relationship_types(command, client, output).await?,
        RelationshipsCommand::List { relationship_type, source, page } => {
            let request = match source {
                Some(id) => {
                    // Ids of things that are kept elsewhere have colons, which stand in a path as they are.
                    let (id, key) = (escape(&id).replace("%3A", ":"), escape(&relationship_type));
                    Request::get(&format!("/objects/records/{id}/relationships/{key}"))
                }
                None => Request::get("/relationships/records").query("type", relationship_type),
            };
            let found = list(client, request, page, None).await?;
            show_list(output, &found, &["ID", "TYPE", "SOURCE", "TARGET", "CREATED (UTC)"], |record| {
                let text = |name: &str| plain(&record[name]);
                vec![text("id"), text("relationship_type"), text("source"), text("target"), time(&record["created_at"])]
            })?;
        }
        RelationshipsCommand::Create { relationship_type, source, target } => {
            let link = json!({"relationship_type": relationship_type, "source": source, "target": target});
            let request = Request::post("/relationships/records", &json!({"data": link}));
            show_one(output, &data(client.send(request).await?))?;
        }
        RelationshipsCommand::Get { id } => show_one(output, &data(client.send(Request::get(&path(&id))).await?))?,
        RelationshipsCommand::Delete { id } => {
            client.send(Request::delete(&path(&id))).await?;
            say_deleted(output, &id)?;
        }
    }
    Ok(Verdict::Succeeded)
}

async fn relationship_types(
    command: RelationshipTypesCommand,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let path = |key: &str| format!("/relationships/types/{}", escape(key));
    match command {
        RelationshipTypesCommand::List { page } => {
            let types = list(client, Request::get("/relationships/types"), page, None).await?;
            show_list(output, &types, &["KEY", "SOURCE", "TARGET", "CREATED (UTC)"], |kind| {
                let text = |name: &str| plain(&kind[name]);
                vec![text("key"), text("source"), text("target"), time(&kind["created_at"])]
            })
        }
        RelationshipTypesCommand::Show { key } => {
            show_one(output, &data(client.send(Request::get(&path(&key))).await?))
        }
        RelationshipTypesCommand::Create { key, source, target, many } => {
            let target = if many { json!([target]) } else { json!(target) };
            let body = json!({"data": {"key": key, "source": source, "target": target}});
            show_one(output, &data(client.send(Request::post("/relationships/types", &body)).await?))
        }
        RelationshipTypesCommand::Delete { key } => {
            client.send(Request::delete(&path(&key))).await?;
            say_deleted(output, &key)
        }
    }
}

pub(crate) async fn limits(client: &Client, output: &Output) -> Result<Verdict, Failure> {
    let limits = data(client.send(Request::get("/limits")).await?);
    let limits = limits.as_array().cloned().unwrap_or_default();
    show_list(output, &limits, &["LIMIT", "USED", "OF"], |limit| {
        ["key", "count", "limit"].map(|name| plain(&limit[name])).to_vec()
    })?;
    Ok(Verdict::Succeeded)
}

/// Waits until the job has ended; the service answers at that moment, so that nothing is asked in vain.
async fn watch(client: &Client, id: &str) -> Result<Value, Failure> {
    // At once, to learn how much there is to show.
    let mut wait = "0";
    let mut progress: Option<Progress> = None;
    loop {
        let request = Request::get(&format!("/jobs/{}", escape(id))).query("wait", wait);
        let job = data(client.send(request).await?);
        let count = |name: &str| job["progress"][name].as_u64().unwrap_or(0);
        if !matches!(job["job_status"].as_str(), Some("queued" | "processing")) {
            if let Some(progress) = progress {
                progress.clear();
            }
            return Ok(job);
        }
        let shown =
            progress.get_or_insert_with(|| Progress::new("items", count("total"), count("processed"), count("failed")));
        shown.done(0, count("processed"), count("failed"));
        wait = if shown.is_shown() { "1" } else { "20" };
    }
}

fn job_verdict(job: &Value) -> Verdict {
    if job["job_status"] != "completed" {
        Verdict::Incomplete
    } else if job["progress"]["failed"].as_u64() == Some(0) {
        Verdict::Succeeded
    } else {
        Verdict::RowsFailed
    }
}

/// The entries of all pages, as many as are wanted. A search has its body again on each page.
async fn list(client: &Client, request: Request, page: Page, body: Option<&Value>) -> Result<Vec<Value>, Failure> {
    let wanted = if page.limit == 0 { usize::MAX } else { page.limit };
    let mut entries = Vec::new();
    let mut pages = Pages::of(client, request, wanted.min(LARGEST_PAGE), body);
    while entries.len() < wanted
        && let Some(found) = pages.next().await?
    {
        entries.extend(found);
    }
    entries.truncate(wanted);
    Ok(entries)
}

/// The pages of a list, one after the other.
pub(crate) struct Pages<'a> {
    client: &'a Client,
    next: Option<Request>,
    body: Option<&'a Value>,
}

impl<'a> Pages<'a> {
    /// Pages as large as the API has them.
    pub(crate) fn new(client: &'a Client, request: Request, body: Option<&'a Value>) -> Self {
        Self::of(client, request, LARGEST_PAGE, body)
    }

    fn of(client: &'a Client, request: Request, size: usize, body: Option<&'a Value>) -> Self {
        Self { client, next: Some(request.query("per_page", size.to_string())), body }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Value>>, Failure> {
        let Some(request) = self.next.take() else { return Ok(None) };
        let mut answer = self.client.send(request).await?;
        self.next = answer["links"]["next"].as_str().map(|next| match self.body {
            Some(body) => Request::post(next, body).repeat(Repeat::Always),
            None => Request::get(next),
        });
        Ok(Some(match answer["data"].take() {
            Value::Array(found) => found,
            _ => Vec::new(),
        }))
    }
}

fn search_body(
    query: Option<&str>,
    object_type: Option<String>,
    conditions: Vec<(String, String)>,
) -> Result<Value, Failure> {
    let mut parts = Vec::new();
    if let Some(query) = query {
        let query: Value =
            serde_json::from_str(query).map_err(|error| Failure::Usage(format!("--query is not JSON: {error}")))?;
        parts.push(query);
    }
    if let Some(object_type) = object_type {
        parts.push(json!({"_type": object_type}));
    }
    for (name, text) in conditions {
        // A number or a boolean is itself, and anything else a text; "12" with its quotes is the text.
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        parts.push(Value::Object(Map::from_iter([(name, value)])));
    }
    Ok(match parts.len() {
        0 => json!({"query": {}}),
        1 => json!({"query": parts[0]}),
        _ => json!({"query": {"$and": parts}}),
    })
}

/// A schema from a file: itself, or in the `{"data": {"schema"}}` that the API takes and gives.
fn schema_file(path: &Path) -> Result<Value, Failure> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_string(&mut text)?;
    } else {
        text = fs::read_to_string(path)
            .map_err(|error| Failure::NotDone(format!("cannot read {}: {error}", path.display())))?;
    }
    let mut value: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::NotDone(format!("{} is not JSON: {error}", path.display())))?;
    if value["data"].is_object() {
        value = value["data"].take();
    }
    let is_wrapped = value["schema"].is_object() && !value["properties"].is_object();
    Ok(if is_wrapped { value["schema"].take() } else { value })
}

fn data(mut answer: Value) -> Value {
    answer["data"].take()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A time of the API to the minute, as a person reads it: `2017-11-03 16:00`.
fn time(value: &Value) -> String {
    let text = plain(value);
    match (text.get(..10), text.get(10..11), text.get(11..16)) {
        (Some(day), Some("T"), Some(minute)) => format!("{day} {minute}"),
        _ => text,
    }
}

fn show_list(
    output: &Output,
    entries: &[Value],
    headings: &[&str],
    cells: impl Fn(&Value) -> Vec<String>,
) -> Result<(), Failure> {
    if output.is_json() {
        return write_json(&Value::Array(entries.to_vec()));
    }
    output.table(headings, &entries.iter().map(cells).collect::<Vec<_>>())
}

/// Shows the members of one thing, each on a line.
fn show_one(output: &Output, value: &Value) -> Result<(), Failure> {
    if output.is_json() {
        return write_json(value);
    }
    let mut rows = Vec::new();
    for (name, member) in value.as_object().into_iter().flatten() {
        match member {
            Value::Object(inner) if name == "attributes" => {
                rows.extend(inner.iter().map(|(name, value)| vec![format!("attributes.{name}"), plain(value)]));
            }
            _ => rows.push(vec![name.clone(), plain(member)]),
        }
    }
    output.table(&["MEMBER", "VALUE"], &rows)
}

fn show_job(output: &Output, job: &Value) -> Result<(), Failure> {
    if output.is_json() {
        return write_json(job);
    }
    let head = format!(
        "Job {} ({}{}, {}): {}",
        plain(&job["id"]),
        if is_dry_run(job) { "dry run, " } else { "" },
        plain(&job["type"]),
        plain(&job["action"]),
        plain(&job["job_status"])
    );
    output.line(&crate::text::printable(&head))?;
    let count = |name: &str| job["progress"][name].as_u64().unwrap_or(0);
    let (total, left) = (count("total"), count("total").saturating_sub(count("processed")));
    let mut text = format!(
        "{} item{}: {} succeeded, {} failed",
        grouped(total),
        if total == 1 { "" } else { "s" },
        grouped(count("succeeded")),
        grouped(count("failed"))
    );
    if left > 0 {
        let _ = write!(text, ", {} not done", grouped(left));
    }
    if let Some(detail) = job["error"]["detail"].as_str() {
        text.push_str(". ");
        text.push_str(detail);
    }
    output.line(&crate::text::printable(&text))
}

fn show_type(output: &Output, object_type: &Value) -> Result<(), Failure> {
    if output.is_json() {
        return write_json(object_type);
    }
    let schema = &object_type["schema"];
    let is_required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|it| it == name));
    let rows: Vec<Vec<String>> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, property)| {
            let required = if is_required(name) { "yes" } else { "" };
            vec![name.clone(), plain(&property["type"]), required.to_owned(), plain(&property["description"])]
        })
        .collect();
    output.line(&format!("{}, version {}", plain(&object_type["key"]), object_type["version"]))?;
    output.table(&["ATTRIBUTE", "KIND", "REQUIRED", "DESCRIPTION"], &rows)
}

fn say_deleted(output: &Output, name: &str) -> Result<(), Failure> {
    if output.is_json() { Ok(()) } else { output.line(&crate::text::printable(&format!("Deleted {name}."))) }
}

/// The columns of a job leave room for an id on a terminal of a hundred letters. A job is kept for a day, so that its year says nothing.
fn job_cells(job: &Value) -> Vec<String> {
    let count = |name: &str| job["progress"][name].as_u64().map(grouped).unwrap_or_default();
    // One that changes nothing is told by its status, or it would be taken for the deletion that it only asks about.
    let status = match job["job_status"].as_str() {
        Some("completed") if is_dry_run(job) => "validated".to_owned(),
        Some("processing") if is_dry_run(job) => "validating".to_owned(),
        _ => plain(&job["job_status"]),
    };
    let action = match job["type"].as_str() {
        Some("relationships") => format!("{} relationships", plain(&job["action"])),
        _ => plain(&job["action"]),
    };
    let created = time(&job["created_at"]);
    let created = created.get(5..).map_or(created.clone(), ToOwned::to_owned);
    vec![plain(&job["id"]), status, action, count("total"), count("failed"), created]
}

fn is_dry_run(job: &Value) -> bool {
    job["validate_only"] == true
}

fn result_cells(result: &Value) -> Vec<String> {
    let is_success = result["success"] == true;
    let outcome = if is_success {
        plain(&result["data"]["id"])
    } else {
        let details = result["errors"].as_array().into_iter().flatten().map(|error| plain(&error["detail"]));
        details.collect::<Vec<_>>().join("; ")
    };
    let word = if is_success { "succeeded" } else { "failed" };
    vec![plain(&result["position"]), plain(&result["client_ref"]), word.to_owned(), outcome]
}

fn record_cells(record: &Value) -> Vec<String> {
    let text = |name: &str| plain(&record[name]);
    vec![text("id"), text("type"), text("external_id"), time(&record["updated_at"]), text("attributes")]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Verdict, job_cells, job_verdict, search_body, time};

    #[test]
    fn a_dry_run_is_not_taken_for_what_it_asks_about() {
        let mut job = json!({
            "id": "1", "type": "resources", "action": "external_id_delete", "job_status": "completed",
            "created_at": "2017-11-03T16:00:06Z", "progress": {"total": 10_000, "failed": 3},
        });
        let cells = ["1", "completed", "external_id_delete", "10,000", "3", "11-03 16:00"];
        assert_eq!(job_cells(&job), cells);
        job["validate_only"] = json!(true);
        assert_eq!(job_cells(&job)[1], "validated");
        job["type"] = json!("relationships");
        assert_eq!(job_cells(&job)[2], "external_id_delete relationships");
        assert_eq!(job_cells(&json!({})), ["", "", "", "", "", ""]);
    }

    #[test]
    fn a_time_is_shown_to_the_minute() {
        assert_eq!(time(&json!("2017-11-03T16:00:06.400Z")), "2017-11-03 16:00");
        assert_eq!(time(&json!("2017-11-03T16:00:06Z")), "2017-11-03 16:00");
        assert_eq!(time(&json!("yesterday")), "yesterday");
        assert_eq!(time(&json!(null)), "");
    }

    #[test]
    fn a_search_puts_its_conditions_together() {
        let conditions = vec![("price".to_owned(), "2".to_owned()), ("name".to_owned(), "gum".to_owned())];
        let body = search_body(None, Some("product".to_owned()), conditions).unwrap();
        assert_eq!(body, json!({"query": {"$and": [{"_type": "product"}, {"price": 2}, {"name": "gum"}]}}));
        assert_eq!(search_body(Some("{}"), None, Vec::new()).unwrap(), json!({"query": {}}));
        assert!(search_body(Some("{"), None, Vec::new()).is_err());
    }

    #[test]
    fn a_job_with_failures_is_never_a_success() {
        let job = |status: &str, failed: u64| json!({"job_status": status, "progress": {"failed": failed}});
        assert_eq!(job_verdict(&job("completed", 0)), Verdict::Succeeded);
        assert_eq!(job_verdict(&job("completed", 1)), Verdict::RowsFailed);
        assert_eq!(job_verdict(&job("failed", 0)), Verdict::Incomplete);
        assert_eq!(job_verdict(&json!({"job_status": "completed"})), Verdict::RowsFailed);
    }
}
