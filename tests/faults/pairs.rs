//! Two faults in one run, sampled by seed: `SUNDIAL_PAIRS` of them, 1,000 without it.

use std::collections::HashMap;

use domain::job::Operation;

use crate::network::{Fault, Function, Script, Span};
use crate::scenes::Shape;
use crate::story::{Case, Stage, Story, Undisturbed};
use crate::{ENOUGH, from_environment, report};

const PAIRS: u64 = 1_000;

/// The stories that were told without any fault.
type Told = HashMap<(Operation, Shape, Story), Undisturbed>;

/// A case with two faults, which follow from the seed.
fn sampled(seed: u64, told: &mut Told) -> Option<Case> {
    let mut random = fastrand::Rng::with_seed(seed);
    let operation = Operation::ALL[random.usize(..Operation::ALL.len())];
    let shape = Shape::ALL[random.usize(..Shape::ALL.len())];
    let stage = Stage::ALL[random.usize(..Stage::ALL.len())];
    let stories = [Story::Keyed, Story::Keyed, Story::Once, Story::Aborted, Story::Buried(stage), Story::Swept(stage)];
    let story = stories[random.usize(..stories.len())];
    let mut script = Script::default();
    let undisturbed = told
        .entry((operation, shape, story))
        .or_insert_with(|| Case { operation, shape, story, script: script.clone() }.undisturbed());
    let calls = &undisturbed.outcome.calls;
    for _ in 0..2 {
        let call = &calls[random.usize(..calls.len())];
        let faults: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| fault.can_happen_to(&call.operation)).collect();
        let fault = faults[random.usize(..faults.len())];
        // The first fault moves what comes after it.
        let number = call.number + random.usize(..3);
        let span = if random.bool() { Span::Once } else { Span::Always };
        script.0.insert((call.function, number), (fault, span));
    }
    // A sweep that is disturbed twice may have to be waited for longer than the story does.
    let is_swept = matches!(story, Story::Swept(_));
    let sweeps = script.0.keys().filter(|(function, _)| *function == Function::Sweep).count();
    (!(is_swept && sweeps > 2)).then_some(Case { operation, shape, story, script })
}

fn run_pairs(part: u64) {
    let pairs = from_environment("SUNDIAL_PAIRS", PAIRS);
    let mut wrong = Vec::new();
    let seeds = (0..pairs).filter(|seed| seed % 2 == part);
    let mut told = Told::new();
    for seed in seeds {
        if wrong.len() >= ENOUGH {
            break;
        }
        let Some(case) = sampled(seed, &mut told) else { continue };
        let Case { operation, shape, story, .. } = case;
        let outcome = case.run_after(&told[&(operation, shape, story)]);
        if !outcome.found.is_empty() {
            wrong.push(format!("{case}\n{}", outcome.found.join("\n")));
        }
    }
    eprintln!("{} pairs of faults", pairs / 2);
    report(&wrong, "SUNDIAL_FAULT='ITS FIRST LINE' cargo test -p tests --test faults repeat -- --nocapture");
}

#[test]
fn even_pairs() {
    run_pairs(0);
}

#[test]
fn odd_pairs() {
    run_pairs(1);
}
