//! Status as a Lambda function: settings, clients, routes, run.

use access::Access;
use domain::clock::Clock;
use lambda_http::{Error, run};
use status::{Status, pages, routes, routes_of_accept, settings::Settings};
use store::{Store, clients};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = telemetry::start("status")?;
    let settings = Settings::from_environment()?;
    let clock = Clock::system();
    let store =
        Store::open(&settings.aws, clients::http_client_with(&settings.aws.roots), settings.tables, clock.clone());
    let routes = routes(Status::new(store.clone())).merge(routes_of_accept());
    let entrance = (Access::new(store.clone(), settings.access), settings.proxy);
    let api = wire::conventions(routes, entrance, settings.origins, clock);
    run(telemetry.observe(&store, pages::in_front_of(api))).await
}
