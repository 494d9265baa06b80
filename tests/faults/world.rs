//! The whole service in one thread: each function as it is deployed, with the network of the tests beneath its SDK clients.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use accept::Accept;
use access::Access;
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_sdk_dynamodb::config::retry::RetryPartition;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use bury::Bury;
use consume::Consumer;
use domain::account::{AccountId, Role};
use domain::chunk::Chunk;
use domain::job::{Job, JobId, Operation};
use domain::limits;
use records::Records;
use serde_json::{Value, json};
use status::Status;
use store::Store;
use store::clients::{self, AwsSettings};
use store::jobs::Commit;
use store::queue::Queue;
use store::sqs::SqsQueue;
use store::tables::{self, TableNames};
use sweep::{Report, Sweep};
use tower::ServiceExt;

use crate::clock::SimulatedClock;
use crate::network::{Doom, Function, Network, Past, Script};
use crate::scenes::{Items, OBJECTS, PAIRS, Shape, product_schema};
use crate::services::{Lane, Message, Queues, Services};
use crate::watch::{JOBS, RECORDS, Watch, new_marks, text};

/// How long the queue hides a message that was received: the template's default.
pub const VISIBILITY: Duration = Duration::from_mins(3);
/// The same of the dead letters.
const DEAD_VISIBILITY: Duration = Duration::from_mins(6);

/// Of each invocation.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// More deliveries than any run needs.
const MOST_DELIVERIES: usize = 400;

/// A job that a client asked for.
#[derive(Clone, Debug)]
pub struct Posted {
    pub account: AccountId,
    pub operation: Operation,
    pub items: Vec<Value>,
    pub key: Option<String>,
    pub max_failures: Option<u32>,
    pub validate_only: bool,
    /// Its id, where the client was told one.
    pub id: Option<JobId>,
}

/// An answer of an HTTP function.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

/// What a delivery came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivered {
    /// The message was deleted.
    Done,
    /// It comes back.
    ComesBack,
    /// The worker died.
    Died,
}

pub struct World {
    pub clock: SimulatedClock,
    pub network: Network,
    pub services: Services,
    pub store: Store,
    pub account: AccountId,
    token: String,
    /// Answers what the test itself asks.
    own_router: OnceLock<Router>,
    queue: Arc<dyn Queue>,
    consumer: Consumer,
    bury: Bury,
    sweep: Sweep,
    shape: Shape,
    /// How many changes there were before the run began.
    pub furniture: usize,
    /// Where the workers that are given chunks of one job die.
    pub doom: Option<(JobId, Doom)>,
}

/// What every run begins with, made once: the tables, the account `acme`, its types and the records of the scenes.
struct Furnished {
    /// Goes with the process.
    database: DatabaseCopy,
    watch: Watch,
    token: String,
}

/// A copy of a database, in a directory that goes with it.
struct DatabaseCopy(tempfile::TempDir);

impl DatabaseCopy {
    fn of(services: &Services) -> Self {
        let copy = Self(tempfile::tempdir().expect("a directory"));
        services.database().vacuum_into(&copy.file()).expect("a copy of the database");
        copy
    }

    /// The services as they were when it was made, by what was seen of them until then.
    fn services(&self, clock: &SimulatedClock, watch: &Watch) -> Services {
        let services = Services::new(clock.clone());
        services.database().restore_from(&self.file()).expect("the copy of the database");
        *services.watch() = watch.clone();
        services
    }

    fn file(&self) -> String {
        self.0.path().join("database").to_str().expect("UTF-8").to_owned()
    }
}

/// A moment of a run at which no worker is at work and nothing is still to come, so that the run can be taken up there: what is done
/// from there is what the whole run would have done.
pub struct Moment {
    /// Where it stands in the story.
    pub step: u64,
    shape: Shape,
    token: String,
    furniture: usize,
    database: DatabaseCopy,
    watch: Watch,
    queues: Queues,
    past: Past,
    elapsed: Duration,
    drawn: Drawn,
}

/// What the clock gave at random at a moment, by which what it gives next can be found again.
type Drawn = [u8; 8];

