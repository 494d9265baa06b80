//! Whether the memory of the process is flat.
//!
//! A process that is killed every few seconds starts anew each time, so two things are looked at: what its lives had at the
//! same age, early in the test and late (what they find in their files grows meanwhile, and must not show), and what the
//! last life had soon after it was warm and at its end. Each may be half as much again and some more: what is looked for
//! is growth without an end.

use std::fmt::Write;
use std::time::Duration;

use crate::process::Sample;

/// What a median may be above the earlier one, in MiB: the noise of an allocator under load.
const SLACK: u64 = 48;
/// The age at which lives are compared.
const AGE: std::ops::Range<Duration> = Duration::from_millis(1_200)..Duration::from_millis(2_200);
/// Samples on each side that a median is taken of at least.
const ENOUGH: usize = 8;

pub struct Judgement {
    pub is_flat: bool,
    pub text: String,
}

pub fn judge(samples: &[Sample]) -> Judgement {
    let most = samples.iter().map(|sample| sample.mebibytes).max().unwrap_or_default();
    let Some(last) = samples.last().copied() else {
        return Judgement { is_flat: true, text: "this system does not show it".to_owned() };
    };
    let of_age: Vec<Sample> =
        samples.iter().copied().filter(|sample| sample.life < last.life && AGE.contains(&sample.uptime)).collect();
    let third = of_age.len() / 3;
    let lives = compare(&of_age[..third], &of_age[of_age.len() - third..]);
    let last_life: Vec<Sample> = samples.iter().copied().filter(|sample| sample.life == last.life).collect();
    let part = |from: u32, to: u32| -> Vec<Sample> {
        let range = last.uptime * from / 10..=last.uptime * to / 10;
        last_life.iter().copied().filter(|sample| range.contains(&sample.uptime)).collect()
    };
    let within = compare(&part(3, 5), &part(8, 10));
    let mut text = format!("at most {most} MiB");
    let mut is_flat = true;
    // Writing to a String never fails.
    for (what, medians) in [
        ("at the age of one to two seconds, early and late lives", lives),
        ("the last life, in the middle and at its end", within),
    ] {
        let Some((before, after)) = medians else {
            let _ = write!(text, "; {what}: too short to tell");
            continue;
        };
        is_flat &= after <= before * 3 / 2 + SLACK;
        let _ = write!(text, "; {what}: {before} and {after} MiB");
    }
    // Tenths of the last life.
    let course: Vec<String> =
        (0..10).filter_map(|tenth| median(&part(tenth, tenth + 1))).map(|mebibytes| mebibytes.to_string()).collect();
    let _ = write!(text, "; the last life of {} s: {} MiB", last.uptime.as_secs(), course.join(" "));
    Judgement { is_flat, text }
}

fn compare(before: &[Sample], after: &[Sample]) -> Option<(u64, u64)> {
    if before.len() < ENOUGH || after.len() < ENOUGH {
        return None;
    }
    Some((median(before)?, median(after)?))
}

fn median(samples: &[Sample]) -> Option<u64> {
    let mut mebibytes: Vec<u64> = samples.iter().map(|sample| sample.mebibytes).collect();
    mebibytes.sort_unstable();
    mebibytes.get(mebibytes.len() / 2).copied()
}
