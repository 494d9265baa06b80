//! Sweep as a Lambda function: settings, clients, handler, run.

use std::time::{Duration, Instant, SystemTime};

use domain::clock::Clock;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use store::{Store, clients};
use sweep::{Sweep, settings::Settings};

/// Time kept at the end of an invocation for the job that is being ended.
const MARGIN: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = telemetry::start("sweep")?;
    let settings = Settings::from_environment()?;
    let store =
        Store::open(&settings.aws, clients::http_client_with(&settings.aws.roots), settings.tables, Clock::system());
    let sweep = Sweep::new(store.clone());
    let handler = service_fn(|event: LambdaEvent<serde_json::Value>| {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let (sweep, deadline) = (sweep.clone(), Instant::now() + left.saturating_sub(MARGIN));
        async move {
            let report = sweep.run(deadline).await?.check()?;
            Ok::<_, Error>(
                serde_json::json!({"accounts": report.accounts, "ended": report.ended, "filled": report.filled}),
            )
        }
    });
    run(telemetry.observe(&store, handler)).await
}
