//! The functions through HTTP and the queue, against a real local engine. Each test has a local run of its own.

mod abort;
mod alarms;
mod conventions;
mod cost;
mod create;
mod docs;
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
mod recovery;
mod relationships;
mod roles;
mod scale;
mod secrets;
mod show;
mod strangers;
mod template;
mod tenancy;
