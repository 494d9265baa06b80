//! One job of an import: posted, waited for, and its results.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use serde::Deserialize;
use serde_json::Value;

use crate::client::{Answer, Client, Request, escape};
use crate::failure::Failure;
use crate::progress::Progress;

/// What came of one row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// The id is empty where nobody knows it before the record is made.
    Succeeded {
        id: String,
    },
    Failed {
        code: String,
        detail: String,
    },
    /// Accepted, so that it was carried out or refused; nobody can tell any more which.
    Unknown,
}

impl Outcome {
    /// Whether the item was not looked at, or not to the end, so that nobody can tell from this what would come of it.
    pub(crate) fn says_nothing(&self) -> bool {
        match self {
            Self::Succeeded { .. } => false,
            Self::Failed { code, .. } => code == "NotProcessed" || code == "InternalServerError",
            Self::Unknown => true,
        }
    }
}

/// What a job is asked to do with its items.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) action: &'static str,
    pub(crate) validate_only: bool,
    pub(crate) max_failures: Option<u64>,
}

/// Compresses the same lines to the same bytes, so that the same key always comes with the same body.
pub(crate) fn compressed(lines: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    gzip.write_all(lines)?;
    gzip.finish()
}

/// Posts a job, and returns its id.
pub(crate) async fn post(client: &Client, order: &Order, key: &str, body: Vec<u8>) -> Result<String, Failure> {
    let mut request = Request::post_lines("/jobs", key, body).query("type", "resources").query("action", order.action);
    if order.validate_only {
        request = request.query("validate_only", "true");
    }
    if let Some(max_failures) = order.max_failures {
        request = request.query("max_failures", max_failures.to_string());
    }
    let answer = client.send(request).await?;
    answer["data"]["id"]
        .as_str()
        .map(ToOwned::to_owned)
        .ok_or_else(|| Failure::NotDone("the service answered without the id of the job: check the address".to_owned()))
}

/// Waits until the job has ended, and returns what came of each of its items, in their order.
pub(crate) async fn outcomes(
    client: &Client,
    job: &str,
    first: u64,
    items: usize,
    progress: &Progress,
) -> Result<Vec<Outcome>, Failure> {
    let wait = if progress.is_shown() { "2" } else { "20" };
    loop {
        let request = Request::get(&format!("/jobs/{}", escape(job))).query("wait", wait);
        let mut data = match client.try_send(request).await? {
            Answer::Body(mut body) => body["data"].take(),
            Answer::NotFound(_) => return Ok(vec![Outcome::Unknown; items]),
        };
        let count = |name: &str| data["progress"][name].as_u64().unwrap_or(0);
        progress.under_way(first, count("processed"), count("failed"));
        match data["job_status"].as_str() {
            Some("queued" | "processing") => {}
            Some("aborted") => {
                let detail = "the job was stopped before it began".to_owned();
                return Ok(vec![Outcome::Failed { code: "NotProcessed".to_owned(), detail }; items]);
            }
            _ => return read_results(data["results"].take(), items),
        }
    }
}

#[derive(Deserialize)]
struct JobResult {
    success: bool,
    data: Option<Identified>,
    #[serde(default)]
    errors: Vec<JobError>,
}

#[derive(Deserialize)]
struct Identified {
    #[serde(default)]
    id: String,
}

#[derive(Deserialize)]
struct JobError {
    code: String,
    #[serde(default)]
    detail: String,
}

fn read_results(results: Value, items: usize) -> Result<Vec<Outcome>, Failure> {
    let results: Vec<JobResult> = serde_json::from_value(results).map_err(|_| {
        Failure::NotDone("the service answered results that nobody can read: check the address".to_owned())
    })?;
    if results.len() != items {
        let (found, expected) = (results.len(), items);
        return Err(Failure::NotDone(format!("the service answered {found} results for {expected} items")));
    }
    let outcomes = results.into_iter().map(|result| {
        if result.success {
            return Outcome::Succeeded { id: result.data.map(|data| data.id).unwrap_or_default() };
        }
        let code = result.errors.first().map_or_else(|| "Unknown".to_owned(), |error| error.code.clone());
        let details: Vec<String> = result.errors.into_iter().map(|error| error.detail).collect();
        Outcome::Failed { code, detail: details.join("; ") }
    });
    Ok(outcomes.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Outcome, compressed, read_results};

    #[test]
    fn results_are_read_in_their_order() {
        let errors = json!([{"code": "A", "detail": "one"}, {"code": "B", "detail": "two"}]);
        let results = json!([
            {"success": true, "data": {"id": "x"}}, {"success": true, "data": {}}, {"success": false, "errors": errors},
        ]);
        let succeeded = |id: &str| Outcome::Succeeded { id: id.to_owned() };
        let failed = Outcome::Failed { code: "A".to_owned(), detail: "one; two".to_owned() };
        assert_eq!(read_results(results.clone(), 3).unwrap(), [succeeded("x"), succeeded(""), failed]);
        assert!(read_results(results, 2).is_err());
    }

    #[test]
    fn the_same_lines_are_the_same_body() {
        assert_eq!(compressed(b"lines").unwrap(), compressed(b"lines").unwrap());
    }
}
