use std::collections::BTreeSet;
use std::path::PathBuf;

use domain::account::AccountId;
use tempfile::TempDir;

use super::*;

const VISIBILITY: u64 = 30_000;

/// Longer than any message that died with the process waits, in milliseconds.
const MOST_WAIT: u64 = 121_000;

fn clock() -> Clock {
    Clock::manual(Timestamp::from_seconds(1_700_000_000), 1)
}

fn message(account: &str, body: &str) -> Outgoing {
    Outgoing { account: AccountId::parse(account).unwrap(), body: body.into(), trace: None }
}

fn messages(account: &str, count: usize) -> Vec<Outgoing> {
    (0..count).map(|number| message(account, &format!("{account}-{number}"))).collect()
}

fn in_memory(clock: &Clock) -> LocalQueue {
    LocalQueue::in_memory(QueueOptions::default(), clock.clone()).unwrap()
}

/// Receives as the only receiver there is.
async fn receive(queue: &LocalQueue) -> Vec<Received> {
    queue.receive(MOST_PER_RECEIVE, 1).await.unwrap()
}

async fn receive_one(queue: &LocalQueue) -> Received {
    let mut received = queue.receive(1, 1).await.unwrap();
    assert_eq!(received.len(), 1);
    received.remove(0)
}

fn bodies(received: &[Received]) -> Vec<&str> {
    received.iter().map(|message| message.body.as_str()).collect()
}

async fn counts(queue: &LocalQueue) -> (usize, usize, usize) {
    let Counts { visible, in_flight, dead } = queue.counts().await.unwrap();
    (visible, in_flight, dead)
}

#[tokio::test]
async fn a_message_is_handed_out_with_what_sqs_says_about_it_and_ends_with_its_deletion() {
    let clock = clock();
    let queue = in_memory(&clock);
    queue.send(vec![Outgoing { trace: Some("Root=1-2-3".into()), ..message("acme", "hello") }]).await.unwrap();
    clock.advance(1_500);

    let received = receive_one(&queue).await;
    assert_eq!((received.account.as_str(), received.body.as_str(), received.receives), ("acme", "hello", 1));
    assert_eq!(received.trace.as_deref(), Some("Root=1-2-3"));
    assert_eq!(received.sent_at, Timestamp::from_seconds(1_700_000_000));
    assert_eq!(received.first_received_at, Timestamp::from_millis(1_700_000_001_500));
    assert!(uuid::Uuid::parse_str(&received.message_id).is_ok());
    assert_eq!(counts(&queue).await, (0, 1, 0));

    assert_eq!(queue.delete(vec![received.receipt]).await.unwrap(), 1);
    clock.advance(VISIBILITY);
    assert_eq!(counts(&queue).await, (0, 0, 0));
    assert_eq!(receive(&queue).await, []);
}

#[tokio::test]
async fn a_message_that_is_not_deleted_is_hidden_until_its_visibility_ends_and_then_comes_back_as_itself() {
    let clock = clock();
    let queue = in_memory(&clock);
    queue.send(vec![message("acme", "hello")]).await.unwrap();
    let first = receive_one(&queue).await;

    clock.advance(VISIBILITY - 1);
    assert_eq!(receive(&queue).await, []);
    clock.advance(1);
    let second = receive_one(&queue).await;

    assert_eq!(second.message_id, first.message_id);
    assert_eq!(second.first_received_at, first.first_received_at);
    assert_eq!((first.receives, second.receives), (1, 2));
}

#[tokio::test]
async fn only_the_latest_receipt_deletes() {
    let clock = clock();
    let queue = in_memory(&clock);
    queue.send(vec![message("acme", "hello")]).await.unwrap();
    let slow = receive_one(&queue).await;
    clock.advance(VISIBILITY);
    let fast = receive_one(&queue).await;

    assert_eq!(queue.delete(vec![slow.receipt]).await.unwrap(), 0, "the message is another's by now");
    assert_eq!(counts(&queue).await, (0, 1, 0));
    assert_eq!(queue.delete(vec![fast.receipt]).await.unwrap(), 1);
    assert_eq!(queue.delete(vec![fast.receipt]).await.unwrap(), 0, "it is gone already");
}

