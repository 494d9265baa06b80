//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "Exit codes:
  0  everything succeeded: every row, every item
  1  some rows or items failed
  2  the command line is wrong
  3  nothing, or not everything, could be sent or asked
  4  access was refused

Address and token come from `sundial login`, or from SUNDIAL_URL and SUNDIAL_TOKEN, which win.";

const WATCH_CODES: &str = "Without --exit-status the exit code is 0 once the job has ended, whatever came of it.";

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

/// What is done with each row.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Make a record; one whose external id is taken fails
    Post,
    /// Change the record of this id
    Update,
    /// Change the record of this external id, or make it
    ExternalIdSet,
    /// Delete the record of this id
    Delete,
    /// Delete the record of this external id
    ExternalIdDelete,
}

impl Action {
    /// The action's name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Update => "update",
            Self::ExternalIdSet => "external_id_set",
            Self::Delete => "delete",
            Self::ExternalIdDelete => "external_id_delete",
        }
    }

    pub(crate) fn is_delete(self) -> bool {
        matches!(self, Self::Delete | Self::ExternalIdDelete)
    }

    pub(crate) fn needs_id(self) -> bool {
        matches!(self, Self::Update | Self::Delete)
    }

    pub(crate) fn needs_external_id(self) -> bool {
        matches!(self, Self::ExternalIdSet | Self::ExternalIdDelete)
    }

    pub(crate) fn takes_external_id(self) -> bool {
        self.needs_external_id() || self == Self::Post
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    Csv,
    Tsv,
    Ndjson,
    Json,
}

#[derive(Args, Clone, Debug)]
#[command(after_help = EXIT_CODES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line, and they go together as they like"
)]
pub(crate) struct ImportArguments {
    /// The files, also as .gz or .zst; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// The object type that the rows are of
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) object_type: String,

    /// What is done with each row
    #[arg(long, value_enum, default_value_t = Action::Post)]
    pub(crate) action: Action,

    /// The column that has the record's id
    #[arg(long, value_name = "COLUMN")]
    pub(crate) id: Option<String>,

    /// The column that has the external id
    #[arg(long, value_name = "COLUMN")]
    pub(crate) external_id: Option<String>,

    /// Which attribute a column is, where the names differ; dots reach into nested objects
    #[arg(long = "map", value_name = "COLUMN=ATTRIBUTE", value_parser = pair)]
    pub(crate) maps: Vec<(String, String)>,

    /// An attribute that every row gets
    #[arg(long = "set", value_name = "ATTRIBUTE=VALUE", value_parser = pair)]
    pub(crate) sets: Vec<(String, String)>,

    /// A column that is left out
    #[arg(long = "ignore", value_name = "COLUMN")]
    pub(crate) ignored: Vec<String>,

    /// What the file is, where it cannot be seen from its contents
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// What stands between two cells, where it cannot be seen from the first line
    #[arg(long, value_name = "CHARACTER")]
    pub(crate) separator: Option<char>,

    /// The file's encoding, as `windows-1252`; otherwise UTF-8, or Windows-1252 where it is not UTF-8
    #[arg(long, value_name = "NAME")]
    pub(crate) encoding: Option<String>,

    /// Stop when more rows than this have failed; a dry run looks at all rows
    #[arg(long, value_name = "N")]
    pub(crate) max_failures: Option<u64>,

    /// Send the rows that fit, and report the others as failed
    #[arg(long)]
    pub(crate) skip_invalid: bool,

    /// Ask what each row would do, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Go on with an import that was begun, and do not begin another
    #[arg(long, conflicts_with_all = ["again", "dry_run"])]
    pub(crate) resume: bool,

    /// Send what FILE.failed.csv has, instead of FILE
    #[arg(long)]
    pub(crate) retry_failed: bool,

    /// Begin anew, even if the file was imported already
    #[arg(long)]
    pub(crate) again: bool,

    /// How many jobs may be under way at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) in_flight: u16,

    /// How many rows one job has at the most
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) job_size: u16,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// List jobs, the newest first
    List {
        /// Only those that are queued, processing, completed, failed or aborted
        #[arg(long)]
        status: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show a job
    Show { id: String },
    /// Wait until a job has ended
    #[command(after_help = WATCH_CODES)]
    Watch {
        id: String,
        /// End with 1 when an item failed, and 3 when the job did not complete
        #[arg(long)]
        exit_status: bool,
    },
    /// Stop a job
    Abort { id: String },
    /// Show what came of each item
    Results {
        id: String,
        /// Only the items that failed
        #[arg(long)]
        failed: bool,
        #[command(flatten)]
        page: Page,
    },
}