impl Moment {
    /// Whether nothing before it meets the script.
    pub fn precedes(&self, script: &Script) -> bool {
        self.past.precedes(script)
    }
}

/// Jobs in [`Furnished::crowded`], which leave two slots.
pub const IDLE_JOBS: u64 = limits::ACTIVE_JOBS - 2;

impl Furnished {
    fn get() -> &'static Self {
        static FURNISHED: OnceLock<Furnished> = OnceLock::new();
        FURNISHED.get_or_init(|| Self::make_aside(0))
    }

    /// With jobs that nobody ever runs.
    fn crowded() -> &'static Self {
        static CROWDED: OnceLock<Furnished> = OnceLock::new();
        CROWDED.get_or_init(|| Self::make_aside(IDLE_JOBS))
    }

    fn make_aside(idle_jobs: u64) -> Self {
        // The runtime of whoever asks has a clock of its own.
        let furnishing = std::thread::spawn(move || run(Self::make(idle_jobs)));
        furnishing.join().expect("the records of the scenes")
    }

    async fn make(idle_jobs: u64) -> Self {
        // No run has it: its jobs would have the ids of these.
        const SEED: u64 = u64::MAX;
        let clock = SimulatedClock::start(SEED);
        let services = Services::new(clock.clone());
        let network = network(&services, &clock);
        let mut world = World::with(services, clock, network, Shape::One, String::new());
        let client = world.store_client();
        tables::create_missing(&client, &table_names()).await.expect("the tables");
        // Somebody else has records of the same names, whom nothing of what follows may touch.
        for name in ["bystander", "acme"] {
            world.account = AccountId::parse(name).expect("an account");
            world.token = tests::token_of(&world.store, &world.account, Role::Agent).await;
            world.own_router.take();
            world.furnish().await;
        }
        for _ in 0..idle_jobs {
            let job = Job::queued(JobId::new(&world.clock.wall), Operation::CreateObjects, 1, 1);
            let now = world.clock.wall.now();
            let committed = world.store.jobs.commit(&world.account, &job, None, now).await.expect("the database");
            assert_eq!(committed, Commit::Done);
        }
        let watch = world.services.watch().clone();
        Self { database: DatabaseCopy::of(&world.services), watch, token: world.token }
    }
}

/// Runs a story in one thread, under a clock that moves only when nobody has anything to do.
pub fn run<Done>(story: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(story)
}

/// A network of which nobody has called anything yet.
fn network(services: &Services, clock: &SimulatedClock) -> Network {
    Network::new(services.clone(), clock.clone(), VISIBILITY)
}

fn table_names() -> TableNames {
    TableNames::with_prefix("test")
}

impl World {
    /// The account `acme` with its types and the records of the scenes. What is random follows from `seed`.
    pub fn start(shape: Shape, seed: u64) -> Self {
        Self::furnished(Furnished::get(), shape, seed)
    }

    /// As [`start`](Self::start), with [`IDLE_JOBS`] jobs that nobody ever runs.
    pub fn start_crowded(shape: Shape, seed: u64) -> Self {
        Self::furnished(Furnished::crowded(), shape, seed)
    }

    fn furnished(furnished: &Furnished, shape: Shape, seed: u64) -> Self {
        let clock = SimulatedClock::start(seed);
        let services = furnished.database.services(&clock, &furnished.watch);
        // The SDK's own jitter.
        fastrand::seed(seed);
        let furniture = furnished.watch.changes.len();
        let network = network(&services, &clock);
        Self { furniture, ..Self::with(services, clock, network, shape, furnished.token.clone()) }
    }

    /// From here on every function has new containers, which know nothing yet. What is random after it follows from what was
    /// before it and from `step`.
    pub fn renew(&mut self, step: u64) -> Drawn {
        self.clock.keep_up();
        let (services, clock, network) = (self.services.clone(), self.clock.clone(), self.network.clone());
        let furniture = self.furniture;
        *self = Self { furniture, ..Self::with(services, clock, network, self.shape, self.token.clone()) };
        fastrand::seed(step);
        self.clock.wall.random()
    }

