//! Limits on what a client may send, and the sizes that follow from them, each with its arithmetic. Error messages take
//! their numbers from here. Times are in `timing`, limits on an account's requests and passwords in the crate `access`,
//! and limits on decompression beside the code that decompresses.

/// How long a job can be seen: 24 hours, to the second.
pub const JOB_LIFETIME_SECONDS: u64 = 24 * 60 * 60;

/// Age at which sweep ends a job that is still active: 23 hours, an hour before it can no longer be seen.
pub const JOB_OVERDUE_SECONDS: u64 = 23 * 60 * 60;

/// Jobs of one account that are `queued` or `processing` at the same time.
pub const ACTIVE_JOBS: u64 = 1_000;

/// Items in one job. Published clients send at most 1,000.
pub const ITEMS_PER_JOB: usize = 10_000;

/// Largest request body as it reaches the function. A function may be handed 6 MB; a compressed body arrives as base64,
/// so it is counted with the third that base64 adds.
pub const BODY_BYTES: usize = 6_000_000;

/// Largest request body once it is decompressed: 32 MiB.
pub const DECOMPRESSED_BODY_BYTES: usize = 32 * 1024 * 1024;

/// Most items on a page of a list, and the number on it where a request names none: so a client that knows nothing of
/// pages sees all its jobs.
pub const ITEMS_PER_PAGE: usize = 1_000;

/// Records that one request may name, by id or by external id.
pub const RECORDS_NAMED: usize = 1_000;

/// The longest that a request may wait for the end of a job, in seconds: a function is stopped after 29 and the gateway answers after
/// 30, and before and after the waiting there is work.
pub const WAIT_SECONDS: u64 = 20;

/// Characters of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_CHARACTERS: usize = 255;

/// Largest body of a write of one record: attributes of at most 32 KiB as compact JSON, eight times that so that they
/// fit with every character escaped, which takes six bytes, or generously indented.
pub const RECORD_BODY_BYTES: usize = 8 * ATTRIBUTES_BYTES;

/// Largest body that defines a type: eight times its schema, for the reasons of [`RECORD_BODY_BYTES`].
pub const TYPE_BODY_BYTES: usize = 8 * SCHEMA_BYTES;

/// Largest body of a write of one relationship record: two external ids of 255 characters, each of which takes at most
/// twelve bytes when it is escaped, and a few keys around them, generously indented.
pub const RELATIONSHIP_BODY_BYTES: usize = 16 * 1024;

/// Largest body of a search, as it is sent. The values of its query are kept in memory while records are matched.
pub const QUERY_BODY_BYTES: usize = 256 * 1024;

/// Largest attributes of one record, as compact JSON: 32 KiB.
pub const ATTRIBUTES_BYTES: usize = 32 * 1024;

/// Characters of an external id.
pub const EXTERNAL_ID_CHARACTERS: usize = 255;

/// Characters of a `client_ref`.
pub const CLIENT_REF_CHARACTERS: usize = 255;

/// Most bytes that all `client_ref`s of a job may take in an answer: 2.5 MB, so that results of 10,000 items still have
/// 370 bytes each beside theirs. That is 250 bytes for each of 10,000.
pub const CLIENT_REFS_BYTES: usize = 2_500_000;

/// Most bytes that all `client_ref`s of a chunk can take: half a message, in which each is counted twice.
pub const CLIENT_REFS_PER_CHUNK: usize = CHUNK_BYTES / 2;

/// Largest schema of an object type, as compact JSON: 32 KiB.
pub const SCHEMA_BYTES: usize = 32 * 1024;

/// Most subschemas of a schema, the schema itself included. Compiled, each keeps its keywords, about a kilobyte, and
/// its path.
pub const SUBSCHEMAS: usize = 1_000;

/// Most characters of the name of a property. It is part of the path of each subschema and each error beneath it.
pub const PROPERTY_NAME_CHARACTERS: usize = 255;

/// Most checks that one record may cost, as `types::schema::bounds` counts them: at some 10 ns each, 20 ms.
pub const CHECKS_PER_RECORD: u64 = 2_000_000;

/// Most times that a schema may check one array for `uniqueItems`: arrays of brackets alone, made so that their hashes
/// are equal, are compared one with another, which is a million comparisons for 32 KiB.
pub const UNIQUE_ITEMS_PER_VALUE: usize = 2;

