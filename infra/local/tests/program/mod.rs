//! The program itself, as a process.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};

/// The program, running. Dropping it is a `kill -9`, so no test leaves a process behind.
pub struct Program {
    pub process: Child,
    output: Lines<BufReader<ChildStdout>>,
    base_url: String,
    http: reqwest::Client,
}

impl Program {
    /// Starts it on a free port and waits until it says that it is ready, which is the first thing it says.
    pub fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sundial-local"))
            .args(["--listen", "127.0.0.1:0", "--requests-per-minute", "1000000"])
            .args(arguments)
            .env("RUST_LOG", "error")
            .env_remove("AWS_ENDPOINT_URL_DYNAMODB")
            .env_remove("QUEUE_URL")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut output = BufReader::new(process.stdout.take().expect("its output")).lines();
        let first = output.next().expect("a line").expect("text");
        let base_url = first.strip_prefix("ready on ").unwrap_or_else(|| panic!("{first}")).to_owned();
        assert!(base_url.starts_with("http://127.0.0.1:"), "{first}");
        Self { process, output, base_url, http: reqwest::Client::new() }
    }

    /// Where it answers.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Sends a signal by name, and answers with how the program ended, after how long, and what else it had said.
    pub fn end_with(mut self, signal: &str) -> (ExitStatus, Duration, Vec<String>) {
        let started = Instant::now();
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.process.id().to_string()]).status();
        assert!(sent.expect("kill").success());
        let status = self.process.wait().expect("its end");
        let time = started.elapsed();
        (status, time, self.output.by_ref().map(|line| line.expect("text")).collect())
    }

    /// The most memory that the program had at any time so far, in MiB (`VmHWM`).
    #[cfg(target_os = "linux")]
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    }

    /// A request of the local account's agent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/api/sunshine{path}", self.base_url)).bearer_auth("sundial_local_token")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
