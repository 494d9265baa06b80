//! What a job is and how its items are decided: no AWS, no HTTP, no async.
//!
//! Every function here is a function of its arguments. Time and randomness come in through [`clock::Clock`].

pub mod account;
pub mod chunk;
pub mod clock;
pub mod decide;
pub mod item;
pub mod job;
pub mod json;
pub mod limits;
pub mod members;
pub mod operations;
pub mod outcome;
pub mod problem;
pub mod query;
pub mod record;
pub mod render;
pub mod request;
pub mod settle;
pub mod time;
pub mod timing;
pub mod types;
pub mod usage;
