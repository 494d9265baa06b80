//! The program `sundial`: see `sundial --help` and docs/cli.md.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    sundial::run().await
}
