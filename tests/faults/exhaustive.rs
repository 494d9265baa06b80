//! Every fault at every call.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::job::Operation;

use crate::network::{Call, Fault, Function, Script, Span};
use crate::scenes::Shape;
use crate::story::{Case, Outcome, Stage, Story, Undisturbed};
use crate::world::VISIBILITY;
use crate::{ENOUGH, report};

/// What a worker may take of its own time besides waiting: for the commit of its job, and between its tries.
const NORMAL_TIME: Duration = Duration::from_secs(20);

/// Everything that can be told of one operation.
struct Told {
    operation: Operation,
    runs: BTreeMap<Function, usize>,
    wrong: Vec<String>,
}

impl Told {
    const fn of(operation: Operation) -> Self {
        Self { operation, runs: BTreeMap::new(), wrong: Vec::new() }
    }

    /// Runs the story undisturbed, and then once for each fault at each call of the functions.
    fn every_fault(&mut self, shape: Shape, story: Story, functions: &[Function]) {
        let operation = self.operation;
        let case = |script| Case { operation, shape, story, script };
        let undisturbed = case(Script::default()).undisturbed();
        let Outcome { found, calls, .. } = &undisturbed.outcome;
        if !found.is_empty() {
            self.wrong.push(format!("undisturbed {}: {found:#?}", case(Script::default())));
            return;
        }
        let mut scripts = Vec::new();
        // Of what happens again and again by itself, the first time: the sweeps after it find nothing. And of the requests the
        // job's own, which comes first.
        let first_only = [Function::Accept, Function::Sweep];
        let first = |function| calls.iter().find(|call| call.function == function).map(|call| call.worker);
        // What comes before the stop is the same in other stories.
        let stopped = if matches!(story, Story::Stopped(_)) { first(Function::Abort) } else { None };
        let disturbed = |call: &&Call| {
            functions.contains(&call.function)
                && stopped.is_none_or(|stopped| call.worker >= stopped)
                && (!first_only.contains(&call.function) || first(call.function) == Some(call.worker))
        };
        for call in calls.iter().filter(disturbed) {
            for fault in Fault::ALL.into_iter().filter(|fault| fault.can_happen_to(&call.operation)) {
                let spans: &[Span] = if fault.is_death() { &[Span::Once] } else { &[Span::Once, Span::Always] };
                scripts.extend(spans.iter().map(|span| (call.function, call.number, fault, *span)));
            }
        }
        for (function, call, fault, span) in scripts {
            if self.wrong.len() >= ENOUGH {
                return;
            }
            let case = case(Script::one(function, call, fault, span));
            self.run(&case, &undisturbed, function);
        }
    }

    fn run(&mut self, case: &Case, undisturbed: &Undisturbed, function: Function) {
        let mut outcome = case.run_after(undisturbed);
        *self.runs.entry(function).or_default() += 1;
        // One death delays a job by one visibility timeout.
        let is_recovery = case.story == Story::Keyed && function == Function::Consume;
        if let Some(recovery) = outcome.recovery.filter(|time| is_recovery && *time > VISIBILITY + NORMAL_TIME) {
            outcome.found.push(format!("{} s from the death to the end of the job", recovery.as_secs()));
        }
        if !outcome.found.is_empty() {
            self.wrong.push(format!("{case}\n{}", outcome.found.join("\n")));
        }
    }

    #[track_caller]
    fn end(self) {
        eprintln!("{:?}: {:?}", self.operation, self.runs);
        report(&self.wrong, "SUNDIAL_FAULT='ITS FIRST LINE' cargo test -p tests --test faults repeat -- --nocapture");
    }
}

