//! Keys of all tables: each is spelled in this module and nowhere else.
//!
//! Each key of an account's rows begins with the account, so no request can reach another account's. Rows of the deployment
//! begin with `SYSTEM`, which no account is called. Account ids and type keys have no `#` in them.

use domain::account::{AccountId, Email, TokenKind};
use domain::job::{JobId, JobKey, JobStatus};
use domain::record::{End, RecordId};
use domain::time::Timestamp;
use domain::types::TypeKey;

/// Shards over which the records of one type are spread in an index, so that a busy type is not bound to one
/// partition's writes.
pub const SHARDS: u8 = 8;

/// Shards over which the relationships of one end are spread in an index. One end takes that many times a thousand
/// writes a second, and a page of its relationships costs that many queries.
pub const END_SHARDS: u8 = 4;

/// The partition of an account's jobs, its active count and its idempotency keys.
#[must_use]
pub fn account(account: &AccountId) -> String {
    account.to_string()
}

/// The key of a job in its account's partition: keys sort by creation, as job ids do.
#[must_use]
pub fn job(id: JobId) -> String {
    format!("JOB#{id}")
}

/// The id that a [`job`] key holds.
#[must_use]
pub fn job_of(key: &str) -> Option<JobId> {
    key.strip_prefix("JOB#").and_then(JobId::parse)
}

/// A key that sorts after every job of an account.
#[must_use]
pub const fn after_all_jobs() -> &'static str {
    "JOB#~"
}

/// The key of the account's count of active jobs.
#[must_use]
pub const fn slots() -> &'static str {
    "SLOTS"
}

/// The partition of the index `by_status` that holds the active count of every account that ever had a job. No account
/// id has an upper-case letter in it.
#[must_use]
pub const fn counters() -> &'static str {
    "SLOTS"
}

/// The key of an idempotency key, by the hex of its hash.
#[must_use]
pub fn idempotency(hash: &str) -> String {
    format!("KEY#{hash}")
}

/// The partition of a job's chunks.
#[must_use]
pub fn chunks_of(job: JobKey<'_>) -> String {
    format!("{}#{}", job.account, job.id)
}

/// The prefix of every [`results`] key, before the chunk's index.
pub const RESULTS_PREFIX: &str = "RESULT#";

/// The key of a chunk's plan, which becomes its results.
#[must_use]
pub fn results(chunk: u32) -> String {
    format!("{RESULTS_PREFIX}{chunk:05}")
}

/// The key of a chunk that waits for the one before it in its chain.
#[must_use]
pub fn stashed(chunk: u32) -> String {
    format!("CHUNK#{chunk:05}")
}

/// The partition of an account's jobs in one state, in the index `by_status`.
#[must_use]
pub fn by_status(account: &AccountId, status: JobStatus) -> String {
    format!("{account}#{}", status.as_str())
}

/// The key of a record's row in the records table.
#[must_use]
pub fn record(account: &AccountId, id: RecordId) -> String {
    format!("{account}#{id}")
}

/// Shards over which an account's count of records is spread. Writes of single records meet at a shard, so they are
/// counted at that many times some hundred a second.
pub const COUNT_SHARDS: u8 = 4;

/// The key of one shard of an account's counts of records, in the records table. No id of a record is spelled so.
#[must_use]
pub fn record_count(account: &AccountId, shard: u8) -> String {
    format!("{account}#COUNT#{shard}")
}

/// The key of an idempotency key of a single record's write, by the hex of its hash, in the records table. No id of a
/// record is spelled so.
#[must_use]
pub fn record_idempotency(account: &AccountId, hash: &str) -> String {
    format!("{account}#KEY#{hash}")
}

/// The id that a [`record`] key holds.
#[must_use]
pub fn record_of(key: &str) -> Option<RecordId> {
    key.split_once('#').and_then(|(_, id)| RecordId::parse(id))
}

/// The catalog's partition of the deployment itself, which belongs to no account. No account id has an upper-case
/// letter in it.
#[must_use]
pub const fn deployment() -> &'static str {
    "SYSTEM"
}

/// The key of the secret that cursors are signed with.
#[must_use]
pub const fn cursor_secret() -> &'static str {
    "CURSOR_SECRET"
}

/// The partition of an account's settings, users and tokens.
///
/// Every partition that only the operator may write has `#ACCESS` in its name, which no account id has: the functions' roles
/// are denied to write there by that.
#[must_use]
pub fn access(account: &AccountId) -> String {
    format!("{account}#ACCESS")
}

/// A stand-in for [`access`] when the account is not known: no row has it, and reading it takes as long.
#[must_use]
pub const fn access_of_nobody() -> &'static str {
    "NOBODY#ACCESS"
}

/// The partition of the number of records that an account may have. The operator writes it; functions that write
/// records read it, as they may not read the rest of what the operator wrote.
#[must_use]
pub fn limits_of(account: &AccountId) -> String {
    format!("{account}#LIMITS")
}

/// The one row of a [`limits_of`] partition.
#[must_use]
pub const fn limits_row() -> &'static str {
    "LIMITS"
}

