//! The demonstration: shows what the service does, by a plain HTTP client.
//!
//! It checks what it shows: when an answer is not the expected one, it ends with an error.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::run::{LocalOptions, LocalRun, StartError};

/// Every eighteenth of the 28,298 airports of <https://github.com/mborsetti/airportsdata>; see `data/airports-LICENSE.txt`.
const AIRPORTS: &str = include_str!("../data/airports.ndjson");
const AIRPORT_TYPE: &str = include_str!("../data/airport-type.json");

/// How often a job is looked at.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// A job of this size takes a second or so; past this something is wrong.
const PATIENCE: Duration = Duration::from_mins(2);

/// So many records of the list are shown.
const SHOWN: usize = 5;

/// An id that no record has.
const UNKNOWN_ID: &str = "00000000-0000-8000-8000-000000000000";

/// The reason why the demonstration ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("a request was not answered: {0}")]
    Request(#[from] reqwest::Error),
    #[error("the output could not be written: {0}")]
    Output(#[from] std::io::Error),
    #[error("not as it should be: {0}")]
    Unexpected(String),
}

/// Starts the service in memory on a free port, shows its work on stdout, and stops it.
///
/// # Errors
/// When the service does not start, or does something else than it should.
pub async fn run() -> Result<(), DemoError> {
    let run = LocalRun::start(LocalOptions::in_memory()).await?;
    let shown =
        Demonstration { base_url: run.base_url(), http: reqwest::Client::new(), out: std::io::stdout() }.show().await;
    run.stop().await;
    shown
}

/// A client that says what it does.
struct Demonstration<Out> {
    base_url: String,
    http: reqwest::Client,
    out: Out,
}

/// One item of the jobs with mistakes, and what should become of it.
struct Sample {
    /// What is right or wrong with it.
    title: &'static str,
    item: Value,
    fate: Fate,
}

enum Fate {
    Succeeds,
    /// Fails with this status, and says this among the rest.
    Fails(&'static str, &'static str),
}

impl<Out: Write> Demonstration<Out> {
    async fn show(mut self) -> Result<(), DemoError> {
        writeln!(self.out, "Sundial, in this process and in memory only, on {}", self.base_url)?;
        self.define_the_type().await?;
        self.import().await?;
        let created = self.post_with_mistakes().await?;
        self.update_with_mistakes(&created).await?;
        self.list(&created).await?;
        writeln!(self.out, "\nAll as it should be. What next:")?;
        let program = program();
        let width = program.len() + "--help".len() + 3;
        writeln!(self.out, "  {program:<width$}serves it on 127.0.0.1:8080, kept in .sundial")?;
        writeln!(self.out, "  {:<width$}what else it can be told", format!("{program} --help"))?;
        if cfg!(debug_assertions) {
            writeln!(
                self.out,
                "  {:<width$}the same at full speed, after minutes of compiling",
                "cargo run --release"
            )?;
        }
        writeln!(self.out, "  {:<width$}the API, access, deploying, cost", "docs/README.md")?;
        Ok(())
    }

    async fn define_the_type(&mut self) -> Result<(), DemoError> {
        let definition = parse(AIRPORT_TYPE)?;
        let schema = &definition["data"]["schema"];
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let optional = schema["properties"].as_object().map_or(0, serde_json::Map::len) - required.len();
        writeln!(self.out, "\n1. Define the object type \"airport\"")?;
        self.call(Method::POST, "/objects/types", Some(AIRPORT_TYPE.into()), StatusCode::CREATED).await?;
        writeln!(self.out, "   {} are required, {optional} more attributes are not", required.join(" and "))?;
        Ok(())
    }

    async fn import(&mut self) -> Result<(), DemoError> {
        let airports: Vec<_> = AIRPORTS.lines().collect();
        let count = airports.len();
        writeln!(self.out, "\n2. Import {} airports in one job, action external_id_set", HumanCount(count as u64))?;
        let started = Instant::now();
        let job = self.post_job("external_id_set", &airports.join(",")).await?;
        let accepted = started.elapsed();
        writeln!(self.out, "   accepted as job {} in {:.0} ms", text(&job["id"]), accepted.as_secs_f64() * 1_000.0)?;
        let job = self.follow(&job, count).await?;
        let seconds = started.elapsed().as_secs_f64();
        let succeeded = succeeded(&job);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = (count as f64 / seconds).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded and positive")]
        let rate = HumanCount(rate as u64);
        writeln!(
            self.out,
            "   {}: {} of {} succeeded in {seconds:.2} s, {rate} airports a second",
            text(&job["job_status"]),
            HumanCount(succeeded as u64),
            HumanCount(count as u64),
        )?;
        let all = text(&job["job_status"]) == "completed" && succeeded == count;
        ensure(all, || format!("the import ended with {job:.300}"))
    }

    /// Answers with the id of the record that its first item makes.
    async fn post_with_mistakes(&mut self) -> Result<String, DemoError> {
        let taken = AIRPORTS.lines().next().map_or(Ok(Value::Null), parse)?;
        let airport = |external_id: &str, attributes: Value| json!({"type": "airport", "external_id": external_id, "attributes": attributes});
        let samples = [
            Sample {
                title: "a new airport",
                item: airport("DEMO-1", json!({"name": "Sundial Field", "country": "NZ", "elevation": 12})),
                fate: Fate::Succeeds,
            },
            Sample {
                title: "an external id that is taken",
                item: taken,
                fate: Fate::Fails("422", "External Id is already in use for the Resource Type key: airport"),
            },
            Sample {
                title: "without the country",
                item: airport("DEMO-2", json!({"name": "Nowhere Strip"})),
                fate: Fate::Fails("422", "country"),
            },
            Sample {
                title: "an elevation in words",
                item: airport("DEMO-3", json!({"name": "Cloud Base", "country": "NZ", "elevation": "very high"})),
                fate: Fate::Fails("422", "elevation"),
            },
            Sample {
                title: "an attribute nobody defined",
                item: airport("DEMO-4", json!({"name": "Two Ways", "country": "NZ", "runways": 2})),
                fate: Fate::Fails("422", "runways"),
            },
            Sample {
                title: "an object type nobody defined",
                item: json!({"type": "spaceport", "external_id": "DEMO-5", "attributes": {"name": "Mahia"}}),
                fate: Fate::Fails("404", "spaceport"),
            },
            Sample {
                title: "without attributes",
                item: json!({"type": "airport", "external_id": "DEMO-6"}),
                fate: Fate::Fails("422", "attributes"),
            },
            Sample {
                title: "an external id of 256 letters",
                item: airport(&"X".repeat(256), json!({"name": "Long Beach", "country": "US"})),
                fate: Fate::Fails("422", "255"),
            },
            Sample { title: "no object at all", item: json!("airport"), fate: Fate::Fails("422", "object") },
            Sample {
                title: "a new airport, no external id",
                item: json!({"type": "airport", "attributes": {"name": "Gnomon Meadow", "country": "NZ"}}),
                fate: Fate::Succeeds,
            },
        ];
        writeln!(self.out, "\n3. A job with mistakes in it, action post")?;
        let results = self.run_samples("post", &samples).await?;
        Ok(text(&results[0]["data"]["id"]).to_owned())
    }

    async fn update_with_mistakes(&mut self, created: &str) -> Result<(), DemoError> {
        let samples = [
            Sample {
                title: "two attributes of item 0 above",
                item: json!({"id": created, "attributes": {"elevation": 14, "city": "Gisborne"}}),
                fate: Fate::Succeeds,
            },
            Sample {
                title: "an id that no record has",
                item: json!({"id": UNKNOWN_ID, "attributes": {"elevation": 14}}),
                fate: Fate::Fails("404", UNKNOWN_ID),
            },
            Sample {
                title: "taking the name away",
                item: json!({"id": created, "attributes": {"name": null}}),
                fate: Fate::Fails("422", "name"),
            },
            Sample {
                title: "the same record once more",
                item: json!({"id": created, "attributes": {"elevation": 15}}),
                fate: Fate::Succeeds,
            },
        ];
        writeln!(self.out, "\n4. Another one, action update")?;
        self.run_samples("update", &samples).await?;
        Ok(())
    }

    async fn list(&mut self, created: &str) -> Result<(), DemoError> {
        writeln!(self.out, "\n5. What is there now")?;
        let record = self.call(Method::GET, &format!("/objects/records/{created}"), None, StatusCode::OK).await?;
        let attributes = &record["data"]["attributes"];
        writeln!(self.out, "   DEMO-1 is now {attributes}")?;
        let wanted = json!({"name": "Sundial Field", "country": "NZ", "elevation": 15, "city": "Gisborne"});
        ensure(*attributes == wanted, || format!("{attributes} instead of {wanted}"))?;

        let path = format!("/objects/records?type=airport&per_page={SHOWN}");
        let list = self.call(Method::GET, &path, None, StatusCode::OK).await?;
        let records = list["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        ensure(records.len() == SHOWN, || format!("{} records on a page of {SHOWN}", records.len()))?;
        for record in records {
            let attributes = &record["attributes"];
            writeln!(
                self.out,
                "   {:<8} {} ({})",
                text(&record["external_id"]),
                text(&attributes["name"]),
                text(&attributes["country"])
            )?;
        }
        writeln!(self.out, "   … and more at {}", text(&list["links"]["next"]))?;
        ensure(list["links"]["next"].is_string(), || "a first page without a next one".into())
    }

    /// Runs a job of these samples, shows what happened to each, and answers with the results.
    async fn run_samples(&mut self, action: &str, samples: &[Sample]) -> Result<Vec<Value>, DemoError> {
        let items: Vec<_> = samples.iter().map(|sample| sample.item.to_string()).collect();
        let job = self.post_job(action, &items.join(",")).await?;
        let job = self.follow(&job, samples.len()).await?;
        let results = job["results"].as_array().cloned().unwrap_or_default();
        let complete = text(&job["job_status"]) == "completed" && results.len() == samples.len();
        ensure(complete, || format!("the job ended with {job}"))?;

        let width = samples.iter().map(|sample| sample.title.chars().count()).max().unwrap_or_default();
        for (position, (sample, result)) in samples.iter().zip(&results).enumerate() {
            let mut first = format!("   {position}  {:<width$}  ", sample.title);
            if result["success"] == true {
                writeln!(self.out, "{first}ok  {}", text(&result["data"]["id"]))?;
            }
            for problem in result["errors"].as_array().into_iter().flatten() {
                writeln!(self.out, "{first}{} {}", text(&problem["status"]), text(&problem["detail"]))?;
                first = " ".repeat(first.chars().count());
            }
        }
        for (sample, result) in samples.iter().zip(&results) {
            ensure(sample.fate.is(result), || format!("{}: {result}", sample.title))?;
        }
        let succeeded = succeeded(&job);
        let failed = samples.len() - succeeded;
        writeln!(self.out, "   completed: {succeeded} succeeded, {failed} failed; no mistake stops another item")?;
        Ok(results)
    }

    /// Creates a job and answers with it. `items` is what stands between the brackets of `data`.
    async fn post_job(&self, action: &str, items: &str) -> Result<Value, DemoError> {
        let body = format!(r#"{{"type":"resources","action":"{action}","data":[{items}]}}"#);
        let mut answer = self.call(Method::POST, "/jobs", Some(body), StatusCode::CREATED).await?;
        Ok(answer["data"].take())
    }

    /// Looks at a job until it has ended, with a progress bar where stderr is a terminal.
    async fn follow(&self, job: &Value, total: usize) -> Result<Value, DemoError> {
        let path = format!("/jobs/{}", text(&job["id"]));
        let style = ProgressStyle::with_template("   {bar:40} {human_pos} of {human_len}");
        let bar = ProgressBar::new(total as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let started = Instant::now();
        loop {
            let mut answer = self.call(Method::GET, &path, None, StatusCode::OK).await?;
            let job = answer["data"].take();
            bar.set_position(job["progress"]["processed"].as_u64().unwrap_or_default());
            if !matches!(text(&job["job_status"]), "queued" | "processing") {
                bar.finish_and_clear();
                return Ok(job);
            }
            ensure(started.elapsed() < PATIENCE, || format!("after {PATIENCE:?} the job is still {job}"))?;
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        expected: StatusCode,
    ) -> Result<Value, DemoError> {
        let url = format!("{}{}{path}", self.base_url, wire::BASE);
        let mut request = self.http.request(method.clone(), url).basic_auth("agent@example.com", Some("sunshine"));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        ensure(status == expected, || format!("{method} {path} was answered with {status}: {body:.500}"))?;
        parse(&body)
    }
}

impl Fate {
    fn is(&self, result: &Value) -> bool {
        let problem = &result["errors"][0];
        match self {
            Self::Succeeds => result["success"] == true && result["data"]["id"].is_string(),
            Self::Fails(status, part) => {
                result["success"] == false && problem["status"] == *status && text(&problem["detail"]).contains(part)
            }
        }
    }
}

/// This program as one would start it again: from here, if it is below.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| "sundial-local".into());
    let here = std::env::current_dir().ok();
    let shown = here.as_deref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(&path);
    shown.display().to_string()
}

fn succeeded(job: &Value) -> usize {
    job["results"].as_array().into_iter().flatten().filter(|result| result["success"] == true).count()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("–")
}

fn parse(json: &str) -> Result<Value, DemoError> {
    serde_json::from_str(json).map_err(|error| DemoError::Unexpected(format!("{error} in {json:.300}")))
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), DemoError> {
    if holds { Ok(()) } else { Err(DemoError::Unexpected(otherwise())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_large_and_each_airport_has_its_own_external_id() {
        let mut external_ids: Vec<_> =
            AIRPORTS.lines().map(|line| text(&parse(line).unwrap()["external_id"]).to_lowercase()).collect();
        let count = external_ids.len();
        external_ids.sort();
        external_ids.dedup();
        assert!(count >= 1_000);
        assert_eq!(external_ids.len(), count);
    }

    #[test]
    fn a_fate_is_judged_by_status_and_words() {
        let success = json!({"success": true, "data": {"id": "x"}});
        let failure = json!({"success": false, "errors": [{"status": "422", "detail": "country is required"}]});
        assert!(Fate::Succeeds.is(&success) && !Fate::Succeeds.is(&failure));
        assert!(Fate::Fails("422", "country").is(&failure));
        assert!(!Fate::Fails("404", "country").is(&failure));
        assert!(!Fate::Fails("422", "name").is(&failure));
        assert!(!Fate::Fails("422", "country").is(&success));
    }
}
