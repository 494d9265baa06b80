//! A batch of messages, as Lambda hands it over.

use std::future::Future;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::future::join_all;

/// Time kept at the end of an invocation to report what is unfinished.
const MARGIN: Duration = Duration::from_secs(2);

/// An invocation ended before a message was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the time of the invocation is over")]
pub struct OutOfTime;

/// Processes every message of the event, side by side, and names those that have to be delivered again. Each of them goes
/// to `report`, with its id.
///
/// Nothing runs on past `deadline`: what is not done a little before it is reported unfinished.
pub async fn each<'event, Process, Processing, Failure>(
    event: &'event SqsEvent,
    deadline: Instant,
    process: Process,
    report: impl Fn(&str, &Failure),
) -> SqsBatchResponse
where
    Process: Fn(&'event SqsMessage) -> Processing,
    Processing: Future<Output = Result<(), Failure>>,
    Failure: From<OutOfTime>,
{
    let until = tokio::time::Instant::from_std(deadline.checked_sub(MARGIN).unwrap_or(deadline));
    let outcomes = event.records.iter().map(|message| {
        let processing = tokio::time::timeout_at(until, process(message));
        async move { processing.await.unwrap_or_else(|_| Err(OutOfTime.into())) }
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
