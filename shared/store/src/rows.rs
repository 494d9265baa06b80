//! Conversion of domain values to rows, and back.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::AccountId;
use domain::job::{Job, JobKey, JobOptions, JobStatus, Operation};
use domain::limits;
use domain::problem::{Code, Problem};
use domain::record::applied::AppliedWrites;
use domain::record::{End, ObjectRecord, RecordId, RelationshipRecord, Row, State};
use domain::time::Timestamp;
use domain::types::indexes::{Entries, Held, place_of_entry};
use domain::types::{TypeKey, TypesMade};

use crate::StoreError;
use crate::attributes::{Attributes, Reader, Value, broken, number, seconds, text};
use crate::keys::{self, TypeKind};
use crate::tables::{SLOT_ENTRIES, UPDATE_ENTRY};

/// The row under a job's key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JobRow {
    Job(Job),
    /// A fence: the job was given up before it was committed, and never will be.
    Void,
}

pub(crate) fn job_to_row(account: &AccountId, job: &Job) -> Attributes {
    let mut row = Attributes::from([
        ("pk".to_owned(), text(keys::account(account))),
        ("sk".to_owned(), text(keys::job(job.id))),
        ("status".to_owned(), text(job.status.as_str())),
        ("status_key".to_owned(), text(keys::by_status(account, job.status))),
        ("created_at".to_owned(), seconds(job.created_at)),
        ("updated_at".to_owned(), seconds(job.updated_at)),
        ("expires_at".to_owned(), seconds(job.expires_at())),
        ("total".to_owned(), number(job.total)),
        ("chunks".to_owned(), number(job.chunks)),
        ("succeeded".to_owned(), number(job.succeeded)),
        ("failed".to_owned(), number(job.failed)),
    ]);
    if let Some(operation) = job.operation {
        row.insert("type".to_owned(), text(operation.job_type()));
        row.insert("action".to_owned(), text(operation.action()));
    }
    if let Some(completed_at) = job.completed_at {
        row.insert("completed_at".to_owned(), seconds(completed_at));
    }
    if job.growth != 0 {
        row.insert("growth".to_owned(), AttributeValue::N(job.growth.to_string()));
    }
    let makes = job.makes.to_texts();
    if !makes.is_empty() {
        row.insert("makes".to_owned(), AttributeValue::Ss(makes));
    }
    if !job.done.is_empty() {
        row.insert("done".to_owned(), AttributeValue::Ns(job.done.iter().map(u32::to_string).collect()));
    }
    let JobOptions { max_failures, validate_only, has_refs } = job.options;
    if let Some(most) = max_failures {
        row.insert("max_failures".to_owned(), number(most));
    }
    for (name, is_so) in [("validate_only", validate_only), ("refs", has_refs), ("stopping", job.abort_requested)] {
        if is_so {
            row.insert(name.to_owned(), AttributeValue::Bool(true));
        }
    }
    if let Some(error) = &job.error {
        row.insert("error_code".to_owned(), number(error.code.number()));
        row.insert("error_detail".to_owned(), text(error.detail.as_ref()));
    }
    row
}

/// Makes the fence of a job: a row that keeps the job's key from ever being taken.
pub(crate) fn void_job_row(job: JobKey<'_>) -> Attributes {
    let expires_at = job.id.made_at().plus_millis(limits::JOB_LIFETIME_SECONDS * 1_000);
    Attributes::from([
        ("pk".to_owned(), text(keys::account(job.account))),
        ("sk".to_owned(), text(keys::job(job.id))),
        ("void".to_owned(), AttributeValue::Bool(true)),
        ("expires_at".to_owned(), seconds(expires_at)),
    ])
}

