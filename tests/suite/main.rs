//! What the service promises, wherever it runs. `SUNDIAL_HOME` says where:
//!
//! - `local` (unless said otherwise): in this process, with a database and a queue of its own.
//! - `localstack`: the functions and the database in this process, the queue that of any SQS at `AWS_ENDPOINT_URL_SQS`. Each
//!   test makes queues of its own.
//! - `ministack`: a whole deployed stack; [`home::deployed`] says what has to be known of it.
//!
//! A test that a home cannot give says so on stderr and why: `cargo test -p tests --test suite -- --nocapture` shows it.

mod access;
mod alarms;
mod bodies;
mod cli;
mod clients;
mod errors;
mod expiry;
mod home;
mod idempotency;
mod journey;
mod kills;
mod large;
mod limits;
mod lines;
mod lists;
mod outage;
mod persistence;
mod poison;
mod redelivery;
mod relationships;
mod results;
mod search;
mod single;
mod smoke;
mod stopping;
mod validating;
mod waiting;
