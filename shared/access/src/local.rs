//! The account of a local run, whose credentials are constants that everybody knows.

use domain::account::{AccountId, Email, Role, TokenKind, User};
use store::Store;

use crate::operator::{Operator, OperatorError, TokenRequest};

/// The email of the agent of the account `local`.
pub const LOCAL_AGENT: &str = "agent@example.com";
/// The email of an end user of the account `local`, whose role may use no jobs, types or records.
pub const LOCAL_END_USER: &str = "user@example.com";
/// The password of both users.
pub const LOCAL_PASSWORD: &str = "sunshine";
/// The agent's API token and bearer token.
pub const LOCAL_TOKEN: &str = "sundial_local_token";

/// Makes the account `local` with its users and credentials, unless it exists; then it stays as it is.
///
/// Never to be called for a deployment that anybody else can reach: the credentials are public.
///
/// # Errors
/// When the database does not answer.
pub async fn open_local_account(store: &Store) -> Result<(), OperatorError> {
    let operator = Operator::new(store.clone());
    // It is an account id, and these are addresses.
    let Ok(account) = AccountId::parse("local") else { return Ok(()) };
    let created = operator.create_account(&account, true, None).await;
    if matches!(created, Err(OperatorError::AccountTaken(_))) {
        return Ok(());
    }
    created?;
    for (address, name, role) in [(LOCAL_AGENT, "Agent", Role::Agent), (LOCAL_END_USER, "End user", Role::EndUser)] {
        let Ok(email) = Email::parse(address) else { continue };
        let created_at = store.clock().now();
        let user = User { email: email.clone(), name: name.to_owned(), role, active: true, created_at };
        operator.create_user(&account, &user).await?;
        // Shorter than a password that an operator would be allowed.
        operator.keep_password(&account, &email, LOCAL_PASSWORD.into()).await?;
        if role == Role::Agent {
            for kind in TokenKind::ALL {
                let request = TokenRequest { kind, label: "local run".to_owned(), expires_at: None };
                operator.keep_token(&account, &email, request, LOCAL_TOKEN.into()).await?;
            }
        }
    }
    Ok(())
}
