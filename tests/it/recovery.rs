//! How long it takes until what went wrong is put right, by the numbers of the deployment template: each holds for a reason
//! that no single function can see.

use std::time::Duration;

use domain::limits::{
    APPLIED_WRITES_KEPT_SECONDS, CHUNK_BYTES, CLOCK_MARGIN_SECONDS, JOB_LIFETIME_SECONDS, JOB_OVERDUE_SECONDS,
};
use domain::timing::{CALL, CALL_ATTEMPT, COMMIT_PATIENCE, CONNECT, LATEST_COMMIT, NEVER_COMMITTED, REPORT_MARGIN};
use serde_json::Value;

use crate::template::Template;

/// What the design promises: a chunk among the dead letters has its job at its end so soon, when bury's first try works.
const BURIED_WITHIN: u64 = 60;

/// And so soon when the first try crashes, and leaves nothing behind but the message's visibility timeout.
const BURIED_WITHIN_AFTER_A_CRASH: u64 = 7 * 60;

/// Visibility timeouts, in timeouts of the function, that AWS advises: meanwhile Lambda may have to repeat an invocation that
/// was throttled.
const ADVISED: u64 = 6;

/// A queue and the function that consumes it. Everything in seconds.
struct Consumed {
    visibility: u64,
    retention: u64,
    timeout: u64,
    /// How long Lambda may wait for more messages before it hands over those that it has.
    window: u64,
    batch: u64,
}

impl Consumed {
    fn read(template: &Template, queue: &str, function: &str, event: &str) -> Self {
        let (queue, function) = (template.properties(queue), template.properties(function));
        let source = &function["Events"][event]["Properties"];
        assert_eq!(
            source["FunctionResponseTypes"],
            Value::from(vec!["ReportBatchItemFailures"]),
            "one takes no other with it"
        );
        Self {
            visibility: number(&queue["VisibilityTimeout"]),
            retention: number(&queue["MessageRetentionPeriod"]),
            timeout: number(&function["Timeout"]),
            // Lambda's default for batches of up to ten.
            window: source["MaximumBatchingWindowInSeconds"].as_u64().unwrap_or(0),
            batch: number(&source["BatchSize"]),
        }
    }

