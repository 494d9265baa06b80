//! Accept as a Lambda function: settings, clients, routes, run.

use std::sync::Arc;

use accept::{Accept, routes, settings::Settings};
use access::Access;
use domain::clock::Clock;
use lambda_http::{Error, run};
use store::{Store, clients, sqs::SqsQueue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = telemetry::start("accept")?;
    let settings = Settings::from_environment()?;
    let clock = Clock::system();
    let http_client = clients::http_client_with(&settings.aws.roots);
    let store = Store::open(&settings.aws, http_client.clone(), settings.tables, clock.clone());
    let queue = Arc::new(SqsQueue::new(clients::sqs(&settings.aws, http_client), settings.queue_url));
    let routes = routes(Accept::new(store.clone(), queue));
    let entrance = (Access::new(store.clone(), settings.access), settings.proxy);
    run(telemetry.observe(&store, wire::conventions(routes, entrance, settings.origins, clock))).await
}