/// The key of the account's settings, in its [`access`] partition.
#[must_use]
pub const fn account_row() -> &'static str {
    "ACCOUNT"
}

/// The key of a user, in the account's [`access`] partition.
#[must_use]
pub fn user(email: &Email) -> String {
    format!("{}{email}", users_prefix())
}

/// The prefix of every [`user`] key.
#[must_use]
pub const fn users_prefix() -> &'static str {
    "USER#"
}

/// The key of a token, by the SHA-256 of its text, in the account's [`access`] partition.
#[must_use]
pub fn token(digest: &[u8; 32], kind: TokenKind) -> String {
    format!("{}{}#{}", tokens_prefix(), hex::encode(digest), kind.as_str())
}

/// The digest and the kind that a [`token`] key holds.
#[must_use]
pub fn token_of(key: &str) -> Option<([u8; 32], TokenKind)> {
    let (digest, kind) = key.strip_prefix(tokens_prefix())?.split_once('#')?;
    let kind = TokenKind::ALL.into_iter().find(|it| it.as_str() == kind)?;
    Some((hex::decode(digest).ok()?.try_into().ok()?, kind))
}

/// The prefix of every [`token`] key, before the digest.
#[must_use]
pub const fn tokens_prefix() -> &'static str {
    "TOKEN#"
}

/// The partition that lists the accounts of a deployment, one row each.
#[must_use]
pub const fn accounts() -> &'static str {
    "SYSTEM#ACCESS"
}

/// The partition that leads from an email to the account of its password, where no host name names the account.
#[must_use]
pub fn login(email: &Email) -> String {
    format!("SYSTEM#ACCESS#{email}")
}

/// The one row of a [`login`] partition.
#[must_use]
pub const fn login_row() -> &'static str {
    "LOGIN"
}

/// The partition of the last uses of an account's tokens, each under the token's own key.
#[must_use]
pub fn last_uses(account: &AccountId) -> String {
    format!("{account}#USE")
}

/// The partition of an account's counts of granted requests.
#[must_use]
pub fn rate_limits(account: &AccountId) -> String {
    format!("{account}#RATE")
}

/// The key of a minute's count, in the [`rate_limits`] partition; `minute` counts from the epoch.
#[must_use]
pub fn rate_limit_minute(minute: u64) -> String {
    format!("{minute:010}")
}

/// The partition of the failed passwords of one user from one source, by the hex of a hash of both.
#[must_use]
pub fn guard(hash: &str) -> String {
    format!("SYSTEM#GUARD#{hash}")
}

/// The one row of a [`guard`] partition.
#[must_use]
pub const fn guard_row() -> &'static str {
    "GUARD"
}

/// The kind of records that a type defines: object records or relationship records. Types of the two kinds have
/// separate keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TypeKind {
    Object,
    Relationship,
}

impl TypeKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Object => "OBJECT",
            Self::Relationship => "RELATIONSHIP",
        }
    }
}

/// The shard of its type that a record is listed in.
#[must_use]
pub const fn shard_of(id: RecordId) -> u8 {
    // The last byte: a UUIDv8's first bytes are hash too, but other versions start with their time.
    id.as_bytes()[15] % SHARDS
}

/// The partition of one shard of a type's records, in the index `by_type`.
#[must_use]
pub fn by_type(account: &AccountId, kind: TypeKind, key: &TypeKey, shard: u8) -> String {
    format!("{account}#{}#{}#{shard}", kind.name(), key.folded())
}

/// The shard of an end's relationships that a relationship is listed in.
#[must_use]
pub const fn end_shard_of(id: RecordId) -> u8 {
    id.as_bytes()[15] % END_SHARDS
}

/// The partition of one shard of an end's relationships of one type, in the indexes `by_source` and `by_target`.
#[must_use]
pub fn by_end(account: &AccountId, relationship_type: &TypeKey, end: &End, shard: u8) -> String {
    format!("{account}#{}#{end}#{shard}", relationship_type.folded())
}

/// The sort key of a record in the list of its type: by creation, then by the position of the item that made it,
/// because all records that one chunk makes have one creation time; then by id.
#[must_use]
pub fn listed_at(created_at: Timestamp, position: Option<u32>, id: RecordId) -> String {
    let millis = created_at.as_millis();
    match position {
        Some(position) => format!("{millis:013}#{position:05}#{id}"),
        None => format!("{millis:013}#{id}"),
    }
}

/// The sort key of a record in the list of its type by last update.
#[must_use]
pub fn updated_at(updated_at: Timestamp, id: RecordId) -> String {
    format!("{:013}#{id}", updated_at.as_millis())
}

/// The partition of the types that have an index to be filled, one row each.
#[must_use]
pub const fn fillings() -> &'static str {
    "SYSTEM#FILLING"
}

/// The key of a type in the partition of [`fillings`].
#[must_use]
pub fn filling(account: &AccountId, key: &TypeKey) -> String {
    format!("{account}#{}", key.folded())
}

