//! How far an import is, on a terminal that shows it.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// A bar on standard error, or nothing where that is no terminal.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    done: u64,
    failed: u64,
    /// Of the jobs under way, by their first row: how many items are processed, and how many failed.
    under_way: HashMap<u64, (u64, u64)>,
}

impl Progress {
    pub(crate) fn new(rows: u64, done: u64, failed: u64) -> Self {
        let is_shown = Term::stderr().is_term();
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(rows), target);
        let template = "{wide_bar} {human_pos}/{human_len} rows, {rate}, {eta} left, {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
                // A bar that shows no rate is still a bar.
                let _ = write!(text, "{:.0} rows/s", state.per_sec());
            }));
        }
        bar.set_position(done);
        bar.reset_eta();
        let counts = Counts { done, failed, under_way: HashMap::new() };
        let progress = Self { bar, counts: Arc::new(Mutex::new(counts)) };
        progress.change(|_| {});
        progress
    }

    /// Whether somebody sees it, for whom it is worth asking more often.
    pub(crate) fn is_shown(&self) -> bool {
        !self.bar.is_hidden()
    }

    pub(crate) fn under_way(&self, first: u64, processed: u64, failed: u64) {
        self.change(|counts| {
            counts.under_way.insert(first, (processed, failed));
        });
    }

    pub(crate) fn done(&self, first: u64, done: u64, failed: u64) {
        self.change(|counts| {
            counts.under_way.remove(&first);
            counts.done = done;
            counts.failed = failed;
        });
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        let Ok(mut counts) = self.counts.lock() else { return };
        change(&mut counts);
        let processed: u64 = counts.under_way.values().map(|(processed, _)| processed).sum();
        let failed: u64 = counts.under_way.values().map(|(_, failed)| failed).sum();
        self.bar.set_position(counts.done + processed);
        self.bar.set_message(format!("{} failed", counts.failed + failed));
    }
}
