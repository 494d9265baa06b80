//! Where the service of a test runs.

pub mod deployed;
pub mod queues;

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use aws_sdk_dynamodb::Client as Dynamodb;
use domain::account::{AccountId, Role};
use domain::clock::Clock;
use domain::record::RecordId;
use domain::types::TypeKey;
use local::poller::Polling;
use local::queue::QueueOptions;
use local::run::{LocalOptions, LocalRun, QueueHome};
use local::source::sqs::SqsOptions;
use store::Store;
use store::clients::{self, AwsSettings};
use store::queue::{Outgoing, Queue};
use store::tables::TableNames;
use tests::{Client, start_watching, token_of, watch_for};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use wire::AllowedOrigins;

use self::deployed::Deployed;
use self::queues::Queues;

/// Which of the homes was chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Local,
    LocalStack,
    MiniStack,
}

impl Kind {
    /// # Panics
    /// When `SUNDIAL_HOME` names no home.
    pub fn chosen() -> Self {
        match std::env::var("SUNDIAL_HOME").as_deref() {
            Err(_) | Ok("" | "local") => Self::Local,
            Ok("localstack") => Self::LocalStack,
            Ok("ministack") => Self::MiniStack,
            Ok(other) => panic!("SUNDIAL_HOME is local, localstack or ministack, and not {other}"),
        }
    }
}

/// One test at a time may disturb a deployed stack, which all tests share.
static DISTURBANCE: RwLock<()> = RwLock::const_new(());

/// How the queue of a home that is a test's own treats its messages. A deployed stack has settings of its own.
const PATIENT: QueueOptions = QueueOptions { visibility: Duration::from_secs(30), max_receives: 5 };

/// So that a message that cannot be handled ends among the dead letters within a test.
pub const IMPATIENT: QueueOptions = QueueOptions { visibility: Duration::from_secs(3), max_receives: 3 };

/// Who is let into a home that is a test's own, as into the stack of `tests/emulators.py`.
fn access_settings() -> access::Settings {
    access::Settings {
        remembered_for: Duration::from_secs(2),
        requests_per_minute: 1_000_000,
        base_domain: Some("sundial.test".to_owned()),
    }
}

/// How long a home takes at the most for what takes many of its visibility timeouts.
pub const LONG_PATIENCE: Duration = Duration::from_mins(10);

/// The service, running.
pub struct Home {
    place: Place,
    /// Held while the test runs.
    _calm: Calm,
}