#[tokio::test]
async fn a_message_whose_visibility_ended_may_still_be_deleted_until_it_is_received_again() {
    let clock = clock();
    let queue = in_memory(&clock);
    queue.send(vec![message("acme", "hello")]).await.unwrap();
    let received = receive_one(&queue).await;
    clock.advance(VISIBILITY);
    assert_eq!(queue.delete(vec![received.receipt]).await.unwrap(), 1);
    assert_eq!(receive(&queue).await, []);
}

#[tokio::test]
async fn the_sixth_receive_finds_the_message_among_the_dead_letters() {
    let clock = clock();
    let queue = in_memory(&clock);
    queue.send(vec![message("acme", "poison"), message("acme", "good")]).await.unwrap();
    for receives in 1..=5 {
        let received = receive(&queue).await;
        let poison = received.iter().find(|message| message.body == "poison").unwrap();
        assert_eq!(poison.receives, receives);
        let others =
            received.iter().filter(|message| message.body != "poison").map(|message| message.receipt).collect();
        queue.delete(others).await.unwrap();
        clock.advance(VISIBILITY);
    }
    assert_eq!(counts(&queue).await, (1, 0, 0), "it waits for its sixth receive");
    queue.send(vec![message("acme", "next")]).await.unwrap();
    assert_eq!(bodies(&receive(&queue).await), ["next"], "the move does not cost the receiver its turn");
    assert_eq!(counts(&queue).await, (0, 1, 1));

    let dead_letters = queue.dead_letters();
    for _ in 0..10 {
        let dead = receive_one(&dead_letters).await;
        assert_eq!((dead.account.as_str(), dead.body.as_str()), ("acme", "poison"));
        assert_eq!(queue.delete(vec![dead.receipt]).await.unwrap(), 0, "it is not in the main lane any more");
        clock.advance(VISIBILITY);
    }
    let dead = receive_one(&dead_letters).await;
    assert_eq!(dead_letters.delete(vec![dead.receipt]).await.unwrap(), 1);
    assert_eq!(counts(&queue).await.2, 0);
}

#[tokio::test]
async fn a_receive_hands_out_ten_at_most_and_no_more_than_a_share_of_what_waits() {
    let queue = in_memory(&clock());
    queue.send(messages("acme", 25)).await.unwrap();
    assert_eq!(queue.receive(100, 1).await.unwrap().len(), 10);
    assert_eq!(queue.receive(10, 4).await.unwrap().len(), 4, "15 wait for four receivers");
    assert_eq!(queue.receive(10, 100).await.unwrap().len(), 1);
    assert_eq!(queue.receive(3, 1).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_loud_account_does_not_starve_a_quiet_one() {
    let queue = in_memory(&clock());
    queue.send(messages("loud", 40)).await.unwrap();
    assert_eq!(queue.receive(8, 1).await.unwrap().len(), 8);
    queue.send(messages("quiet", 3)).await.unwrap();
    let next = queue.receive(4, 1).await.unwrap();
    let accounts: Vec<_> = next.iter().map(|message| message.account.as_str()).collect();
    assert_eq!(accounts, ["quiet", "quiet", "quiet", "loud"]);
}

/// A queue in a file, and what it takes to open it again.
struct Home {
    directory: TempDir,
    clock: Clock,
}

impl Home {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), clock: clock() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("queue.db")
    }

    fn open(&self) -> LocalQueue {
        LocalQueue::open(&self.path(), QueueOptions::default(), self.clock.clone()).unwrap()
    }

    /// What a process that is killed leaves behind: the file and its log as they stand, without any closing.
    fn after_a_kill(&self) -> Self {
        let copy = Self { directory: tempfile::tempdir().unwrap(), clock: self.clock.clone() };
        for name in ["queue.db", "queue.db-wal"] {
            std::fs::copy(self.directory.path().join(name), copy.directory.path().join(name)).unwrap();
        }
        copy
    }
}

/// Receives and deletes, one receive after the other, until nothing more is handed out: the bodies of each.
async fn drained(queue: &LocalQueue) -> Vec<Vec<String>> {
    let mut receives = Vec::new();
    loop {
        let received = receive(queue).await;
        if received.is_empty() {
            return receives;
        }
        receives.push(received.iter().map(|message| message.body.clone()).collect());
        queue.delete(received.into_iter().map(|message| message.receipt).collect()).await.unwrap();
    }
}

