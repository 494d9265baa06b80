//! A function's program as it is deployed, and the counting of its instructions.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tests::runtime::Runtime;
use tokio::time::timeout;

use crate::Failure;
use crate::stand_ins::World;

/// An invocation takes milliseconds, and under callgrind a second or ten.
const PATIENCE: Duration = Duration::from_mins(3);

/// A program that asks the runtime of this process for events.
pub struct Program {
    name: &'static str,
    process: Child,
    runtime: Runtime,
}

/// Where the release programs are, each in a folder of its own, unless it is said otherwise.
pub fn folder() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder within the target folder");
    target.join("lambda-x86_64")
}

impl Program {
    /// Starts a program, under callgrind if `counted`, which names a file for its profile.
    pub async fn start(name: &'static str, world: &World, counted: Option<&Path>) -> Result<Self, Failure> {
        let runtime = Runtime::start().await;
        let path = world.program(name);
        let mut command = match counted {
            None => Command::new(&path),
            Some(profile) => {
                let mut valgrind = Command::new("valgrind");
                valgrind.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", profile.display())).arg(&path);
                valgrind
            }
        };
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(world.environment())
            .env("AWS_LAMBDA_RUNTIME_API", runtime.address())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let process = command.spawn().map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { name, process, runtime })
    }

    /// What the function answers to an event.
    pub async fn invoke(&mut self, event: &Value) -> Result<Value, Failure> {
        let answer = timeout(PATIENCE, async {
            self.runtime.asked().await;
            self.runtime.hand_out(event, PATIENCE).await
        });
        let answer = answer.await.map_err(|_| format!("{} does not answer", self.name))??;
        answer.map_err(|error| format!("{}: {error}", self.name).into())
    }

    /// The CPU time that its threads have taken, those that have ended left out.
    pub fn cpu_time(&self) -> Result<Duration, Failure> {
        let mut nanoseconds = 0_u64;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            // The first of three numbers, proc(5).
            let spent = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += spent.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Ends it, and says how many instructions it executed in all of its threads.
    pub async fn end(mut self) -> Result<u64, Failure> {
        // It asks for the next event once it is done with the last.
        timeout(PATIENCE, self.runtime.asked()).await?;
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let errors = self.process.stderr.take();
        let said = tokio::task::spawn_blocking(move || {
            let mut said = String::new();
            errors.map(|mut errors| errors.read_to_string(&mut said)).transpose().map(|_| said)
        });
        let said = timeout(PATIENCE, said).await???;
        let count = said.split("Collected : ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let count = count.ok_or_else(|| format!("callgrind does not say what it has counted: {said}"))?;
        Ok(count.parse()?)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail where it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
