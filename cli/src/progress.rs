//! How far an import or a job is, on a terminal that shows it.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use console::Term;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::text::grouped;

/// A bar on standard error, or nothing where that is no terminal.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    counts: Arc<Mutex<Counts>>,
}

/// How fast it goes and how long it will take, once something was done. The mean of all since the start is what a job that ends in bursts
/// can be told by: a pace of the last moments would be nothing, or far too much.
fn pace(unit: &str, begun_at: u64, all: u64, position: u64, seconds: f64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "it is shown to a second")]
    let (done, left) = (position.saturating_sub(begun_at) as f64, all.saturating_sub(position) as f64);
    if done <= 0.0 || seconds <= 0.0 {
        return "starting".to_owned();
    }
    let rate = done / seconds;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is positive, and cut at the largest"
    )]
    let left = HumanDuration(Duration::from_secs((left / rate).ceil() as u64));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is positive, and cut at the largest"
    )]
    let rate = grouped(rate.round() as u64);
    format!("{rate} {unit}/s, {left:#} left")
}

#[derive(Default)]
struct Counts {
    done: u64,
    failed: u64,
    /// Of the jobs under way, by their first row: how many items are processed, and how many failed.
    under_way: HashMap<u64, (u64, u64)>,
}

impl Progress {
    /// `unit` is what is counted, as "rows".
    pub(crate) fn new(unit: &'static str, all: u64, done: u64, failed: u64) -> Self {
        let is_shown = Term::stderr().is_term();
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(all), target);
        let template = format!("{{wide_bar}} {{human_pos}} of {{human_len}} {unit}, {{pace}}, {{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            let pace = move |state: &ProgressState, text: &mut dyn Write| {
                // A bar that shows no pace is still a bar.
                let _ = text.write_str(&pace(unit, done, all, state.pos(), state.elapsed().as_secs_f64()));
            };
            bar.set_style(style.with_key("pace", pace));
        }
        bar.set_position(done);
        let counts = Counts { done, failed, under_way: HashMap::new() };
        let progress = Self { bar, counts: Arc::new(Mutex::new(counts)) };
        progress.change(|_| {});
        progress
    }

    /// For what is asked beside that which is shown.
    pub(crate) fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), counts: Arc::default() }
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

#[cfg(test)]
mod tests {
    use super::pace;

    #[test]
    fn nothing_is_foretold_before_anything_is_done() {
        assert_eq!(pace("rows", 0, 1_000, 0, 3.0), "starting");
        assert_eq!(pace("rows", 500, 1_000, 500, 3.0), "starting");
        assert_eq!(pace("rows", 500, 1_000, 600, 10.0), "10 rows/s, 40s left");
        assert_eq!(pace("items", 0, 1_000_000, 1_000, 1.0), "1,000 items/s, 17m left");
        assert_eq!(pace("rows", 0, 10, 10, 1.0), "10 rows/s, 0s left");
    }
}