#[tokio::test]
async fn after_a_kill_everything_comes_back_at_once_but_what_was_deleted_and_what_was_in_flight_comes_alone() {
    let home = Home::new();
    let queue = home.open();
    queue.send(messages("acme", 5)).await.unwrap();
    let received = queue.receive(3, 1).await.unwrap();
    queue.delete(vec![received[0].receipt]).await.unwrap();

    let home = home.after_a_kill();
    let queue = home.open();
    assert_eq!(counts(&queue).await, (4, 0, 0));
    let again = receive_one(&queue).await;
    assert_eq!((again.body.as_str(), again.receives), ("acme-1", 2), "receives go on counting");
    assert_eq!(again.message_id, received[1].message_id);
    assert_eq!(receive(&queue).await, [], "nothing is handed out beside it");
    assert_eq!(counts(&queue).await, (3, 1, 0));
    assert_eq!(queue.delete(vec![again.receipt]).await.unwrap(), 1);
    let alone = |body: &str| vec![body.to_owned()];
    assert_eq!(drained(&queue).await, [alone("acme-2"), vec!["acme-3".to_owned(), "acme-4".to_owned()]]);
    assert_eq!(counts(&queue).await, (0, 0, 0));
}

/// Nobody waits in vain: a receiver is woken when what it was held back for is gone.
#[tokio::test]
async fn whoever_is_held_back_by_a_message_that_is_handed_out_alone_is_woken() {
    let home = Home::new();
    let queue = home.open();
    queue.send(messages("acme", 2)).await.unwrap();
    queue.receive(1, 1).await.unwrap();
    let queue = home.after_a_kill().open();
    let alone = receive_one(&queue).await;
    assert_eq!(receive(&queue).await, []);
    let waiting = queue.clone();
    let woken = tokio::spawn(async move {
        waiting.arrival().await;
        receive_one(&waiting).await.body
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!woken.is_finished());
    queue.delete(vec![alone.receipt]).await.unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), woken).await.unwrap().unwrap(), "acme-1");
}

#[tokio::test]
async fn receives_that_ended_with_the_process_do_not_count_and_those_that_did_not_do() {
    let mut home = Home::new();
    home.open().send(vec![message("acme", "healthy")]).await.unwrap();
    // However often it is killed,
    for _ in 0..15 {
        let queue = home.open();
        home.clock.advance(MOST_WAIT);
        assert_eq!(receive_one(&queue).await.body, "healthy");
        home = home.after_a_kill();
    }
    // its own failures count as if nothing had been: five, and the sixth receive finds it gone.
    let queue = home.open();
    home.clock.advance(MOST_WAIT);
    for _ in 0..5 {
        assert_eq!(receive_one(&queue).await.body, "healthy");
        home.clock.advance(VISIBILITY);
    }
    assert_eq!(receive(&queue).await, []);
    assert_eq!(counts(&queue).await, (0, 0, 1));
}

/// A message that kills the process, and others beside it.
#[tokio::test]
async fn a_message_that_kills_the_process_each_time_ends_among_the_dead_letters_and_takes_no_other_with_it() {
    let mut home = Home::new();
    let mut deaths = 0;
    let mut sent = vec![message("acme", "poison")];
    sent.extend(messages("acme", 4));
    home.open().send(sent).await.unwrap();
    let mut handled = Vec::new();
    for round in 0..60 {
        let queue = home.open();
        // What waits longer than a process lives is not reached: each lives for three minutes.
        let mut dies = false;
        for _ in 0..20 {
            let received = receive(&queue).await;
            if received.iter().any(|message| message.body == "poison") {
                dies = true;
                break;
            }
            let receipts: Vec<_> = received.iter().map(|message| message.receipt).collect();
            handled.extend(received.into_iter().map(|message| message.body));
            queue.delete(receipts).await.unwrap();
            home.clock.advance(9_000);
        }
        if !dies {
            assert_eq!(counts(&queue).await, (0, 0, 1), "round {round}");
            break;
        }
        deaths += 1;
        // Work goes on meanwhile.
        queue.send(vec![message("acme", &format!("later-{round}"))]).await.unwrap();
        home = home.after_a_kill();
    }
    assert_eq!(deaths, 21);
    handled.sort();
    let mut expected: Vec<String> = (0..4).map(|number| format!("acme-{number}")).collect();
    expected.extend((0..21).map(|round| format!("later-{round}")));
    expected.sort();
    assert_eq!(handled, expected);
    let queue = home.open();
    assert_eq!(receive_one(&queue.dead_letters()).await.body, "poison");
}

