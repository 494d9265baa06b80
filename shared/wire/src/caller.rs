//! The caller's account, for the log line that is written when the request is answered.

use std::sync::{Arc, OnceLock};

use domain::account::{AccountId, Identity};

/// The account of the caller, once it is known: the authentication tells what stands around it.
#[derive(Clone, Default)]
pub(crate) struct CallersAccount(Arc<OnceLock<AccountId>>);

impl CallersAccount {
    pub(crate) fn is(&self, identity: &Identity) {
        self.0.get_or_init(|| identity.account.clone());
    }

    pub(crate) fn get(&self) -> Option<&AccountId> {
        self.0.get()
    }
}
