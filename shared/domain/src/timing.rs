//! Times that depend on each other across functions, each with its arithmetic. `tests/it/recovery.rs` holds their order, with
//! the numbers of the deployment template among them.
//!
//! ```text
//! accept    0 s ──── 15 s: no commit is begun any more ──── 23 s: the last one has answered, or never will ── 29 s: stopped
//! gateway   ─────────────────────────────────────────────────────────────────────────────────── 30 s: answers 504
//! consumer  ──────────────────────────── 60 s after its id was made: a job that is not there is fenced, and never will be
//! ```

use std::time::Duration;

/// A commit is not begun later than this after its request. With [`CALL`] it has an answer 6 s before the function is stopped,
/// in which what came of it is found out where the answer was lost. Where even that is lost, the client sees a 504.
pub const LATEST_COMMIT: Duration = Duration::from_secs(15);

/// A large body waits no longer than this for its turn: what is left until [`LATEST_COMMIT`] is for working on it, of which the largest
/// takes five seconds on a slow processor. Whoever waited longer would have its turn and then no time, and keep the next from theirs.
pub const LATEST_TURN: Duration = Duration::from_secs(5);

/// A write of one record is not begun later than this after its request was read, however often others were faster. With
/// [`CALL`] it has an answer 11 s before the function is stopped, in which what came of it is found out where the answer was lost.
pub const LATEST_WRITE: Duration = Duration::from_secs(10);

/// How long the mark of a type that is being deleted is respected. The deletion is one request, and its function is stopped after
/// 29 s; a minute more than that is for calls that are still on their way, and for clocks that differ.
pub const DELETION: Duration = Duration::from_secs(90);

/// A call of the database or the queue takes no longer, its repetitions included.
pub const CALL: Duration = Duration::from_secs(8);

/// One attempt at a call: where the first gets no answer, the second has 3 s of [`CALL`].
pub const CALL_ATTEMPT: Duration = Duration::from_secs(5);

/// What a connection may take of an attempt.
pub const CONNECT: Duration = Duration::from_secs(2);

/// A chunk is sent before its job is committed. A job that is not there so long after its id was made was never accepted:
/// more than twice [`LATEST_COMMIT`] and [`CALL`]. Whoever finds so puts a fence there all the same, so that nothing rests on
/// clocks.
pub const NEVER_COMMITTED: Duration = Duration::from_mins(1);

/// How long a worker waits for a commit that is under way before it lets the chunk come back.
pub const COMMIT_PATIENCE: Duration = Duration::from_secs(3);

/// A type's new index is not filled earlier than this after its schema was replaced: by then whoever read the type before has
/// written what it was about to write, or was stopped (the consumer after a minute at the most, with calls of [`CALL`] behind it), and
/// the index by which records are listed shows it.
pub const INDEX_FILLED_AFTER: Duration = Duration::from_mins(2);

/// Time kept at the end of an invocation to report what is unfinished.
pub const REPORT_MARGIN: Duration = Duration::from_secs(2);
