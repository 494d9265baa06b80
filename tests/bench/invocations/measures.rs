//! What is measured: each of the functions that work for clients, at what is asked of it most or costs the most.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::events::{ApiCall, job, messages, product};
use crate::program::Program;
use crate::{ACCOUNT, Bench, Failure, Found, Time};

/// Items of each job of the consumer's measures: some chunks.
const ITEMS: u64 = 1_000;
/// Records that one event of a baseline writes.
const PUTS: u64 = 200;
/// Items of the job whose results are shown: as many as a job may have.
const SHOWN: u64 = 10_000;
/// Active jobs that are listed: as many as an account may have, less a few.
const LISTED: u64 = 995;
/// Products in a megabyte of a job's body.
const IN_A_MEGABYTE: u64 = 9_000;
/// Ends of relationships, sources and as many targets, which are not deleted: the number of the first.
const FIRST_END: u64 = 900_000;
const ENDS: u64 = 500;
/// The number of the first of the products that nothing else makes.
const FIRST_UNKNOWN: u64 = 2_000_000;

const PUT: &str = "PutItem, one by one";
const PARSE: &str = "serde_json::Value of that body";
/// What is held to its budget: one of each kind, because it is measured with every change.
pub const BUDGETED: [&str; 6] = [
    "consume: post",
    "consume: external_id_set, there",
    "status: show 10,000 results",
    "status: list 995 active jobs",
    "accept: a body of 1 MB",
    "records: list 100 records",
];
/// The measures of what one would do without this service.
pub const BASELINES: [&str; 2] = [PUT, PARSE];

/// The name of a measure, what its jobs are, and how their items are made of a number.
type Make<'make> = (&'static str, &'static str, &'static str, &'make dyn Fn(u64) -> String);

/// What is measured.
struct Measure {
    name: &'static str,
    program: &'static str,
    /// What it is of, and how many of these an event has.
    unit: &'static str,
    units: f64,
    /// The name of a measure of what one would do without this service.
    beside: Option<&'static str>,
    /// Whether an answer is what it should be.
    check: fn(&Value) -> bool,
}

/// The events of a measure: those of two runs that are counted, of which the second has more of the same to do, and those of a
/// third whose time is taken. Where they change something, each event is another one.
struct Runs {
    few: Vec<Value>,
    more: Vec<Value>,
    timed: Vec<Value>,
}

impl Runs {
    const FEW: u64 = 2;
    const MORE: u64 = 5;
    const BETWEEN: u64 = Self::MORE - Self::FEW;
    /// Of those whose time is taken, the first are not counted: a program that has just started reads what it then remembers.
    const WARM: u64 = 2;
    const TIMED: u64 = 12;

    /// Of one event that changes nothing.
    fn of(event: &Value) -> Self {
        let times = |times: u64| (0..times).map(|_| event.clone()).collect();
        Self { few: times(Self::FEW), more: times(Self::MORE), timed: times(Self::TIMED) }
    }

