//! `sundial jobs`: jobs listed, shown, watched and stopped, and what came of their items.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::data;
use super::pages::list;
use super::show::{plain, show_list, time};
use crate::arguments::JobsCommand;
use crate::client::{Client, Repeat, Request, escape};
use crate::failure::{Failure, Verdict};
use crate::output::{Output, write_json};
use crate::progress::Progress;
use crate::text::grouped;

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Verdict, job_cells, job_verdict};

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
    fn a_job_with_failures_is_never_a_success() {
        let job = |status: &str, failed: u64| json!({"job_status": status, "progress": {"failed": failed}});
        assert_eq!(job_verdict(&job("completed", 0)), Verdict::Succeeded);
        assert_eq!(job_verdict(&job("completed", 1)), Verdict::RowsFailed);
        assert_eq!(job_verdict(&job("failed", 0)), Verdict::Incomplete);
        assert_eq!(job_verdict(&json!({"job_status": "completed"})), Verdict::RowsFailed);
    }
}
