//! `GET /limits`.

use axum::extract::State;
use axum::http::StatusCode;
use domain::account::usage::RecordKind;
use domain::limits::{ACTIVE_JOBS, TYPES_PER_ACCOUNT};
use serde_json::{Value, json};
use wire::{Agent, Data, Failure};

use crate::Status;

/// `GET /limits`: how many records, types and active jobs the account has and may have.
pub(crate) async fn show(Agent(caller): Agent, State(status): State<Status>) -> Result<Data<Value>, Failure> {
    let (jobs, usages, account) = (&status.jobs, &status.usages, &caller.account);
    let (usage, types, jobs) = tokio::try_join!(
        usages.usage(account),
        usages.type_counts(account),
        jobs.admission(account, None, jobs.clock().now()),
    )?;
    let entry = |key: &str, limit: u64, count: u64| json!({"key": key, "limit": limit, "count": count});
    let records = |kind: RecordKind| entry(kind.plural(), usage.limits.of(kind), usage.counts.of(kind));
    let limits = json!([
        records(RecordKind::Object),
        records(RecordKind::Relationship),
        entry("resource_types", TYPES_PER_ACCOUNT, types.objects),
        entry("relationship_types", TYPES_PER_ACCOUNT, types.relationships),
        entry("jobs", ACTIVE_JOBS, jobs.active),
    ]);
    Ok(Data(StatusCode::OK, limits))
}
