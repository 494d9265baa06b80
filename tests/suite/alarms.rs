//! What the alarms on queues and on Lambda look at: the numbers that a stand-in for AWS has of them, by the names that the
//! deployed template gives. `tests/it/alarms.rs` has every metric of every alarm.

use std::time::{Duration, Instant};

use local::queue::QueueOptions;

use crate::home::deployed::Deployed;
use crate::home::queues::{self, Counts, Queues};
use crate::home::{Home, IMPATIENT, Kind, LONG_PATIENCE, not_here};

/// No function can read it, so nobody ever finishes it.
const UNREADABLE: &str = "no chunk";

/// How long a dead letter that bury does not finish is watched: some of its tries, where they follow each other soon.
const WATCHED: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_bury_cannot_close_is_counted_all_the_time() {
    let (home, stack) = if Kind::chosen() == Kind::MiniStack {
        let (home, stack) = Home::undisturbed_stack().await;
        (home, Some(stack))
    } else {
        (Home::start_with(IMPATIENT).await, None)
    };
    let count = async || match stack {
        Some(stack) => stack.dead_letters().await.all(),
        None => home.dead_letters().await.expect("a queue of its own"),
    };
    becomes(&count, 0).await;
    match stack {
        // It takes too many of a deployed queue's visibility timeouts to get there by itself; poison.rs waits for that.
        Some(stack) => stack.send_dead_letter(UNREADABLE).await,
        None => home.send(&home.agent().await, [UNREADABLE.to_owned()]).await,
    }
    becomes(&count, 1).await;
    let watched_since = Instant::now();
    while watched_since.elapsed() < WATCHED {
        assert_eq!(count().await, 1, "after {:?}", watched_since.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if let Some(stack) = stack {
        stack.purge_dead_letters().await;
        becomes(&count, 0).await;
    }
    home.stop().await;
}

async fn becomes(count: impl AsyncFn() -> usize, expected: usize) {
    let waiting_since = Instant::now();
    loop {
        let now = count().await;
        if now == expected {
            return;
        }
        assert!(waiting_since.elapsed() < LONG_PATIENCE, "{now} dead letters, and not {expected}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_visible_or_in_flight_and_keeps_its_age() {
    const VISIBILITY: Duration = Duration::from_secs(1);
    let aws = match Kind::chosen() {
        Kind::Local => return not_here("what SQS counts", "there is no SQS; tests/it/alarms.rs asks the local queue"),
        Kind::LocalStack => queues::settings(),
        Kind::MiniStack => Deployed::known().aws.clone(),
    };
    let queues = Queues::make(aws, QueueOptions { visibility: VISIBILITY, max_receives: 5 }).await;
    queues.send(UNREADABLE).await;
    let mut sent = None;
    for receives in 1..=2 {
        let waiting_since = Instant::now();
        while queues.counts().await != (Counts { visible: 1, in_flight: 0 }) {
            assert!(waiting_since.elapsed() < LONG_PATIENCE, "{:?}", queues.counts().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let received = queues.receive().await;
        assert_eq!(received.receives, receives);
        // From it CloudWatch has the age.
        assert_eq!(*sent.get_or_insert(received.sent_at), received.sent_at);
        assert_eq!(queues.counts().await, Counts { visible: 0, in_flight: 1 });
    }
    queues.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_and_throttles_of_each_function_are_counted_by_its_deployed_name() {
    if Kind::chosen() != Kind::MiniStack {
        return not_here("what Lambda counts", "there is no Lambda");
    }
    let (home, stack) = Home::undisturbed_stack().await;
    for function in ["accept", "consume", "status", "records", "bury", "sweep"] {
        let (errors, throttles) = (stack.counted(function, "Errors").await, stack.counted(function, "Throttles").await);
        let invocations = stack.counted(function, "Invocations").await;
        let handed = stack.hand_over(function, r#""no event of its kind""#).await;
        assert!(handed.status.is_success(), "{function}: {}", handed.body);
        if function == "sweep" {
            assert!(!handed.failed, "it reads no event: {}", handed.body);
            not_here("an error of sweep", "it needs a broken database: tests/it/alarms.rs has one");
        } else {
            assert!(handed.failed, "{function}: {}", handed.body);
            assert!(stack.counted(function, "Errors").await > errors, "{function}");
        }
        assert!(stack.counted(function, "Invocations").await > invocations, "{function}");
        assert!(stack.counted(function, "Throttles").await <= throttles, "{function}: it was not throttled yet");

        stack.throttle(function, true).await;
        let handed = stack.hand_over(function, "{}").await;
        stack.throttle(function, false).await;
        assert_eq!(handed.status, 429, "{function}: {}", handed.body);
        assert!(stack.counted(function, "Throttles").await > throttles, "{function}");
    }
    home.stop().await;
}
