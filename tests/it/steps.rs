//! `tests/steps`, by which the test scripts say what they do: whatever a step or a command beside it comes to, the script tells and comes to.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A run of a script of such steps.
struct Ran {
    status: Option<i32>,
    printed: String,
}

impl Ran {
    /// Where the text stands in what was printed.
    #[track_caller]
    fn place(&self, text: &str) -> usize {
        self.printed.find(text).unwrap_or_else(|| panic!("no {text:?} in\n{}", self.printed))
    }
}

fn run(lines: &str) -> Ran {
    let script = format!("set -euo pipefail\n. tests/steps\n{lines}");
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Ran { status: output.status.code(), printed: String::from_utf8(output.stdout).expect("UTF-8") }
}

#[test]
fn what_a_command_beside_others_prints_is_shown_once_it_is_waited_for() {
    let ran = run("beside echo from beside\nstep echo a step\njoin_beside\nstep echo another\n");
    assert_eq!(ran.status, Some(0), "{}", ran.printed);
    let order = ["== beside what follows: echo from beside", "\na step\n", "\nfrom beside\n", "\nanother\n"];
    assert!(order.map(|text| ran.place(text)).is_sorted(), "{}", ran.printed);
    let table = &ran.printed[ran.place("Seconds of each step of")..];
    let steps = ["  echo a step\n", "  wait_beside echo from beside\n", "  echo another\n", "  in all\n"];
    assert!(steps.map(|step| table.find(step).expect(step)).is_sorted(), "{table}");
}

#[test]
fn a_step_that_fails_ends_the_script_with_its_status() {
    let ran = run("step echo first\nstep bash -c 'exit 7'\nstep echo never\n");
    assert_eq!(ran.status, Some(7), "{}", ran.printed);
    ran.place("-- failed with status 7");
    ran.place("  bash -c exit 7\n");
    assert!(!ran.printed.contains("never"), "{}", ran.printed);
}

#[test]
fn a_command_beside_others_that_fails_ends_the_script_where_it_is_waited_for() {
    let ran = run("beside bash -c 'echo why; exit 3'\nstep echo a step\njoin_beside\nstep echo never\n");
    assert_eq!(ran.status, Some(3), "{}", ran.printed);
    assert!(ran.place("\na step\n") < ran.place("\nwhy\n"), "{}", ran.printed);
    ran.place("-- failed with status 3");
    assert!(!ran.printed.contains("never"), "{}", ran.printed);
}

#[test]
fn a_step_that_fails_ends_what_runs_beside_it() {
    const SOON: Duration = Duration::from_secs(20);
    let directory = tempfile::tempdir().expect("a directory");
    let (there, ended) = (directory.path().join("there"), directory.path().join("ended"));
    // Beside the step, what notes that it is told to end, and ends by itself in a minute or so.
    let ran = run(&format!(
        "beside bash -c 'trap \"touch {ended}; exit\" TERM; touch {there}; for _ in {{1..6000}}; do sleep 0.01; done'\n\
         step bash -c 'until [ -e {there} ]; do sleep 0.01; done; exit 5'\njoin_beside\n",
        ended = ended.display(),
        there = there.display(),
    ));
    assert_eq!(ran.status, Some(5), "{}", ran.printed);
    let began = Instant::now();
    while !ended.exists() {
        assert!(began.elapsed() < SOON, "what ran beside the step goes on without it");
        std::thread::sleep(Duration::from_millis(10));
    }
}
