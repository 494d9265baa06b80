//! Each function's program as it is deployed, behind a stand-in for Lambda that hands it one event.
//!
//! A process has one recorder of metrics and one log, so a program runs in a process of its own: this test's binary, started
//! again. What it writes to its standard output is what its log would be given.

// What only the programs use.
use function as _;

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::PATIENCE;
use tests::runtime::{Answered, Runtime};
use tokio::sync::oneshot;

use super::metrics::{Measured, measured};
use crate::template::{Template, logical_name};

/// The function that the binary is to be, when it is started as one.
const FUNCTION: &str = "SUNDIAL_TEST_FUNCTION";

/// Makes each function's `main.rs` callable.
macro_rules! programs {
    ($($function:ident),*) => {
        $(mod $function {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($function), ".rs"));

            pub(super) fn program() -> Result<(), Error> {
                main()
            }
        })*

        fn run(function: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            match function {
                $(stringify!($function) => $function::program(),)*
                other => panic!("there is no function {other}"),
            }
        }
    };
}

programs!(accept, consume, status, records, bury, sweep);

#[test]
#[ignore = "no test but the program of a function, which other tests start as a process of its own"]
fn a_function() {
    // Nobody who asks for ignored tests has one in mind.
    let Ok(function) = std::env::var(FUNCTION) else { return };
    // Whatever a program returns as an error, its process ends with.
    run(&function).expect("the program runs");
}

/// How an invocation ended.
#[derive(Debug)]
pub enum End {
    /// With this answer.
    Answered(Value),
    /// With this error, which Lambda counts as one of `Errors`.
    Failed(Value),
    /// The process ended before it answered, which Lambda counts as one of `Errors` too.
    Exited(ExitStatus),
}

#[derive(Debug)]
pub struct Invocation {
    pub end: End,
    /// From handing the event over to its end.
    pub took: Duration,
    /// What its lines say was measured.
    pub measured: Vec<Measured>,
}

/// Starts a function's program with the environment that the template gives it, and with DynamoDB at `database_url`; hands
/// it one event. `without` is a variable that is left out.
///
/// # Panics
/// When the program neither answers nor ends.
pub async fn invoke(
    template: &Template,
    function: &str,
    database_url: &str,
    event: &Value,
    without: Option<&str>,
) -> Invocation {
    let timeout = template.properties(&logical_name(function))["Timeout"].as_u64().expect("a timeout");
    let runtime = Runtime::start().await;

    let mut variables = template.environment(function);
    variables.retain(|(name, _)| without != Some(name));
    let mut program = Program::start(function, runtime.address(), database_url, variables);
    let began = Instant::now();
    let mut since = began;
    let mut under_way: Option<oneshot::Receiver<Answered>> = None;
    let end = loop {
        // One event, and no other.
        let step = async {
            match &mut under_way {
                None => {
                    runtime.asked().await;
                    None
                }
                Some(answered) => Some(answered.await.expect("the runtime keeps it until there is an answer")),
            }
        };
        match tokio::time::timeout(Duration::from_millis(10), step).await {
            Ok(None) => {
                since = Instant::now();
                under_way = Some(runtime.hand_out(event, Duration::from_secs(timeout)));
            }
            Ok(Some(Ok(answer))) => break End::Answered(answer),
            Ok(Some(Err(error))) => break End::Failed(error),
            Err(_) => {
                if let Some(status) = program.child.try_wait().expect("a child of ours") {
                    break End::Exited(status);
                }
            }
        }
        assert!(began.elapsed() < PATIENCE, "{function} does not answer");
    };
    let took = since.elapsed();
    Invocation { end, took, measured: measured(&program.stop()) }
}

/// A program that runs. It ends with this at the latest.
struct Program {
    child: Child,
    output: Option<JoinHandle<String>>,
}

impl Program {
    fn start(function: &str, lambda: &str, database_url: &str, variables: Vec<(String, String)>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        // The name of the test that is no test, and nothing of this process's environment.
        let name = format!("{}::a_function", module_path!().split_once("::").expect("a module of the crate").1);
        command.args([name.as_str(), "--exact", "--ignored", "--nocapture"]).env_clear();
        command.env(FUNCTION, function).envs(variables);
        for (name, value) in [
            ("AWS_LAMBDA_RUNTIME_API", lambda),
            ("AWS_LAMBDA_FUNCTION_NAME", function),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL", database_url),
        ] {
            command.env(name, value);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // A program that is made to fail says so, and nobody needs to read it.
            .stderr(Stdio::null())
            .spawn()
            .expect("this binary once more");
        let mut stdout = child.stdout.take().expect("piped");
        let output = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).expect("text");
            text
        });
        Self { child, output: Some(output) }
    }

    /// Ends it, and answers with all that it wrote.
    fn stop(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.output.take().map(|output| output.join().expect("its output")).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}