enum Place {
    Here(Box<Here>),
    Deployed(&'static Deployed),
}

/// A local run of the test's own.
struct Here {
    run: LocalRun,
    queues: Option<Queues>,
}

enum Calm {
    Shared(#[expect(dead_code, reason = "held, not read")] RwLockReadGuard<'static, ()>),
    Own(#[expect(dead_code, reason = "held, not read")] RwLockWriteGuard<'static, ()>),
}

impl Home {
    /// The chosen home.
    pub async fn start() -> Self {
        Self::start_with(PATIENT).await
    }

    /// The chosen home, whose queue is like this where it is the test's own.
    pub async fn start_with(options: QueueOptions) -> Self {
        let calm = Calm::Shared(DISTURBANCE.read().await);
        if Kind::chosen() == Kind::MiniStack {
            return Self { place: Place::Deployed(Deployed::known()), _calm: calm };
        }
        let queues = match Kind::chosen() {
            Kind::LocalStack => Some(Queues::make(queues::settings(), options).await),
            _ => None,
        };
        let queue = queues.as_ref().map_or(QueueHome::Own(options), |queues| QueueHome::Sqs(queues.options.clone()));
        let run = local_run(LocalOptions { queue, ..LocalOptions::in_memory() }).await;
        Self { place: Place::Here(Box::new(Here { run, queues })), _calm: calm }
    }

    /// A deployed stack that nobody else uses meanwhile, and that may be disturbed.
    ///
    /// # Panics
    /// When another home was chosen.
    pub async fn undisturbed_stack() -> (Self, &'static Deployed) {
        let calm = Calm::Own(DISTURBANCE.write().await);
        let deployed = Deployed::known();
        (Self { place: Place::Deployed(deployed), _calm: calm }, deployed)
    }

    /// A run whose database is behind a gate, or whose queue is.
    ///
    /// # Panics
    /// When the run does not start, or a deployed stack was chosen.
    pub async fn behind(database_url: Option<String>, sqs_url: Option<String>, options: QueueOptions) -> Self {
        let calm = Calm::Shared(DISTURBANCE.read().await);
        let queues = match sqs_url {
            Some(_) => Some(Queues::make(queues::settings(), options).await),
            None => None,
        };
        let queue = match (&queues, sqs_url) {
            (Some(queues), Some(url)) => {
                let aws = AwsSettings { sqs_endpoint: Some(url), ..queues.options.aws.clone() };
                QueueHome::Sqs(SqsOptions { aws, ..queues.options.clone() })
            }
            _ => QueueHome::Own(options),
        };
        let options = LocalOptions {
            endpoint_url: database_url,
            queue,
            // Shorter than the visibility, as deployed.
            polling: Polling {
                time_limit: options.visibility.saturating_sub(Duration::from_secs(1)),
                ..Polling::default()
            },
            ..LocalOptions::in_memory()
        };
        let run = local_run(options).await;
        Self { place: Place::Here(Box::new(Here { run, queues })), _calm: calm }
    }

    /// An agent of an account that nobody else uses, with a bearer token and no password.
    ///
    /// # Panics
    /// When the database does not answer.
    pub async fn agent(&self) -> Client {
        let store = match &self.place {
            Place::Deployed(_) => self.store_at(Clock::system()),
            Place::Here(here) => here.run.store().clone(),
        };
        let account = AccountId::parse(&fresh_name("suite")).expect("an account id");
        let token = token_of(&store, &account, Role::Agent).await;
        keep_secret(&token);
        Client::new(self.base_url(), account, token, store)
    }

    /// How long somebody who was shut out may still be let in.
    pub fn remembered_for(&self) -> Duration {
        match &self.place {
            Place::Deployed(deployed) => deployed.access.remembered_for,
            Place::Here(_) => access_settings().remembered_for,
        }
    }

    /// A request without credentials. It follows no redirect: who asks wants to see it.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        http.request(method, format!("{}{path}", self.base_url()))
    }

    /// Where it answers, without a slash at the end.
    pub fn base_url(&self) -> String {
        match &self.place {
            Place::Deployed(deployed) => deployed.base_url.clone(),
            Place::Here(here) => here.run.base_url(),
        }
    }

    /// The home's DynamoDB, for what no store would do.
    pub fn dynamodb(&self) -> Dynamodb {
        let settings = match &self.place {
            Place::Deployed(deployed) => deployed.aws.clone(),
            Place::Here(here) => AwsSettings::emulator(&here.run.dynamodb_url()),
        };
        clients::dynamodb(&settings, clients::http_client())
    }

    pub fn tables(&self) -> TableNames {
        match &self.place {
            Place::Deployed(deployed) => deployed.tables.clone(),
            Place::Here(here) => here.run.tables().clone(),
        }
    }

    /// The home's tables as a process with this clock sees them.
    pub fn store_at(&self, clock: Clock) -> Store {
        Store::new(self.dynamodb(), self.tables(), clock)
    }

    /// Puts messages of the test's own into the queue.
    pub async fn send(&self, client: &Client, bodies: impl IntoIterator<Item = String>) {
        let message = |body| Outgoing { account: client.account.clone(), body, trace: None };
        let messages = bodies.into_iter().map(message).collect();
        let sent = match &self.place {
            Place::Deployed(deployed) => deployed.queue().send(messages).await,
            Place::Here(here) => here.run.sender().send(messages).await,
        };
        sent.expect("the queue");
    }

    /// Has the rows deleted whose time to live has passed, where that can be asked for. Elsewhere it happens by itself.
    pub async fn delete_expired(&self) {
        if let Place::Here(here) = &self.place
            && let Some(database) = here.run.database()
        {
            database.delete_expired().await.expect("the database");
        }
    }

    /// Ends the overdue jobs.
    pub async fn sweep(&self) {
        match &self.place {
            Place::Deployed(deployed) => deployed.invoke("sweep").await,
            Place::Here(here) => {
                let report = here.run.sweep().await.expect("the database");
                assert_eq!(report.left, 0, "{report:?}");
            }
        }
    }

    /// How many messages are among the dead letters; none when the queues are a deployed stack's, which others use too.
    pub async fn dead_letters(&self) -> Option<usize> {
        match &self.place {
            Place::Deployed(_) => None,
            Place::Here(here) => match &here.queues {
                Some(queues) => Some(queues.dead_letters().await.all()),
                None => Some(here.run.queue()?.counts().await.expect("the queue").dead),
            },
        }
    }

    pub async fn stop(self) {
        if let Place::Here(here) = self.place {
            let Here { run, queues } = *here;
            run.stop().await;
            if let Some(queues) = queues {
                queues.delete().await;
            }
        }
    }
}

/// Has every log watched for a secret that a test made: a token, a password, or what stands after `Basic `. This process's log
/// at once, and the others by whoever named the file `SUNDIAL_SECRETS`, in which the secret is noted.
///
/// # Panics
/// When the file cannot be written.
pub fn keep_secret(secret: &str) {
    watch_for(secret);
    let Ok(path) = std::env::var("SUNDIAL_SECRETS") else { return };
    let file = File::options().create(true).append(true).open(&path);
    // In one piece, because tests run at the same time.
    let written = file.and_then(|mut file| file.write_all(format!("{secret}\n").as_bytes()));
    written.unwrap_or_else(|error| panic!("{path}: {error}"));
}

async fn local_run(options: LocalOptions) -> LocalRun {
    start_watching();
    let origins = AllowedOrigins::parse(ALLOWED_ORIGIN).expect("an origin");
    LocalRun::start(LocalOptions { access: access_settings(), origins, ..options }).await.expect("the local run starts")
}

/// Whose pages may call from a browser, in every home: `tests/emulators.py` has it too.
pub const ALLOWED_ORIGIN: &str = "https://app.example.com";

/// A name that no other test has, of this process or another.
pub fn fresh_name(prefix: &str) -> String {
    let random = u64::from_le_bytes(Clock::system().random());
    format!("{prefix}-{random:016x}")
}

/// The record that a product's external id stands for.
pub fn product_id(client: &Client, external_id: &str) -> RecordId {
    let product = TypeKey::parse("product").expect("a type key");
    RecordId::of_external_id(&client.account, &product, external_id)
}

/// Says out loud that a test was not given, and why.
pub fn not_here(what: &str, why: &str) {
    eprintln!("NOT TESTED in the home {:?}: {what}: {why}", Kind::chosen());
}
