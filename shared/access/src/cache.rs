//! Cache of credentials that were found right a moment ago.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::account::Identity;
use domain::time::Timestamp;
use lru::LruCache;

use crate::credentials::Fingerprint;

/// Credentials that are remembered; beyond them those that were not used for longest are forgotten. Some 300 bytes each.
const MOST: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// A caller whose credentials were found right, and until when they need not be looked up again.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) identity: Identity,
    /// The account's own limit.
    pub(crate) requests_per_minute: Option<u32>,
    pub(crate) until: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Cache(Mutex<LruCache<Fingerprint, Known>>);

impl Cache {
    pub(crate) fn new() -> Self {
        // Grows as it is filled.
        let mut cache = LruCache::unbounded();
        cache.resize(MOST);
        Self(Mutex::new(cache))
    }

    pub(crate) fn get(&self, fingerprint: &Fingerprint, now: Timestamp) -> Option<Known> {
        let mut cache = self.lock();
        let known = cache.get(fingerprint)?;
        if now < known.until {
            return Some(known.clone());
        }
        cache.pop(fingerprint);
        None
    }

    pub(crate) fn put(&self, fingerprint: Fingerprint, known: Known) {
        self.lock().put(fingerprint, known);
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Fingerprint, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use domain::account::{AccountId, Email, Role};

    use super::*;
    use crate::credentials::{Credentials, FingerprintKey};

    fn fingerprint(token: usize) -> Fingerprint {
        FingerprintKey::new([0; 32]).fingerprint(&Credentials::Bearer { token: token.to_string() }, "")
    }

    fn known(until: u64) -> Known {
        let identity =
            Identity { account: AccountId::parse("a").unwrap(), user: Email::parse("a@b").unwrap(), role: Role::Agent };
        Known { identity, requests_per_minute: None, until: Timestamp::from_millis(until) }
    }

    #[test]
    fn it_knows_nobody_for_longer_than_was_said() {
        let cache = Cache::new();
        cache.put(fingerprint(1), known(10));
        assert!(cache.get(&fingerprint(1), Timestamp::from_millis(9)).is_some());
        assert!(cache.get(&fingerprint(2), Timestamp::from_millis(9)).is_none());
        assert!(cache.get(&fingerprint(1), Timestamp::from_millis(10)).is_none());
    }

    #[test]
    fn it_forgets_who_was_not_seen_for_longest() {
        let cache = Cache::new();
        for token in 0..=MOST.get() {
            cache.put(fingerprint(token), known(10));
        }
        assert!(cache.get(&fingerprint(0), Timestamp::default()).is_none());
        assert!(cache.get(&fingerprint(1), Timestamp::default()).is_some());
    }
}
