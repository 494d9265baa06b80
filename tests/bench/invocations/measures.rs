//! What is measured: each of the functions that work for clients, at what is asked of it most or costs the most.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::events::{ApiCall, job, messages, product};
use crate::program::{self, Program};
use crate::{Bench, Failure, Found};

/// Items of each job of the consumer's measures: some chunks.
const ITEMS: u64 = 1_000;
/// Items of the job whose results are shown: as many as a job may have.
const SHOWN: u64 = 10_000;
/// Active jobs that are listed: as many as an account may have, less a few.
const LISTED: u64 = 995;
/// Products in a megabyte of a job's body.
const IN_A_MEGABYTE: u64 = 9_000;
/// Ends of relationships.
const ENDS: u64 = 500;

const PUT: &str = "PutItem, one by one";
const PARSE: &str = "serde_json::Value of that body";
/// The measures of what one would do without this service.
pub const BASELINES: [&str; 2] = [PUT, PARSE];

/// The name of a measure, what its jobs are, and how their items are made of a number.
type Make<'make> = (&'static str, &'static str, &'static str, &'make dyn Fn(u64) -> String);

/// Something to be measured: two runs of a program, of which the second has more of the same to do.
struct Measure {
    name: &'static str,
    program: &'static str,
    /// What the difference is divided by, and how much of it there is.
    unit: &'static str,
    units: f64,
    /// The name of a measure of what one would do without this service.
    beside: Option<&'static str>,
    /// What is wrong with an answer.
    check: fn(&Value) -> bool,
}

/// A program reads its event once, so each of the two runs needs events of its own where they change something.
struct Runs {
    few: Vec<Value>,
    more: Vec<Value>,
}

impl Runs {
    /// So many in the first run and so many in the second.
    const FEW: u64 = 2;
    const MORE: u64 = 5;
    const BETWEEN: u64 = Self::MORE - Self::FEW;

    /// Of one event that changes nothing.
    fn of(event: &Value) -> Self {
        let times = |times| (0..times).map(|_| event.clone()).collect();
        Self { few: times(Self::FEW), more: times(Self::MORE) }
    }