pub(crate) fn job_from_row(row: &Attributes) -> Result<JobRow, StoreError> {
    if row.contains_key("void") {
        return Ok(JobRow::Void);
    }
    let reader = Reader(row);
    let operation = match (reader.optional_text("type")?, reader.optional_text("action")?) {
        (Some(job_type), Some(action)) => Some(Operation::of(job_type, action).map_err(|_| broken("action"))?),
        _ => None,
    };
    let error = match reader.optional_number("error_code")? {
        None => None,
        Some(code) => {
            let code = u8::try_from(code).ok().and_then(Code::from_number).ok_or_else(|| broken("error_code"))?;
            Some(Problem::new(code, reader.text("error_detail")?.to_owned()))
        }
    };
    let makes = match row.get("makes") {
        None => TypesMade::default(),
        Some(AttributeValue::Ss(texts)) => TypesMade::of_texts(texts),
        Some(_) => return Err(broken("makes")),
    };
    let done = match row.get("done") {
        None => Ok(std::collections::BTreeSet::new()),
        Some(AttributeValue::Ns(numbers)) => numbers.iter().map(|number| number.parse()).collect(),
        Some(_) => return Err(broken("done")),
    };
    Ok(JobRow::Job(Job {
        id: keys::job_of(reader.text("sk")?).ok_or_else(|| broken("sk"))?,
        operation,
        status: JobStatus::parse(reader.text("status")?).ok_or_else(|| broken("status"))?,
        created_at: reader.seconds("created_at")?,
        updated_at: reader.seconds("updated_at")?,
        completed_at: reader.optional_number("completed_at")?.map(Timestamp::from_seconds),
        total: reader.count("total")?,
        chunks: reader.count("chunks")?,
        done: done.map_err(|_| broken("done"))?,
        succeeded: reader.count("succeeded")?,
        failed: reader.count("failed")?,
        growth: reader.optional_signed("growth")?.unwrap_or(0),
        makes,
        error,
        options: JobOptions {
            max_failures: row.contains_key("max_failures").then(|| reader.count("max_failures")).transpose()?,
            validate_only: row.contains_key("validate_only"),
            has_refs: row.contains_key("refs"),
        },
        abort_requested: row.contains_key("stopping"),
    }))
}

/// Attributes that only a live object record has.
pub(crate) const OBJECT_ATTRIBUTES: [&str; 9] = [
    "type",
    "external_id",
    "attributes",
    "created_at",
    "updated_at",
    "type_version",
    "links",
    "type_shard",
    "listed_at",
];

/// Every attribute of a record's row but its key.
pub(crate) fn record_to_row<'row>(
    account: &AccountId,
    row: &'row Row,
    now: Timestamp,
) -> Vec<(&'static str, Value<'row>)> {
    /// As many as an object record without indexes has.
    const MOST: usize = 11;
    let mut attributes = Vec::with_capacity(MOST);
    attributes.push(("version", Value::Number(row.version)));
    attributes.push(("ops", Value::Binary(row.applied.to_bytes())));
    match &row.state {
        State::Object(record) => {
            attributes.extend(entries_of(record, record.entries.as_deref()));
            attributes.extend([
                ("type", Value::text(record.object_type.as_str())),
                ("external_id", record.external_id.as_deref().map_or(Value::Null, Value::text)),
                ("attributes", Value::text(record.attributes.as_str())),
                ("created_at", Value::Number(record.created_at.as_millis())),
                ("updated_at", Value::Number(record.updated_at.as_millis())),
                ("type_version", Value::Number(record.type_version)),
                ("links", Value::Number(record.links)),
                ("type_shard", Value::text(shard(account, TypeKind::Object, &record.object_type, record.id))),
                ("listed_at", Value::text(keys::listed_at(record.created_at, record.position, record.id))),
            ]);
        }
        State::Relationship(record) => attributes.extend([
            ("relationship_type", Value::text(record.relationship_type.as_str())),
            ("source", Value::text(record.source.to_string())),
            ("target", Value::text(record.target.to_string())),
            ("created_at", Value::Number(record.created_at.as_millis())),
            ("type_shard", Value::text(shard(account, TypeKind::Relationship, &record.relationship_type, record.id))),
            ("source_shard", Value::text(end_shard(account, record, &record.source))),
            ("target_shard", Value::text(end_shard(account, record, &record.target))),
            ("listed_at", Value::text(keys::listed_at(record.created_at, record.position, record.id))),
        ]),
        State::Tombstone => {
            // TTL wants whole seconds.
            let expires_at = now.plus_millis(limits::TOMBSTONE_SECONDS * 1_000).as_seconds();
            attributes.push(("expires_at", Value::Number(expires_at)));
        }
    }
    attributes
}

