//! A database for a test: DynamoDB's stand-in in this process, behind its own HTTP, with the tables in it, whoever may call, and a queue
//! that only keeps what is sent.

use std::future::pending;
use std::sync::{Mutex, PoisonError};

use access::{Operator, OperatorError, TokenRequest};
use domain::account::{AccountId, Email, Role, TokenKind, User};
use domain::clock::Clock;
use secrecy::ExposeSecret;
use store::Store;
use store::clients::{self, AwsSettings};
use store::queue::{Outgoing, Queue, SendFuture};
use store::tables::{self, TableNames};
use tokio::net::TcpListener;

/// A database that holds nothing but empty tables.
#[derive(Clone, Debug)]
pub struct TestDatabase {
    /// `http://ADDRESS:PORT`.
    pub endpoint: String,
    names: TableNames,
}

impl TestDatabase {
    /// Starts one whose tables have names that begin so. It ends with the runtime.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start(prefix: &str) -> Self {
        Self::start_until(prefix, pending()).await
    }

    /// As [`start`](Self::start), to be ended before its runtime: it goes when `ended` is done.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start_until(prefix: &str, ended: impl Future<Output = ()> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let engine = dynoxide::Database::memory().expect("a database in memory");
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, engine, ended));
        let names = TableNames::with_prefix(prefix);
        let client = clients::dynamodb(&AwsSettings::emulator(&endpoint), clients::http_client());
        tables::create_missing(&client, &names).await.expect("the tables");
        Self { endpoint, names }
    }

    /// A store on it, with a client of its own.
    #[must_use]
    pub fn store(&self, clock: Clock) -> Store {
        let aws = AwsSettings::emulator(&self.endpoint);
        Store::open(&aws, clients::http_client(), self.names.clone(), clock)
    }
}

/// A bearer token of a new user of the account, which is made unless it is there.
///
/// # Panics
/// When the database refuses.
pub async fn token_of(store: &Store, account: &AccountId, role: Role) -> String {
    let operator = Operator::new(store.clone());
    match operator.create_account(account, false, None).await {
        Ok(_) | Err(OperatorError::AccountTaken(_)) => {}
        Err(error) => panic!("{error}"),
    }
    let name = format!("{}-{}", role.as_str(), u64::from_le_bytes(Clock::system().random()));
    let email = Email::parse(&format!("{name}@{account}.test")).expect("an address");
    let user = User { email: email.clone(), name, role, active: true, created_at: store.clock().now() };
    operator.create_user(account, &user).await.expect("a user");
    let request = TokenRequest { kind: TokenKind::Bearer, label: "test".to_owned(), expires_at: None };
    let token = operator.create_token(account, &email, request).await.expect("a token").text;
    token.expose_secret().to_owned()
}

/// A queue that keeps what is sent, and delivers nothing.
#[derive(Debug, Default)]
pub struct Sent(Mutex<Vec<Outgoing>>);

impl Sent {
    /// The messages so far, in the order in which they were sent.
    #[must_use]
    pub fn messages(&self) -> Vec<Outgoing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Queue for Sent {
    fn send(&self, messages: Vec<Outgoing>) -> SendFuture<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(messages);
        Box::pin(async { Ok(()) })
    }
}