    /// Of events that are made one after the other.
    async fn made(mut make: impl AsyncFnMut() -> Result<Value, Failure>) -> Result<Self, Failure> {
        let mut runs = Self { few: Vec::new(), more: Vec::new() };
        for _ in 0..Self::FEW {
            runs.few.push(make().await?);
        }
        for _ in 0..Self::MORE {
            runs.more.push(make().await?);
        }
        Ok(runs)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
const fn float(count: u64) -> f64 {
    count as f64
}

fn is_success(answer: &Value) -> bool {
    answer["statusCode"].as_u64().is_some_and(|status| (200..300).contains(&status))
}

/// Nothing of a batch has to be delivered again.
fn is_processed(answer: &Value) -> bool {
    answer["batchItemFailures"].as_array().is_some_and(Vec::is_empty)
}

impl Bench {
    /// Measures everything that is wanted.
    pub async fn measure(&mut self) -> Result<(), Failure> {
        self.define_types().await?;
        if !self.options.budget {
            self.baselines().await?;
        }
        self.consumer().await?;
        self.status().await?;
        self.accept().await?;
        self.records().await
    }

    fn wants(&self, name: &str) -> bool {
        self.options.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    /// Counts what the second run takes more than the first.
    async fn count(&mut self, measure: Measure, runs: Runs) -> Result<(), Failure> {
        let mut counts = [0_u64; 2];
        for (count, events) in counts.iter_mut().zip([runs.few, runs.more]) {
            let profile = self.options.profile.as_ref().map_or_else(
                || PathBuf::from("/dev/null"),
                |folder| {
                    let name = measure.name.replace(|letter: char| !letter.is_alphanumeric(), "-");
                    folder.join(format!("{name}.callgrind"))
                },
            );
            let mut program = Program::start(measure.program, &self.world, Some(&profile)).await?;
            for event in events {
                let answer = program.invoke(&event).await?;
                if !(measure.check)(&answer) {
                    return Err(format!("{}: {answer}", measure.name).into());
                }
            }
            *count = program.end().await?;
        }
        let [few, more] = counts;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are not negative")]
        let each = (float(more.saturating_sub(few)) / measure.units).round() as u64;
        self.note(Found { name: measure.name, unit: measure.unit, each, beside: measure.beside })
    }

    async fn define_types(&self) -> Result<(), Failure> {
        let mut records = Program::start("records", &self.world, None).await?;
        let text = json!({"type": "string"});
        let properties = json!({"name": text, "price": {"type": "number", "minimum": 0}, "note": text});
        let product = json!({"data": {"key": "product", "schema": {"properties": properties, "required": ["name"]}}});
        let goes_with = json!({"data": {"key": "goes_with", "source": "product", "target": ["product"]}});
        for (path, body) in [("/objects/types", product), ("/relationships/types", goes_with)] {
            let call = ApiCall { method: "POST", path, query: "", body: Some(body.to_string()) };
            let answer = records.invoke(&self.caller.event(&call)).await?;
            if !is_success(&answer) {
                return Err(format!("{path}: {answer}").into());
            }
        }
        Ok(())
    }

    async fn baselines(&mut self) -> Result<(), Failure> {
        if !program::path("baseline").exists() {
            return Err("the baseline was not built".into());
        }
        let (mut from, count) = (0, 200);
        let runs = Runs::made(async || {
            from += count;
            Ok(json!({"put": count, "from": from}))
        });
        let runs = runs.await?;
        let measure = Measure {
            name: PUT,
            program: "baseline",
            unit: "item",
            units: float(count * Runs::BETWEEN),
            beside: None,
            check: |answer| answer["put"] == 200,
        };
        self.count(measure, runs).await?;
        let body = job("post", "resources", (0..IN_A_MEGABYTE).map(product));
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), &body)?;
        let measure = Measure {
            name: PARSE,
            program: "baseline",
            unit: "MB",
            units: megabytes(&body) * float(Runs::BETWEEN),
            beside: None,
            check: |answer| answer["is_object"] == true,
        };
        self.count(measure, Runs::of(&json!({"parse": file.path()}))).await
    }

    /// Accepts a job, which is not measured: its id, and the event of its messages.
    async fn accepted(&mut self, body: String) -> Result<(String, Value), Failure> {
        drop(self.world.messages());
        let call = ApiCall { method: "POST", path: "/jobs", query: "", body: Some(body) };
        let answer = self.accept.invoke(&self.caller.event(&call)).await?;
        let shown: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default())?;
        let id = shown["data"]["id"].as_str().ok_or_else(|| format!("not accepted: {answer}"))?;
        Ok((id.to_owned(), messages(&self.world.messages())))
    }