/// Most times that a schema may check one value for a `format`: each reads the whole text, some at a nanosecond or two
/// a byte.
pub const FORMATS_PER_VALUE: usize = 8;

/// Most bytes of a schema that may stand under `not`, counted once for each `not` around them: each keeps a copy, which
/// takes up to 80 bytes for each byte.
pub const NEGATED_BYTES: usize = 2 * SCHEMA_BYTES;

/// Longest `pattern`, as it is given.
pub const PATTERN_BYTES: usize = 1_024;

/// Most memory that all patterns of a schema may take together, compiled: 256 KiB. An everyday pattern takes a few
/// kilobytes.
pub const PATTERNS_BYTES: usize = 256 * 1024;

/// Most attributes that an object type may index, besides the time of the last update: the records table has an index
/// for each.
pub const INDEXED_ATTRIBUTES: usize = 5;

/// Object types of one account, and as many relationship types.
pub const TYPES_PER_ACCOUNT: u64 = 50;

/// Items in one chunk: 20 batches of 25 writes, which one consumer has in flight at once, and 5 reads of 100. What a
/// chunk asks of the database besides (its job, its types, its plan, its record) is then below a hundredth of a request
/// an item.
pub const ITEMS_PER_CHUNK: usize = 500;

/// Largest message of one chunk. SQS counts messages in steps of 64 KiB, and four such chunks fill the 1 MiB of one
/// `SendMessageBatch`.
pub const CHUNK_BYTES: usize = 240 * 1024;

/// Object records, and relationship records, that an account may have unless its operator says otherwise. While jobs run, a limit
/// may be overshot by what they have under way.
pub const RECORDS_PER_ACCOUNT: u64 = 1_000_000;

/// An item whose raw text is longer than this is rewritten by accept with only the members its action uses, compact.
/// 32 KiB of attributes, an external id of 255 characters and a type key always fit a chunk afterwards.
pub const PLAIN_ITEM_BYTES: usize = 16 * 1024;

/// Largest body of a function's answer: 6 MiB of response payload, less 16 KiB for the envelope around the body.
pub const ANSWER_BYTES: usize = 6 * 1024 * 1024 - 16 * 1024;

/// Most bytes of one chunk's results, as they stand inside an answer (see [`crate::plan::Budget`]): the row that holds
/// them may have 400 KB. A chunk of 500 items leaves 700 bytes to each of them, several broken rules; a chunk of few
/// leaves more.
pub const RESULTS_BYTES: usize = 350_000;

/// Most bytes of one item's result.
pub const RESULT_BYTES: usize = 16 * 1024;

/// Most marks of applied writes that one record keeps.
pub const APPLIED_WRITES_KEPT: usize = 32;

/// How long a record keeps a mark: an hour, above the visibility timeout times the receives of a message.
pub const APPLIED_WRITES_KEPT_SECONDS: u64 = 60 * 60;

/// Margin for clocks that differ: a mark counts as dropped five minutes before it can be. Two pairs of clocks may each
/// be 140 seconds apart, and 20 seconds may lie between a decision and its agreement. AWS keeps its clocks within
/// milliseconds, but a container that was frozen may go by what it read long before.
pub const CLOCK_MARGIN_SECONDS: u64 = 5 * 60;

/// How long a deleted record's tombstone stays: two days, so that it outlives every job that could still touch it.
pub const TOMBSTONE_SECONDS: u64 = 2 * JOB_LIFETIME_SECONDS;

/// Most bytes of the headers of one request, names and values together. What the gateway passes on is hardly more.
pub const HEADER_BYTES: usize = 10_240;

/// Longest query string of one request, as it is sent. With the rest of the request line and the headers it has to get
/// through the gateway, which takes 10,240 bytes of them.
pub const QUERY_BYTES: usize = 8_192;

/// Most levels that attributes or a schema may nest: `{}` is one, `{"a":[]}` two.
///
/// An answer has at most three more around them, and `serde_json`, which reads stored text again here and answers in many a
/// client, takes 127. What a merge patch makes nests no deeper than the patch or what it is merged into.
pub const JSON_LEVELS: usize = 100;
