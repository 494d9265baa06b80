//! `sundial-admin account …`

use access::Operator;
use clap::{ArgAction, Args, Subcommand};
use domain::account::usage::PerKind;
use domain::account::{Account, AccountId};
use store::Store;
use store::access::operator::AccountChange;

use crate::failure::Failure;
use crate::report::{Report, Thing};
use crate::values::{self, MostRecords, RequestsPerMinute};

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Make an account
    Create {
        /// What it is called: lower-case letters, digits and hyphens, as in a host name
        #[arg(value_parser = values::new_account_id)]
        account: AccountId,
        /// Let its users in by password too, and not by token only
        #[arg(long)]
        password_access: bool,
        /// Its own limit; the deployment's when it is not given
        #[arg(long, value_name = "NUMBER", value_parser = values::requests)]
        requests_per_minute: Option<u32>,
    },
    /// Show all accounts
    List,
    /// Show an account
    Show(Named),
    /// Change an account
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Set {
        #[command(flatten)]
        named: Named,
        /// Whether its users are let in by password too
        #[arg(long, value_name = "on|off", value_parser = values::on_off, action = ArgAction::Set, group = "change")]
        password_access: Option<bool>,
        /// Its own limit, or `default` for the deployment's
        #[arg(long, value_name = "NUMBER|default", value_parser = values::requests_or_default, group = "change")]
        requests_per_minute: Option<RequestsPerMinute>,
        /// How many object records it may have, or `default` for 1000000
        #[arg(long, value_name = "NUMBER|default", value_parser = values::records_or_default, group = "change")]
        resources: Option<MostRecords>,
        /// How many relationship records it may have, or `default` for 1000000
        #[arg(long, value_name = "NUMBER|default", value_parser = values::records_or_default, group = "change")]
        relationships: Option<MostRecords>,
    },
    /// Let nobody in any more; everything of the account is kept
    Disable(Named),
    /// Let its users in again
    Enable(Named),
}

#[derive(Args, Debug)]
pub(crate) struct Named {
    /// The account
    #[arg(value_parser = AccountId::parse)]
    account: AccountId,
}

impl AccountCommand {
    pub(crate) async fn carry_out(self, operator: &Operator, store: &Store) -> Result<Report, Failure> {
        let change = |active| AccountChange { active: Some(active), ..AccountChange::default() };
        let account = match self {
            Self::List => {
                let accounts = operator.accounts().await?;
                return Ok(Report::many("accounts", accounts.iter().map(shown).collect()));
            }
            Self::Create { account, password_access, requests_per_minute } => {
                operator.create_account(&account, password_access, requests_per_minute).await?
            }
            Self::Show(Named { account }) => {
                let account = operator.account(&account).await?;
                return Ok(Report::one(with_limits(&account, store.usages.limits(&account.id).await?)));
            }
            Self::Set { named: Named { account }, password_access, requests_per_minute, resources, relationships } => {
                let requests_per_minute = requests_per_minute.map(|RequestsPerMinute(requests)| requests);
                let change = AccountChange { active: None, password_access, requests_per_minute };
                // First, because it fails where there is no such account.
                let account = operator.change_account(&account, change).await?;
                let limit = |records: Option<MostRecords>| records.map(|MostRecords(records)| records);
                let limits = PerKind { objects: limit(resources), relationships: limit(relationships) };
                store.usages.change_limits(&account.id, limits).await?;
                return Ok(Report::one(with_limits(&account, store.usages.limits(&account.id).await?)));
            }
            Self::Disable(Named { account }) => {
                let account = operator.change_account(&account, change(false)).await?;
                return Ok(Report::one(shown(&account)).felt_later());
            }
            Self::Enable(Named { account }) => operator.change_account(&account, change(true)).await?,
        };
        Ok(Report::one(shown(&account)))
    }
}

fn with_limits(account: &Account, limits: PerKind<u64>) -> Thing {
    let shown = shown(account);
    shown.unsigned("most_resources", limits.objects).unsigned("most_relationships", limits.relationships)
}

fn shown(account: &Account) -> Thing {
    Thing::default()
        .text("account", account.id.as_str())
        .yes_no("active", account.active)
        .yes_no("password_access", account.password_access)
        .number("requests_per_minute", account.requests_per_minute, "default")
        .time("created_at", Some(account.created_at), "")
}
