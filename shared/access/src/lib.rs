//! Authentication, protection against guessing, and rate limits.
//!
//! [`Access`] stands in front of every HTTP function. It knows HTTP only as far as the `Authorization` and `Host`
//! headers; answers are made by the crate `wire`. [`TrustedProxy`] reads the two headers by which a proxy says where a
//! request comes from. [`Operator`] makes accounts, users and credentials; nothing that answers requests uses it.

mod admission;
mod cache;
mod credentials;
mod guard;
mod host;
mod local;
mod operator;
mod password;
mod rate_limit;
mod settings;
mod source;
mod token;

#[cfg(test)]
mod tests;

pub use admission::{Access, Admitted, Flaw, Refusal};
pub use credentials::Credentials;
pub use local::{LOCAL_AGENT, LOCAL_END_USER, LOCAL_PASSWORD, LOCAL_TOKEN, open_local_account};
pub use operator::{NewPassword, NewToken, Operator, OperatorError, TokenRequest};
pub use password::{LEAST_PASSWORD_CHARACTERS, MOST_PASSWORD_BYTES};
pub use rate_limit::RateLimit;
pub use settings::Settings;
pub use source::{Source, TrustedProxy};
