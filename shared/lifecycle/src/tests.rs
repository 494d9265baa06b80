//! The life of a job against a database: how it starts, what is noted of its chunks, how it ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use database::{Sent, TestDatabase};
use domain::account::AccountId;
use domain::clock::Clock;
use domain::job::{Job, JobId, JobOptions, JobStatus, Operation};
use domain::limits;
use domain::plan::{Entry, Outcome, Plan};
use domain::problem::{Code, Problem};
use domain::record::RecordId;
use domain::time::Timestamp;
use domain::timing::NEVER_COMMITTED;
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use store::Store;
use store::jobs::Commit;
use store::rows::JobRow;

use super::*;

/// An account with nothing in it, at a time that stands still.
struct Scene {
    store: Store,
    account: AccountId,
    sent: Sent,
}

impl Scene {
    async fn start() -> Self {
        let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000), 1);
        let store = TestDatabase::start("lifecycle").await.store(clock);
        Self { store, account: AccountId::parse("acme").unwrap(), sent: Sent::default() }
    }

    fn clock(&self) -> &Clock {
        self.store.clock()
    }

    /// Commits a job of two chunks, of five items each.
    async fn queued(&self) -> Job {
        self.queued_with(JobOptions::default()).await
    }

    async fn queued_with(&self, options: JobOptions) -> Job {
        let queued = Job::queued(JobId::new(self.clock()), Operation::CreateObjects, 10, 2);
        let job = Job { options, ..queued };
        let committed = self.store.jobs.commit(&self.account, &job, None, self.clock().now()).await.unwrap();
        assert_eq!(committed, Commit::Done);
        job
    }

    async fn begin(&self, id: JobId) -> Started {
        start(&self.store.jobs, id.of(&self.account)).await.unwrap()
    }

    async fn processing(&self, options: JobOptions) -> Job {
        let job = self.queued_with(options).await;
        let Started::Processing(job) = self.begin(job.id).await else { panic!("it is queued") };
        job
    }

    async fn row(&self, id: JobId) -> Option<JobRow> {
        self.store.jobs.find_job_row(id.of(&self.account)).await.unwrap()
    }

    async fn stands(&self, id: JobId) -> Job {
        let Some(JobRow::Job(job)) = self.row(id).await else { panic!("no job") };
        job
    }

    async fn record(&self, job: &Job, chunk: u32, plan: &Plan, trouble: Option<&Problem>) -> Option<Job> {
        record(&self.store.jobs, &self.account, job, chunk, plan, trouble).await.unwrap()
    }

    fn plan(&self, outcomes: impl IntoIterator<Item = Outcome>) -> Plan {
        let entries = (0..).zip(outcomes).map(|(position, outcome)| Entry::new(position, outcome, 0)).collect();
        Plan { entries, ..Plan::empty(self.clock().now()) }
    }
}

fn success() -> Outcome {
    Outcome::Success(RecordId::from_bytes([7; 16]))
}

fn failure() -> Outcome {
    Outcome::failure(Problem::unprocessable("no"))
}

const fn limited(most: u32) -> JobOptions {
    JobOptions { max_failures: Some(most), validate_only: false, has_refs: false }
}

#[tokio::test]
async fn a_chunk_starts_the_job_that_is_queued_and_has_no_effect_where_there_is_none() {
    let scene = Scene::start().await;
    let job = scene.queued().await;
    for _ in 0..2 {
        let Started::Processing(started) = scene.begin(job.id).await else { panic!("it is queued, then processing") };
        assert_eq!((started.id, started.status), (job.id, JobStatus::Processing));
    }
    let aborted = scene.queued().await;
    assert!(scene.store.jobs.abort(aborted.id.of(&scene.account), scene.clock().now()).await.unwrap());
    assert_eq!(scene.begin(aborted.id).await, Started::Drop("its job is aborted"));

    let ended = scene.processing(JobOptions::default()).await;
    assert!(end(&scene.store.jobs, &scene.account, &ended).await.unwrap());
    assert_eq!(scene.begin(ended.id).await, Started::Drop("its job has ended"));
    assert!(!end(&scene.store.jobs, &scene.account, &ended).await.unwrap(), "it ends once");

    scene.clock().advance(limits::JOB_LIFETIME_SECONDS * 1_000 - 1_000);
    assert!(matches!(scene.begin(job.id).await, Started::Processing(_)));
    scene.clock().advance(1_000);
    assert_eq!(scene.begin(job.id).await, Started::Drop("its job has expired"));
}

