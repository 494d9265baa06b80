//! The command line of `sundial-admin`.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::account::AccountCommand;
use crate::connection::{Connection, Place};
use crate::failure::Failure;
use crate::password::PasswordCommand;
use crate::recount::Recount;
use crate::report::{Format, Report};
use crate::token::TokenCommand;
use crate::user::UserCommand;

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or it was so already
  1  AWS refused or is not reachable, or something else went wrong
  2  the command line is wrong, or a value in it is unfit
  3  there is no such account, user or token
  4  it is there already, is revoked already, or an id is ambiguous

AWS is reached as by the AWS CLI: the environment, a profile, IAM Identity Center, another role, an instance's role. A
profile that is made by `aws login` or needs a code for its role is lent by the AWS CLI: give another profile
`credential_process = aws configure export-credentials --profile NAME --format process`.";

/// Makes the accounts, users, passwords and tokens of Sundial, and takes them away again.
#[derive(Debug, Parser)]
#[command(name = "sundial-admin", version, after_help = EXIT_CODES)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: Place,
    /// How to say what was done
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The tenants
    #[command(subcommand)]
    Account(AccountCommand),
    /// The people and programs of an account
    #[command(subcommand)]
    User(UserCommand),
    /// The passwords of users
    #[command(subcommand)]
    Password(PasswordCommand),
    /// The API tokens and bearer tokens of users
    #[command(subcommand)]
    Token(TokenCommand),
    /// Count the records of an account, and mend the counts that are kept of them
    ///
    /// The service goes on meanwhile. It needs read access to the records table and its indexes and to the jobs table, and may update the records table.
    Recount(Recount),
}

impl CommandLine {
    /// Carries out the command, and reports its outcome on stdout and stderr.
    pub async fn run(self) -> ExitCode {
        let format = self.output;
        match self.follow().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                match format {
                    Format::Text => eprintln!("{}", failure.to_text()),
                    Format::Json => eprintln!("{}", failure.to_json()),
                }
                ExitCode::from(failure.exit_code())
            }
        }
    }

    async fn follow(self) -> Result<(), Failure> {
        let connection = self.place.connect().await?;
        let carried_out = self.command.carry_out(&connection).await;
        let report = carried_out.map_err(|failure| connection.explained(failure))?;
        report.write(self.output, &mut io::stdout().lock()).map_err(Failure::Stdout)?;
        if self.output == Format::Text {
            report.notes().for_each(|note| eprintln!("{note}"));
        }
        Ok(())
    }
}

impl Command {
    async fn carry_out(self, connection: &Connection) -> Result<Report, Failure> {
        let Connection { operator, store, .. } = connection;
        match self {
            Self::Account(command) => command.carry_out(operator, store).await,
            Self::Recount(command) => command.carry_out(operator, store).await,
            Self::User(command) => command.carry_out(operator).await,
            Self::Password(command) => command.carry_out(operator).await,
            Self::Token(command) => command.carry_out(operator).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<CommandLine, ErrorKind> {
        let words = std::iter::once("sundial-admin").chain(line.split_whitespace());
        CommandLine::try_parse_from(words).map_err(|error| error.kind())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn what_is_known_is_taken() {
        for line in [
            "account create acme --password-access --requests-per-minute 100",
            "account list",
            "account show -- -acme",
            "account set acme --password-access off --requests-per-minute default",
            "account set acme --resources 25000000 --relationships default",
            "recount acme --wait 10s",
            "account disable acme --output json",
            "--output json account enable acme",
            "user create acme a@b --name Ann --role end_user",
            "user list acme --stack other --region eu-west-1 --profile operator",
            "user set acme a@b --role admin",
            "user disable acme a@b",
            "password set acme a@b --stdin",
            "password clear acme a@b --catalog-table other",
            "token create acme a@b --kind bearer --label ci --expires-in 90d",
            "token list acme --user a@b",
            "token revoke acme 0123",
            "token rotate acme 0123 --overlap 0s --expires-in never",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, expected) in [
            ("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            ("account", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            ("account create", ErrorKind::MissingRequiredArgument),
            ("account create acme-", ErrorKind::ValueValidation),
            ("account create Acme", ErrorKind::ValueValidation),
            ("account create acme --requests-per-minute 0", ErrorKind::ValueValidation),
            ("account set acme", ErrorKind::MissingRequiredArgument),
            ("account set acme --resources -1", ErrorKind::UnknownArgument),
            ("account set acme --resources many", ErrorKind::ValueValidation),
            ("account set acme --relationships 1000000000001", ErrorKind::ValueValidation),
            ("recount", ErrorKind::MissingRequiredArgument),
            ("account set acme --password-access yes", ErrorKind::ValueValidation),
            ("user create acme ann", ErrorKind::ValueValidation),
            ("user create acme a@b --role owner", ErrorKind::ValueValidation),
            ("user set acme a@b", ErrorKind::MissingRequiredArgument),
            ("password set acme a@b secret", ErrorKind::UnknownArgument),
            ("token create acme a@b --kind basic", ErrorKind::ValueValidation),
            ("token create acme a@b --expires-in 0s", ErrorKind::ValueValidation),
            ("token rotate acme 0123 --overlap never", ErrorKind::ValueValidation),
            ("account list --output yaml", ErrorKind::InvalidValue),
            ("account list --stack", ErrorKind::InvalidValue),
            ("account list --stack a --catalog-table b", ErrorKind::ArgumentConflict),
            ("account list --endpoint-url localhost:8000", ErrorKind::ValueValidation),
            ("account remove acme", ErrorKind::InvalidSubcommand),
        ] {
            assert_eq!(parse(line).err(), Some(expected), "{line}");
        }
    }

    #[test]
    fn the_table_is_called_after_the_stack_unless_it_is_named() {
        let table = |line: &str| parse(line).unwrap().place.table();
        assert_eq!(table("account list"), "sundial-catalog");
        assert_eq!(table("account list --stack other"), "other-catalog");
        assert_eq!(table("account list --catalog-table other"), "other");
    }
}
