//! A stack that is deployed already.
//!
//! Its environment says what has to be known of it: `SUNDIAL_URL`, so that `$SUNDIAL_URL/api/sunshine/jobs` is answered;
//! what the SDK needs, with `AWS_ENDPOINT_URL`, as somebody who may write accounts too; `TABLE_JOBS`, `TABLE_RECORDS`,
//! `TABLE_CATALOG`, `QUEUE_URL` and `ACCESS_CACHE_SECONDS`, as the functions have them; `DEAD_LETTERS_URL`, the queue that
//! bury consumes; `SUNDIAL_FUNCTIONS`, an object of the functions' deployed names by their short ones; and
//! `SUNDIAL_EMULATOR_PID`, where the functions are processes of this machine.

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use aws_sdk_sqs::Client as Sqs;
use domain::clock::Clock;
use reqwest::StatusCode;
use store::clients::{self, AwsSettings};
use store::sqs::SqsQueue;
use store::tables::TableNames;

use super::queues::Counts;

/// What is known of the stack.
pub struct Deployed {
    pub base_url: String,
    pub aws: AwsSettings,
    pub tables: TableNames,
    pub access: access::Settings,
    queue_url: String,
    dead_letters_url: String,
    functions: HashMap<String, String>,
    emulator: Option<u32>,
}

/// What came of an event that was handed over to a function.
pub struct Handed {
    pub status: StatusCode,
    /// Whether the function ended with an error.
    pub failed: bool,
    pub body: String,
}

impl Deployed {
    /// The one stack of this process.
    ///
    /// # Panics
    /// When the environment does not say what it has to.
    pub fn known() -> &'static Self {
        static KNOWN: OnceLock<Deployed> = OnceLock::new();
        KNOWN.get_or_init(Self::from_environment)
    }

    fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name}, for the home ministack"));
        Self {
            base_url: variable("SUNDIAL_URL").trim_end_matches('/').to_owned(),
            aws: AwsSettings::from_environment().unwrap_or_else(|error| panic!("{error}")),
            tables: TableNames::from_environment().unwrap_or_else(|error| panic!("{error}")),
            access: access::Settings::from_environment().unwrap_or_else(|error| panic!("{error}")),
            queue_url: variable("QUEUE_URL"),
            dead_letters_url: variable("DEAD_LETTERS_URL"),
            functions: serde_json::from_str(&variable("SUNDIAL_FUNCTIONS")).expect("SUNDIAL_FUNCTIONS is an object"),
            emulator: std::env::var("SUNDIAL_EMULATOR_PID").ok().and_then(|id| id.parse().ok()),
        }
    }

    pub fn queue(&self) -> SqsQueue {
        SqsQueue::new(self.sqs(), self.queue_url.clone())
    }

    fn sqs(&self) -> Sqs {
        clients::sqs(&self.aws, clients::http_client())
    }

    /// How many dead letters there are.
    pub async fn dead_letters(&self) -> Counts {
        Counts::of(&self.sqs(), &self.dead_letters_url).await
    }

    /// Puts a message among the dead letters that never was anywhere else.
    pub async fn send_dead_letter(&self, body: &str) {
        let message = self.sqs().send_message().queue_url(&self.dead_letters_url).message_body(body);
        message.send().await.expect("the queue");
    }

    /// Deletes every dead letter. For whoever has the stack alone.
    pub async fn purge_dead_letters(&self) {
        self.sqs().purge_queue().queue_url(&self.dead_letters_url).send().await.expect("the queue");
    }

    /// Invokes a function, by its short name, with an empty event, and waits for its end.
    pub async fn invoke(&self, function: &str) {
        let Handed { status, failed, body } = self.hand_over(function, "{}").await;
        assert!(status.is_success() && !failed, "{function}: {status} {body}");
    }

    /// Hands an event over to a function, and waits for its end.
    pub async fn hand_over(&self, function: &str, event: &'static str) -> Handed {
        let url = endpoint(&format!("/2015-03-31/functions/{}/invocations", self.function_name(function)));
        let answer = reqwest::Client::new().post(url).body(event).send().await.expect("an answer");
        let (status, failed) = (answer.status(), answer.headers().contains_key("x-amz-function-error"));
        Handed { status, failed, body: answer.text().await.expect("a whole answer") }
    }

    /// Has every invocation of a function throttled, or none.
    pub async fn throttle(&self, function: &str, throttled: bool) {
        let url = endpoint(&format!("/2017-10-31/functions/{}/concurrency", self.function_name(function)));
        let client = reqwest::Client::new();
        let request =
            if throttled { client.put(url).body(r#"{"ReservedConcurrentExecutions":0}"#) } else { client.delete(url) };
        let status = request.send().await.expect("an answer").status();
        assert!(status.is_success(), "{function}: {status}");
    }

    /// The sum of a metric of `AWS/Lambda`, by the function's deployed name alone, of the last and the next minutes.
    pub async fn counted(&self, function: &str, metric: &str) -> f64 {
        const MINUTES: u64 = 10 * 60 * 1_000;
        let now = Clock::system().now();
        let query = [
            ("Action", "GetMetricStatistics"),
            ("Version", "2010-08-01"),
            ("Namespace", "AWS/Lambda"),
            ("MetricName", metric),
            ("Dimensions.member.1.Name", "FunctionName"),
            ("Dimensions.member.1.Value", self.function_name(function)),
            ("StartTime", &now.minus_millis(MINUTES).in_seconds().to_string()),
            ("EndTime", &now.plus_millis(MINUTES).in_seconds().to_string()),
            ("Period", "3600"),
            ("Statistics.member.1", "Sum"),
        ];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let request = reqwest::Client::new().post(endpoint("/")).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.send().await.expect("an answer").text().await.expect("a whole answer");
        assert!(answer.contains("<Datapoints"), "{answer}");
        let sums = answer.split("<Sum>").skip(1).filter_map(|rest| rest.split("</Sum>").next()?.parse::<f64>().ok());
        sums.sum()
    }

    fn function_name(&self, function: &str) -> &str {
        self.functions.get(function).unwrap_or_else(|| panic!("no {function} in SUNDIAL_FUNCTIONS"))
    }

    /// The processes that now run functions, which are the emulator's children; none when they are not of this machine.
    pub fn function_processes(&self) -> Option<Vec<u32>> {
        let emulator = self.emulator?;
        let processes = std::fs::read_dir("/proc").ok()?.flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        Some(ids.filter(|id| runs_a_function(*id) && descends_from(*id, emulator)).collect())
    }
}

/// A path of AWS.
fn endpoint(path: &str) -> String {
    let endpoint = std::env::var("AWS_ENDPOINT_URL").expect("AWS_ENDPOINT_URL");
    format!("{}{path}", endpoint.trim_end_matches('/'))
}

fn runs_a_function(id: u32) -> bool {
    let command = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let program = command.split(|byte| *byte == 0).next().unwrap_or_default();
    let program = Path::new(std::str::from_utf8(program).unwrap_or_default());
    program.file_name().is_some_and(|name| name == "bootstrap")
}

fn descends_from(id: u32, ancestor: u32) -> bool {
    let mut id = id;
    while let Some(parent) = parent_of(id).filter(|parent| *parent > 1) {
        if parent == ancestor {
            return true;
        }
        id = parent;
    }
    false
}

fn parent_of(id: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