fn every_story(operation: Operation) {
    let mut told = Told::of(operation);
    // To accept, to abort and to a stop, the jobs of two actions differ in nothing but their text.
    let stands_for_all = matches!(operation, Operation::SetObjects | Operation::CreateRelationships);
    for (shape, stage) in [
        (Shape::Three, Stage::HalfWritten),
        (Shape::One, Stage::Started),
        (Shape::One, Stage::Agreed),
        (Shape::Chain, Stage::Started),
        (Shape::Three, Stage::Recorded),
        (Shape::Chain, Stage::Recorded),
    ] {
        if stands_for_all || stage == Stage::HalfWritten {
            told.every_fault(shape, Story::Stopped(stage), &[Function::Abort, Function::Consume]);
        }
    }
    for shape in Shape::ALL {
        told.every_fault(shape, Story::Keyed, &[Function::Consume]);
        if shape == Shape::One || stands_for_all {
            told.every_fault(shape, Story::Validated, &[Function::Consume]);
            told.every_fault(shape, Story::ValidatedBuried(Stage::Agreed), &[Function::Bury]);
        }
        for stage in Stage::ALL {
            if shape == Shape::One || stage == Stage::Agreed {
                told.every_fault(shape, Story::Buried(stage), &[Function::Bury]);
                told.every_fault(shape, Story::Swept(stage), &[Function::Sweep]);
            }
        }
        if shape == Shape::One || stands_for_all {
            told.every_fault(shape, Story::Keyed, &[Function::Accept]);
            told.every_fault(shape, Story::Once, &[Function::Accept]);
            told.every_fault(shape, Story::Aborted, &[Function::Abort]);
        }
    }
    told.end();
}

#[test]
fn create_objects() {
    every_story(Operation::CreateObjects);
}

#[test]
fn update_objects() {
    every_story(Operation::UpdateObjects);
}

#[test]
fn set_objects() {
    every_story(Operation::SetObjects);
}

#[test]
fn delete_objects() {
    every_story(Operation::DeleteObjects);
}

#[test]
fn delete_objects_by_external_id() {
    every_story(Operation::DeleteObjectsByExternalId);
}

#[test]
fn create_relationships() {
    every_story(Operation::CreateRelationships);
}

#[test]
fn delete_relationships() {
    every_story(Operation::DeleteRelationships);
}

/// What is told after the beginning is what the whole run tells: each call, each change of each row, and what is wrong.
#[test]
fn a_run_that_is_taken_up_is_the_whole_run() {
    let mut taken_up = 0;
    for story in Story::all() {
        let operation = Operation::SetObjects;
        let case = |script| Case { operation, shape: Shape::Chain, story, script };
        let undisturbed = case(Script::default()).undisturbed();
        let calls = &undisturbed.outcome.calls;
        // Of each function the first call and the last, in the order in which the functions came.
        let ends = Function::ALL.into_iter().flat_map(|function| {
            let mut of_function = calls.iter().filter(move |call| call.function == function);
            [of_function.next(), of_function.next_back()]
        });
        for (place, call) in ends.flatten().enumerate() {
            let can_happen = |fault: &Fault| fault.can_happen_to(&call.operation);
            let faults: Vec<_> = Fault::ALL.into_iter().filter(can_happen).collect();
            let case = case(Script::one(call.function, call.number, faults[place % faults.len()], Span::Once));
            let (changes, outcome) = case.trace(None);
            let (changes_after, outcome_after) = case.trace(Some(&undisturbed));
            assert_eq!(outcome, outcome_after, "{case}");
            for (change, after) in changes.iter().zip(&changes_after) {
                assert_eq!(change, after, "{case}");
            }
            assert_eq!(changes.len(), changes_after.len(), "{case}");
            taken_up += usize::from(undisturbed.can_begin(&case));
        }
    }
    assert!(taken_up > 100, "{taken_up}");
}

/// `SUNDIAL_FAULT` names one run, as a failure prints it: this repeats it and tells every call.
#[test]
fn repeat() {
    let case = std::env::var("SUNDIAL_FAULT")
        .unwrap_or_else(|_| "resources.post/three/keyed/consume:4:very-late:once".to_owned());
    let case: Case = case.parse().expect("a case");
    let outcome = case.run();
    eprintln!("{case}");
    for call in &outcome.calls {
        eprintln!("{call}");
    }
    assert!(outcome.found.is_empty(), "{}", outcome.found.join("\n"));
}
