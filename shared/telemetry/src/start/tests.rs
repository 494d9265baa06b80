use std::convert::Infallible;
use std::io;
use std::time::Duration;

use domain::job::{JobStatus, Operation};
use domain::time::Timestamp;
use lambda_runtime::{Context, LambdaEvent, Service, service_fn};
use serde_json::{Value, json};
use store::clients::{self, AwsSettings};
use store::meter::Consumed;
use store::tables::TableNames;

use super::*;

const HEADER: &str = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=0;Lineage=16f3a795:0";
const TRACE: &str = "1-67891233-abcdef012345678912345678";

/// Logs a line of each level from `info` down.
macro_rules! for_each_level {
    ($target:literal) => {
        tracing::info!(target: $target, "said");
        tracing::debug!(target: $target, "said");
        tracing::trace!(target: $target, "said");
    };
}

/// What a test writes to.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn parsed(lines: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(lines).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The lines that `story` logs at 2017-11-03T16:00:06.123Z.
fn logged(directives: &str, story: impl FnOnce()) -> Vec<Value> {
    let output = Output::default();
    let writer = output.clone();
    let clock = Clock::manual(Timestamp::from_millis(1_509_724_806_123), 1);
    tracing::subscriber::with_default(subscriber(move || writer.clone(), filter(directives).0, clock), story);
    parsed(&output.0.lock().unwrap())
}

fn store() -> Store {
    let client = clients::dynamodb(&AwsSettings::emulator("http://127.0.0.1:1"), clients::http_client());
    Store::new(client, TableNames::with_prefix("test"), Clock::system())
}

#[test]
fn a_line_is_one_flat_object() {
    let lines = logged("", || {
        let milliseconds = Duration::from_millis(1_234).as_millis();
        tracing::info!(
            job.id = "01J",
            chunk.index = 7,
            chunk.milliseconds = milliseconds,
            done = true,
            "chunk \"x\"\n"
        );
        tracing::debug!("nobody asked for this");
    });
    assert_eq!(
        lines,
        [json!({
            "timestamp": "2017-11-03T16:00:06.123Z",
            "level": "INFO",
            "target": "telemetry",
            "message": "chunk \"x\"\n",
            "job.id": "01J",
            "chunk.index": 7,
            "chunk.milliseconds": 1_234,
            "done": true,
        })]
    );
}

