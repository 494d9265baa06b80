//! The command line, as clap reads it.

mod import;
mod resources;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use import::{Action, Format, ImportArguments};
pub(crate) use resources::{
    ExportFormat, JobsCommand, Page, RecordsCommand, RelationshipTypesCommand, RelationshipsCommand, TypesCommand,
};

const EXIT_CODES: &str = "Exit codes:
  0  everything succeeded: every row, every item
  1  some rows or items failed
  2  the command line is wrong
  3  nothing, or not everything, could be sent or asked
  4  access was refused

Address and token come from `sundial login`, or from SUNDIAL_URL and SUNDIAL_TOKEN, which win.";

/// Custom objects from the command line: imports files, follows jobs, shows records and types
#[derive(Debug, Parser)]
#[command(name = "sundial", version, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,

    /// Print the API's own JSON instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which service is called, and how patiently.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectionArguments {
    /// Where the service is, as `https://acme.example.com`
    #[arg(long, global = true, help_heading = "The service", env = "SUNDIAL_URL", value_name = "URL")]
    pub(crate) url: Option<String>,

    /// Which of the services that you logged in to
    #[arg(long, global = true, help_heading = "The service", env = "SUNDIAL_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Read the token from standard input
    #[arg(long, global = true, help_heading = "The service")]
    pub(crate) token_stdin: bool,

    /// How many seconds to go on trying while the service is busy or not reached
    #[arg(long, global = true, help_heading = "The service", value_name = "SECONDS", default_value_t = 300)]
    pub(crate) retry_for: u64,

    /// Send the token over http:// to another machine, where anybody between can read it
    #[arg(long, global = true, help_heading = "The service")]
    pub(crate) insecure_http: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Import CSV, TSV, NDJSON or JSON files, so that every row is sent once
    Import(ImportArguments),
    /// Keep an address, and a token or a password, for later commands
    Login(LoginArguments),
    /// Show which service is called, and whether it lets you in
    Whoami,
    /// List, show, watch and stop jobs
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Show, find and delete object records
    #[command(subcommand)]
    Records(RecordsCommand),
    /// Show and change object types
    #[command(subcommand)]
    Types(TypesCommand),
    /// Show and delete relationship records
    #[command(subcommand)]
    Relationships(RelationshipsCommand),
    /// Show how much of each limit is used
    Limits,
    /// Print the completions of a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page, for `man`, or write one of each command
    #[command(name = "man")]
    Manual {
        /// The folder that gets a page of each command, as `sundial-import.1`
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct LoginArguments {
    /// Keep this service under a name of its own, and make it the one that is used
    #[arg(value_name = "PROFILE")]
    pub(crate) name: Option<String>,

    /// Log in by this email and its password, which is asked for, instead of by a token
    #[arg(long, value_name = "EMAIL")]
    pub(crate) email: Option<String>,

    /// Read the password from standard input
    #[arg(long, requires = "email")]
    pub(crate) password_stdin: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((left, right)) if !left.is_empty() => Ok((left.to_owned(), right.to_owned())),
        _ => Err("it must be written NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_makes_sense() {
        super::Arguments::command().debug_assert();
    }
}