    /// Of events that are made one after the other.
    async fn made(is_timed: bool, mut make: impl AsyncFnMut() -> Result<Value, Failure>) -> Result<Self, Failure> {
        let mut runs = Self { few: Vec::new(), more: Vec::new(), timed: Vec::new() };
        let timed = if is_timed { Self::TIMED } else { 0 };
        let sizes = [(&mut runs.few, Self::FEW), (&mut runs.more, Self::MORE), (&mut runs.timed, timed)];
        for (events, count) in sizes {
            for _ in 0..count {
                events.push(make().await?);
            }
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

impl Measure {
    async fn run(&self, program: &mut Program, events: &[Value]) -> Result<(), Failure> {
        for event in events {
            let answer = program.invoke(event).await?;
            if !(self.check)(&answer) {
                return Err(format!("{}: {answer}", self.name).into());
            }
        }
        Ok(())
    }
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
        let is_budgeted = !self.options.budget || BUDGETED.contains(&name);
        is_budgeted && self.options.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    /// Counts what the second run takes more than the first, and takes the time of the third.
    async fn count(&mut self, measure: Measure, runs: Runs) -> Result<(), Failure> {
        let mut counts = [0_u64; 2];
        for (count, events) in counts.iter_mut().zip([&runs.few, &runs.more]) {
            let profile = self.options.profile.as_ref().map_or_else(
                || PathBuf::from("/dev/null"),
                |folder| {
                    let name = measure.name.replace(|letter: char| !letter.is_alphanumeric(), "-");
                    folder.join(format!("{name}.callgrind"))
                },
            );
            let mut program = Program::start(measure.program, &self.world, Some(&profile)).await?;
            measure.run(&mut program, events).await?;
            *count = program.end().await?;
        }
        let [few, more] = counts;
        let instructions = float(more.saturating_sub(few)) / float(Runs::BETWEEN) / measure.units;
        let time = if self.options.budget { None } else { Some(self.time(&measure, &runs.timed).await?) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are not negative")]
        let instructions = instructions.round() as u64;
        let Measure { name, unit, beside, .. } = measure;
        self.note(Found { name, unit, instructions, time, beside })
    }

    /// The CPU time of a program that has done the same before, in microseconds, of one unit; and that of its baseline, which has
    /// its turns between, because a machine is faster at one moment than at another.
    async fn time(&mut self, measure: &Measure, events: &[Value]) -> Result<Time, Failure> {
        let (warm, events) = events.split_at(usize::try_from(Runs::WARM)?);
        let mut program = Program::start(measure.program, &self.world, None).await?;
        measure.run(&mut program, warm).await?;
        let mut beside = match measure.beside {
            None => None,
            Some(name) => {
                let baseline = baseline(name);
                let mut program = Program::start(baseline.program, &self.world, None).await?;
                baseline.run(&mut program, &[self.baseline_event(name)]).await?;
                Some((baseline, program))
            }
        };
        let mut times = [Duration::ZERO; 2];
        for event in events {
            let before = program.cpu_time()?;
            measure.run(&mut program, std::slice::from_ref(event)).await?;
            times[0] += program.cpu_time()?.saturating_sub(before);
            if let Some((baseline, program)) = &mut beside {
                let event = self.baseline_event(baseline.name);
                let before = program.cpu_time()?;
                baseline.run(program, &[event]).await?;
                times[1] += program.cpu_time()?.saturating_sub(before);
            }
        }
        let each = |time: Duration, units: f64| time.as_secs_f64() * 1e6 / float(Runs::TIMED - Runs::WARM) / units;
        let ours = each(times[0], measure.units);
        let theirs = beside.map(|(baseline, ..)| each(times[1], baseline.units));
        Ok(Time { ours, theirs })
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
        if !self.world.program("baseline").exists() {
            return Err("the baseline was not built".into());
        }
        for name in BASELINES {
            let runs = Runs::made(true, async || Ok(self.baseline_event(name)));
            let runs = runs.await?;
            self.count(baseline(name), runs).await?;
        }
        Ok(())
    }

    /// The next event of a baseline.
    fn baseline_event(&mut self, name: &str) -> Value {
        if name == PARSE {
            return json!({"parse": self.body.path()});
        }
        self.put += PUTS;
        json!({"put": PUTS, "from": self.put})
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

    /// Fails where an item of a job did: that takes less, and is shown in fewer words.
    async fn all_succeeded(&self, id: &str, items: u64) -> Result<(), Failure> {
        match self.world.succeeded(ACCOUNT, id).await? {
            all if all == items => Ok(()),
            some => Err(format!("{some} of the {items} items of a job succeeded").into()),
        }
    }

    async fn consumer(&mut self) -> Result<(), Failure> {
        let measure = |name, beside| Measure {
            name,
            program: "consume",
            unit: "item",
            units: float(ITEMS),
            beside,
            check: is_processed,
        };
        // Each with the numbers of its first product: those of one action go through records that an earlier one has made.
        let named = |number: u64| format!(r#"{{"type":"product","external_id":"sku-{number:06}"}}"#);
        let changed =
            |number: u64| format!(r#"{},"attributes":{{"price":2.5}}}}"#, named(number).trim_end_matches('}'));
        let related = |number: u64| {
            let (source, target) = (FIRST_END + number / ENDS % ENDS, FIRST_END + ENDS + number % ENDS);
            let (source, target) = (named(source), named(target));
            format!(r#"{{"relationship_type":"goes_with","source":{source},"target":{target}}}"#)
        };
        let unknown = |number: u64| product(FIRST_UNKNOWN + number);
        let actions: [Make<'_>; 5] = [
            ("consume: post", "resources", "post", &product),
            ("consume: external_id_set, there", "resources", "external_id_set", &changed),
            ("consume: relationships post", "relationships", "post", &related),
            ("consume: external_id_delete", "resources", "external_id_delete", &named),
            ("consume: external_id_set, new", "resources", "external_id_set", &unknown),
        ];
        let Some(last) = actions.iter().rposition(|(name, ..)| self.wants(name)) else { return Ok(()) };
        let is_timed = !self.options.budget;
        let mut done = Program::start("consume", &self.world, None).await?;
        let ends = job("post", "resources", (FIRST_END..FIRST_END + 2 * ENDS).map(product));
        done.invoke(&self.accepted(ends).await?.1).await?;
        for (name, job_type, action, item) in &actions[..=last] {
            let (mut next, mut last) = (0, String::new());
            let runs = Runs::made(is_timed, async || {
                let body = job(action, job_type, (next..next + ITEMS).map(item));
                next += ITEMS;
                let event;
                (last, event) = self.accepted(body).await?;
                Ok(event)
            });
            let runs = runs.await?;
            if self.wants(name) {
                self.count(measure(name, Some(PUT)), runs).await?;
            } else {
                // What comes next needs its records.
                for event in runs.few.iter().chain(&runs.more).chain(&runs.timed) {
                    done.invoke(event).await?;
                }
            }
            self.all_succeeded(&last, ITEMS).await?;
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
            consume.invoke(&event).await?;
            self.all_succeeded(&id, SHOWN).await?;
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
        let body = large_body();
        let megabytes = megabytes(&body);
        for (name, unit, units, beside, body) in [
            (large, "MB", megabytes, Some(PARSE), body),
            (small, "job", 1.0, None, job("post", "resources", [product(0)].into_iter())),
        ] {
            if self.wants(name) {
                let event = other.event(&ApiCall { method: "POST", path: "/jobs", query: "", body: Some(body) });
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
            let (is_timed, mut number) = (!self.options.budget, 500_000);
            let runs = Runs::made(is_timed, async || {
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
            let measure = Measure { name, program, unit, units: 1.0, beside: None, check: is_success };
            self.count(measure, Runs::of(&self.caller.event(call))).await?;
        }
        Ok(())
    }
}

/// A body of about a megabyte.
pub fn large_body() -> String {
    job("post", "resources", (0..IN_A_MEGABYTE).map(product))
}

/// The measure of a baseline.
fn baseline(name: &'static str) -> Measure {
    let program = "baseline";
    if name == PARSE {
        let units = megabytes(&large_body());
        return Measure { name, program, unit: "MB", units, beside: None, check: |answer| answer["is_object"] == true };
    }
    Measure { name, program, unit: "item", units: float(PUTS), beside: None, check: |answer| answer["put"] == PUTS }
}

fn megabytes(body: &str) -> f64 {
    float(u64::try_from(body.len()).unwrap_or(u64::MAX)) / 1_000_000.0
}
