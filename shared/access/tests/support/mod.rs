//! A database with users in it, for what measures refusals.

use access::Operator;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use database::TestDatabase;
use domain::account::{AccountId, Email, Role, User};
use domain::clock::Clock;
use secrecy::SecretString;
use store::Store;

/// Everybody's.
pub const PASSWORD: &str = "correct horse battery";

pub fn basic(user: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}

pub async fn database() -> Store {
    TestDatabase::start("bench").await.store(Clock::system())
}

pub async fn add_user(operator: &Operator, account: &AccountId, name: &str) -> Email {
    let email = Email::parse(&format!("{name}@example.com")).expect("an address");
    let created_at = Clock::system().now();
    let user = User { email: email.clone(), name: name.to_owned(), role: Role::Agent, active: true, created_at };
    operator.create_user(account, &user).await.expect("a user");
    operator.set_password(account, &email, Some(SecretString::from(PASSWORD))).await.expect("a password");
    email
}
