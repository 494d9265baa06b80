//! The start of a Lambda function: telemetry, settings, clients, and the loop that takes invocations.
//!
//! A `main` starts its [`Function`], makes its handlers from the store and the queue, and hands them over:
//! [`answer`](Function::answer) takes routes, [`handle`](Function::handle) takes a handler of events.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use access::{Access, TrustedProxy};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use axum::Router;
use domain::clock::Clock;
pub use lambda_runtime::Error;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
/// The event of a function that a schedule invokes; its content is ignored.
pub use serde::de::IgnoredAny as AnyEvent;
use store::Store;
use store::clients::{self, AwsSettings};
use store::settings::{SettingError, required};
use store::sqs::SqsQueue;
use store::tables::TableNames;
use telemetry::Telemetry;
use wire::{AllowedOrigins, Routes};

/// A function that has started and takes no invocations yet.
pub struct Function {
    telemetry: Telemetry,
    aws: AwsSettings,
    http_client: SharedHttpClient,
    clock: Clock,
    store: Store,
}

impl Function {
    /// Starts the function that metrics call `name`. Reads what [`telemetry::start`], [`TableNames::from_environment`] and the SDK
    /// ([`AwsSettings::from_environment`]) need.
    ///
    /// # Errors
    /// When a variable is missing or cannot be read; the error names it.
    pub fn start(name: &'static str) -> Result<Self, Error> {
        let telemetry = telemetry::start(name)?;
        let aws = setting(AwsSettings::from_environment())?;
        let tables = setting(TableNames::from_environment())?;
        let (http_client, clock) = (clients::http_client_with(&aws.roots), Clock::system());
        let store = Store::open(&aws, http_client.clone(), tables, clock.clone());
        Ok(Self { telemetry, aws, http_client, clock, store })
    }

    /// A store on the tables that the environment names.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// A client of the chunks' queue, by `QUEUE_URL`, for a function that sends in nearly each invocation.
    ///
    /// # Errors
    /// When the variable is missing.
    pub fn queue(&self) -> Result<Arc<SqsQueue>, Error> {
        let url = setting(required("QUEUE_URL"))?;
        Ok(Arc::new(SqsQueue::new(clients::sqs(&self.aws, self.http_client.clone()), url)))
    }

    /// A client of the chunks' queue, by `QUEUE_URL`, which is only set up for the first message.
    ///
    /// # Errors
    /// When the variable is missing.
    pub fn queue_when_needed(&self) -> Result<Arc<SqsQueue>, Error> {
        let url = setting(required("QUEUE_URL"))?;
        let (aws, http_client) = (self.aws.clone(), self.http_client.clone());
        Ok(Arc::new(SqsQueue::when_needed(move || clients::sqs(&aws, http_client), url)))
    }

    /// Answers HTTP requests by these routes, until Lambda ends the process. Reads the settings of access
    /// ([`access::Settings::from_environment`], [`TrustedProxy::from_environment`],
    /// [`AllowedOrigins::from_environment`]).
    ///
    /// # Errors
    /// When a variable cannot be read, or the runtime does not answer.
    pub async fn answer(self, routes: Routes) -> Result<(), Error> {
        self.answer_behind(routes, |api| api).await
    }

    /// Answers HTTP requests as [`answer`](Self::answer) does, with a layer in front of the routes that needs no
    /// authentication.
    ///
    /// # Errors
    /// As there.
    pub async fn answer_behind(self, routes: Routes, in_front: impl FnOnce(Router) -> Router) -> Result<(), Error> {
        let access = Access::new(self.store.clone(), setting(access::Settings::from_environment())?);
        let entrance = (access, setting(TrustedProxy::from_environment())?);
        let origins = setting(AllowedOrigins::from_environment())?;
        let api = in_front(wire::with_middleware(routes, entrance, origins, self.clock));
        lambda_http::run(self.telemetry.observe(&self.store, api)).await
    }

    /// Handles events, each with the time at which its invocation ends, until Lambda ends the process.
    ///
    /// # Errors
    /// When the runtime does not answer.
    pub async fn handle<Event, Answer, Handling>(
        self,
        handler: impl Fn(Event, Instant) -> Handling,
    ) -> Result<(), Error>
    where
        Event: DeserializeOwned,
        Answer: Serialize,
        Handling: Future<Output = Result<Answer, Error>> + Send + 'static,
    {
        let handler = service_fn(|event: LambdaEvent<Event>| {
            let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
            handler(event.payload, Instant::now() + left)
        });
        lambda_runtime::run(self.telemetry.observe(&self.store, handler)).await
    }
}

/// A setting, or what is wrong with it as text: what `main` returns is shown as `Debug` has it.
fn setting<Setting>(read: Result<Setting, SettingError>) -> Result<Setting, Error> {
    read.map_err(|error| error.to_string().into())
}