#[tokio::test]
async fn a_chunk_waits_for_the_commit_of_its_job_until_it_is_old_and_then_sees_to_it_that_there_is_none() {
    let scene = Scene::start().await;
    let id = JobId::new(scene.clock());
    scene.clock().advance(u64::try_from(NEVER_COMMITTED.as_millis()).unwrap() - 1);
    let late = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let job = Job::queued(id, Operation::CreateObjects, 10, 2);
        scene.store.jobs.commit(&scene.account, &job, None, scene.clock().now()).await.unwrap()
    };
    let (started, committed) = tokio::join!(scene.begin(id), late);
    assert_eq!(committed, Commit::Done);
    assert!(matches!(started, Started::Processing(job) if job.id == id));

    let never = JobId::new(scene.clock());
    scene.clock().advance(u64::try_from(NEVER_COMMITTED.as_millis()).unwrap());
    for _ in 0..2 {
        assert_eq!(scene.begin(never).await, Started::Drop("its job was never accepted"));
        assert_eq!(scene.row(never).await, Some(JobRow::Void));
    }
}

#[tokio::test]
async fn a_chunk_whose_job_is_not_committed_in_time_comes_back() {
    let scene = Scene::start().await;
    let id = JobId::new(scene.clock());
    let began = std::time::Instant::now();
    let postponed = start(&scene.store.jobs, id.of(&scene.account)).await;
    assert!(matches!(postponed, Err(Postponed::NotCommitted)), "{postponed:?}");
    assert!(began.elapsed() >= domain::timing::COMMIT_PATIENCE, "{:?}", began.elapsed());
    assert_eq!(scene.row(id).await, None);
}

#[tokio::test]
async fn a_chunk_is_counted_once_and_tells_whether_its_job_goes_on() {
    let scene = Scene::start().await;
    let job = scene.processing(JobOptions::default()).await;
    let plan = scene.plan([success(), failure(), failure()]);
    for _ in 0..2 {
        let recorded = scene.record(&job, 1, &plan, None).await.expect("it goes on");
        assert_eq!((recorded.succeeded, recorded.failed, recorded.done), (1, 2, [1].into()));
    }
    assert!(end(&scene.store.jobs, &scene.account, &scene.stands(job.id).await).await.unwrap());
    assert_eq!(scene.record(&job, 0, &plan, None).await, None, "it has ended");
    assert_eq!(scene.stands(job.id).await.status, JobStatus::Completed);
}

#[tokio::test]
async fn a_job_ends_failed_for_the_first_trouble_or_for_what_stopped_it() {
    let scene = Scene::start().await;
    let trouble = Problem::new(Code::InternalServerError, "trouble");
    let job = scene.processing(JobOptions::default()).await;
    let job = scene.record(&job, 0, &scene.plan([success()]), Some(&trouble)).await.unwrap();
    assert!(end(&scene.store.jobs, &scene.account, &job).await.unwrap());
    let ended = scene.stands(job.id).await;
    assert_eq!((ended.status, ended.error), (JobStatus::Failed, Some(trouble.clone())));

    // Stopped, as the worker knows, or as it learns: what it leaves says why. Failures that are not from that say nothing.
    let left = || Outcome::failure(Problem::not_processed());
    for knows in [true, false] {
        let job = scene.processing(limited(1)).await;
        let stopped = scene.record(&job, 0, &scene.plan([failure(), failure()]), None).await.unwrap();
        assert_eq!(stopped.error, None, "all of the chunk was done");
        let worker = if knows { &stopped } else { &job };
        let last = scene.record(worker, 1, &scene.plan([failure(), left()]), Some(&trouble)).await.unwrap();
        assert_eq!(last.error.as_ref().map(|error| error.code), Some(Code::TooManyFailures), "{knows}");
    }
    let job = scene.processing(limited(9)).await;
    let job = scene.record(&job, 0, &scene.plan([failure(), left()]), Some(&trouble)).await.unwrap();
    assert_eq!(job.error, Some(trouble), "nothing has stopped it");
}

