use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use domain::account::AccountId;
use domain::clock::Clock;
use domain::time::Timestamp;
use store::queue::{Outgoing, Queue};

use super::*;
use crate::queue::{Counts, LocalQueue, QueueOptions};

const PATIENCE: Duration = Duration::from_secs(10);

fn queue() -> (LocalQueue, Clock) {
    let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000), 1);
    (LocalQueue::in_memory(QueueOptions::default(), clock.clone()).unwrap(), clock)
}

async fn send(queue: &LocalQueue, bodies: &[&str]) {
    let account = AccountId::parse("acme").unwrap();
    let outgoing = bodies.iter().map(|body| Outgoing { account: account.clone(), body: (*body).into(), trace: None });
    queue.send(outgoing.collect()).await.unwrap();
}

/// Waits until the counts are these, and says what they were when they never become so.
async fn until(queue: &LocalQueue, visible: usize, in_flight: usize, dead: usize) {
    let wanted = Counts { visible, in_flight, dead };
    let started = Instant::now();
    loop {
        let counts = queue.counts().await.unwrap();
        if counts == wanted {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "wanted {wanted:?}, still {counts:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn bodies(event: &SqsEvent) -> Vec<String> {
    event.records.iter().map(|record| record.body.clone().unwrap()).collect()
}

#[tokio::test]
async fn a_handler_gets_what_lambda_would_give_it_and_what_it_handled_is_deleted() {
    let (queue, _) = queue();
    let account = AccountId::parse("acme").unwrap();
    queue.send(vec![Outgoing { account, body: "hello".into(), trace: Some("Root=1-2-3".into()) }]).await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let poller = consume_from(&queue, Polling::default(), {
        let seen = Arc::clone(&seen);
        move |event, deadline| {
            assert!(deadline > Instant::now());
            seen.lock().unwrap().push(event);
            async { SqsBatchResponse::default() }
        }
    });
    until(&queue, 0, 0, 0).await;
    poller.stop(PATIENCE).await;

    let events = seen.lock().unwrap();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let record = &event.records[0];
    assert_eq!(record.body.as_deref(), Some("hello"));
    assert_eq!(record.event_source.as_deref(), Some("aws:sqs"));
    assert_eq!(record.receipt_handle.as_deref(), Some("1.1"));
    assert_eq!(record.message_id.as_ref().unwrap().len(), 36);
    let attributes: std::collections::BTreeMap<_, _> =
        record.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("AWSTraceHeader", "Root=1-2-3"),
        ("ApproximateFirstReceiveTimestamp", "1700000000000"),
        ("ApproximateReceiveCount", "1"),
        ("MessageGroupId", "acme"),
        ("SentTimestamp", "1700000000000"),
    ];
    assert_eq!(attributes, expected.into());
}

#[tokio::test]
async fn of_a_batch_only_what_failed_comes_back_and_in_the_end_goes_to_the_dead_letters() {
    let (queue, clock) = queue();
    send(&queue, &["good-1", "bad", "good-2"]).await;
    let batches = Arc::new(Mutex::new(Vec::new()));
    let one_receiver = Polling { receivers: 1, batch: 10, ..Polling::default() };
    let poller = consume_from(&queue, one_receiver, {
        let batches = Arc::clone(&batches);
        move |event, _| {
            batches.lock().unwrap().push(bodies(&event));
            let mut response = SqsBatchResponse::default();
            for record in event.records.into_iter().filter(|record| record.body.as_deref() == Some("bad")) {
                response.add_failure(record.message_id.unwrap());
            }
            async { response }
        }
    });
    for _ in 0..5 {
        until(&queue, 0, 1, 0).await;
        clock.advance(30_000);
    }
    until(&queue, 0, 0, 1).await;
    poller.stop(PATIENCE).await;
    let expected: [&[&str]; 5] = [&["good-1", "bad", "good-2"], &["bad"], &["bad"], &["bad"], &["bad"]];
    assert_eq!(*batches.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_panic_or_an_answer_about_a_stranger_fails_the_whole_batch_and_the_receiver_goes_on() {
    for panics in [true, false] {
        let (queue, clock) = queue();
        send(&queue, &["one", "two"]).await;
        let calls = Arc::new(AtomicUsize::new(0));
        let one_receiver = Polling { receivers: 1, batch: 10, ..Polling::default() };
        let poller = consume_from(&queue, one_receiver, {
            let calls = Arc::clone(&calls);
            move |_, _| {
                let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
                assert!(!(first && panics), "as asked for by the test");
                let mut response = SqsBatchResponse::default();
                if first {
                    response.add_failure("");
                }
                async { response }
            }
        });
        until(&queue, 0, 2, 0).await;
        clock.advance(30_000);
        until(&queue, 0, 0, 0).await;
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        poller.stop(PATIENCE).await;
    }
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_stopped_and_its_batch_comes_back() {
    let (queue, clock) = queue();
    send(&queue, &["slow"]).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let hasty = Polling { receivers: 1, time_limit: Duration::from_millis(20), ..Polling::default() };
    let poller = consume_from(&queue, hasty, {
        let calls = Arc::clone(&calls);
        move |_, _| {
            let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if first {
                    std::future::pending::<()>().await;
                }
                SqsBatchResponse::default()
            }
        }
    });
    until(&queue, 0, 1, 0).await;
    // The clock of the queue stands still, so the receiver is free again long before the message is.
    tokio::time::sleep(Duration::from_millis(60)).await;
    until(&queue, 0, 1, 0).await;
    clock.advance(30_000);
    until(&queue, 0, 0, 0).await;
    poller.stop(PATIENCE).await;
}

#[tokio::test]
async fn so_many_handlers_run_at_a_time_and_each_gets_its_share() {
    let (queue, _) = queue();
    send(&queue, &["1", "2", "3", "4", "5", "6"]).await;
    let running = Arc::new(tokio::sync::Barrier::new(3));
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let poller = consume_from(&queue, Polling { receivers: 3, ..Polling::default() }, {
        let sizes = Arc::clone(&sizes);
        move |event, _| {
            sizes.lock().unwrap().push(event.records.len());
            let running = Arc::clone(&running);
            async move {
                // Ends only when three handlers are here at the same time.
                running.wait().await;
                SqsBatchResponse::default()
            }
        }
    });
    // Five messages end with the first three handlers; the sixth's handler waits for two others that never come.
    until(&queue, 0, 1, 0).await;
    poller.stop(Duration::ZERO).await;
    assert_eq!(sizes.lock().unwrap()[..3], [2, 2, 1], "a share of what waited at the time");
}

#[tokio::test]
async fn while_paused_nothing_is_received() {
    let (queue, _) = queue();
    let poller = consume_from(&queue, Polling::default(), |_, _| async { SqsBatchResponse::default() });
    poller.pause();
    tokio::time::sleep(Duration::from_millis(20)).await;
    send(&queue, &["hello"]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    until(&queue, 1, 0, 0).await;
    poller.resume();
    until(&queue, 0, 0, 0).await;
    poller.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_stop_lets_running_handlers_finish_within_the_grace_time_and_ends_the_others() {
    for (grace, handled) in [(PATIENCE, true), (Duration::from_millis(20), false)] {
        let (queue, _) = queue();
        send(&queue, &["hello"]).await;
        let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
        let release = Arc::new(tokio::sync::Notify::new());
        let poller = consume_from(&queue, Polling::default(), {
            let release = Arc::clone(&release);
            move |_, _| {
                started.send(()).unwrap();
                let release = Arc::clone(&release);
                async move {
                    release.notified().await;
                    SqsBatchResponse::default()
                }
            }
        });
        starts.recv().await.unwrap();
        let stopping = tokio::spawn(poller.stop(grace));
        send(&queue, &["too late"]).await;
        if handled {
            tokio::time::sleep(Duration::from_millis(20)).await;
            release.notify_one();
        }
        stopping.await.unwrap();
        let Counts { visible, in_flight, .. } = queue.counts().await.unwrap();
        assert_eq!((visible, in_flight), (1, usize::from(!handled)));
    }
}