#[test]
fn a_line_has_the_fields_of_the_spans_around_it_and_the_inner_ones_count() {
    let lines = logged("warn", || {
        let outer = tracing::error_span!("invocation", invocation.id = "i", trace.id = "outer").entered();
        let inner = tracing::error_span!("request", request.id = "r", trace.id = "inner", account.id = "a");
        inner.in_scope(|| tracing::warn!(account.id = "b", "first"));
        tracing::error_span!("nothing").in_scope(|| tracing::warn!("second"));
        drop(outer);
        tracing::warn!("third");
    });
    let ids = |line: &Value| {
        ["invocation.id", "request.id", "trace.id", "account.id"].map(|name| line[name].as_str().map(str::to_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(ids(&lines[0]), [some("i"), some("r"), some("inner"), some("b")]);
    assert_eq!(ids(&lines[1]), [some("i"), None, some("outer"), None]);
    assert_eq!(ids(&lines[2]), [None, None, None, None]);
}

#[test]
fn what_is_logged_follows_the_directives() {
    let story = || {
        tracing::info!("info");
        tracing::debug!("debug");
        // As the runtime does.
        let span = tracing::info_span!(target: RUNTIME_SPAN, "Lambda runtime invoke", requestId = "r");
        span.in_scope(|| tracing::error!("error"));
    };
    let messages = |directives| {
        let lines = logged(directives, story);
        assert!(lines.iter().all(|line| line.get("requestId").is_none()));
        lines.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(messages(""), ["info", "error"]);
    assert_eq!(messages("warn"), ["error"]);
    assert_eq!(messages("warn,telemetry=debug"), ["info", "debug", "error"]);
    assert_eq!(messages("warn,telemetry=loud"), ["info", "error"]);
    assert!(!filter("warn,telemetry=loud").1);
}

/// The lines of one flush, without their time.
fn flushed(telemetry: &Telemetry, metered: Reading, invocation: Option<&str>) -> Vec<Value> {
    let trace = invocation.and_then(|_| TraceContext::parse(HEADER));
    let mut lines = parsed(&telemetry.lines(metered, invocation, trace));
    for line in &mut lines {
        let time = line["_aws"].as_object_mut().unwrap().remove("Timestamp");
        assert!(time.and_then(|time| time.as_u64()).is_some_and(|time| time > 1_500_000_000_000));
    }
    lines
}

fn directive(dimensions: &[&str], metrics: &[(&str, &str)]) -> Value {
    let metrics: Vec<_> = metrics.iter().map(|(name, unit)| json!({"Name": name, "Unit": unit})).collect();
    json!({"CloudWatchMetrics": [{"Namespace": "Sundial", "Dimensions": [dimensions], "Metrics": metrics}]})
}

/// One story, because a process has one recorder.
#[tokio::test]
async fn metrics_are_written_once_with_each_invocation() {
    let telemetry = Telemetry::record("consume", NAMESPACE.to_owned()).unwrap();
    assert!(Telemetry::record("consume", NAMESPACE.to_owned()).is_err());

    // Nothing was measured, so nothing is written.
    assert!(flushed(&telemetry, Reading::default(), Some("i")).is_empty());

    // Everything that has no label is on one line, and each action on one of its own.
    crate::jobs_accepted();
    for last in JobStatus::ALL {
        crate::job_ended(last);
    }
    crate::chunk_processed(Duration::from_micros(12_500));
    crate::chunk_processed(Duration::from_millis(7));
    crate::queue_waited(Duration::from_secs(2));
    crate::redelivered();
    crate::chunk_buried();
    crate::request_answered(201);
    crate::request_answered(503);
    crate::items(Operation::CreateObjects, 499, 1);
    crate::items(Operation::DeleteRelationships, 0, 3);
    let metered = Reading {
        reads: Consumed { requests: 1, table_units: 0.5, index_units: 0.0 },
        writes: Consumed { requests: 2, table_units: 512.0, index_units: 500.0 },
        throttles: 4,
    };
    let lines = flushed(&telemetry, metered, Some("i"));
    let count = "Count";
    assert_eq!(
        lines,
        [
            json!({
                "_aws": directive(&["Function"], &[
                    ("ChunkDuration", "Milliseconds"), ("ChunksBuried", count), ("ConsumedReadUnits", count),
                    ("ConsumedWriteUnits", count), ("DynamoDbThrottles", count), ("JobsAborted", count),
                    ("JobsAccepted", count), ("JobsCompleted", count), ("JobsFailed", count),
                    ("QueueWait", "Milliseconds"), ("Redeliveries", count), ("Requests", count), ("ServerErrors", count),
                ]),
                "Function": "consume",
                "invocation.id": "i",
                "trace.id": TRACE,
                "ChunkDuration": [12.5, 7.0],
                "ChunksBuried": 1,
                "ConsumedReadUnits": [0.5],
                "ConsumedWriteUnits": [1_012.0],
                "DynamoDbThrottles": 4,
                "JobsAborted": 1,
                "JobsAccepted": 1,
                "JobsCompleted": 1,
                "JobsFailed": 1,
                "QueueWait": [2_000.0],
                "Redeliveries": 1,
                "Requests": 2,
                "ServerErrors": 1,
            }),
            json!({
                "_aws": directive(&["Function", "Action"], &[("ItemsFailed", count)]),
                "Function": "consume",
                "Action": "relationships.delete",
                "invocation.id": "i",
                "trace.id": TRACE,
                "ItemsFailed": 3,
            }),
            json!({
                "_aws": directive(&["Function", "Action"], &[("ItemsFailed", count), ("ItemsSucceeded", count)]),
                "Function": "consume",
                "Action": "resources.post",
                "invocation.id": "i",
                "trace.id": TRACE,
                "ItemsFailed": 1,
                "ItemsSucceeded": 499,
            }),
        ]
    );

    // The next time has only what is new.
    crate::jobs_accepted();
    let expected = json!({
        "_aws": directive(&["Function"], &[("JobsAccepted", count)]), "Function": "consume", "JobsAccepted": 1,
    });
    assert_eq!(flushed(&telemetry, metered, None), [expected]);

    // The end of an invocation flushes, and so does a panic.
    let store = store();
    let handler = service_fn(async |event: LambdaEvent<bool>| {
        crate::jobs_accepted();
        assert!(event.payload, "as told");
        Ok::<_, Infallible>(())
    });
    let mut observed = telemetry.observe(&store, handler);
    for payload in [true, false] {
        let ended = tokio::spawn(observed.call(LambdaEvent::new(payload, Context::default()))).await;
        assert_eq!(ended.is_ok(), payload);
        assert!(flushed(&telemetry, store.meter().read(), None).is_empty());
    }
}

#[tokio::test]
async fn an_invocation_is_named_in_its_lines() {
    let mut context = Context::default();
    context.request_id = "i".to_owned();
    context.xray_trace_id = Some(HEADER.to_owned());
    assert_eq!(crate::Invocation::context(&LambdaEvent::new((), context.clone())).unwrap().request_id, "i");
    let request = http::Request::builder().extension(context).body(()).unwrap();
    assert_eq!(crate::Invocation::context(&request).unwrap().request_id, "i");
    assert!(crate::Invocation::context(&http::Request::new(())).is_none());
}

/// At their lowest levels the SDK logs the bodies of requests, and dynoxide the rows.
#[test]
fn nobody_can_have_the_libraries_say_more_than_info() {
    let story = || {
        for_each_level!("aws_smithy_runtime::client::orchestrator");
        for_each_level!("dynoxide::storage");
        for_each_level!("store::jobs");
    };
    let said = |directives: &str| -> Vec<String> {
        let lines = logged(directives, story);
        let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        lines.iter().map(|line| format!("{} {}", text(line, "target"), text(line, "level"))).collect()
    };
    let loudest = ["aws_smithy_runtime INFO", "dynoxide INFO"];
    let ours = ["store INFO", "store DEBUG", "store TRACE"];
    for directives in [
        "trace",
        "trace,dynoxide=trace,aws_smithy_runtime=trace",
        "info,store=trace,dynoxide=debug,dynoxide::storage=trace",
        "dynoxide=trace,aws_smithy_runtime::client=debug,store=trace",
    ] {
        assert_eq!(said(directives), [&loudest[..], &ours].concat(), "{directives}");
    }
    assert_eq!(said("warn,dynoxide=off,store::jobs=debug"), ours[..2]);
    assert_eq!(said("debug,store=info"), [&loudest[..], &ours[..1]].concat());
}