#[tokio::test]
async fn what_follows_a_chunk_is_sent_and_a_job_ends_with_its_last() {
    let scene = Scene::start().await;
    let job = scene.processing(JobOptions::default()).await;
    let (jobs, account) = (&scene.store.jobs, &scene.account);
    let conclude = async |job: &Job, then| conclude(jobs, &scene.sent, account, job, then, None).await;
    let missing = conclude(&job, Some(1)).await;
    assert!(matches!(missing, Err(Postponed::Store(_))), "{missing:?}");

    jobs.stash(job.id.of(account), vec![(1, "the second".to_owned())], job.expires_at()).await.unwrap();
    let job = scene.record(&job, 0, &scene.plan([success()]), None).await.unwrap();
    conclude(&job, Some(1)).await.unwrap();
    let sent = |scene: &Scene| scene.sent.messages().into_iter().map(|sent| sent.body).collect::<Vec<_>>();
    assert_eq!(sent(&scene), ["the second"]);
    assert_eq!(scene.stands(job.id).await.status, JobStatus::Processing);

    let job = scene.record(&job, 1, &scene.plan([success()]), None).await.unwrap();
    conclude(&job, Some(1)).await.unwrap();
    assert_eq!(sent(&scene).len(), 1, "it is recorded already");
    assert_eq!(scene.stands(job.id).await.status, JobStatus::Completed);
}

#[tokio::test]
async fn a_chunk_is_closed_once_and_what_was_not_written_never_is() {
    let scene = Scene::start().await;
    let (jobs, records, account) = (&scene.store.jobs, &scene.store.records, &scene.account);
    let close = async |job: &Job, chunk| close_chunk(jobs, records, account, job, chunk, None).await.unwrap();
    let outcomes = |plan: &Plan| plan.entries.iter().map(|entry| entry.outcome.is_success()).collect::<Vec<_>>();

    let job = scene.processing(JobOptions::default()).await;
    let key = job.id.of(account);
    let agreed = Plan { revision: 1, ..scene.plan([success(), failure()]) };
    assert!(jobs.agree(key.chunk(0), &agreed, job.expires_at()).await.unwrap());
    let closed = close(&job, 0).await;
    assert_eq!((closed.closed, closed.revision, outcomes(&closed)), (true, 2, vec![false, false]));
    let footprints = records.footprints(account, [RecordId::from_bytes([7; 16])]).await.unwrap();
    assert_eq!(footprints.len(), 1, "a fence stands where the write would have found nothing");
    assert_eq!(close(&job, 0).await, closed, "once more: the same");
    let none = close(&job, 1).await;
    assert_eq!((none.closed, none.revision, none.entries.len()), (true, 1, 0), "nothing was agreed");

    // Of a job that only validates, what was agreed is so: nothing is written for it.
    let job = scene.processing(JobOptions { validate_only: true, ..limited(9) }).await;
    let agreed = Plan { revision: 1, ..scene.plan([success(), failure(), Outcome::WouldMake]) };
    assert!(jobs.agree(job.id.of(account).chunk(0), &agreed, job.expires_at()).await.unwrap());
    assert_eq!(outcomes(&close(&job, 0).await), [true, false, true]);
}

/// What the counters of this thread have counted, by name.
#[derive(Clone, Default)]
struct Counted(Arc<Mutex<BTreeMap<String, u64>>>);

impl Counted {
    /// What was counted since this was last asked.
    fn taken(&self) -> Vec<(String, u64)> {
        std::mem::take(&mut *self.0.lock().unwrap()).into_iter().collect()
    }
}

struct Named(Counted, String);

impl CounterFn for Named {
    fn increment(&self, by: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += by;
    }

    fn absolute(&self, _: u64) {}
}

impl Recorder for Counted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Named(self.clone(), key.name().to_owned())))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn an_operator_is_told_what_jobs_did_and_apart_from_trouble_what_clients_stopped() {
    let counted = Counted::default();
    let _recorder = metrics::set_default_local_recorder(&counted);
    let told = |expected: &[(&str, u64)]| {
        let expected: Vec<_> = expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        assert_eq!(counted.taken(), expected);
    };
    let scene = Scene::start().await;
    let plan = scene.plan([success(), success(), failure()]);
    let job = scene.processing(JobOptions::default()).await;
    scene.record(&job, 0, &plan, None).await.unwrap();
    told(&[("ItemsFailed", 1), ("ItemsSucceeded", 2)]);
    // A second time it is not counted.
    scene.record(&job, 0, &plan, None).await;
    told(&[]);
    let validates = JobOptions { validate_only: true, ..JobOptions::default() };
    let validated = scene.processing(validates).await;
    scene.record(&validated, 0, &plan, None).await.unwrap();
    told(&[]);
    for (why, name) in
        [(None, "JobsCompleted"), (Some(Code::Aborted), "JobsAborted"), (Some(Code::InternalServerError), "JobsFailed")]
    {
        let processing = scene.processing(JobOptions::default()).await;
        let job = Job { error: why.map(|code| Problem::new(code, "a reason")), ..processing };
        assert!(end(&scene.store.jobs, &scene.account, &job).await.unwrap());
        told(&[(name, 1)]);
    }
}
