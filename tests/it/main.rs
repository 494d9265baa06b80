//! The functions through HTTP and the queue, against a real local engine. Each test has a local run of its own.

mod journey;