    /// What holds for every queue that Lambda consumes.
    fn check(&self) {
        assert!(self.visibility >= self.timeout, "Lambda refuses less");
        assert!(self.visibility >= ADVISED * self.timeout + self.window, "{} s", self.visibility);
        assert!(self.batch <= 10, "larger ones need a window");
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn jobs_queue(template: &Template) -> Consumed {
    Consumed::read(template, "JobsQueue", "Consume", "Chunks")
}

fn dead_letters(template: &Template) -> Consumed {
    Consumed::read(template, "DeadLetters", "Bury", "DeadLetters")
}

#[test]
fn a_dead_letter_has_its_job_ended_within_a_minute_and_within_seven_when_bury_crashes_first() {
    let letters = dead_letters(&Template::read());
    letters.check();
    let first_try = letters.window + letters.timeout;
    assert!(first_try <= BURIED_WITHIN, "{first_try} s");
    // The second begins when the first's message is visible again, however early it crashed.
    let second_try = letters.window + letters.visibility + letters.timeout;
    assert!(second_try <= BURIED_WITHIN_AFTER_A_CRASH, "{second_try} s");
}

#[test]
fn a_chunk_is_tried_as_often_as_it_may_be_while_its_records_remember_it() {
    let template = Template::read();
    let chunks = jobs_queue(&template);
    chunks.check();
    let receives = number(&template.properties("JobsQueue")["RedrivePolicy"]["maxReceiveCount"]);
    assert!(receives >= 5, "AWS advises it, so that throttled invocations alone bury nothing");
    let given_up_after = receives * chunks.visibility;
    // Later, an item that was applied might not be recognised.
    assert!(given_up_after < APPLIED_WRITES_KEPT_SECONDS - CLOCK_MARGIN_SECONDS, "{given_up_after} s");
    assert!(given_up_after < chunks.retention, "otherwise it would vanish before it is a dead letter");
    // Its job is there, or never will be, before the last try.
    assert!((receives - 1) * chunks.visibility > NEVER_COMMITTED.as_secs());

    // With any parameters that are allowed.
    let largest = |parameter| number(&template.of_parameter(parameter, "MaxValue"));
    assert!(largest("MaxReceives") * largest("VisibilityTimeout") < APPLIED_WRITES_KEPT_SECONDS - CLOCK_MARGIN_SECONDS);
    assert!(largest("VisibilityTimeout") >= ADVISED * largest("ConsumerTimeout"), "it can be as AWS advises");
    assert!(largest("ChunksPerBatch") <= 10);
    // Quotation marks count twice in an event of 6 MB.
    assert!(largest("ChunksPerBatch") * 2 * u64::try_from(CHUNK_BYTES).expect("a small number") < 6_000_000);
}

#[test]
fn a_chunk_is_kept_for_as_long_as_its_job() {
    let template = Template::read();
    let (chunks, letters) = (jobs_queue(&template), dead_letters(&template));
    // While it is kept, sweep comes first: a chunk that is still there then finds that its job has ended.
    assert!(chunks.retention > JOB_OVERDUE_SECONDS);
    assert!(chunks.retention <= JOB_LIFETIME_SECONDS, "after that it has no effect");
    // A message keeps its age when it becomes a dead letter.
    assert!(letters.retention > chunks.retention);
    // A dead letter that bury cannot read stays for whoever deploys what can: longer than a weekend.
    assert!(letters.retention - chunks.retention >= 7 * 24 * 60 * 60);
}

#[test]
fn an_overdue_job_is_ended_before_it_expires_even_when_one_sweep_fails() {
    let sweep = Template::read().properties("Sweep");
    let schedule = sweep["Events"]["EveryFiveMinutes"]["Properties"]["Schedule"].as_str().expect("a schedule");
    let minutes = schedule.strip_prefix("rate(").and_then(|rate| rate.strip_suffix(" minutes)")).expect("minutes");
    let (period, timeout) = (60 * minutes.parse::<u64>().expect("a number"), number(&sweep["Timeout"]));
    assert!(timeout < period, "no two sweeps run at the same time");
    assert_eq!(sweep["EventInvokeConfig"]["MaximumRetryAttempts"], 0, "the next one does what one did not");
    // Overdue just after a sweep has begun, missed by the next because that fails, and ended at the end of the one after.
    let ended = JOB_OVERDUE_SECONDS + 2 * period + timeout;
    assert!(ended < JOB_LIFETIME_SECONDS, "{ended} s");
}

#[test]
fn a_function_that_answers_requests_ends_before_the_gateway_gives_up_and_before_its_chunks_do() {
    let template = Template::read();
    for function in ["Accept", "Status", "Records"] {
        let timeout = number(&template.properties(function)["Timeout"]);
        let gateway = number(&template.properties(&format!("{function}Integration"))["TimeoutInMillis"]);
        assert!(timeout * 1_000 < gateway, "{function}: otherwise nobody would know what came of it");
    }
    // Whoever drops a chunk because its job was never committed has accept's word for it.
    assert!(number(&template.properties("Accept")["Timeout"]) < NEVER_COMMITTED.as_secs());
}

#[test]
fn each_time_bound_leaves_the_next_one_enough() {
    let template = Template::read();
    let timeout = |function: &str| Duration::from_secs(number(&template.properties(function)["Timeout"]));
    let gateway = Duration::from_secs(30);
    // An attempt leaves time for another, and a connection for its request.
    assert!(CALL_ATTEMPT < CALL && CONNECT < CALL_ATTEMPT);
    // A commit that is begun at the last moment has its answer before anybody gives the request up.
    assert!(LATEST_COMMIT + CALL < timeout("Accept"));
    for function in ["Accept", "Records", "Status"] {
        assert!(timeout(function) < gateway, "{function} says itself what went wrong");
    }
    // Nobody takes a job that may still be committed for one that never was.
    assert!((LATEST_COMMIT + CALL) * 2 < NEVER_COMMITTED);
    // A worker that waits for a commit does so within its invocation, in the local run too.
    let polling = local::poller::Polling::default();
    for time in [timeout("Consume"), polling.time_limit] {
        assert!(COMMIT_PATIENCE + CALL + REPORT_MARGIN < time, "{time:?}");
    }
    assert!(polling.time_limit < local::queue::QueueOptions::default().visibility);
}
