//! Types and records as a Lambda function: settings, clients, handler, run.

use access::Access;
use domain::clock::Clock;
use lambda_http::{Error, run};
use records::{Records, routes, settings::Settings};
use store::{Store, clients};
use wire::conventions;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = telemetry::start("records")?;
    // As text, because what main returns is shown as `Debug` has it.
    let settings = Settings::from_environment().map_err(|error| error.to_string())?;
    let store =
        Store::open(&settings.aws, clients::http_client_with(&settings.aws.roots), settings.tables, Clock::system());
    let routes = routes(Records::new(store.clone()));
    let entrance = (Access::new(store.clone(), settings.access), settings.proxy);
    run(telemetry.observe(&store, conventions(routes, entrance, settings.origins, Clock::system()))).await
}
