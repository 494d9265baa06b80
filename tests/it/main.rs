//! The functions through HTTP and the queue, against a real local engine. Each test has a local run of its own.

mod abort;
mod conventions;
mod cost;
mod create;
mod durability;
mod encodings;
mod examples;
mod external_ids;
mod hardening;
mod idempotency;
mod items;
mod limits;
mod list;
mod order;
mod progress;
mod relationships;
mod roles;
mod scale;
mod secrets;
mod show;
mod strangers;
mod tenancy;
