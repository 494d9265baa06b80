//! The domain of the service: what a job is and how its items are decided, without AWS, HTTP or async code.
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
