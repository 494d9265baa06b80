//! The program `sundial-admin` for operators: makes accounts, users, passwords and tokens, and takes them away again.
//!
//! It works on the catalog table, through [`access::Operator`], and on the other tables to count records. Each secret
//! is written to stdout once, when it is made, and nowhere else.
//!
//! Exit codes:
//!
//! | Code | Meaning |
//! |-|-|
//! | 0 | Done, or it was so already. |
//! | 1 | AWS refused or is not reachable, or something else went wrong. |
//! | 2 | The command line is wrong, or a value in it is unfit. |
//! | 3 | There is no such account, user or token. |
//! | 4 | It is there already, is revoked already, or an id is ambiguous. |

mod account;
pub mod cli;
mod connection;
mod failure;
mod password;
mod recount;
mod report;
mod token;
mod user;
mod values;
