//! Bury as a Lambda function: settings, clients, handler, run.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::event::sqs::SqsEvent;
use bury::{Bury, settings::Settings};
use domain::clock::Clock;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use store::{Store, clients, sqs::SqsQueue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = telemetry::start("bury")?;
    let settings = Settings::from_environment()?;
    let http_client = clients::http_client_with(&settings.aws.roots);
    let store = Store::open(&settings.aws, http_client.clone(), settings.tables, Clock::system());
    let aws = settings.aws;
    let queue = Arc::new(SqsQueue::when_needed(move || clients::sqs(&aws, http_client), settings.queue_url));
    let bury = Bury::new(store.clone(), queue);
    let handler = service_fn(|event: LambdaEvent<SqsEvent>| {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        let bury = bury.clone();
        async move { Ok::<_, Error>(bury.handle(event.payload, Instant::now() + left).await) }
    });
    run(telemetry.observe(&store, handler)).await
}
