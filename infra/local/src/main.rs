//! The program `sundial-local`: see [`local::cli`] for its arguments, and [`local::run`] for what it does.

use std::process::ExitCode;

use clap::Parser;
use local::cli::CommandLine;

// More than one thread: the functions' own work should not wait for the consumer's.
#[tokio::main(flavor = "multi_thread")]
async fn main() -> ExitCode {
    CommandLine::parse().run().await
}
