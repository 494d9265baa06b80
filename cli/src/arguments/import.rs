//! The command line of `sundial import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{EXIT_CODES, pair};

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
