//! Password hashing: Argon2id, with the parameters that OWASP's cheat sheet names first for a server that has little
//! memory.

use std::sync::Arc;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use domain::clock::Clock;
use store::access::PasswordHash;
use tokio::sync::Semaphore;

/// Memory of one hash, in KiB: 19 MiB.
const MEMORY_KIB: u32 = 19 * 1_024;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Lanes, which a function with part of one processor has no use for.
const LANES: u32 = 1;

/// The fewest characters of a new password.
pub const LEAST_PASSWORD_CHARACTERS: usize = 12;
/// The most bytes of a new password, which let it fit a header with room to spare.
pub const MOST_PASSWORD_BYTES: usize = 1_024;

/// Hashes at the same time in one process, so that their memory is bounded and other work gets its turn. A deployed
/// function answers one request at a time anyway.
const HASHES_AT_ONCE: usize = 2;

/// What the password of somebody who has none is compared with: no password is known that fits, and it takes as long.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzIQ$6X7dMhRZsTqC9KqbrQbLxLE6GZ0ZyLhMhBGu+0Dsh8I";

/// A hasher of passwords, which bounds the hashes that run at once. Clones share the bound.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    gate: Arc<Semaphore>,
}

/// A password could not be hashed: a defect of this program, as the parameters are constants.
#[derive(Clone, Debug, thiserror::Error)]
#[error("a password cannot be hashed: {0}")]
pub struct HashError(String);

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { gate: Arc::new(Semaphore::new(HASHES_AT_ONCE)) }
    }

    /// Waits for a turn at hashing. The credentials may have been found right by another request meanwhile.
    pub(crate) async fn turn(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.gate).acquire_owned().await.ok()
    }

    /// Whether `password` is the one that `hash` was made of. Without a hash the answer is no, and takes as long.
    pub(crate) async fn fits(password: String, hash: Option<PasswordHash>) -> bool {
        let check = move || {
            let stored = hash.as_ref().map_or(NOBODYS, |hash| hash.0.as_str());
            let verified = phc::PasswordHash::new(stored).map(|parsed| {
                // The parameters are those of the stored hash.
                Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok()
            });
            match verified {
                Ok(fits) => fits && hash.is_some(),
                Err(error) => {
                    tracing::error!(%error, "a stored password hash cannot be read");
                    false
                }
            }
        };
        // Not on the thread that answers requests. A task that panics verifies nothing.
        tokio::task::spawn_blocking(check).await.unwrap_or(false)
    }

    /// Hashes a new password, as a PHC string.
    pub(crate) fn hash(password: &str, clock: &Clock) -> Result<PasswordHash, HashError> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| HashError(error.to_string()))?;
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash: phc::PasswordHash = hasher
            .hash_password_with_salt(password.as_bytes(), &clock.random::<16>())
            .map_err(|error| HashError(error.to_string()))?;
        Ok(PasswordHash(hash.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let hash = Passwords::hash("correct horse", &Clock::system()).unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert!(!hash.0.contains("horse") && format!("{hash:?}") == "PasswordHash(…)");
        assert_ne!(hash, Passwords::hash("correct horse", &Clock::system()).unwrap());
        for (password, fits) in [("correct horse", true), ("Correct horse", false), ("", false)] {
            assert_eq!(Passwords::fits(password.to_owned(), Some(hash.clone())).await, fits, "{password}");
        }
        assert!(!Passwords::fits("x".to_owned(), None).await);
        assert!(!Passwords::fits("x".to_owned(), Some(PasswordHash("nonsense".to_owned()))).await);
    }

    /// Otherwise its time would tell who has a password.
    #[test]
    fn nobodys_hash_costs_what_everybodys_does() {
        let parsed = phc::PasswordHash::new(NOBODYS).unwrap();
        let params = Params::try_from(&parsed).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY_KIB, PASSES, LANES));
        let everybodys = Passwords::hash("x", &Clock::system()).unwrap();
        let everybodys = phc::PasswordHash::new(&everybodys.0).unwrap();
        assert_eq!(parsed.salt.unwrap().len(), everybodys.salt.unwrap().len());
        assert_eq!(parsed.hash.unwrap().len(), everybodys.hash.unwrap().len());
    }
}
