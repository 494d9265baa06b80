//! Accept as a Lambda function: settings, clients, routes, run.

use std::sync::Arc;

use accept::{Accept, routes, settings::Settings};
use domain::ambient::Ambient;
use lambda_http::{Error, run};
use store::{Store, clients, sqs::SqsQueue};
use wire::Directory;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_http::tracing::init_default_subscriber();
    let settings = Settings::from_environment()?;
    let ambient = Ambient::system();
    let http_client = clients::http_client();
    let store = Store::new(clients::dynamodb(&settings.aws, http_client.clone()), settings.tables, ambient.clone());
    let queue = Arc::new(SqsQueue::new(clients::sqs(&settings.aws, http_client), settings.queue_url));
    // Until the catalog keeps accounts, a deployed function knows nobody and lets nobody in.
    run(wire::conventions(routes(Accept::new(store, queue)), Directory::empty(), ambient)).await
}
