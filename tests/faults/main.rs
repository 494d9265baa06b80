//! Never lost, never twice: every function, at every call, under every fault.

mod bound;
mod clock;
mod exhaustive;
mod judge;
mod model;
mod network;
mod pairs;
mod scenes;
mod schedules;
mod services;
mod single;
mod story;
mod watch;
mod world;

/// Runs are many and short, and a seventh of their time went into the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A number of runs that whoever starts them may choose.
fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |number| number.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Nobody reads on after so many runs that went wrong.
const ENOUGH: usize = 20;

/// Fails with the first of what went wrong, each of which begins with its own name.
#[track_caller]
fn report(wrong: &[String], repeat: &str) {
    const SHOWN: usize = 5;
    let shown = wrong.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n\n");
    assert!(wrong.is_empty(), "{} runs went wrong. To repeat one: {repeat}\n\n{shown}", wrong.len());
}
