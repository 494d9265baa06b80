//! The command line of `sundial-local`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, Subcommand, value_parser};
use domain::clock::Clock;
use store::clients::AwsSettings;
use telemetry::log_filter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use wire::AllowedOrigins;

use crate::demo;
use crate::poller::Polling;
use crate::queue::QueueOptions;
use crate::run::{LocalOptions, LocalRun, QueueHome, Storage};
use crate::source::sqs::SqsOptions;

/// What is logged unless `RUST_LOG` says otherwise: warnings, and what Sundial itself says of its work. A condition that
/// does not hold is an everyday answer of a database, though dynoxide warns of it.
const LOG: &str = "warn,dynoxide=error,local=info,accept=info,access=info,bury=info,consume=info,records=info,status=info,store=info,sweep=info,wire=info";

/// The demo tells its own story: only what goes wrong is logged beside it.
const DEMO_LOG: &str = "warn,dynoxide=error";

/// Sundial on this machine: the Custom Objects Jobs API with its queue and its database, in one process.
#[derive(Debug, Parser)]
#[command(name = "sundial-local", version)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where to answer requests; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Where to keep everything
    #[arg(long, value_name = "DIRECTORY", default_value = ".sundial")]
    data: PathBuf,
    /// Keep everything in memory, and nothing afterwards
    #[arg(long, conflicts_with = "data")]
    memory: bool,
    /// Use the DynamoDB served there, and not one of its own
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_DYNAMODB", value_parser = NonEmptyStringValueParser::new())]
    endpoint_url: Option<String>,
    /// Use this SQS queue, and not one of its own
    ///
    /// Needs `AWS_REGION`, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in the environment, unless --sqs-endpoint-url
    /// leads to an emulator.
    #[arg(long, value_name = "URL", env = "QUEUE_URL", value_parser = NonEmptyStringValueParser::new())]
    queue_url: Option<String>,
    /// Bury what SQS moves from that queue to this one, its dead-letter queue
    #[arg(long, value_name = "URL", env = "DEAD_LETTERS_URL", value_parser = NonEmptyStringValueParser::new())]
    dead_letters_url: Option<String>,
    /// Where SQS is served, when it is not on AWS; says nothing without --queue-url
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_SQS", value_parser = NonEmptyStringValueParser::new())]
    sqs_endpoint_url: Option<String>,
    /// How many batches of messages are handled at a time, two chunks in each
    #[arg(long, value_name = "NUMBER", default_value = "4", value_parser = value_parser!(u16).range(1..=256))]
    consumers: u16,
    /// How many requests a minute an account may make
    #[arg(long, value_name = "NUMBER", default_value = "700", value_parser = value_parser!(u32).range(1..=1_000_000))]
    requests_per_minute: u32,
    /// Serve each account under a host name of its own, ACCOUNT.DOMAIN, and let no other in there
    #[arg(long, value_name = "DOMAIN", value_parser = NonEmptyStringValueParser::new())]
    base_domain: Option<String>,
    /// Let pages of this origin call from a browser; may be given more than once
    ///
    /// As a browser writes it: scheme, host and port, without a path.
    #[arg(long = "allow-origin", value_name = "ORIGIN", value_parser = NonEmptyStringValueParser::new())]
    allowed_origins: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what it does: import airports in one job, then run a job with mistakes in it
    Demo,
}

impl CommandLine {
    /// Carries out the command, to its end.
    pub async fn run(self) -> ExitCode {
        match self.follow().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                eprintln!("sundial-local: {message}");
                ExitCode::FAILURE
            }
        }
    }

    async fn follow(self) -> Result<(), String> {
        if let Some(Command::Demo) = self.command {
            start_log(DEMO_LOG)?;
            return demo::run().await.map_err(|error| error.to_string());
        }
        start_log(LOG)?;
        self.serve().await
    }

    async fn serve(self) -> Result<(), String> {
        // Before anything is started, so that no signal finds it half started.
        let ended = end_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
        let run = LocalRun::start(self.options()?).await.map_err(|error| error.to_string())?;
        welcome(&run.base_url(), &run.dynamodb_url());
        ended.await;
        tracing::info!("stopping");
        run.stop().await;
        Ok(())
    }

    fn options(self) -> Result<LocalOptions, String> {
        let queue = self.queue()?;
        let origins = AllowedOrigins::parse(&self.allowed_origins.join(","))
            .map_err(|error| format!("--allow-origin: {error}"))?;
        Ok(LocalOptions {
            listen: self.listen,
            storage: if self.memory { Storage::Temporary } else { Storage::Directory(self.data) },
            endpoint_url: self.endpoint_url,
            queue,
            polling: Polling { receivers: self.consumers.into(), ..Polling::default() },
            access: access::Settings {
                requests_per_minute: self.requests_per_minute,
                base_domain: self.base_domain,
                ..access::Settings::default()
            },
            origins,
            clock: Clock::system(),
            http_clients: None,
        })
    }

    fn queue(&self) -> Result<QueueHome, String> {
        let Some(url) = self.queue_url.clone() else { return Ok(QueueHome::Own(QueueOptions::default())) };
        let aws = match (AwsSettings::from_environment(), &self.sqs_endpoint_url) {
            (Ok(aws), None) => aws,
            (Ok(aws), Some(endpoint)) => AwsSettings { sqs_endpoint: Some(endpoint.clone()), ..aws },
            (Err(_), Some(endpoint)) => AwsSettings::emulator(endpoint),
            (Err(error), None) => return Err(format!("{error}, which SQS needs")),
        };
        Ok(QueueHome::Sqs(SqsOptions { aws, url, dead_letters_url: self.dead_letters_url.clone() }))
    }
}