#[tokio::test]
async fn closing_leaves_one_whole_file_and_nothing_works_afterwards() {
    let home = Home::new();
    let queue = home.open();
    queue.send(vec![message("acme", "hello")]).await.unwrap();
    queue.close().await.unwrap();
    assert!(queue.receive(1, 1).await.is_err());
    assert!(queue.close().await.is_err());
    queue.arrival().await;
    let files: Vec<_> =
        std::fs::read_dir(home.directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["queue.db"], "the log went into the file");
    assert_eq!(receive_one(&home.open()).await.body, "hello");
}

#[test]
fn what_is_no_queue_of_this_version_is_refused() {
    let home = Home::new();
    let open = || LocalQueue::open(&home.path(), QueueOptions::default(), clock()).map(drop);

    std::fs::write(home.path(), "This is no database, though it is long enough to be asked about it.".repeat(20))
        .unwrap();
    assert_eq!(open().unwrap_err().to_string(), "file is not a database");

    std::fs::remove_file(home.path()).unwrap();
    rusqlite::Connection::open(home.path()).unwrap().pragma_update(None, "user_version", 7).unwrap();
    assert_eq!(open().unwrap_err().to_string(), "its layout is 7, which this version does not know");
}

/// The table as it once was.
const LAYOUT_1: &str = "
    CREATE TABLE messages (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        lane INTEGER NOT NULL,
        message_id TEXT NOT NULL,
        account TEXT NOT NULL,
        sent_at INTEGER NOT NULL,
        receives INTEGER NOT NULL DEFAULT 0,
        first_received_at INTEGER,
        body TEXT NOT NULL
    ) STRICT;
    INSERT INTO messages (lane, message_id, account, sent_at, body) VALUES (0, 'kept', 'acme', 1700000000000, 'hello');
    PRAGMA user_version = 1";

/// And as it was then.
const LAYOUT_2: &str = "ALTER TABLE messages ADD COLUMN trace TEXT; PRAGMA user_version = 2";

#[tokio::test]
async fn a_file_of_a_version_before_goes_on_with_what_it_holds() {
    let packed = zstd::bulk::compress(b"hello", 1).unwrap();
    let packed = hex::encode(packed);
    let layout_3 = format!(
        "ALTER TABLE messages ADD COLUMN packed BLOB NOT NULL DEFAULT x'';
         UPDATE messages SET packed = x'{packed}';
         ALTER TABLE messages DROP COLUMN body;
         PRAGMA user_version = 3"
    );
    for layout in [&[LAYOUT_1][..], &[LAYOUT_1, LAYOUT_2], &[LAYOUT_1, LAYOUT_2, &layout_3]] {
        go_on_from(layout).await;
    }
}

async fn go_on_from(layout: &[&str]) {
    let home = Home::new();
    rusqlite::Connection::open(home.path()).unwrap().execute_batch(&layout.join(";")).unwrap();
    for _ in 0..2 {
        let queue = home.open();
        queue.send(vec![Outgoing { trace: Some("Root=1-2-3".into()), ..message("acme", "new") }]).await.unwrap();
        queue.close().await.unwrap();
    }
    let kept = receive(&home.open()).await;
    assert_eq!(bodies(&kept), ["hello", "new", "new"]);
    let traces: Vec<_> = kept.iter().map(|message| message.trace.as_deref()).collect();
    assert_eq!(traces, [None, Some("Root=1-2-3"), Some("Root=1-2-3")]);
}

