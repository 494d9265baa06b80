//! What a job is and how its items are decided: no AWS, no HTTP, no async.
//!
//! Every function here is a function of its arguments. Time and randomness come in through [`clock::Clock`].

pub mod account;
pub mod chunk;
pub mod clock;
pub mod job;
pub mod limits;
pub mod plan;
pub mod problem;
pub mod query;
pub mod record;
pub mod request;
pub mod time;
pub mod timing;
pub mod types;