    async fn consumer(&mut self) -> Result<(), Failure> {
        let measure = |name, beside| Measure {
            name,
            program: "consume",
            unit: "item",
            units: float(ITEMS * Runs::BETWEEN),
            beside,
            check: is_processed,
        };
        // Each with the numbers of its first product: those of one action go through records that an earlier one has made.
        let named = |number: u64| format!(r#"{{"type":"product","external_id":"sku-{number:06}"}}"#);
        let changed =
            |number: u64| format!(r#"{},"attributes":{{"price":2.5}}}}"#, named(number).trim_end_matches('}'));
        let related = |number: u64| {
            let (source, target) = (named(number / ENDS % ENDS), named(ENDS + number % ENDS));
            format!(r#"{{"relationship_type":"goes_with","source":{source},"target":{target}}}"#)
        };
        let actions: [Make<'_>; 5] = [
            ("consume: post", "resources", "post", &product),
            ("consume: external_id_set, there", "resources", "external_id_set", &changed),
            ("consume: relationships post", "relationships", "post", &related),
            ("consume: external_id_delete", "resources", "external_id_delete", &named),
            ("consume: external_id_set, new", "resources", "external_id_set", &product),
        ];
        if !actions.iter().any(|(name, ..)| self.wants(name)) {
            return Ok(());
        }
        let mut done = Program::start("consume", &self.world, None).await?;
        for (name, job_type, action, item) in actions {
            let mut next = 0;
            let runs = Runs::made(async || {
                let body = job(action, job_type, (next..next + ITEMS).map(item));
                next += ITEMS;
                Ok(self.accepted(body).await?.1)
            });
            let runs = runs.await?;
            if self.wants(name) {
                self.count(measure(name, Some(PUT)), runs).await?;
            } else {
                // What comes next needs its records.
                for event in runs.few.iter().chain(&runs.more) {
                    done.invoke(event).await?;
                }
            }
        }
        Ok(())
    }

    async fn status(&mut self) -> Result<(), Failure> {
        let [show, results, list] =
            ["status: show 10,000 results", "status: a page of 1,000 results", "status: list 995 active jobs"];
        if self.wants(show) || self.wants(results) {
            let first = 100_000;
            let (id, event) = self.accepted(job("post", "resources", (first..first + SHOWN).map(product))).await?;
            let mut consume = Program::start("consume", &self.world, None).await?;
            // A message at a time, as of the whole a chunk may wait for the one before.
            consume.invoke(&event).await?;
            loop {
                let sent = self.world.messages();
                if sent.is_empty() {
                    break;
                }
                consume.invoke(&messages(&sent)).await?;
            }
            let path = format!("/jobs/{id}");
            self.request(show, "status", "job", &ApiCall { method: "GET", path: &path, query: "", body: None }).await?;
            let path = format!("/jobs/{id}/results");
            let call = ApiCall { method: "GET", path: &path, query: "per_page=1000", body: None };
            self.request(results, "status", "page", &call).await?;
        }
        if self.wants(list) {
            for number in 0..LISTED {
                self.accepted(job("post", "resources", [product(number)].into_iter())).await?;
            }
            let call = ApiCall { method: "GET", path: "/jobs", query: "status=queued&per_page=1000", body: None };
            self.request(list, "status", "page", &call).await?;
        }
        Ok(())
    }

    async fn accept(&mut self) -> Result<(), Failure> {
        let [large, small] = ["accept: a body of 1 MB", "accept: a job of one item"];
        // One whose slots are free.
        let other = self.world.caller("bench-2").await?;
        let body = job("post", "resources", (0..IN_A_MEGABYTE).map(product));
        let megabytes = megabytes(&body);
        for (name, unit, units, beside, body) in [
            (large, "MB", megabytes, Some(PARSE), body),
            (small, "job", 1.0, None, job("post", "resources", [product(0)].into_iter())),
        ] {
            if self.wants(name) {
                let event = other.event(&ApiCall { method: "POST", path: "/jobs", query: "", body: Some(body) });
                let units = units * float(Runs::BETWEEN);
                let measure = Measure { name, program: "accept", unit, units, beside, check: is_success };
                self.count(measure, Runs::of(&event)).await?;
            }
        }
        Ok(())
    }

    async fn records(&mut self) -> Result<(), Failure> {
        let [list, make] = ["records: list 100 records", "records: post a record"];
        let call = ApiCall { method: "GET", path: "/objects/records", query: "type=product&per_page=100", body: None };
        self.request(list, "records", "page", &call).await?;
        if self.wants(make) {
            let mut number = 500_000;
            let runs = Runs::made(async || {
                number += 1;
                let body = Some(format!(r#"{{"data":{}}}"#, product(number)));
                let call = ApiCall { method: "POST", path: "/objects/records", query: "", body };
                Ok(self.caller.event(&call))
            });
            let runs = runs.await?;
            let units = float(Runs::BETWEEN);
            let measure =
                Measure { name: make, program: "records", unit: "record", units, beside: None, check: is_success };
            self.count(measure, runs).await?;
        }
        Ok(())
    }

    /// Measures a request that changes nothing.
    async fn request(
        &mut self,
        name: &'static str,
        program: &'static str,
        unit: &'static str,
        call: &ApiCall<'_>,
    ) -> Result<(), Failure> {
        if self.wants(name) {
            let units = float(Runs::BETWEEN);
            let measure = Measure { name, program, unit, units, beside: None, check: is_success };
            self.count(measure, Runs::of(&self.caller.event(call))).await?;
        }
        Ok(())
    }
}

fn megabytes(body: &str) -> f64 {
    float(u64::try_from(body.len()).unwrap_or(u64::MAX)) / 1_000_000.0
}