/// Sends the log to stderr, in lines for people.
fn start_log(unless_said: &str) -> Result<(), String> {
    let directives = std::env::var("RUST_LOG").unwrap_or_else(|_| unless_said.into());
    let filter =
        log_filter(&directives).ok_or("RUST_LOG cannot be read: it is a level, or TARGET=LEVEL with commas between")?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(())
}

/// A future that waits for Ctrl-C or SIGTERM. Signals are caught from now on, not from the first poll.
#[cfg(unix)]
fn end_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn end_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}

/// Says that it is ready, and what to paste into another shell.
fn welcome(base_url: &str, dynamodb_url: &str) {
    let user = "-u agent@example.com:sunshine";
    let json = "-H 'Content-Type: application/json'";
    let schema = r#"{"properties":{"id":{"type":"string"},"name":{"type":"string"}},"required":["name"]}"#;
    let item = r#"{"type":"product","external_id":"3","attributes":{"id":"3","name":"Strawberry Chewing Gum"}}"#;
    let text = format!(
        r#"ready on {base_url}
in a browser: {base_url}/console, as agent@example.com with the password sunshine; what the API is: {base_url}/api/sunshine/docs

Paste into another shell: define an object type, create a record of it in a job, look at the job and at the record.

API={base_url}/api/sunshine
curl {user} $API/objects/types {json} -d '{{"data":{{"key":"product","schema":{schema}}}}}'
JOB=$(curl -s {user} $API/jobs {json} -d '{{"type":"resources","action":"post","data":[{item}]}}' | sed 's/.*"id":"\([^"]*\)".*/\1/')
curl {user} $API/jobs/$JOB
curl {user} "$API/objects/records?type=product"

Accounts, users and tokens of your own, in a checkout:
cargo run --package admin -- --endpoint-url {dynamodb_url} account list

Ctrl-C ends it.
"#
    );
    // Nobody may be reading; that is no reason not to serve.
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> LocalOptions {
        CommandLine::try_parse_from([&["sundial-local"], arguments].concat()).unwrap().options().unwrap()
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let options = options(&[]);
        assert_eq!(options.listen, "127.0.0.1:8080");
        assert_eq!(options.storage, Storage::Directory(".sundial".into()));
        assert_eq!((options.polling.receivers, options.endpoint_url), (4, None));
        assert_eq!(options.origins, AllowedOrigins::default());
    }

    #[test]
    fn what_is_said_is_used() {
        let options =
            options(&["--listen", "0.0.0.0:1", "--memory", "--consumers", "2", "--endpoint-url", "http://x:1"]);
        assert_eq!((options.listen.as_str(), options.storage), ("0.0.0.0:1", Storage::Temporary));
        assert_eq!((options.polling.receivers, options.endpoint_url.as_deref()), (2, Some("http://x:1")));
    }

    #[test]
    fn the_queue_is_its_own_unless_another_is_named() {
        let own = options(&["--sqs-endpoint-url", "http://sqs:1", "--dead-letters-url", "http://sqs:1/0/dead"]).queue;
        assert!(matches!(own, QueueHome::Own(_)), "{own:?}");
        let arguments = ["--queue-url", "http://sqs:1/0/jobs", "--sqs-endpoint-url", "http://sqs:1"];
        let QueueHome::Sqs(sqs) = options(&arguments).queue else { panic!("not SQS") };
        assert_eq!((sqs.url.as_str(), sqs.dead_letters_url), ("http://sqs:1/0/jobs", None));
        assert_eq!(sqs.aws.sqs_endpoint.as_deref(), Some("http://sqs:1"));
    }

    #[test]
    fn origins_may_be_given_one_by_one_and_are_looked_at() {
        let both = options(&["--allow-origin", "https://a.example", "--allow-origin", "http://localhost:3000"]);
        assert_eq!(both.origins, AllowedOrigins::parse("https://a.example,http://localhost:3000").unwrap());
        let wrong = CommandLine::try_parse_from(["sundial-local", "--allow-origin", "*"]).unwrap().options();
        assert_eq!(
            wrong.err().expect("a refusal"),
            r#"--allow-origin: "*" is no origin: write it as a browser does, https://app.example.com, without a path"#
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for arguments in [
            &["--memory", "--data", "x"][..],
            &["--consumers", "0"],
            &["--memory", "demo"],
            &["--queue-url", ""],
            &["serve"],
        ] {
            let parsed = CommandLine::try_parse_from([&["sundial-local"], arguments].concat());
            assert!(parsed.is_err(), "{arguments:?}");
        }
    }
}
