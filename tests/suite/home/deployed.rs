//! A stack that is deployed already.
//!
//! Its environment says what has to be known of it: `SUNDIAL_URL`, so that `$SUNDIAL_URL/api/sunshine/jobs` is answered;
//! what the SDK needs, with `AWS_ENDPOINT_URL`, as somebody who may write accounts too; `TABLE_JOBS`, `TABLE_RECORDS`,
//! `TABLE_CATALOG`, `QUEUE_URL` and `ACCESS_CACHE_SECONDS`, as the functions have them; `SUNDIAL_FUNCTIONS`, an object of
//! the functions' deployed names by their short ones; and `SUNDIAL_EMULATOR_PID`, where the functions are processes of
//! this machine.

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use store::clients::{self, AwsSettings};
use store::sqs::SqsQueue;
use store::tables::TableNames;

/// What is known of the stack.
pub struct Deployed {
    pub base_url: String,
    pub aws: AwsSettings,
    pub tables: TableNames,
    pub access: access::Settings,
    queue_url: String,
    functions: HashMap<String, String>,
    emulator: Option<u32>,
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
            functions: serde_json::from_str(&variable("SUNDIAL_FUNCTIONS")).expect("SUNDIAL_FUNCTIONS is an object"),
            emulator: std::env::var("SUNDIAL_EMULATOR_PID").ok().and_then(|id| id.parse().ok()),
        }
    }

    pub fn queue(&self) -> SqsQueue {
        SqsQueue::new(clients::sqs(&self.aws, clients::http_client()), self.queue_url.clone())
    }

    /// Invokes a function, by its short name, with an empty event, and waits for its end.
    pub async fn invoke(&self, function: &str) {
        let endpoint = std::env::var("AWS_ENDPOINT_URL").expect("AWS_ENDPOINT_URL");
        let name = self.functions.get(function).unwrap_or_else(|| panic!("no {function} in SUNDIAL_FUNCTIONS"));
        let url = format!("{}/2015-03-31/functions/{name}/invocations", endpoint.trim_end_matches('/'));
        let answer = reqwest::Client::new().post(url).body("{}").send().await.expect("an answer");
        let (status, failed) = (answer.status(), answer.headers().contains_key("x-amz-function-error"));
        let body = answer.text().await.expect("a whole answer");
        assert!(status.is_success() && !failed, "{function}: {status} {body}");
    }

    /// The processes that now run functions, which are the emulator's children; none when they are not of this machine.
    pub fn function_processes(&self) -> Option<Vec<u32>> {
        let emulator = self.emulator?;
        let processes = std::fs::read_dir("/proc").ok()?.flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        Some(ids.filter(|id| runs_a_function(*id) && descends_from(*id, emulator)).collect())
    }
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
