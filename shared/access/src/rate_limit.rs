//! Rate limits: how many requests a minute an account may make.
//!
//! The minute's count is one row of the account. A container takes requests out of it by the handful, before it answers
//! them, so that a handful costs one write: the first time in a minute one, then as many as it has answered in that minute, and
//! never more than [`MOST_AT_ONCE`]. So
//!
//! - **never too many** are admitted: a request is answered only out of what was taken, and what is taken beyond the
//!   limit is not given out;
//! - **at most [`MOST_AT_ONCE`] too few** for each *other* container that answers the account in that minute: what it has
//!   taken and not yet used. One container alone is exact;
//! - the row **costs** one write unit a request at first, and a tenth of one after twenty. A container that knows the limit
//!   to be reached refuses without asking.
//!
//! A row that does not answer in [`PATIENCE`] is no reason to refuse anybody: each container then counts for itself for a
//! while. Minutes are those of the clock, so within any sixty seconds up to twice the limit may be admitted.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::account::AccountId;
use domain::time::Timestamp;
use lru::LruCache;
use store::AccessRows;

use crate::source::Source;

/// Requests that a container takes out of the minute at a time.
const MOST_AT_ONCE: u32 = 10;
/// How long the row is waited for.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long a container counts for itself after the row did not answer, in milliseconds.
const ON_ITS_OWN: u64 = 5_000;
/// Accounts, and sources, that are kept count of; beyond them those that were not seen for longest are forgotten.
const MOST_KEPT: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The state of a rate limit in the present minute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimit {
    /// Requests that may be made in a minute.
    pub limit: u32,
    /// Requests that are left of this minute, as far as this container knows.
    pub remaining: u32,
    /// Seconds until the next minute begins, at least 1.
    pub resets_in: u32,
}

/// The error for a minute of which nothing is left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Exhausted(pub(crate) RateLimit);

impl Exhausted {
    fn of(limit: u32, now: Timestamp) -> Self {
        Self(RateLimit { limit, remaining: 0, resets_in: resets_in(now) })
    }
}

/// What this container knows of an account's minute.
#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    number: u64,
    /// Requests that this container answered.
    answered: u32,
    /// Requests that were taken and not yet used.
    in_hand: u32,
    /// Requests taken by everybody, as last heard.
    taken: u64,
    /// Nothing is asked of the row before then.
    on_its_own_until: Timestamp,
}

#[derive(Debug)]
pub(crate) struct RateLimits {
    rows: AccessRows,
    minutes: Mutex<LruCache<AccountId, Minute>>,
}

impl RateLimits {
    pub(crate) fn new(rows: AccessRows) -> Self {
        Self { rows, minutes: Mutex::new(kept()) }
    }