/// The account and the type that a [`filling`] key holds.
#[must_use]
pub fn filling_of(key: &str) -> Option<(AccountId, TypeKey)> {
    let (account, key) = key.split_once('#')?;
    Some((AccountId::parse(account).ok()?, TypeKey::parse(key).ok()?))
}

/// Reads the position and the id from a [`listed_at`] key; `None` when the text is no such key.
#[must_use]
pub fn read_place(listed_at: &str) -> Option<(Option<u32>, RecordId)> {
    let (before, id) = listed_at.rsplit_once('#')?;
    let position = before.split_once('#').map(|(_, position)| position.parse()).transpose().ok()?;
    Some((position, RecordId::parse(id)?))
}

/// The key of a type in its account's partition of the catalog; begins with [`types_prefix`].
#[must_use]
pub fn type_row(kind: TypeKind, key: &TypeKey) -> String {
    format!("{}{}", types_prefix(kind), key.folded())
}

/// The prefix of the keys of all types of one kind.
#[must_use]
pub fn types_prefix(kind: TypeKind) -> String {
    format!("{}_TYPE#", kind.name())
}

/// The key of the account's counts of types, by kind.
#[must_use]
pub const fn type_counts() -> &'static str {
    "COUNTS"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_are() {
        let acme = AccountId::parse("acme").unwrap();
        let job_id = JobId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let record_id = RecordId::parse("40e83a4e-8438-8bb9-8f6f-51124535ce9f").unwrap();
        let product = TypeKey::parse("Product").unwrap();
        assert_eq!(job(job_id), "JOB#01890a5d-ac96-774b-bcce-b302099a8057");
        assert_eq!(job_of(&job(job_id)), Some(job_id));
        assert_eq!(idempotency("ab12"), "KEY#ab12");
        assert_eq!(chunks_of(job_id.of(&acme)), "acme#01890a5d-ac96-774b-bcce-b302099a8057");
        assert_eq!(results(7), "RESULT#00007");
        assert_eq!(stashed(7), "CHUNK#00007");
        assert_eq!(by_status(&acme, JobStatus::Queued), "acme#queued");
        assert_eq!(record(&acme, record_id), "acme#40e83a4e-8438-8bb9-8f6f-51124535ce9f");
        assert_eq!(record_of(&record(&acme, record_id)), Some(record_id));
        assert_eq!(by_type(&acme, TypeKind::Object, &product, shard_of(record_id)), "acme#OBJECT#product#7");
        let end = End::Elsewhere("zen:user:1#2".to_owned());
        assert_eq!(by_end(&acme, &product, &end, end_shard_of(record_id)), "acme#product#zen:user:1#2#3");
        let at = Timestamp::from_millis(1_509_724_806_123);
        for (position, place) in [
            // Of records that were made before positions were kept.
            (None, "1509724806123#40e83a4e-8438-8bb9-8f6f-51124535ce9f"),
            (Some(7), "1509724806123#00007#40e83a4e-8438-8bb9-8f6f-51124535ce9f"),
            (Some(9_999), "1509724806123#09999#40e83a4e-8438-8bb9-8f6f-51124535ce9f"),
        ] {
            assert_eq!(listed_at(at, position, record_id), place);
            assert_eq!(read_place(place), Some((position, record_id)));
        }
        for wrong in ["", "1509724806123", "1509724806123#7", "1#x#40e83a4e-8438-8bb9-8f6f-51124535ce9f"] {
            assert_eq!(read_place(wrong), None, "{wrong}");
        }
        assert_eq!(updated_at(at, record_id), "1509724806123#40e83a4e-8438-8bb9-8f6f-51124535ce9f");
        assert_eq!(filling(&acme, &product), "acme#product");
        assert_eq!(filling_of("acme#product"), Some((acme.clone(), product.clone())));
        assert_eq!((filling_of("acme"), filling_of("#product")), (None, None));
        assert_eq!(type_row(TypeKind::Relationship, &product), "RELATIONSHIP_TYPE#product");
        assert!(job(job_id).as_str() < after_all_jobs());
        let email = Email::parse("Agent@Example.com").unwrap();
        assert_eq!(access(&acme), "acme#ACCESS");
        assert_eq!((limits_of(&acme).as_str(), record_count(&acme, 3).as_str()), ("acme#LIMITS", "acme#COUNT#3"));
        assert_eq!(record_of(&record_count(&acme, 3)), None);
        assert_eq!(user(&email), "USER#agent@example.com");
        assert_eq!(token(&[0xab; 32], TokenKind::Api), format!("TOKEN#{}#api", "ab".repeat(32)));
        assert_eq!(token_of(&token(&[0xab; 32], TokenKind::Api)), Some(([0xab; 32], TokenKind::Api)));
        assert_eq!(login(&email), "SYSTEM#ACCESS#agent@example.com");
        assert_eq!((last_uses(&acme).as_str(), rate_limits(&acme).as_str()), ("acme#USE", "acme#RATE"));
        assert_eq!(rate_limit_minute(29_448_000), "0029448000");
        assert_eq!(guard("ab12"), "SYSTEM#GUARD#ab12");
    }
}
