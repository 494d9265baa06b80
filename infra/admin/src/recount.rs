//! `sundial-admin recount`

use std::time::{Duration, Instant};

use access::Operator;
use clap::Args;
use domain::account::AccountId;
use domain::account::usage::{PerKind, RecordKind};
use store::Store;

use crate::failure::Failure;
use crate::report::{Report, Thing};
use crate::values;

/// Longer than the index trails the table.
const INDEX_LAG: Duration = Duration::from_secs(2);

/// Between two looks at an account where something was under way.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
pub(crate) struct Recount {
    /// The account whose records are counted
    #[arg(value_parser = AccountId::parse)]
    account: AccountId,
    /// How long to wait for a moment at which none of its jobs runs and nobody writes
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "5m")]
    wait: Duration,
}

impl Recount {
    /// Counts the records while no job of the account is active, and corrects the stored counts. A write before the end
    /// of the counting shows in those counts or in a job; then the counting begins again.
    pub(crate) async fn carry_out(self, operator: &Operator, store: &Store) -> Result<Report, Failure> {
        let account = operator.account(&self.account).await?.id;
        let since = Instant::now();
        loop {
            if let Some((kept, listed)) = attempt(store, &account).await? {
                let mut off = PerKind::default();
                for kind in RecordKind::ALL {
                    off.set(kind, listed.of(kind) - kept.of(kind));
                }
                if off != PerKind::default() {
                    store.usages.mend_counts(&account, off).await?;
                }
                let thing = Thing::default()
                    .text("account", account.as_str())
                    .signed("resources", listed.objects)
                    .signed("resources_mended_by", off.objects)
                    .signed("relationships", listed.relationships)
                    .signed("relationships_mended_by", off.relationships);
                return Ok(Report::one(thing));
            }
            if since.elapsed() >= self.wait {
                return Err(Failure::Busy { account, waited: self.wait });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The counts as they are kept and as they are listed; `None` when something was under way.
async fn attempt(store: &Store, account: &AccountId) -> Result<Option<(PerKind<i64>, PerKind<i64>)>, Failure> {
    let before = store.usages.kept_counts(account).await?;
    if before.active > 0 {
        return Ok(None);
    }
    tokio::time::sleep(INDEX_LAG).await;
    let mut listed = PerKind::default();
    for kind in RecordKind::ALL {
        let count = store.usages.count_listed(account, kind).await?;
        listed.set(kind, i64::try_from(count).unwrap_or(i64::MAX));
    }
    let after = store.usages.kept_counts(account).await?;
    Ok((after == before).then_some((after.sums, listed)))
}
