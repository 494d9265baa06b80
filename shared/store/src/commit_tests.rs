//! What a commit is told to have come to where its own first attempt is in its way.

use domain::account::AccountId;
use domain::job::{Job, JobId, Operation};

use crate::answering::answering;
use crate::jobs::{Commit, IdempotencyKey};

/// An answer was lost, and the attempt repeated: the job is there, and so are its key and the last slot, which are its own.
#[tokio::test]
async fn a_job_that_is_there_is_told_before_what_it_has_taken() {
    const FAILED: &str = "ConditionalCheckFailed";
    let refused = |codes: [&str; 3]| {
        let reasons = codes.map(|code| format!(r#"{{"Code":"{code}"}}"#)).join(",");
        let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
        (400, format!(r#"{{"__type":"{kind}","message":"cancelled","CancellationReasons":[{reasons}]}}"#))
    };
    let store = answering([
        refused([FAILED, FAILED, FAILED]),
        refused([FAILED, "None", FAILED]),
        refused(["None", FAILED, FAILED]),
        refused(["None", FAILED, "None"]),
    ])
    .await;
    let acme = AccountId::parse("acme").unwrap();
    let job = Job::queued(JobId::new(store.clock()), Operation::SetObjects, 1, 1);
    let key = IdempotencyKey { key: "key".to_owned(), body: vec![1] };
    for expected in [Commit::AlreadyThere, Commit::AlreadyThere, Commit::KeyTaken, Commit::NoSlot] {
        let told = store.jobs.commit(&acme, &job, Some(&key), store.clock().now()).await.unwrap();
        assert_eq!(told, expected);
    }
}
