//! Every alarm of the deployment template: each metric that it watches is seen to move when that happens which the alarm is
//! for. Where no stand-in for AWS can show it, or not all of it, the test says so out loud: `NOT SHOWN: …`.
//!
//! A metric of our own is shown by the program that is deployed: what it prints has to name the metric, its namespace and its
//! dimension exactly as the alarm does, or the alarm would never go off.

mod causes;
mod database;
mod metrics;
mod programs;

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use tests::{Client, Deliveries, Home};

use self::causes::{Scene, home_with_dead_letters, is_well, told};
use self::database::Trouble;
use self::metrics::{Alarm, Metric};
use self::programs::End;
use crate::template::{FUNCTIONS, STACK, Template, logical_name};

/// Those that answer requests.
const ANSWERING: [&str; 3] = ["accept", "status", "records"];

/// Those that can end a job as failed.
const FAILING_JOBS: [&str; 3] = ["consume", "bury", "sweep"];

const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// One metric of one alarm.
struct Row {
    alarm: &'static str,
    metric: Metric,
    shown: Shown,
    /// What is not shown, and why.
    not_shown: Option<&'static str>,
}

/// By what a metric is shown to move.
#[derive(Clone, Copy)]
enum Shown {
    /// The function ends a job as failed, and prints the metric.
    JobFails(&'static str),
    /// The function's database throttles it. It does its work all the same, and prints the metric.
    Throttled(&'static str),
    /// A dead letter is closed, and bury prints the metric.
    Buried,
    /// The function ends with an error.
    FunctionFails(&'static str),
    /// Requests are answered 5xx.
    ServerErrors,
    /// A request takes longer than the alarm allows.
    SlowRequest,
    /// A message that cannot be handled waits among the dead letters.
    DeadLetterWaits,
    /// Such a message is in bury's hands.
    DeadLetterInFlight,
    /// A chunk waits longer than the alarm allows.
    OldChunk,
    Nothing,
}

/// Every metric of every alarm. Names are spelled here once more, so that a change of one is noticed.
fn table() -> Vec<Row> {
    const GATEWAY: &str = "that the gateway counts: what is shown is the answer that it would pass on. No stand-in's \
        gateway keeps metrics";
    const SAMPLES: &str = "that SQS tells CloudWatch, which it does once a minute: what is shown is what it would count. \
        The suite asks an SQS for the same numbers";
    let own = &format!("Sundial/{STACK}");
    let row = |alarm, metric, shown, not_shown| Row { alarm, metric, shown, not_shown };
    let dead_letters = ("QueueName", &*format!("{STACK}-dead-letters"));
    let api = ("ApiId", "HttpApi");
    let mut rows = vec![
        row(
            "DeadLettersAlarm",
            Metric::new("AWS/SQS", "ApproximateNumberOfMessagesVisible", dead_letters),
            Shown::DeadLetterWaits,
            Some(SAMPLES),
        ),
        row(
            "DeadLettersAlarm",
            Metric::new("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", dead_letters),
            Shown::DeadLetterInFlight,
            Some(SAMPLES),
        ),
        row("DeadLettersAlarm", Metric::new(own, "ChunksBuried", ("Function", "bury")), Shown::Buried, None),
        row(
            "QueueAgeAlarm",
            Metric::new("AWS/SQS", "ApproximateAgeOfOldestMessage", ("QueueName", &format!("{STACK}-jobs"))),
            Shown::OldChunk,
            Some(
                "the age itself, which CloudWatch alone has: what is shown is the time of sending, which a message keeps. \
                 By SQS's own description it leaves out what was received more than three times",
            ),
        ),
        row("ServerErrorsAlarm", Metric::new("AWS/ApiGateway", "5xx", api), Shown::ServerErrors, Some(GATEWAY)),
        row("LatencyAlarm", Metric::new("AWS/ApiGateway", "Latency", api), Shown::SlowRequest, Some(GATEWAY)),
    ];
    for function in FUNCTIONS {
        let name = format!("{STACK}-{function}");
        let (of_lambda, of_ours) = (("FunctionName", name.as_str()), ("Function", function));
        rows.push(row(
            "FunctionErrorsAlarm",
            Metric::new("AWS/Lambda", "Errors", of_lambda),
            Shown::FunctionFails(function),
            Some("timeouts and the end of memory, which Lambda alone brings about and counts"),
        ));
        rows.push(row(
            "FunctionThrottlesAlarm",
            Metric::new("AWS/Lambda", "Throttles", of_lambda),
            Shown::Nothing,
            Some(
                "here there is no Lambda that refuses to invoke: the suite has MiniStack do so, by its own idea of why",
            ),
        ));
        rows.push(row(
            "DynamoDbThrottlesAlarm",
            Metric::new(own, "DynamoDbThrottles", of_ours),
            Shown::Throttled(function),
            None,
        ));
    }
    for function in FAILING_JOBS {
        let metric = Metric::new(own, "JobsFailed", ("Function", function));
        rows.push(row("JobsFailedAlarm", metric, Shown::JobFails(function), None));
    }
    rows
}

#[test]
fn the_table_has_every_metric_of_every_alarm_and_no_other() {
    let template = Template::read();
    let listed = |alarm: &str, metric: &Metric| format!("{alarm}: {metric}");
    let alarms = Alarm::all_of(&template);
    let watched =
        alarms.iter().flat_map(|alarm| alarm.watched().into_iter().map(|watched| listed(&alarm.name, &watched.metric)));
    let watched: Vec<_> = watched.collect();
    let known: Vec<_> = table().iter().map(|row| listed(row.alarm, &row.metric)).collect();
    let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
    let (watched_once, known_once) = (set(&watched), set(&known));
    assert_eq!((watched.len(), known.len()), (watched_once.len(), known_once.len()), "one stands twice");
    let unknown: Vec<_> = watched_once.difference(&known_once).collect();
    let gone: Vec<_> = known_once.difference(&watched_once).collect();
    assert!(unknown.is_empty() && gone.is_empty(), "not in the table: {unknown:#?}, not in the template: {gone:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_every_alarm_moves() {
    let home = Home::start().await;
    let scene = Scene::set(&home).await;
    let rows = table();
    // Each program is a process; some of them wait.
    let checks = stream::iter(&rows).map(|row| check(&scene, row)).buffer_unordered(4);
    checks.collect::<()>().await;
    let mut not_shown = BTreeSet::new();
    for row in &rows {
        assert!(row.not_shown.is_some() || !matches!(row.shown, Shown::Nothing), "{}: {}", row.alarm, row.metric);
        // Of all functions at once.
        let (alarm, Metric { namespace, name, .. }) = (row.alarm, &row.metric);
        not_shown.extend(row.not_shown.map(|what| format!("NOT SHOWN: {alarm}, {namespace} {name}: {what}")));
    }
    for line in &not_shown {
        say(line);
    }
    home.run.stop().await;
}

/// No alarm rings for what a client does wrong: a body that nobody can read makes a job that has failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_its_client_made_fail_moves_no_alarm() {
    let home = Home::start().await;
    let scene = Scene::set(&home).await;
    let invocation = scene.invoke("accept", &scene.body_that_nobody_reads(), Trouble::None).await;
    assert!(is_well(&invocation), "{:?}", invocation.end);
    let own = format!("Sundial/{STACK}");
    let counted = |name| told(&invocation, &Metric::new(&own, name, ("Function", "accept")));
    assert!(counted("JobsUnreadable") >= 1.0 && counted("JobsFailed") < 1.0, "{:#?}", invocation.measured);
    home.run.stop().await;
}

/// To whoever runs the tests, and not only to whom they fail for.
fn say(line: &str) {
    // Where it cannot be written there is nobody to tell.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

async fn check(scene: &Scene<'_>, row: &Row) {
    match row.shown {
        Shown::JobFails(function) => {
            let _alone = scene.alone(function).await;
            let event = scene.event_that_fails_a_job(function).await;
            // Once more, the job has ended.
            is_printed(scene, row, function, (&event, Trouble::None), &event).await;
        }
        Shown::Throttled(function) => {
            let _alone = scene.alone(function).await;
            let event = scene.event_for(function).await;
            is_printed(scene, row, function, (&event, Trouble::ThrottlesOnce), &event).await;
        }
        Shown::Buried => {
            let event = scene.event_for("bury").await;
            is_printed(scene, row, "bury", (&event, Trouble::None), &event).await;
        }
        Shown::FunctionFails(function) => function_fails(scene, function).await,
        Shown::ServerErrors => {
            for function in ANSWERING {
                let event = scene.event_for(function).await;
                let invocation = scene.invoke(function, &event, Trouble::Broken).await;
                let End::Answered(answer) = &invocation.end else { panic!("{function}: {:?}", invocation.end) };
                assert!(answer["statusCode"].as_u64().is_some_and(|status| (500..600).contains(&status)), "{answer}");
            }
        }
        Shown::SlowRequest => {
            let allowed = scene.template.properties(row.alarm)["Threshold"].as_u64().expect("milliseconds");
            let late = Duration::from_millis(allowed + 100);
            let invocation = scene.invoke("status", &scene.event_for("status").await, Trouble::SlowOnce(late)).await;
            assert!(is_well(&invocation), "{:?}", invocation.end);
            assert!(invocation.took > Duration::from_millis(allowed), "{:?}", invocation.took);
            let undisturbed = scene.invoke("status", &scene.event_for("status").await, Trouble::None).await;
            assert!(undisturbed.took < Duration::from_millis(allowed), "{:?}", undisturbed.took);
        }
        Shown::DeadLetterWaits | Shown::DeadLetterInFlight => dead_letter_stays(row.shown).await,
        Shown::OldChunk => chunk_gets_old(scene, row).await,
        Shown::Nothing => {}
    }
}

/// The function handles the event well, and prints the metric just as the alarm names it. When `quiet` is handled, and
/// nothing happens, it prints nothing of it.
async fn is_printed(
    scene: &Scene<'_>,
    row: &Row,
    function: &'static str,
    (event, trouble): (&Value, Trouble),
    quiet: &Value,
) {
    let invocation = scene.invoke(function, event, trouble).await;
    assert!(is_well(&invocation), "{}: {function}: {:?}", row.alarm, invocation.end);
    assert!(told(&invocation, &row.metric) >= 1.0, "{}: {} in {:#?}", row.alarm, row.metric, invocation.measured);
    let quiet = scene.invoke(function, quiet, Trouble::None).await;
    assert!(matches!(quiet.end, End::Answered(_)), "{}: {function}: {:?}", row.alarm, quiet.end);
    assert!(told(&quiet, &row.metric) < 1.0, "{}: {} in {:#?}", row.alarm, row.metric, quiet.measured);
}

/// What ends an invocation with an error, and what does not though it goes wrong.
async fn function_fails(scene: &Scene<'_>, function: &'static str) {
    let invocation = scene.invoke_without_settings(function).await;
    let End::Exited(status) = &invocation.end else { panic!("{function}: {:?}", invocation.end) };
    assert!(!status.success(), "{function}");

    let event = scene.event_for(function).await;
    let invocation = scene.invoke(function, &event, Trouble::Broken).await;
    match (function, &invocation.end) {
        // An overdue job stays where it is.
        ("sweep", End::Failed(error)) => assert!(error["errorMessage"].is_string(), "{error}"),
        // The queue delivers the message again: that is seen by its age and by its receives, and not here.
        ("consume" | "bury", End::Answered(answer)) => {
            assert_eq!(answer["batchItemFailures"].as_array().map(Vec::len), Some(1), "{function}: {answer}");
        }
        // The client is told: that is seen by the gateway's 5xx, and not here.
        ("accept" | "status" | "records", End::Answered(answer)) => {
            assert!(answer["statusCode"].as_u64().is_some_and(|status| status >= 500), "{function}: {answer}");
        }
        (_, end) => panic!("{function}: {end:?}"),
    }
}

/// A message that was given up, with a home of its own.
async fn dead_letter(home: &Home) {
    let (deliveries, acme) = (Deliveries::of(home), home.acme().await);
    deliveries.send(&acme, "no chunk").await;
    // Received as often as it may be, and then once more.
    for _ in 0..3 {
        let _ = home.queue().receive(10, 1).await.expect("the queue");
        home.advance(Duration::from_secs(61));
    }
}

async fn dead_letter_stays(shown: Shown) {
    let home = home_with_dead_letters().await;
    let dead = home.queue().dead_letters();
    assert_eq!(home.queue().counts().await.expect("the queue").dead, 0);
    dead_letter(&home).await;
    assert_eq!(home.queue().counts().await.expect("the queue").dead, 1);
    let received = dead.receive(10, 1).await.expect("the queue");
    assert_eq!(received.len(), 1, "it waited to be received");
    if matches!(shown, Shown::DeadLetterInFlight) {
        assert!(dead.receive(10, 1).await.expect("the queue").is_empty(), "it is in flight");
        assert_eq!(home.queue().counts().await.expect("the queue").dead, 1, "and it is counted");
    }
    home.run.stop().await;
}

/// A chunk that nobody receives, or nobody can finish, was sent when it was sent.
async fn chunk_gets_old(scene: &Scene<'_>, row: &Row) {
    let allowed = scene.template.properties(row.alarm)["Threshold"].as_u64().expect("seconds");
    let home = Home::start().await;
    let deliveries = Deliveries::of(&home);
    let acme: Client = home.acme().await;
    deliveries.send(&acme, "no chunk").await;
    let sent_at = home.run.ambient().now();
    for _ in 0..2 {
        home.advance(Duration::from_secs(allowed + 1));
        let received = home.queue().receive(10, 1).await.expect("the queue");
        let [message] = received.as_slice() else { panic!("{} messages", received.len()) };
        let age = home.run.ambient().now().as_millis() - message.sent_at.as_millis();
        assert!(age > allowed * 1_000, "{age}");
        assert!(message.sent_at <= sent_at, "a redelivery does not make it younger");
    }
    home.run.stop().await;
}

/// The functions of which operations.md says that a metric comes from them.
fn documented(metric: &str) -> BTreeSet<&'static str> {
    let rows = OPERATIONS.lines().filter(|line| line.starts_with('|'));
    let mut cells = rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let row = cells.find(|cells| cells[1].split(", ").any(|name| name.trim_matches('`') == metric));
    match row.unwrap_or_else(|| panic!("operations.md does not know {metric}"))[3] {
        "all" => FUNCTIONS.into(),
        some => some.split(", ").collect(),
    }
}

#[test]
fn an_alarm_on_a_metric_of_ours_watches_every_function_that_it_comes_from() {
    let own = format!("Sundial/{STACK}");
    for alarm in Alarm::all_of(&Template::read()) {
        let ours: Vec<_> = alarm
            .watched()
            .into_iter()
            .map(|watched| watched.metric)
            .filter(|metric| metric.namespace == own)
            .collect();
        for metric in &ours {
            let same = ours.iter().filter(|other| other.name == metric.name);
            let functions: BTreeSet<_> = same.map(|metric| metric.dimensions["Function"].as_str()).collect();
            assert_eq!(functions, documented(&metric.name), "{}: {}", alarm.name, metric.name);
        }
    }
}

#[test]
fn an_alarm_sees_what_its_metric_tells_and_says_so() {
    /// How long what happened at one moment has to be in sight: metrics arrive a minute or two late, and what an alarm
    /// fills up with zeros meanwhile is not looked at again.
    const IN_SIGHT: u64 = 300;
    let template = Template::read().with("AlarmTopicArn", "a topic");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    for alarm in Alarm::all_of(&template) {
        let (name, properties) = (&alarm.name, &alarm.properties);
        // A metric that did not change is not written, and CloudWatch has nothing of it.
        assert_eq!(properties["TreatMissingData"], "notBreaching", "{name}");
        let periods = alarm.number("EvaluationPeriods").expect("a number of periods");
        let watched = alarm.watched();
        let period = watched[0].period;
        for one in &watched {
            let expected = match one.metric.name.as_str() {
                // These are what they are at one moment.
                "ApproximateNumberOfMessagesVisible"
                | "ApproximateNumberOfMessagesNotVisible"
                | "ApproximateAgeOfOldestMessage" => "Maximum",
                "Latency" => "p99",
                // All the others count.
                _ => "Sum",
            };
            assert_eq!(one.statistic, expected, "{name}: {}", one.metric);
            assert_eq!(one.period, period, "{name}: its metrics are added up period by period");
        }
        if let Some(expression) = alarm.expression() {
            // Without the zeros one metric that is missing would make the whole sum missing.
            assert_eq!(expression, "SUM(FILL(METRICS(), 0))", "{name}");
            let to_alarm = alarm.number("DatapointsToAlarm").unwrap_or(periods);
            assert!(period >= IN_SIGHT || (to_alarm == 1 && period * periods >= IN_SIGHT), "{name}");
        } else {
            assert_eq!(watched.len(), 1, "{name}");
        }

        // Somebody is told, of its end too, and finds what to do.
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(properties[actions], json!(["a topic"]), "{name}: {actions}");
        }
        let short = text(&properties["AlarmName"]).strip_prefix(&format!("{STACK}-")).expect("the stack").to_owned();
        assert!(text(&properties["AlarmDescription"]).ends_with(&format!("docs/operations.md#{short}.")), "{name}");
        assert!(OPERATIONS.contains(&format!("\n### {short}\n")), "{name}");
    }
    for function in FUNCTIONS {
        let variables = template.environment(function);
        let namespace = variables.iter().find(|(name, _)| name == "METRICS_NAMESPACE").expect("a namespace");
        assert_eq!(namespace.1, format!("Sundial/{STACK}"), "{}", logical_name(function));
    }
}