    /// Takes one request out of the account's minute.
    pub(crate) async fn take(&self, account: &AccountId, limit: u32) -> Result<RateLimit, Exhausted> {
        let now = self.rows.clock().now();
        let handful = match self.take_in_hand(account, limit, now) {
            InHand::Taken(rate_limit) => return Ok(rate_limit),
            InHand::Exhausted(exhausted) => return Err(exhausted),
            InHand::Empty { handful } => handful,
        };
        let number = minute_of(now);
        let taken = tokio::time::timeout(PATIENCE, self.rows.take_requests(account, number, handful)).await;
        let trouble = match taken {
            Ok(Ok(taken)) => return self.received(account, limit, now, handful, taken),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        tracing::warn!(account.id = %account, reason = trouble, "requests are counted by this container alone");
        let mut minutes = self.lock();
        let minute = minute_in(&mut minutes, account, number);
        minute.on_its_own_until = now.plus_millis(ON_ITS_OWN);
        minute.answer_alone(limit, now)
    }

    fn take_in_hand(&self, account: &AccountId, limit: u32, now: Timestamp) -> InHand {
        let mut minutes = self.lock();
        let minute = minute_in(&mut minutes, account, minute_of(now));
        if minute.in_hand > 0 {
            minute.in_hand -= 1;
            minute.answered += 1;
            return InHand::Taken(minute.rate_limit(limit, now));
        }
        if minute.taken >= u64::from(limit) {
            return InHand::Exhausted(Exhausted::of(limit, now));
        }
        if now < minute.on_its_own_until {
            return match minute.answer_alone(limit, now) {
                Ok(rate_limit) => InHand::Taken(rate_limit),
                Err(exhausted) => InHand::Exhausted(exhausted),
            };
        }
        InHand::Empty { handful: minute.answered.clamp(1, MOST_AT_ONCE) }
    }

    /// The row's answer: so many were taken by everybody, the handful included.
    fn received(
        &self,
        account: &AccountId,
        limit: u32,
        now: Timestamp,
        handful: u32,
        taken: u64,
    ) -> Result<RateLimit, Exhausted> {
        let mut minutes = self.lock();
        let mut other = Minute::default();
        let minute = match minute_in(&mut minutes, account, minute_of(now)) {
            minute if minute.number == minute_of(now) => minute,
            // The next minute has begun meanwhile, and must not get what was taken of this one.
            _ => &mut other,
        };
        minute.taken = minute.taken.max(taken);
        let before = taken.saturating_sub(u64::from(handful));
        let good = u64::from(limit).saturating_sub(before).min(u64::from(handful));
        let Some(rest) = u32::try_from(good).unwrap_or(handful).checked_sub(1) else {
            return Err(Exhausted::of(limit, now));
        };
        minute.in_hand += rest;
        minute.answered += 1;
        Ok(minute.rate_limit(limit, now))
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<AccountId, Minute>> {
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum InHand {
    Taken(RateLimit),
    Exhausted(Exhausted),
    /// Nothing is in hand: this many requests should be taken out of the row.
    Empty {
        handful: u32,
    },
}

impl Minute {
    fn rate_limit(&self, limit: u32, now: Timestamp) -> RateLimit {
        let untaken = u64::from(limit).saturating_sub(self.taken);
        let remaining = u32::try_from(untaken).unwrap_or(limit).saturating_add(self.in_hand).min(limit);
        RateLimit { limit, remaining, resets_in: resets_in(now) }
    }

    fn answer_alone(&mut self, limit: u32, now: Timestamp) -> Result<RateLimit, Exhausted> {
        if self.answered >= limit {
            return Err(Exhausted::of(limit, now));
        }
        self.answered += 1;
        let remaining = self.rate_limit(limit, now).remaining.min(limit - self.answered);
        Ok(RateLimit { limit, remaining, resets_in: resets_in(now) })
    }
}

/// Counts of refused requests by source, for callers who could not prove who they are: no source has this container
/// look up more of them a minute than an account may make requests. Costs no read and no write, and is of this
/// container alone.
#[derive(Debug)]
pub(crate) struct Refusals(Mutex<LruCache<Source, (u64, u32)>>);

impl Refusals {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(kept()))
    }

    /// The source's rate limit, with nothing taken out of it.
    pub(crate) fn left(&self, source: Source, limit: u32, now: Timestamp) -> RateLimit {
        let refused = *self.of_minute(&mut self.lock(), source, now);
        RateLimit { limit, remaining: limit.saturating_sub(refused), resets_in: resets_in(now) }
    }

    /// Counts one refused request of the source.
    pub(crate) fn count(&self, source: Source, limit: u32, now: Timestamp) -> RateLimit {
        let mut refusals = self.lock();
        let refused = self.of_minute(&mut refusals, source, now);
        *refused = refused.saturating_add(1);
        RateLimit { limit, remaining: limit.saturating_sub(*refused), resets_in: resets_in(now) }
    }

    #[expect(clippy::unused_self, reason = "it is of these refusals that the caller has locked")]
    fn of_minute<'cache>(
        &self,
        refusals: &'cache mut LruCache<Source, (u64, u32)>,
        source: Source,
        now: Timestamp,
    ) -> &'cache mut u32 {
        let number = minute_of(now);
        let entry = refusals.get_or_insert_mut(source, || (number, 0));
        if entry.0 != number {
            *entry = (number, 0);
        }
        &mut entry.1
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Source, (u64, u32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Grows as it is filled.
fn kept<Key: Eq + std::hash::Hash, Value>() -> LruCache<Key, Value> {
    let mut cache = LruCache::unbounded();
    cache.resize(MOST_KEPT);
    cache
}

fn minute_in<'cache>(
    minutes: &'cache mut LruCache<AccountId, Minute>,
    account: &AccountId,
    number: u64,
) -> &'cache mut Minute {
    let minute = minutes.get_or_insert_mut_ref(account, || Minute { number, ..Minute::default() });
    if minute.number < number {
        *minute = Minute { number, ..Minute::default() };
    }
    minute
}

fn minute_of(now: Timestamp) -> u64 {
    now.as_seconds() / 60
}

fn resets_in(now: Timestamp) -> u32 {
    u32::try_from(60 - now.as_seconds() % 60).unwrap_or(60)
}
