//! A batch of messages, as Lambda hands it over.

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

/// Why a message was not brought to its end, good or bad.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unfinished {
    #[error("the time of the invocation is over")]
    OutOfTime,
    /// The panic's own text is printed where it happened.
    #[error("its processing panicked")]
    Panicked,
}

/// The trace of the request that a message came with.
#[must_use]
pub fn trace_of(message: &SqsMessage) -> Option<TraceContext> {
    message.attributes.get("AWSTraceHeader").and_then(|header| TraceContext::parse(header))
}

/// Processes every message of the event, side by side, and names those that have to be delivered again. Each of them goes
/// to `report`, with its id.
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

/// Hands every message of the event over by itself, each on a thread of its own, and names those that have to be delivered
/// again. However long some of them compute, the others come to their end and the event is answered by its deadline: what is
/// not done a second before it is given back.
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
    for message in event.records {
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
    let mut response = SqsBatchResponse::default();
    while let Ok(Some(ended)) = tokio::time::timeout_at(until, tasks.join_next_with_id()).await {
        // A task that panicked stays among the unfinished ones.
        if let Ok((task, ended)) = ended {
            unfinished.remove(&task);
            response.batch_item_failures.extend(ended.batch_item_failures);
        }
    }
    for message_id in unfinished.into_values() {
        tracing::error!(message.id = message_id, reason = %Unfinished::OutOfTime, "a message does not come to its end");
        response.add_failure(message_id);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
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
}
