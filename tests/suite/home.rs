//! Where the service of a test runs.

pub mod deployed;
mod queues;

use std::time::Duration;

use aws_sdk_dynamodb::Client as Dynamodb;
use domain::account::AccountId;
use domain::ambient::Ambient;
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
use tests::Client;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

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
        let run =
            LocalRun::start(LocalOptions { queue, ..LocalOptions::in_memory() }).await.expect("the local run starts");
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
        let run = LocalRun::start(options).await.expect("the local run starts");
        Self { place: Place::Here(Box::new(Here { run, queues })), _calm: calm }
    }

    /// An agent of an account that nobody else uses.
    pub fn agent(&self) -> Client {
        match &self.place {
            Place::Deployed(deployed) => {
                let (account, token) = deployed.claim();
                Client::new(deployed.base_url.clone(), account, token, self.store_at(Ambient::system()))
            }
            Place::Here(here) => here.agent(&fresh_name("suite")),
        }
    }

    /// A request without credentials.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let base_url = match &self.place {
            Place::Deployed(deployed) => deployed.base_url.clone(),
            Place::Here(here) => here.run.base_url(),
        };
        reqwest::Client::new().request(method, format!("{base_url}{path}"))
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
    pub fn store_at(&self, ambient: Ambient) -> Store {
        Store::new(self.dynamodb(), self.tables(), ambient)
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
                Some(queues) => Some(queues.dead_letters().await),
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

impl Here {
    fn agent(&self, account: &str) -> Client {
        let account = AccountId::parse(account).expect("an account id");
        let token = format!("token-of-{account}");
        let role = domain::account::Role::Agent;
        self.run.directory().add(&account, role, &format!("agent@{account}.test"), "password", Some(&token));
        Client::new(self.run.base_url(), account, token, self.run.store().clone())
    }
}

/// A name that no other test has, of this process or another.
pub fn fresh_name(prefix: &str) -> String {
    let random = u64::from_le_bytes(Ambient::system().random());
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