/// The attributes that a record's row has for the indexes of its type: its entries, and a mark that there are some.
pub(crate) fn entries_of<'record>(
    record: &'record ObjectRecord,
    entries: Option<&'record Entries>,
) -> impl Iterator<Item = (&'static str, Value<'record>)> + use<'record> {
    let place = || keys::listed_at(record.created_at, record.position, record.id);
    entries.into_iter().flat_map(move |entries| {
        let slots = SLOT_ENTRIES.into_iter().zip(&entries.slots);
        let slots =
            slots.filter_map(move |(name, value)| Some((name, Value::text(format!("{}{}", value.as_ref()?, place())))));
        let updated_at =
            entries.updated_at.then(|| (UPDATE_ENTRY, Value::text(keys::updated_at(record.updated_at, record.id))));
        slots.chain(updated_at).chain([(INDEXED, Value::True)])
    })
}

/// The attribute that marks a row with entries in indexes of its type.
pub(crate) const INDEXED: &str = "x_indexed";

/// The names of the entries to remove from a row that has those of `held` and is to have those of `entries`.
pub(crate) fn entries_to_remove(held: Held, entries: Option<&Entries>) -> impl Iterator<Item = &'static str> {
    let is_indexed = entries.is_some();
    let kept = entries.map_or_else(Held::default, Entries::held);
    let slots = SLOT_ENTRIES.into_iter().zip(held.slots.into_iter().zip(kept.slots));
    let slots = slots.filter_map(|(name, (was, is))| (was && !is).then_some(name));
    let updated_at = (held.updated_at && !kept.updated_at).then_some(UPDATE_ENTRY);
    slots.chain(updated_at).chain((!is_indexed).then_some(INDEXED))
}

/// The entries that a row has. Most have none, and owe a look at one attribute.
fn entries_on(
    row: &Attributes,
    reader: &Reader<'_>,
    id: RecordId,
    updated_at: Timestamp,
) -> Result<Option<Box<Entries>>, StoreError> {
    if !row.contains_key(INDEXED) {
        return Ok(None);
    }
    let updated = reader.optional_text(UPDATE_ENTRY)?;
    let mut entries = Entries { updated_at: updated.is_some(), ..Entries::default() };
    // A filling and a writer that read the row before may both have written to it: then an entry is left that leads to where the record is not.
    entries.are_stale = updated.is_some_and(|updated| updated != keys::updated_at(updated_at, id));
    let listed_at = reader.optional_text("listed_at")?;
    for (name, slot) in SLOT_ENTRIES.into_iter().zip(&mut entries.slots) {
        let Some(entry) = reader.optional_text(name)? else { continue };
        let place = place_of_entry(entry).ok_or_else(|| broken(name))?;
        entries.are_stale |= Some(place) != listed_at;
        *slot = Some(entry[..entry.len() - place.len()].to_owned());
    }
    Ok(Some(Box::new(entries)))
}

fn shard(account: &AccountId, kind: TypeKind, key: &TypeKey, id: RecordId) -> String {
    keys::by_type(account, kind, key, keys::shard_of(id))
}

fn end_shard(account: &AccountId, record: &RelationshipRecord, end: &End) -> String {
    keys::by_end(account, &record.relationship_type, end, keys::end_shard_of(record.id))
}

pub(crate) fn record_from_row(row: &Attributes) -> Result<(RecordId, Row), StoreError> {
    let reader = Reader(row);
    let id = keys::record_of(reader.text("pk")?).ok_or_else(|| broken("pk"))?;
    let key = |name| TypeKey::parse(reader.text(name)?).map_err(|_| broken(name));
    let end = |name| End::parse(name, reader.text(name)?).map_err(|_| broken(name));
    let state = if row.contains_key("type") {
        State::Object(ObjectRecord {
            id,
            object_type: key("type")?,
            external_id: reader.optional_text("external_id")?.map(str::to_owned),
            attributes: reader.text("attributes")?.to_owned(),
            created_at: reader.millis("created_at")?,
            position: position_of(&reader)?,
            updated_at: reader.millis("updated_at")?,
            type_version: reader.number("type_version")?,
            links: reader.number("links")?,
            entries: entries_on(row, &reader, id, reader.millis("updated_at")?)?,
        })
    } else if row.contains_key("relationship_type") {
        State::Relationship(RelationshipRecord {
            id,
            relationship_type: key("relationship_type")?,
            source: end("source")?,
            target: end("target")?,
            created_at: reader.millis("created_at")?,
            position: position_of(&reader)?,
        })
    } else {
        State::Tombstone
    };
    let applied = AppliedWrites::from_bytes(reader.optional_binary("ops")?.unwrap_or_default());
    let applied = applied.map_err(|_| broken("ops"))?;
    Ok((id, Row { version: reader.number("version")?, applied, state }))
}