/// How much of a list is shown.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Page {
    /// How many are shown at the most; 0 is all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecordsCommand {
    /// Show the record of an id
    Get { id: String },
    /// List the records of a type
    List {
        #[arg(long = "type", value_name = "TYPE")]
        object_type: String,
        /// Only the one of this external id
        #[arg(long)]
        external_id: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Find records by what is in them
    Search {
        /// A query of the API, as `{"price": {"$gt": 2}}`
        #[arg(long, value_name = "JSON")]
        query: Option<String>,
        #[arg(long = "type", value_name = "TYPE")]
        object_type: Option<String>,
        /// An attribute that has this value; may be given more than once
        #[arg(long = "where", value_name = "ATTRIBUTE=VALUE", value_parser = pair)]
        conditions: Vec<(String, String)>,
        #[command(flatten)]
        page: Page,
    },
    /// Write all records of a type, as NDJSON or CSV
    Export {
        /// The object type whose records are written
        #[arg(long = "type", value_name = "TYPE")]
        object_type: String,
        /// A record on each line, or a table of its ids and attributes
        #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson, conflicts_with = "json")]
        format: ExportFormat,
        /// Where to write, once all is there; `-`, or nothing, is standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Delete the record of an id
    Delete { id: String },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ExportFormat {
    Ndjson,
    Csv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TypesCommand {
    /// List the object types
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Show an object type and its attributes
    Show { key: String },
    /// Define an object type
    Create {
        key: String,
        /// The file that has the JSON Schema; `-` is standard input
        #[arg(long, value_name = "FILE")]
        schema: PathBuf,
    },
    /// Put another schema in the place of a type's
    Replace {
        key: String,
        /// The file that has the JSON Schema; `-` is standard input
        #[arg(long, value_name = "FILE")]
        schema: PathBuf,
    },
    /// Delete an object type that has no records
    Delete { key: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RelationshipsCommand {
    /// Show and change relationship types
    #[command(subcommand)]
    Types(RelationshipTypesCommand),
    /// List the relationship records of a type
    List {
        #[arg(long = "type", value_name = "TYPE")]
        relationship_type: String,
        /// Only those that have this id as their source
        #[arg(long, value_name = "ID")]
        source: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show the relationship record of an id
    Get { id: String },
    /// Link two things
    Create {
        #[arg(long = "type", value_name = "TYPE")]
        relationship_type: String,
        /// An id
        #[arg(long, value_name = "ID")]
        source: String,
        /// An id
        #[arg(long, value_name = "ID")]
        target: String,
    },
    /// Delete the relationship record of an id
    Delete { id: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RelationshipTypesCommand {
    /// List the relationship types
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Show a relationship type
    Show { key: String },
    /// Define a relationship type, which is never changed
    Create {
        key: String,
        /// The object type of its sources, or a name such as `zen:user`
        #[arg(long, value_name = "TYPE")]
        source: String,
        /// The object type of its targets, or a name such as `zen:user`
        #[arg(long, value_name = "TYPE")]
        target: String,
        /// Let a source have many targets; without it a second one is refused
        #[arg(long)]
        many: bool,
    },
    /// Delete a relationship type that has no records
    Delete { key: String },
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
