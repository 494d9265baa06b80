//! Every alarm of the deployment template: each metric that it watches is seen to move when that happens which the alarm is
//! for. Where no stand-in for AWS can show it, or not all of it, the test says so out loud: `NOT SHOWN: …`.
//!
//! A metric of our own is shown by the program that is deployed: what it prints has to name the metric, its namespace and its
//! dimension exactly as the alarm does, or the alarm would never go off. What an alarm makes of its metric's data points is
//! tried by `infra/test_alarms.py`.

mod causes;
mod database;
mod metrics;
mod programs;

use std::collections::{BTreeMap, BTreeSet};
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

/// Those of which an alarm tells that Lambda refuses them. Of sweep it tells the run that is missing then.
const THROTTLED: [&str; 5] = ["accept", "consume", "status", "records", "bury"];

const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// One alarm, and its metric.
struct Row {
    alarm: String,
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

/// Every alarm with its metric. Names are spelled here once more, so that a change of one is noticed.
fn table() -> Vec<Row> {
    const GATEWAY: &str = "that the gateway counts: what is shown is the answer that it would pass on. No stand-in's \
        gateway keeps metrics";
    const SAMPLES: &str = "that SQS tells CloudWatch, which it does once a minute: what is shown is what it would count. \
        The suite asks an SQS for the same numbers";
    let own = &format!("Sundial/{STACK}");
    let row = |alarm: &str, metric, shown, not_shown| Row { alarm: alarm.to_owned(), metric, shown, not_shown };
    let dead_letters = ("QueueName", &*format!("{STACK}-dead-letters"));
    let api = ("ApiId", "HttpApi");
    let mut rows = vec![
        row(
            "DeadLettersWaitingAlarm",
            Metric::new("AWS/SQS", "ApproximateNumberOfMessagesVisible", dead_letters),
            Shown::DeadLetterWaits,
            Some(SAMPLES),
        ),
        row(
            "DeadLettersInFlightAlarm",
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
        row(
            "SweepNotRunAlarm",
            Metric::new("AWS/Lambda", "Invocations", ("FunctionName", &format!("{STACK}-sweep"))),
            Shown::Nothing,
            Some("that EventBridge calls sweep and Lambda counts it: the suite has MiniStack count what it hands over"),
        ),
    ];
    for function in FUNCTIONS {
        let errors = Metric::new("AWS/Lambda", "Errors", ("FunctionName", &format!("{STACK}-{function}")));
        rows.push(row(
            &alarm_of(function, "Errors"),
            errors,
            Shown::FunctionFails(function),
            Some("timeouts and the end of memory, which Lambda alone brings about and counts"),
        ));
        let throttles = Metric::new(own, "DynamoDbThrottles", ("Function", function));
        rows.push(row(&alarm_of(function, "DynamoDbThrottles"), throttles, Shown::Throttled(function), None));
    }
    for function in THROTTLED {
        let throttles = Metric::new("AWS/Lambda", "Throttles", ("FunctionName", &format!("{STACK}-{function}")));
        rows.push(row(
            &alarm_of(function, "Throttles"),
            throttles,
            Shown::Nothing,
            Some(
                "here there is no Lambda that refuses to invoke: the suite has MiniStack do so, by its own idea of why",
            ),
        ));
    }
    for function in FAILING_JOBS {
        let metric = Metric::new(own, "JobsFailed", ("Function", function));
        rows.push(row(&alarm_of(function, "JobsFailed"), metric, Shown::JobFails(function), None));
    }
    rows
}

/// What the template calls a function's alarm.
fn alarm_of(function: &str, what: &str) -> String {
    format!("{}{what}Alarm", logical_name(function))
}

#[test]
fn the_table_has_the_metric_of_every_alarm_and_no_other() {
    let template = Template::read();
    let listed = |alarm: &str, metric: &Metric| format!("{alarm}: {metric}");
    let alarms = Alarm::all_of(&template);
    let watched: Vec<_> = alarms.iter().map(|alarm| listed(&alarm.name, &alarm.watched().metric)).collect();
    let known: Vec<_> = table().iter().map(|row| listed(&row.alarm, &row.metric)).collect();
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
        let Metric { namespace, name, .. } = &row.metric;
        not_shown.extend(row.not_shown.map(|what| format!("NOT SHOWN: {namespace} {name}: {what}")));
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
            let allowed = scene.template.properties(&row.alarm)["Threshold"].as_u64().expect("milliseconds");
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
    let allowed = scene.template.properties(&row.alarm)["Threshold"].as_u64().expect("seconds");
    let home = Home::start().await;
    let deliveries = Deliveries::of(&home);
    let acme: Client = home.acme().await;
    deliveries.send(&acme, "no chunk").await;
    let sent_at = home.run.clock().now();
    for _ in 0..2 {
        home.advance(Duration::from_secs(allowed + 1));
        let received = home.queue().receive(10, 1).await.expect("the queue");
        let [message] = received.as_slice() else { panic!("{} messages", received.len()) };
        let age = home.run.clock().now().as_millis() - message.sent_at.as_millis();
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
fn the_alarms_on_a_metric_of_ours_watch_every_function_that_it_comes_from() {
    let own = format!("Sundial/{STACK}");
    let watched = Alarm::all_of(&Template::read()).into_iter().map(|alarm| alarm.watched().metric);
    let mut ours: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for metric in watched.filter(|metric| metric.namespace == own) {
        ours.entry(metric.name).or_default().insert(metric.dimensions["Function"].clone());
    }
    for (metric, functions) in &ours {
        let functions: BTreeSet<_> = functions.iter().map(String::as_str).collect();
        assert_eq!(functions, documented(metric), "{metric}");
    }
    assert!(ours.len() >= 3, "{ours:?}");
}

#[test]
fn an_alarm_sees_what_its_metric_tells_and_says_so() {
    let template = Template::read();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    for alarm in Alarm::all_of(&template) {
        let (name, properties) = (&alarm.name, &alarm.properties);
        let watched = alarm.watched();
        let (statistic, missing) = match watched.metric.name.as_str() {
            // These are what they are at one moment.
            "ApproximateNumberOfMessagesVisible"
            | "ApproximateNumberOfMessagesNotVisible"
            | "ApproximateAgeOfOldestMessage" => ("Maximum", "notBreaching"),
            "Latency" => ("p99", "notBreaching"),
            // What is not called is not counted, and that is what its alarm is for.
            "Invocations" => ("Sum", "breaching"),
            // All the others count, and nothing is written where nothing is counted.
            _ => ("Sum", "notBreaching"),
        };
        assert_eq!(watched.statistic, statistic, "{name}: {}", watched.metric);
        assert_eq!(properties["TreatMissingData"], missing, "{name}");
        // Metrics arrive a minute or more late: a shorter period may be over before it has any.
        assert!(watched.period >= 300, "{name}");
        let points = ["DatapointsToAlarm", "EvaluationPeriods"].map(|points| alarm.number(points).expect("a number"));
        assert!((1..=points[1]).contains(&points[0]), "{name}: {points:?}");

        // Whoever is woken finds what to do. The alarms of one kind have one section, and then their names say more.
        let short = text(&properties["AlarmName"]).strip_prefix(&format!("{STACK}-")).expect("the stack").to_owned();
        let description = text(&properties["AlarmDescription"]);
        let (_, section) = description.rsplit_once("docs/operations.md#").expect("where to read");
        let section = section.strip_suffix('.').expect("the end of a sentence");
        let more = short.strip_prefix(section).unwrap_or_else(|| panic!("{name}: {short} is not of {section}"));
        assert!(more.is_empty() || more.starts_with('-'), "{name}: {short} is not of {section}");
        assert!(OPERATIONS.contains(&format!("\n### {section}\n")), "{name}");
    }
    for function in FUNCTIONS {
        let variables = template.environment(function);
        let namespace = variables.iter().find(|(name, _)| name == "METRICS_NAMESPACE").expect("a namespace");
        assert_eq!(namespace.1, format!("Sundial/{STACK}"), "{}", logical_name(function));
    }
}

#[test]
fn every_alarm_tells_everybody_who_is_to_be_told_of_its_end_too() {
    let tells = |topic: &str, email: &str, expected: &[&str]| {
        let template = Template::read().with("AlarmTopicArn", topic).with("AlarmEmail", email);
        for alarm in Alarm::all_of(&template) {
            for actions in ["AlarmActions", "OKActions"] {
                // What comes to `AWS::NoValue` is not there.
                let all = alarm.properties[actions].as_array().expect("a list").iter();
                let topics: Vec<&Value> = all.filter(|one| !one.is_null()).collect();
                assert_eq!(topics, expected, "{}: {actions}", alarm.name);
            }
        }
    };
    tells("", "", &[]);
    tells("a topic", "", &["a topic"]);
    tells("", "you@example.com", &["AlarmEmailTopic"]);
    tells("a topic", "you@example.com", &["a topic", "AlarmEmailTopic"]);

    let subscription = Template::read().with("AlarmEmail", "you@example.com").properties("AlarmEmailSubscription");
    let expected = json!({"TopicArn": "AlarmEmailTopic", "Protocol": "email", "Endpoint": "you@example.com"});
    assert_eq!(subscription, expected);
}