/// The position of the item that made a record: part of its place in the list, and stored nowhere else.
fn position_of(reader: &Reader<'_>) -> Result<Option<u32>, StoreError> {
    let Some(place) = reader.optional_text("listed_at")? else { return Ok(None) };
    let (position, _) = keys::read_place(place).ok_or_else(|| broken("listed_at"))?;
    Ok(position)
}

#[cfg(test)]
mod tests {
    use domain::clock::Clock;
    use domain::job::JobId;
    use domain::record::applied::AppliedWrite;

    use super::*;

    fn account() -> AccountId {
        AccountId::parse("acme").unwrap()
    }

    fn job_id() -> JobId {
        JobId::new(&Clock::manual(Timestamp::from_seconds(1_700_000_000), 1))
    }

    #[test]
    fn jobs_read_back() {
        let mut job = Job::queued(job_id(), Operation::SetObjects, 600, 3);
        job.makes.note(&TypeKey::parse("Product").unwrap());
        for _ in 0..2 {
            assert_eq!(job_from_row(&job_to_row(&account(), &job)).unwrap(), JobRow::Job(job.clone()));
            job.done = [0, 2].into();
            (job.succeeded, job.failed, job.growth) = (400, 100, -400);
            job.status = JobStatus::Failed;
            job.completed_at = Some(Timestamp::from_seconds(1_700_000_005));
            job.error = Some(Problem::internal());
            job.options = JobOptions { max_failures: Some(0), validate_only: true, has_refs: true };
            job.abort_requested = true;
        }
        let unreadable = Job::unreadable(job_id(), Problem::unprocessable("no"));
        assert_eq!(job_from_row(&job_to_row(&account(), &unreadable)).unwrap(), JobRow::Job(unreadable));
        assert_eq!(job_from_row(&void_job_row(job_id().of(&account()))).unwrap(), JobRow::Void);
    }

    #[test]
    fn records_read_back() {
        let id = RecordId::from_bytes([7; 16]);
        let at = Timestamp::from_millis(1_700_000_000_123);
        let object = ObjectRecord {
            id,
            object_type: TypeKey::parse("Product").unwrap(),
            external_id: None,
            attributes: r#"{"a":1}"#.to_owned(),
            created_at: at,
            position: Some(9_999),
            updated_at: at,
            type_version: 2,
            links: 1,
            entries: None,
        };
        let named = ObjectRecord { external_id: Some("x".to_owned()), ..object.clone() };
        let slots = [Some("name\u{1f}tgum\u{1f}".to_owned()), None, None, None, Some("size\u{1f}n1\u{1f}".to_owned())];
        let entries = |updated_at| Some(Box::new(Entries { slots: slots.clone(), updated_at, are_stale: false }));
        let indexed = ObjectRecord { entries: entries(true), ..object.clone() };
        let without_update = ObjectRecord { entries: entries(false), ..object.clone() };
        let without_value = ObjectRecord { entries: Some(Box::default()), ..object.clone() };
        let relationship = RelationshipRecord {
            id,
            relationship_type: TypeKey::parse("owns").unwrap(),
            source: End::Object(id),
            target: End::Elsewhere("zen:user:1".to_owned()),
            created_at: at,
            position: None,
        };
        for state in [
            State::Object(object),
            State::Object(named),
            State::Object(indexed),
            State::Object(without_update),
            State::Object(without_value),
            State::Relationship(relationship),
            State::Tombstone,
        ] {
            let applied = AppliedWrites::default().with(AppliedWrite {
                job: job_id(),
                position: 3,
                at: Timestamp::from_seconds(5),
            });
            let row = Row { version: 4, applied, state };
            let mut attributes: Attributes = record_to_row(&account(), &row, at)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            attributes.insert("pk".to_owned(), text(keys::record(&account(), id)));
            assert_eq!(record_from_row(&attributes).unwrap(), (id, row));
        }
    }

