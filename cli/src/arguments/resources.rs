//! The command lines of jobs, records, types and relationships.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::pair;

const WATCH_CODES: &str = "Without --exit-status the exit code is 0 once the job has ended, whatever came of it.";

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