    /// [`renew`](Self::renew), and a moment at which the run can be taken up.
    pub fn moment(&mut self, step: u64) -> Moment {
        assert_eq!(self.network.late(), 0, "something is still to come");
        let drawn = self.renew(step);
        Moment {
            step,
            shape: self.shape,
            token: self.token.clone(),
            furniture: self.furniture,
            database: DatabaseCopy::of(&self.services),
            watch: self.services.watch().clone(),
            queues: self.services.queued(),
            past: self.network.past(),
            elapsed: self.clock.elapsed(),
            drawn,
        }
    }

    /// The run of this seed from the moment on.
    pub fn take_up(moment: &Moment, seed: u64) -> Self {
        /// Far more than a run draws.
        const MOST_DRAWN: usize = 10_000;
        let clock = SimulatedClock::take_up(moment.elapsed, seed);
        let found = (0..MOST_DRAWN).any(|_| clock.wall.random() == moment.drawn);
        assert!(found, "the moment is not of a run of this seed");
        let services = moment.database.services(&clock, &moment.watch);
        services.queue(moment.queues.clone());
        let network = network(&services, &clock);
        network.take_up(moment.past.clone());
        let furniture = moment.furniture;
        let world = Self { furniture, ..Self::with(services, clock, network, moment.shape, moment.token.clone()) };
        fastrand::seed(moment.step);
        world
    }

    fn with(services: Services, clock: SimulatedClock, network: Network, shape: Shape, token: String) -> Self {
        let aws = AwsSettings::emulator("http://aws.test");
        // Each run begins with as many retries left as a new container.
        let partition = RetryPartition::custom("run").build();
        let dynamodb = clients::dynamodb(&aws, network.client());
        let dynamodb = aws_sdk_dynamodb::Client::from_conf(
            dynamodb.config().to_builder().retry_partition(partition.clone()).build(),
        );
        let sqs = clients::sqs(&aws, network.client());
        let sqs = aws_sdk_sqs::Client::from_conf(sqs.config().to_builder().retry_partition(partition).build());
        let store = Store::new(dynamodb, table_names(), clock.wall.clone());
        let queue: Arc<dyn Queue> = Arc::new(SqsQueue::new(sqs, "http://aws.test/queue".to_owned()));
        let account = AccountId::parse("acme").expect("an account");
        Self {
            consumer: Consumer::new(store.clone(), Arc::clone(&queue)),
            bury: Bury::new(store.clone(), Arc::clone(&queue)),
            sweep: Sweep::new(store.clone()),
            clock,
            network,
            services,
            store,
            account,
            token,
            own_router: OnceLock::new(),
            queue,
            shape,
            furniture: 0,
            doom: None,
        }
    }

    fn store_client(&self) -> aws_sdk_dynamodb::Client {
        clients::dynamodb(&AwsSettings::emulator("http://aws.test"), self.network.client())
    }

    async fn furnish(&self) {
        let made = |answer: Answer| assert_eq!(answer.status, 201, "{}", answer.body);
        let product = json!({"data": {"key": "product", "schema": product_schema()}});
        made(self.request(None, Method::POST, "/objects/types", Some(&product), None).await.expect("an answer"));
        let likes = json!({"data": {"key": "likes", "source": "product", "target": ["product"]}});
        made(self.request(None, Method::POST, "/relationships/types", Some(&likes), None).await.expect("an answer"));
        let objects = OBJECTS.map(|name| Items::product(name, &json!({"name": name, "price": 1})));
        self.make(Operation::CreateObjects, objects.into()).await;
        let pairs = PAIRS.map(|(source, target)| Items(&self.account).likes(source, target));
        self.make(Operation::CreateRelationships, pairs.into()).await;
    }

