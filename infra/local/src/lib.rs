//! Sundial on one machine: the functions that run on AWS, with a queue and a database of their own, in one process.
//!
//! [`run::LocalRun`] is the whole of it; the program, its demonstration and the integration tests all start one.
//! [`queue`] and [`poller`] stand in for SQS and its event source mapping, [`database`] for DynamoDB. Either can be
//! replaced by the real service or an emulator: [`source`] has SQS as a queue.

mod assembly;
pub mod cli;
pub mod data_directory;
pub mod database;
pub mod demo;
mod drain;
pub mod poller;
pub mod queue;
pub mod run;
mod server;
pub mod source;