    /// An entry that leads to another place is none that the record is to have, whatever its value.
    #[test]
    fn entries_that_lead_elsewhere_are_seen() {
        let at = Timestamp::from_millis(1_700_000_000_123);
        let entries =
            Entries { slots: [Some("a\u{1f}n1\u{1f}".to_owned()), None, None, None, None], ..Entries::default() };
        let record = ObjectRecord {
            id: RecordId::from_bytes([7; 16]),
            object_type: TypeKey::parse("product").unwrap(),
            external_id: None,
            attributes: "{}".to_owned(),
            created_at: at,
            position: Some(1),
            updated_at: at,
            type_version: 1,
            links: 0,
            entries: Some(Box::new(Entries { updated_at: true, ..entries })),
        };
        let row = Row { version: 1, applied: AppliedWrites::default(), state: State::Object(record.clone()) };
        let read = |name: &str, value: &str| {
            let mut attributes: Attributes = record_to_row(&account(), &row, at)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            attributes.insert("pk".to_owned(), text(keys::record(&account(), record.id)));
            attributes.insert(name.to_owned(), text(value));
            let (_, read) = record_from_row(&attributes).unwrap();
            read.object().unwrap().entries.clone().unwrap()
        };
        assert_eq!(Some(read("external_id", "x")), record.entries);
        let before = keys::listed_at(Timestamp::from_millis(5), Some(1), record.id);
        for (name, entry) in [
            ("x1", format!("a\u{1f}n1\u{1f}{before}")),
            ("x_updated", keys::updated_at(Timestamp::from_millis(5), record.id)),
        ] {
            let stale = read(name, &entry);
            assert!(stale.are_stale && Some(&stale) != record.entries.as_ref(), "{name}");
            assert_eq!(stale.held(), record.entries.as_ref().unwrap().held(), "what is there can be taken away");
        }
    }

    /// The database deletes rows by this number, which is one of seconds: one of milliseconds would keep them for ever.
    #[test]
    fn what_passes_says_when_in_seconds_and_what_stays_does_not() {
        let expires_at = |row: &Attributes| row.get("expires_at").map(|at| at.as_n().unwrap().parse::<u64>().unwrap());
        let (made, day) = (1_700_000_000, 24 * 60 * 60);
        let job = Job::queued(job_id(), Operation::SetObjects, 1, 1);
        assert_eq!(expires_at(&job_to_row(&account(), &job)), Some(made + day));
        assert_eq!(expires_at(&void_job_row(job_id().of(&account()))), Some(made + day));
        let at = Timestamp::from_millis(made * 1_000 + 999);
        let record_row = |state| {
            let row = Row { version: 1, applied: AppliedWrites::default(), state };
            record_to_row(&account(), &row, at)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect()
        };
        assert_eq!(expires_at(&record_row(State::Tombstone)), Some(made + 2 * day));
        let relationship = State::Relationship(RelationshipRecord {
            id: RecordId::from_bytes([7; 16]),
            relationship_type: TypeKey::parse("owns").unwrap(),
            source: End::Elsewhere("zen:user:1".to_owned()),
            target: End::Elsewhere("zen:user:2".to_owned()),
            created_at: at,
            position: Some(0),
        });
        assert_eq!(expires_at(&record_row(relationship)), None);
    }

    #[test]
    fn a_row_that_is_not_ours_is_an_error_that_names_the_attribute() {
        let mut row = job_to_row(&account(), &Job::queued(job_id(), Operation::SetObjects, 1, 1));
        row.insert("status".to_owned(), text("secret"));
        let error = job_from_row(&row).unwrap_err().to_string();
        assert!(error.contains("status") && !error.contains("secret"), "{error}");
    }
}