#[tokio::test]
async fn bodies_are_kept_compressed() {
    let home = Home::new();
    let queue = home.open();
    let body = r#"{"type":"product","attributes":{}},"#.repeat(7_000);
    let same: Vec<_> = (0..100).map(|_| Outgoing { body: body.clone(), ..message("acme", "") }).collect();
    queue.send(same).await.unwrap();
    assert_eq!(receive_one(&queue).await.body, body);
    queue.close().await.unwrap();
    let bytes = std::fs::metadata(home.path()).unwrap().len();
    assert!(bytes * 50 < 100 * body.len() as u64, "{bytes}");
}

#[tokio::test]
async fn when_the_file_cannot_be_written_nothing_is_lost_and_nothing_is_handed_out() {
    let home = Home::new();
    let queue = home.open();
    queue.send(messages("acme", 2)).await.unwrap();
    let held = receive_one(&queue).await;

    let other = rusqlite::Connection::open(home.path()).unwrap();
    other.execute_batch("ALTER TABLE messages RENAME TO moved").unwrap();
    assert!(queue.send(messages("acme", 1)).await.is_err());
    assert!(queue.receive(10, 1).await.is_err());
    assert!(queue.delete(vec![held.receipt]).await.is_err());
    assert_eq!(counts(&queue).await, (1, 1, 0));

    other.execute_batch("ALTER TABLE moved RENAME TO messages").unwrap();
    let next = receive_one(&queue).await;
    assert_eq!((next.body.as_str(), next.receives), ("acme-1", 1), "the receive that failed is not counted");
    assert_eq!(queue.delete(vec![held.receipt, next.receipt]).await.unwrap(), 2);
    assert_eq!(counts(&queue).await, (0, 0, 0));
}

#[tokio::test]
async fn whoever_waits_is_woken_by_a_send_and_by_the_end_of_a_visibility() {
    let clock = clock();
    let queue = in_memory(&clock);
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.arrival().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    queue.send(vec![message("acme", "hello")]).await.unwrap();
    waiting.await.unwrap();

    receive_one(&queue).await;
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.arrival().await }
    });
    tokio::time::sleep(CLOCK_CHECK * 2).await;
    assert!(!waiting.is_finished());
    clock.advance(VISIBILITY);
    tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("the moved clock is noticed").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_senders_and_receivers_at_once_lose_nothing_and_get_nothing_twice() {
    const SENDERS: usize = 8;
    const EACH: usize = 50;
    let queue = in_memory(&clock());
    let senders = (0..SENDERS).map(|sender| {
        let queue = queue.clone();
        tokio::spawn(async move {
            for message in messages(&format!("account-{sender}"), EACH) {
                queue.send(vec![message]).await.unwrap();
            }
        })
    });
    let receivers = (0..8).map(|_| {
        let queue = queue.clone();
        tokio::spawn(async move {
            let mut got = Vec::new();
            loop {
                let batch = queue.receive(10, 8).await.unwrap();
                if batch.is_empty() {
                    if tokio::time::timeout(Duration::from_millis(300), queue.arrival()).await.is_err() {
                        return got;
                    }
                    continue;
                }
                let deleted = queue.delete(batch.iter().map(|message| message.receipt).collect()).await.unwrap();
                assert_eq!(deleted, batch.len());
                got.extend(batch.into_iter().map(|message| message.body));
            }
        })
    });
    let (senders, receivers): (Vec<_>, Vec<_>) = (senders.collect(), receivers.collect());
    for sender in senders {
        sender.await.unwrap();
    }
    let mut got = Vec::new();
    for receiver in receivers {
        got.extend(receiver.await.unwrap());
    }
    assert_eq!(got.len(), SENDERS * EACH);
    assert_eq!(got.into_iter().collect::<BTreeSet<_>>().len(), SENDERS * EACH);
    assert_eq!(counts(&queue).await, (0, 0, 0));
}

#[test]
fn a_receipt_reads_back_and_nothing_else_is_one() {
    let receipt = Receipt { row: RowId(12), receives: 3 };
    assert_eq!(receipt.to_string().parse(), Ok(receipt));
    for text in ["", "12", "12.", ".3", "a.b", "12.3.4"] {
        assert_eq!(text.parse::<Receipt>(), Err(NotAReceipt), "{text}");
    }
}
