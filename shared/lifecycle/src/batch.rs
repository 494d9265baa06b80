//! Processing of a batch of queue messages, as Lambda hands it to a function.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::timing::REPORT_MARGIN;
use futures_util::FutureExt;
use futures_util::future::join_all;
use telemetry::TraceContext;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;

/// The reason why a message was not processed to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unfinished {
    #[error("the time of the invocation is over")]
    OutOfTime,
    /// The panic's own text is printed where it happened.
    #[error("its processing panicked")]
    Panicked,
}

/// Reads the trace of the request that a message was sent for; `None` when it carries none.
#[must_use]
pub fn trace_of(message: &SqsMessage) -> Option<TraceContext> {
    message.attributes.get("AWSTraceHeader").and_then(|header| TraceContext::parse(header))
}

/// How often a message was received, this time included.
#[must_use]
pub fn receives_of(message: &SqsMessage) -> u32 {
    message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// Processes every message of the event concurrently, and names those that have to be delivered again. The outcome of
/// each goes to `report`, with the message's id.
///
/// A message that panics takes no other with it. Nothing runs on past `deadline`: what is not done a little before it is
/// reported unfinished.
pub async fn each<'event, Process, Processing, Failure>(
    event: &'event SqsEvent,
    deadline: Instant,
    process: Process,
    report: impl Fn(&str, &Failure),
) -> SqsBatchResponse
where
    Process: Fn(&'event SqsMessage) -> Processing,
    Processing: Future<Output = Result<(), Failure>>,
    Failure: From<Unfinished>,
{
    let until = tokio::time::Instant::from_std(deadline.checked_sub(REPORT_MARGIN).unwrap_or(deadline));
    let outcomes = event.records.iter().map(|message| {
        // What a panic leaves behind is dropped with it: a worker keeps nothing that the next one relies on.
        let guarded = AssertUnwindSafe(process(message)).catch_unwind();
        async move {
            match tokio::time::timeout_at(until, guarded).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(Unfinished::Panicked.into()),
                Err(_) => Err(Unfinished::OutOfTime.into()),
            }
        }
    });
    let outcomes = join_all(outcomes).await;
    let mut response = SqsBatchResponse::default();
    for (message, outcome) in event.records.iter().zip(outcomes) {
        let message_id = message.message_id.clone().unwrap_or_default();
        if let Err(failure) = outcome {
            report(&message_id, &failure);
            response.add_failure(message_id);
        }
    }
    response
}

/// Hands every message of the event to `handler` by itself, each on a thread of its own, and names those that have to
/// be delivered again. However long some of them compute, the others come to their end and the event is answered by its
/// deadline: what is not done a second before it is given back.
///
/// A message that has failed twice is suspected to end the whole process, by taking all of its memory say, and every other of the
/// event with it. Such messages come after the others, one by one, in one order at one delivery and the other way round at the
/// next: so what one of them takes with it has come to its end before.
///
/// What a handler waits for, it waits for by the runtime that this is called on, so that one thread is enough there.
pub async fn apart<Handler, Handling>(event: SqsEvent, deadline: Instant, handler: Handler) -> SqsBatchResponse
where
    Handler: Fn(SqsEvent, Instant) -> Handling,
    Handling: Future<Output = SqsBatchResponse> + Send + 'static,
{
    // By then the handler has given back whatever waits for something.
    let until = tokio::time::Instant::from_std(deadline.checked_sub(REPORT_MARGIN / 2).unwrap_or(deadline));
    let runtime = Handle::current();
    // Goes with this future, however that ends. Then nobody waits for the handlers any more, and those that wait end.
    let (_asking, asked) = watch::channel(());
    let mut tasks = JoinSet::new();
    let mut unfinished: HashMap<tokio::task::Id, String> = HashMap::with_capacity(event.records.len());
    let mut response = SqsBatchResponse::default();
    let phases = phases(event.records);
    let mut left = u32::try_from(phases.len()).unwrap_or(u32::MAX);
    for phase in phases {
        for message in phase {
            let id = message.message_id.clone().unwrap_or_default();
            let mut alone = SqsEvent::default();
            alone.records = vec![message];
            let handling = handler(alone, deadline).in_current_span();
            let (runtime, mut asked) = (runtime.clone(), asked.clone());
            let task = tasks.spawn_blocking(move || {
                runtime.block_on(async move {
                    tokio::select! {
                        biased;
                        _ = asked.changed() => SqsBatchResponse::default(),
                        response = handling => response,
                    }
                })
            });
            unfinished.insert(task.id(), id);
        }
        // One that does not end in its share of the time goes on beside the next.
        let now = tokio::time::Instant::now();
        let phase_end = now + until.saturating_duration_since(now) / left;
        left -= 1;
        while let Ok(Some(ended)) = tokio::time::timeout_at(phase_end, tasks.join_next_with_id()).await {
            // A task that panicked stays among the unfinished ones.
            if let Ok((task, ended)) = ended {
                unfinished.remove(&task);
                response.batch_item_failures.extend(ended.batch_item_failures);
            }
        }
    }
    for message_id in unfinished.into_values() {
        tracing::error!(message.id = message_id, reason = %Unfinished::OutOfTime, "a message does not come to its end");
        response.add_failure(message_id);
    }
    response
}

