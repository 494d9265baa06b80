//! Deadlines and delays that depend on each other across functions, each with its arithmetic. `tests/it/recovery.rs`
//! checks their order, together with the numbers of the deployment template.
//!
//! ```text
//! accept    0 s ──── 15 s: no commit is begun any more ──── 23 s: the last one has answered, or never will ── 29 s: stopped
//! gateway   ─────────────────────────────────────────────────────────────────────────────────── 30 s: answers 504
//! consumer  ──────────────────────────── 60 s after its id was made: a job that is not there is fenced, and never will be
//! ```

use std::time::Duration;

/// Latest time after its request at which a commit is begun. With [`CALL`] it has an answer 6 s before the function is
/// stopped, in which what came of it is found out where the answer was lost. Where even that is lost, the client sees a
/// 504.
pub const LATEST_COMMIT: Duration = Duration::from_secs(15);

/// Longest time that a large body waits for its turn: what is left until [`LATEST_COMMIT`] is for working on it, of
/// which the largest takes five seconds on a slow processor. A request that waited longer would have its turn and then
/// no time, and would keep the next one from its turn.
pub const LATEST_TURN: Duration = Duration::from_secs(5);

/// Latest time after its request was read at which a write of one record is begun, however often others were faster.
/// With [`CALL`] it has an answer 11 s before the function is stopped, in which what came of it is found out where the
/// answer was lost.
pub const LATEST_WRITE: Duration = Duration::from_secs(10);

/// Time for which the deletion mark of a type is in force. The deletion is one request, and its function is stopped
/// after 29 s; a minute more than that is for calls that are still on their way, and for clocks that differ.
pub const DELETION: Duration = Duration::from_secs(90);

/// Longest time that a call of the database or the queue takes, its retries included.
pub const CALL: Duration = Duration::from_secs(8);

/// Longest time of one attempt at a call: where the first gets no answer, the second has 3 s of [`CALL`].
pub const CALL_ATTEMPT: Duration = Duration::from_secs(5);

/// Longest time to open a connection, as a part of [`CALL_ATTEMPT`].
pub const CONNECT: Duration = Duration::from_secs(2);

/// Age of a job id from which on a job that is not there was never accepted: more than twice [`LATEST_COMMIT`] and
/// [`CALL`]. A chunk is sent before its job is committed, so its job may be missing at first. Whoever finds it missing
/// this late still puts a fence there, so that nothing rests on clocks.
pub const NEVER_COMMITTED: Duration = Duration::from_mins(1);

/// Time that a worker waits for a commit that is under way before it leaves the chunk to be delivered again.
pub const COMMIT_PATIENCE: Duration = Duration::from_secs(3);

/// Shortest time between the replacement of a type's schema and the filling of its new index: by then whoever read the
/// type before has written what it was about to write, or was stopped (the consumer after a minute at the most, with
/// calls of [`CALL`] behind it), and the index by which records are listed shows it.
pub const INDEX_FILLED_AFTER: Duration = Duration::from_mins(2);

/// Time kept at the end of an invocation to report what is unfinished.
pub const REPORT_MARGIN: Duration = Duration::from_secs(2);
