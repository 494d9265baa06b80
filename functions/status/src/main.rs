//! Status as a Lambda function: settings, clients, routes, run.

use domain::ambient::Ambient;
use lambda_http::{Error, run};
use status::{Status, routes, settings::Settings};
use store::{Store, clients};
use wire::Directory;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_http::tracing::init_default_subscriber();
    let settings = Settings::from_environment()?;
    let ambient = Ambient::system();
    let store = Store::new(clients::dynamodb(&settings.aws, clients::http_client()), settings.tables, ambient.clone());
    // Until the catalog keeps accounts, a deployed function knows nobody and lets nobody in.
    run(wire::conventions(routes(Status::new(store, settings.cursor_key)), Directory::empty(), ambient)).await
}
