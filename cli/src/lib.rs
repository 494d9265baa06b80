//! The command line of Sundial: a client of the public HTTP API, as any other.

mod arguments;
mod client;
mod export;
mod failure;
mod import;
mod manual;
mod output;
mod profile;
mod progress;
mod resources;
mod text;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use arguments::{Arguments, Command};
use failure::{Failure, Verdict};
use output::Output;
use profile::Connection;

/// Runs the command that the arguments of the process name, and returns its exit code.
pub async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments).await {
        Ok(verdict) => verdict.into(),
        Err(failure) => {
            // What a service or a file said may hold anything, and a terminal would obey some of it.
            eprintln!("sundial: {}", text::printable_lines(&failure.to_string()));
            failure.into()
        }
    }
}

async fn dispatch(arguments: Arguments) -> Result<Verdict, Failure> {
    let Arguments { connection, json, command } = arguments;
    let output = Output::new(json);
    match command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "sundial", &mut script);
            output::write(&script)?;
            return Ok(Verdict::Succeeded);
        }
        Command::Manual { dir } => return manual::write(dir.as_deref(), &output),
        Command::Login(login) => return profile::login(&connection, &login, &output).await,
        Command::Whoami => return profile::whoami(&connection, &output).await,
        _ => {}
    }
    let client = Connection::resolve(&connection)?.client()?;
    match command {
        Command::Import(options) => import::run(&options, &client, &output).await,
        Command::Jobs(command) => resources::jobs(command, &client, &output).await,
        Command::Records(command) => resources::records(command, &client, &output).await,
        Command::Types(command) => resources::types(command, &client, &output).await,
        Command::Relationships(command) => resources::relationships(command, &client, &output).await,
        Command::Limits => resources::limits(&client, &output).await,
        Command::Completions { .. } | Command::Manual { .. } | Command::Login(_) | Command::Whoami => {
            Ok(Verdict::Succeeded)
        }
    }
}