    /// Runs a job that everything goes well with.
    async fn make(&self, operation: Operation, items: Vec<Value>) {
        let body = Self::body(operation, &items);
        let answer = self.request(None, Method::POST, "/jobs", Some(&body), None).await.expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.body);
        while let Some(message) = self.services.receive(Lane::Main, VISIBILITY) {
            let response = self.consumer.handle(event(&message), deadline()).await;
            assert!(response.batch_item_failures.is_empty(), "{message:?}");
            self.services.delete(Lane::Main, message.id);
        }
        let id = answer.body["data"]["id"].as_str().expect("an id");
        let job = self.show(JobId::parse(id).expect("a job id")).await;
        assert_eq!(job.body["data"]["progress"]["succeeded"], items.len(), "{}", job.body);
    }

    fn body(operation: Operation, items: &[Value]) -> Value {
        json!({"type": operation.job_type(), "action": operation.action(), "data": items})
    }

    /// One request to an HTTP function, in a container of its own; `None` when that died. Without a function it is the
    /// test's own and meets no fault.
    pub async fn request(
        &self,
        function: Option<Function>,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Option<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", tests::BASE))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = request.body(body).expect("a request");
        let router =
            if function.is_some() { self.router() } else { self.own_router.get_or_init(|| self.router()).clone() };
        let answering = async move {
            let response = router.oneshot(request).await.expect("an answer");
            let status = response.status().as_u16();
            let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
            Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() }
        };
        match function {
            None => Some(answering.await),
            Some(function) => self.network.invoke(function, None, answering).await,
        }
    }

    fn router(&self) -> Router {
        let accept = Accept::new(self.store.clone(), Arc::clone(&self.queue)).packing(self.shape.packing());
        let routes = accept::routes(accept)
            .merge(status::routes(Status::new(self.store.clone())))
            .merge(records::routes(Records::new(self.store.clone()).with_exact_indexes()));
        let access = Access::new(self.store.clone(), access::Settings::default());
        wire::with_middleware(routes, access, wire::AllowedOrigins::default(), self.clock.wall.clone())
    }

    /// Posts a job, through accept and its faults. `None` when accept died.
    pub async fn post(&self, posted: &mut Posted) -> Option<Answer> {
        let mut body = Self::body(posted.operation, &posted.items);
        if let Some(most) = posted.max_failures {
            body["max_failures"] = json!(most);
        }
        let path = if posted.validate_only { "/jobs?validate_only=true" } else { "/jobs" };
        let answer = self.request(Some(Function::Accept), Method::POST, path, Some(&body), posted.key.as_deref()).await;
        if let Some(Answer { status: 201, body }) = &answer {
            let id = body["data"]["id"].as_str().and_then(JobId::parse).expect("a job id");
            assert!(posted.id.is_none_or(|known| known == id), "one key made two jobs");
            posted.id = Some(id);
        }
        answer
    }

    pub fn posting(&self, operation: Operation, items: Vec<Value>, key: Option<&str>) -> Posted {
        let (account, key) = (self.account.clone(), key.map(str::to_owned));
        Posted { account, operation, items, key, max_failures: None, validate_only: false, id: None }
    }

    pub async fn show(&self, id: JobId) -> Answer {
        let path = format!("/jobs/{id}");
        self.request(None, Method::GET, &path, None, None).await.expect("an answer")
    }

    /// How the results of a job that validated differ from those of the same job done right after it: they may not. An object without an
    /// external id gets another id in each job, so none is told by the first.
    pub async fn differ(&self, posted: &Posted, said: JobId, done: JobId) -> Option<String> {
        let said = self.show(said).await.body["data"]["results"].clone();
        let mut done = self.show(done).await.body["data"]["results"].clone();
        for (item, result) in posted.items.iter().zip(done.as_array_mut().into_iter().flatten()) {
            let is_unnamed = posted.operation == Operation::CreateObjects && item.get("external_id").is_none();
            if is_unnamed && result["success"] == true {
                result["data"] = json!({});
            }
        }
        let (operation, items) = (posted.operation, &posted.items);
        (said != done).then(|| format!("{operation:?} of {items:?} was said to be\n{said}\nand was\n{done}"))
    }

    pub async fn abort(&self, id: JobId) -> Option<Answer> {
        let path = format!("/jobs/{id}/abort");
        self.request(Some(Function::Abort), Method::POST, &path, None, None).await
    }

    pub async fn sweep(&self) -> Option<Result<Report, store::StoreError>> {
        let sweeping = self.sweep.run(Instant::now() + Duration::from_hours(1));
        Box::pin(self.network.invoke(Function::Sweep, None, sweeping)).await
    }

    /// Hands a message to a consumer of its lane, and deletes it when that is done with it.
    pub async fn deliver(&self, lane: Lane, message: &Message) -> Delivered {
        let doom = self.doom.filter(|(job, _)| {
            lane == Lane::Main && Chunk::from_message(&message.body).is_ok_and(|chunk| chunk.job == *job)
        });
        let doom = doom.map(|(_, doom)| doom);
        let event = event(message);
        let response = match lane {
            Lane::Main => self.network.invoke(Function::Consume, doom, self.consumer.handle(event, deadline())).await,
            Lane::Dead => self.network.invoke(Function::Bury, None, self.bury.handle(event, deadline())).await,
        };
        match response {
            None => Delivered::Died,
            Some(response) if response.batch_item_failures.is_empty() => {
                self.services.delete(lane, message.id);
                Delivered::Done
            }
            Some(_) => Delivered::ComesBack,
        }
    }

    /// A job that is there beside those of `known`, and beside the furniture.
    pub fn unknown_job(&self, known: &[Posted]) -> Option<JobId> {
        let watch = self.services.watch();
        let ids = watch.changes[self.furniture..].iter().filter_map(|change| {
            let is_job = change.place.0 == JOBS && !text(change.after.as_ref()?, "status").is_empty();
            is_job.then(|| JobId::parse(change.place.2.strip_prefix("JOB#")?)).flatten()
        });
        ids.into_iter().find(|id| known.iter().all(|known| known.id != Some(*id)))
    }

    /// Whether any record was written since the run began for another job than those of `known`.
    pub fn applied_for_unknown(&self, known: &[Posted]) -> bool {
        let watch = self.services.watch();
        watch.changes[self.furniture..].iter().any(|change| {
            let Some(after) = change.after.as_ref().filter(|_| change.place.0 == RECORDS) else { return false };
            let marks = new_marks(change.before.as_ref(), after);
            marks.iter().any(|(id, _)| known.iter().all(|known| known.id != Some(*id)))
        })
    }

    /// The next message that can be received.
    pub fn receive(&self) -> Option<(Lane, Message)> {
        let main = self.services.receive(Lane::Main, VISIBILITY).map(|message| (Lane::Main, message));
        main.or_else(|| self.services.receive(Lane::Dead, DEAD_VISIBILITY).map(|message| (Lane::Dead, message)))
    }

    /// Delivers as SQS does, until nothing is left and nothing is still to happen.
    pub async fn drain(&self) {
        self.deliver_of(&[Lane::Main, Lane::Dead]).await;
    }

    /// As [`drain`](Self::drain), until a dead letter is what comes next.
    pub async fn drain_to_dead_letters(&self) {
        self.deliver_of(&[Lane::Main]).await;
    }

    /// Until what comes next is of another lane.
    async fn deliver_of(&self, lanes: &[Lane]) {
        for _ in 0..MOST_DELIVERIES {
            if self.services.next_lane().is_some_and(|lane| !lanes.contains(&lane)) {
                return;
            }
            if let Some((lane, message)) = self.receive() {
                self.deliver(lane, &message).await;
            } else if let Some(next) = self.services.next_visible() {
                self.clock.pass(next.saturating_sub(self.clock.elapsed())).await;
            } else if self.network.late() > 0 {
                self.clock.pass(Duration::from_secs(1)).await;
            } else {
                return;
            }
        }
        self.services.watch().violations.push("the queue does not get empty".to_owned());
    }
}

fn deadline() -> Instant {
    tokio::time::Instant::now().into_std() + TIME_LIMIT
}

fn event(message: &Message) -> SqsEvent {
    let mut record = SqsMessage::default();
    record.message_id = Some(message.id.to_string());
    record.body = Some(message.body.clone());
    record.attributes.insert("ApproximateReceiveCount".to_owned(), message.receives.to_string());
    record.attributes.insert("SentTimestamp".to_owned(), message.sent_at().to_string());
    let mut event = SqsEvent::default();
    event.records = vec![record];
    event
}
