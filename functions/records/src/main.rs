//! Types and records as a Lambda function: settings, clients, handler, run.

use domain::ambient::Ambient;
use lambda_http::{Error, run, tracing};
use records::{Records, routes, settings::Settings};
use store::{Store, clients};
use wire::{Directory, conventions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    // As text, because what main returns is shown as `Debug` has it.
    let settings = Settings::from_environment().map_err(|error| error.to_string())?;
    let dynamodb = clients::dynamodb(&settings.aws, clients::http_client());
    let store = Store::new(dynamodb, settings.tables, Ambient::system());
    let routes = routes(Records::new(store, settings.cursor_key));
    // Nobody is let in yet: the accounts that stand behind the directory are still to come.
    run(conventions(routes, Directory::empty(), Ambient::system())).await
}