/// Receives after which a message is suspected. It has two deliveries left at least by the template's `MaxReceives`.
const SUSPECTED_AFTER: u32 = 2;

/// The messages of an event in the order in which they are handed over: those of one phase side by side.
///
/// Suspected ones come last and one by one: by their ids at one delivery, and the other way round at the next. So each of them
/// comes before each other at one of two deliveries, and what one that ends the process takes with it is finished before.
/// Finished it has no further effect, however often it is delivered.
fn phases(messages: Vec<SqsMessage>) -> Vec<Vec<SqsMessage>> {
    let (mut suspected, others): (Vec<_>, Vec<_>) =
        messages.into_iter().partition(|message| receives_of(message) > SUSPECTED_AFTER);
    suspected.sort_by(|left, right| left.message_id.cmp(&right.message_id));
    if suspected.iter().map(receives_of).max().is_some_and(|most| most % 2 == 0) {
        suspected.reverse();
    }
    let mut phases: Vec<Vec<SqsMessage>> = suspected.into_iter().map(|message| vec![message]).collect();
    if !others.is_empty() {
        phases.insert(0, others);
    }
    phases
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_message_that_panics_or_takes_too_long_takes_no_other_with_it() {
        let mut event = SqsEvent::default();
        event.records = ["good", "panics", "slow", "fails"]
            .map(|body| {
                let mut message = SqsMessage::default();
                message.message_id = Some(format!("id of {body}"));
                message.body = Some(body.to_owned());
                message
            })
            .into();
        let process = async |message: &SqsMessage| match message.body.as_deref() {
            Some("panics") => panic!("a bug"),
            Some("slow") => {
                tokio::time::sleep(Duration::from_hours(1)).await;
                Ok(())
            }
            Some("fails") => Err(Unfinished::OutOfTime),
            _ => Ok(()),
        };
        let reported = Mutex::new(Vec::new());
        let report = |id: &str, failure: &Unfinished| reported.lock().unwrap().push(format!("{id}: {failure}"));
        let deadline = tokio::time::Instant::now().into_std() + Duration::from_secs(30);
        let response = each(&event, deadline, process, report).await;

        let failed: Vec<_> = response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
        assert_eq!(failed, ["id of panics", "id of slow", "id of fails"]);
        assert_eq!(
            reported.into_inner().unwrap(),
            [
                "id of panics: its processing panicked",
                "id of slow: the time of the invocation is over",
                "id of fails: the time of the invocation is over",
            ]
        );
    }

    fn messages<const COUNT: usize>(ids: [&str; COUNT]) -> SqsEvent {
        let mut event = SqsEvent::default();
        event.records = ids
            .map(|id| {
                let mut message = SqsMessage::default();
                message.message_id = Some(id.to_owned());
                message
            })
            .into();
        event
    }

    /// On one thread, as in a function.
    #[tokio::test]
    async fn messages_that_compute_without_end_keep_no_other_from_its_end() {
        static IS_OVER: AtomicBool = AtomicBool::new(false);
        let event = messages(["first", "endless", "endless too", "last", "fails"]);
        let ended = Arc::new(Mutex::new(Vec::new()));
        let handler = |event: SqsEvent, _| {
            let ended = Arc::clone(&ended);
            async move {
                let id = event.records[0].message_id.clone().unwrap();
                // Given some that wait for something first, and then never again,
                tokio::time::sleep(Duration::from_millis(1)).await;
                let mut response = SqsBatchResponse::default();
                if id.starts_with("endless") {
                    while !IS_OVER.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                    return response;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                if id == "fails" {
                    response.add_failure(id.clone());
                }
                ended.lock().unwrap().push(id);
                response
            }
        };
        // when there is some time until the event has to be answered,
        let response = apart(event, Instant::now() + REPORT_MARGIN / 2 + Duration::from_secs(2), handler).await;
        let mut ended = ended.lock().unwrap().clone();
        IS_OVER.store(true, Ordering::Relaxed);
        // then the others come to their end meanwhile, and those alone are given back.
        let mut failed: Vec<_> =
            response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
        failed.sort();
        ended.sort();
        assert_eq!(
            (failed, ended),
            (
                ["endless", "endless too", "fails"].map(str::to_owned).to_vec(),
                ["fails", "first", "last"].map(str::to_owned).to_vec(),
            )
        );
    }

    #[tokio::test]
    async fn a_message_that_panics_is_given_back_and_one_that_nobody_asks_for_any_more_ends() {
        let handler = |event: SqsEvent, _| async move {
            assert_ne!(event.records[0].message_id.as_deref(), Some("panics"), "a bug");
            SqsBatchResponse::default()
        };
        let deadline = Instant::now() + Duration::from_mins(1);
        let response = apart(messages(["good", "panics"]), deadline, handler).await;
        let failed: Vec<_> = response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
        assert_eq!(failed, ["panics"]);

        let dropped = Arc::new(());
        let waits = |_, _| {
            let held = Arc::clone(&dropped);
            async move {
                std::future::pending::<()>().await;
                drop(held);
                SqsBatchResponse::default()
            }
        };
        let given_up =
            tokio::time::timeout(Duration::from_millis(20), apart(messages(["waits"]), deadline, waits)).await;
        assert!(given_up.is_err());
        while Arc::strong_count(&dropped) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn received(id: &str, receives: u32) -> SqsMessage {
        let mut message = SqsMessage::default();
        message.message_id = Some(id.to_owned());
        message.attributes.insert("ApproximateReceiveCount".to_owned(), receives.to_string());
        message
    }

    fn ids(phases: &[Vec<SqsMessage>]) -> Vec<Vec<String>> {
        let id = |message: &SqsMessage| message.message_id.clone().unwrap_or_default();
        phases.iter().map(|phase| phase.iter().map(id).collect()).collect()
    }

    #[test]
    fn what_failed_twice_comes_last_and_alone() {
        let messages = || vec![received("b", 3), received("c", 1), received("a", 4), received("d", 2)];
        assert_eq!(ids(&phases(messages())), [vec!["c", "d"], vec!["b"], vec!["a"]]);
        assert_eq!(ids(&phases(vec![received("a", 1), received("b", 2)])), [vec!["a", "b"]]);
        assert_eq!(ids(&phases(vec![received("b", 3), received("a", 3)])), [vec!["a"], vec!["b"]]);
        assert!(phases(Vec::new()).is_empty());
    }

    /// A message that ends the process at each delivery, among others that are delivered with it each time: all of them are done
    /// before the fifth, after which they would be dead letters.
    #[test]
    fn whatever_one_message_takes_with_it_is_done_before_it_is_given_up() {
        for count in 2..=10 {
            for deadly in 0..count {
                let mut left: Vec<usize> = (0..count).collect();
                for receives in 1..=4 {
                    let messages = left.iter().map(|number| received(&number.to_string(), receives)).collect();
                    // Side by side, none of a phase with the deadly one is sure to be done.
                    let deadly = deadly.to_string();
                    let done: Vec<usize> = ids(&phases(messages))
                        .into_iter()
                        .take_while(|phase| !phase.contains(&deadly))
                        .flatten()
                        .map(|id| id.parse().unwrap())
                        .collect();
                    left.retain(|number| !done.contains(number));
                }
                assert_eq!(left, [deadly], "of {count}");
            }
        }
    }

    #[tokio::test]
    async fn the_suspected_are_handed_over_one_at_a_time_and_none_waits_for_one_without_end() {
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let mut event = SqsEvent::default();
        event.records = ["a", "b", "c", "endless"].map(|id| received(id, 3)).into();
        let handler = |event: SqsEvent, _| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                if event.records[0].message_id.as_deref() == Some("endless") {
                    std::future::pending::<()>().await;
                }
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                SqsBatchResponse::default()
            }
        };
        // At this delivery the endless one comes last; at the next, first.
        for receives in [3, 4] {
            for message in &mut event.records {
                *message = received(message.message_id.as_deref().unwrap(), receives);
            }
            let response = apart(event.clone(), Instant::now() + Duration::from_secs(3), handler).await;
            let failed: Vec<_> =
                response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
            assert_eq!(failed, ["endless"], "{receives}");
        }
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    /// What those before it did not need is left to the last of the suspected.
    #[tokio::test]
    async fn the_last_of_the_suspected_has_all_the_time_that_is_left() {
        let mut event = SqsEvent::default();
        event.records = ["a", "b", "slow"].map(|id| received(id, 3)).into();
        let handler = |event: SqsEvent, _| async move {
            if event.records[0].message_id.as_deref() == Some("slow") {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            SqsBatchResponse::default()
        };
        // A third of the two seconds would not do.
        let response = apart(event, Instant::now() + REPORT_MARGIN / 2 + Duration::from_secs(2), handler).await;
        assert!(response.batch_item_failures.is_empty(), "{response:?}");
    }

    #[test]
    fn a_message_tells_its_trace_and_how_often_it_was_received() {
        let mut message = received("a", 7);
        assert_eq!((receives_of(&message), trace_of(&message).is_none()), (7, true));
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
        message.attributes.insert("AWSTraceHeader".to_owned(), header.to_owned());
        assert_eq!(
            trace_of(&message).map(|trace| trace.id().to_string()),
            Some("1-5759e988-bd862e3fe1be46a994272793".into())
        );
        message.attributes.clear();
        assert_eq!(receives_of(&message), 1, "SQS says it of every message");
    }
}
