//! `sundial-admin password …`

use std::io::{IsTerminal, Read};

use access::{MOST_PASSWORD_BYTES, Operator};
use clap::Subcommand;
use domain::account::{AccountId, Email};
use secrecy::SecretString;

use crate::failure::Failure;
use crate::report::{Report, Secret, Thing};
use crate::user::{Named, warned};

#[derive(Debug, Subcommand)]
pub(crate) enum PasswordCommand {
    /// Give a user a random password, which is shown once, or the one on stdin
    Set {
        #[command(flatten)]
        named: Named,
        /// Read the password from stdin, where one line break at its end does not count
        #[arg(long)]
        stdin: bool,
    },
    /// Take a user's password
    Clear(Named),
}

impl PasswordCommand {
    pub(crate) async fn carry_out(self, operator: &Operator) -> Result<Report, Failure> {
        match self {
            Self::Set { named: Named { account, email }, stdin } => {
                let chosen = if stdin { Some(from_stdin()?) } else { None };
                set(operator, &account, &email, chosen).await
            }
            Self::Clear(Named { account, email }) => {
                operator.clear_password(&account, &email).await?;
                let thing = named(&account, &email).yes_no("has_password", false);
                Ok(Report::one(thing).felt_later())
            }
        }
    }
}

async fn set(
    operator: &Operator,
    id: &AccountId,
    email: &Email,
    chosen: Option<SecretString>,
) -> Result<Report, Failure> {
    let account = operator.account(id).await?;
    let user = operator.user(id, email).await?;
    let is_random = chosen.is_none();
    let password = operator.set_password(id, email, chosen).await?;
    let login_of = password.login_of.as_ref();
    let thing = named(id, email)
        .yes_no("has_password", true)
        .yes_no("password_access", account.password_access)
        .text("login_account", login_of.unwrap_or(id).as_str());
    let mut report = Report::one(thing);
    if is_random {
        report = report.with_secret(Secret::basic(email.as_str(), password.text));
    }
    if let Some(other) = login_of {
        report = report.with_note(format!(
            "the address leads to account {other} where no host name says the account, so this password is good under the \
             host name of {id} only"
        ));
    }
    if !account.password_access {
        report = report.with_note(format!(
            "account {id} lets nobody in by password: `account set {id} --password-access on` changes that"
        ));
    }
    Ok(warned(report, &account, &user))
}

fn named(account: &AccountId, email: &Email) -> Thing {
    Thing::default().text("account", account.as_str()).text("email", email.as_str())
}

fn from_stdin() -> Result<SecretString, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Failure::StdinIsTerminal);
    }
    // No longer than that it is seen to be too long.
    let most = u64::try_from(MOST_PASSWORD_BYTES + "\r\n\0".len()).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    stdin.lock().take(most).read_to_end(&mut bytes).map_err(Failure::Stdin)?;
    password_of(bytes)
}

fn password_of(bytes: Vec<u8>) -> Result<SecretString, Failure> {
    let mut text = String::from_utf8(bytes).map_err(|_| Failure::PasswordNotText)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn one_line_break_is_not_of_the_password() {
        for (bytes, expected) in
            [("a b", "a b"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), ("\n", ""), ("", "")]
        {
            assert_eq!(password_of(bytes.into()).unwrap().expose_secret(), expected, "{bytes:?}");
        }
        let failure = password_of(vec![0xff]).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
    }
}
