//! What an invocation of each function takes, in instructions: see `tests/bench/invoke`, which builds the programs and starts this.
//!
//! A program runs under callgrind for a few invocations and once more for a few more of the same; the difference is what those took,
//! without the start and without what only the first of them pays for. What it calls (database, queue, Lambda's runtime) stands in
//! this process and is not counted.

mod events;
mod measures;
mod program;
mod stand_ins;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::events::Caller;
use crate::program::Program;
use crate::stand_ins::World;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Whose jobs and records are worked on.
const ACCOUNT: &str = "bench";

/// How much more than what is recorded fails.
const MOST_ABOVE_RECORDED: f64 = 1.05;

/// What is asked for on the command line.
#[derive(Debug, Default)]
struct Options {
    budget: bool,
    record: bool,
    only: Option<String>,
    profile: Option<PathBuf>,
    programs: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--budget" => options.budget = true,
                "--record" => options.record = true,
                "--only" => options.only = Some(value()?),
                "--programs" => options.programs = Some(value()?.into()),
                "--profile" => options.profile = Some(value()?.into()),
                // Cargo says so to every bench.
                "--bench" => {}
                _ => return Err(format!("{argument} is no option of tests/bench/invoke").into()),
            }
        }
        Ok(options)
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/invoke.json");
    let mut bench = Bench::new(options).await?;
    let times = if bench.options.budget { "" } else { "       CPU µs  ratio" };
    writeln!(std::io::stdout(), "{:<34} {:>12} {:>6}{times}  of each", "measure", "instructions", "ratio")?;
    bench.measure().await?;
    let ours = bench.found.iter().filter(|found| !measures::BASELINES.contains(&found.name));
    let counted: BTreeMap<String, u64> = ours.map(|found| (found.name.to_owned(), found.instructions)).collect();
    let mut recorded: BTreeMap<String, u64> = serde_json::from_slice(&std::fs::read(&file)?)?;
    if bench.options.budget {
        judge(&counted, &recorded)?;
    }
    if bench.options.record {
        // What was not measured now stays as it was.
        recorded.extend(counted);
        std::fs::write(&file, format!("{:#}\n", json!(recorded)))?;
    }
    Ok(())
}

/// Says what takes too much, and what was not measured though it has a budget.
fn judge(counted: &BTreeMap<String, u64>, recorded: &BTreeMap<String, u64>) -> Result<(), Failure> {
    let faults = measures::BUDGETED.iter().filter_map(|name| match (counted.get(*name), recorded.get(*name)) {
        (None, _) => Some(format!("{name} was not measured")),
        (_, None) => Some(format!("{name} is not recorded: tests/bench/invoke --record")),
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        (Some(count), Some(most)) => (*count as f64 / *most as f64 > MOST_ABOVE_RECORDED)
            .then(|| format!("{name} takes {count} instructions, more than 5 % above the {most} recorded")),
    });
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

/// What a measure came to.
struct Found {
    name: &'static str,
    /// What it is of: an item, a megabyte.
    unit: &'static str,
    instructions: u64,
    /// None where only instructions were wanted.
    time: Option<Time>,
    /// The name of the baseline's measure.
    beside: Option<&'static str>,
}

/// CPU times in microseconds, of one unit: the measure's own, and its baseline's at the same time.
struct Time {
    ours: f64,
    theirs: Option<f64>,
}

struct Bench {
    options: Options,
    world: World,
    caller: Caller,
    /// The function that accepts jobs, not under callgrind: for what has to be there before something is measured.
    accept: Program,
    found: Vec<Found>,
    /// What a baseline reads.
    body: tempfile::NamedTempFile,
    /// How many records baselines have written.
    put: u64,
}

impl Bench {
    async fn new(options: Options) -> Result<Self, Failure> {
        let programs = options.programs.clone().unwrap_or_else(program::folder);
        let world = World::start(programs).await?;
        let caller = world.caller(ACCOUNT).await?;
        let accept = Program::start("accept", &world, None).await?;
        let body = tempfile::NamedTempFile::new()?;
        std::fs::write(body.path(), measures::large_body())?;
        Ok(Self { options, world, caller, accept, found: Vec::new(), body, put: 0 })
    }

    /// Keeps what was found, and prints it.
    fn note(&mut self, found: Found) -> Result<(), Failure> {
        let baseline = found.beside.and_then(|name| self.found.iter().find(|found| found.name == name));
        let ratio =
            |ours: f64, theirs: Option<f64>| theirs.map_or_else(String::new, |theirs| format!("{:.3}", ours / theirs));
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let counted = |found: &Found| found.instructions as f64;
        let instructions = ratio(counted(&found), baseline.map(counted));
        let Found { name, unit, .. } = found;
        let mut line = format!("{name:<34} {:>12} {instructions:>6}", found.instructions);
        if let Some(Time { ours, theirs }) = found.time {
            // Writing to a String never fails.
            let _ = write!(line, " {ours:>12.1} {:>6}", ratio(ours, theirs));
        }
        writeln!(std::io::stdout(), "{line}  {unit}")?;
        self.found.push(found);
        Ok(())
    }
}
