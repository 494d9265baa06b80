//! `sundial-admin user …`

use access::Operator;
use clap::{ArgGroup, Args, Subcommand};
use domain::account::{Account, AccountId, Email, Role, User};
use domain::clock::Clock;
use store::access::StoredUser;
use store::access::operator::UserChange;

use crate::failure::Failure;
use crate::report::{Report, Thing};
use crate::values;

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user, who has neither a password nor a token yet
    Create {
        #[command(flatten)]
        named: Named,
        /// What to call the user
        #[arg(long, value_parser = values::label, default_value = "", hide_default_value = true)]
        name: String,
        /// What the user may do: admin everything, agent use jobs, types and records, `end_user` no jobs
        #[arg(long, value_name = "admin|agent|end_user", value_parser = values::role, default_value = "agent")]
        role: Role,
    },
    /// Show all users of an account
    List {
        /// The account
        #[arg(value_parser = AccountId::parse)]
        account: AccountId,
    },
    /// Change a user
    #[command(group = ArgGroup::new("change").required(true).multiple(true))]
    Set {
        #[command(flatten)]
        named: Named,
        /// What to call the user
        #[arg(long, value_parser = values::label, group = "change")]
        name: Option<String>,
        /// What the user may do
        #[arg(long, value_name = "admin|agent|end_user", value_parser = values::role, group = "change")]
        role: Option<Role>,
    },
    /// Let a user in no more; the user's password and tokens are kept
    Disable(Named),
    /// Let a user in again
    Enable(Named),
}

/// A user of an account.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// The account
    #[arg(value_parser = AccountId::parse)]
    pub(crate) account: AccountId,
    /// The user's address
    #[arg(value_parser = Email::parse)]
    pub(crate) email: Email,
}

impl UserCommand {
    pub(crate) async fn carry_out(self, operator: &Operator) -> Result<Report, Failure> {
        match self {
            Self::Create { named: Named { account, email }, name, role } => {
                let user = User { email, name, role, active: true, created_at: Clock::system().now() };
                operator.create_user(&account, &user).await?;
                Ok(Report::one(shown(&account, &StoredUser { user, password: None })))
            }
            Self::List { account } => {
                let users = operator.users(&account).await?;
                Ok(Report::many("users", users.iter().map(|user| shown(&account, user)).collect()))
            }
            Self::Set { named, name, role } => named.change(operator, UserChange { name, role, active: None }).await,
            Self::Disable(named) => {
                let change = UserChange { active: Some(false), ..UserChange::default() };
                Ok(named.change(operator, change).await?.felt_later())
            }
            Self::Enable(named) => {
                named.change(operator, UserChange { active: Some(true), ..UserChange::default() }).await
            }
        }
    }
}

impl Named {
    async fn change(&self, operator: &Operator, change: UserChange) -> Result<Report, Failure> {
        let user = operator.change_user(&self.account, &self.email, change).await?;
        Ok(Report::one(shown(&self.account, &user)))
    }
}

/// Adds notes to the report of a new credential where it lets nobody in yet.
pub(crate) fn warned(report: Report, account: &Account, stored: &StoredUser) -> Report {
    let report = if account.active { report } else { report.with_note(format!("account {} is disabled", account.id)) };
    let User { email, active, .. } = &stored.user;
    if *active { report } else { report.with_note(format!("user {email} is disabled")) }
}

fn shown(account: &AccountId, stored: &StoredUser) -> Thing {
    let StoredUser { user, password } = stored;
    Thing::default()
        .text("account", account.as_str())
        .text("email", user.email.as_str())
        .text("name", &user.name)
        .text("role", user.role.as_str())
        .yes_no("active", user.active)
        .yes_no("has_password", password.is_some())
        .time("created_at", Some(user.created_at), "")
}
