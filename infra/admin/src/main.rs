//! The program `sundial-admin`: see [`admin`] for what it does, and [`admin::cli`] for its arguments.

use std::process::ExitCode;

use admin::cli::CommandLine;
use clap::Parser;

// One thread: a command is a few calls, one after the other.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    CommandLine::parse().run().await
}
