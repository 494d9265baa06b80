//! The process that is killed: this same test binary, started once more with [`DIRECTORY`] in its environment, so that a
//! `kill -9` hits everything at once (database, queue and functions) and the throttling is beneath the SDK where it belongs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fastrand::Rng;
use local::poller::Polling;
use local::queue::QueueOptions;
use local::run::{LocalOptions, LocalRun, QueueHome, Storage};
use tests::throttle::{Rates, Throttle};
use tokio::sync::watch;

/// Where the process under test keeps its data. Only this test sets it.
const DIRECTORY: &str = "SUNDIAL_SOAK_DIRECTORY";
/// What that process draws its weather from.
const WEATHER: &str = "SUNDIAL_SOAK_WEATHER";

const READY: &str = "ready on ";
const COUNTS: &str = "counts ";

/// How often the process says what was throttled, and is asked for its memory. What happens between the last time and a
/// kill is missing from the counts.
const TICK: Duration = Duration::from_millis(200);

/// One life of the process in which it is killed, in milliseconds. Some are ended before it answers at all.
const LIFE: std::ops::Range<u64> = 800..6_000;
const STILLBORN: std::ops::Range<u64> = 0..250;

/// One request in a hundred is refused, and in a storm so many that the three attempts of the SDK are not enough.
const RATES: Rates = Rates { refused: 0.01, batches: 0.1, members: 0.3, lost: 0.008, storms: 0.0006 };

/// What the run of the soak, and the run that is looked at afterwards, have in common.
///
/// A message is visible again after a few seconds, so that what a throttled worker gave back is tried again within the
/// test. That is shorter than a worker may take: a slow one is overtaken by a second one of the same chunk, on purpose.
///
/// A receive is counted before the message is handed out, and the count outlives the process: every kill costs each
/// message in flight one receive, and a message of a job that was never committed is received for a minute before it is
/// dropped. After the five receives of a deployment chunks would be buried for nothing but that. So many receives as here
/// (the most that SQS allows) are not reached, and a buried chunk is a failure of the test.
///
/// A worker waits three seconds for a job that is not committed. Every post that is killed leaves chunks of such a job, so
/// there are many receivers: the other jobs would stand behind them.
pub fn options(directory: &Path) -> LocalOptions {
    let queue = QueueOptions { visibility: Duration::from_secs(5), max_receives: 1_000 };
    LocalOptions {
        origins: wire::AllowedOrigins::default(),
        storage: Storage::Directory(directory.to_owned()),
        queue: QueueHome::Own(queue),
        polling: Polling { receivers: 32, batch: 4, ..Polling::default() },
        ..LocalOptions::in_memory()
    }
}

/// The directory, in the process that is to be killed.
pub fn directory_to_serve() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// Serves until it is killed.
pub fn serve(directory: &Path) {
    // Nobody is left to kill it when the test itself was killed: its end of the pipe is closed then.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let seed = std::env::var(WEATHER).ok().and_then(|seed| seed.parse().ok()).expect("a seed");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let throttle = Throttle::new(seed, RATES);
        let options = LocalOptions { http_clients: Some(throttle.clients()), ..options(directory) };
        let run = LocalRun::start(options).await.expect("the local run starts");
        // With one test at a time, its name stands in the line already.
        say(&format!("\n{READY}{}", run.base_url()));
        loop {
            tokio::time::sleep(TICK).await;
            say(&format!("{COUNTS}{}", serde_json::json!(throttle.counts())));
        }
    });
}

/// Past what the test harness captures.
fn say(line: &str) {
    let mut output = std::io::stdout();
    let said = writeln!(output, "{line}").and_then(|()| output.flush());
    said.expect("somebody who listens");
}

/// What the lives of the process added up to.
#[derive(Debug, Default)]
pub struct Lives {
    pub kills: u32,
    pub kills_before_ready: u32,
    pub counts: BTreeMap<String, u64>,
    pub memory: Vec<Sample>,
    /// What the process said on its standard error.
    pub complaints: String,
}

/// How much memory the process had.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub life: u32,
    /// Since the process was ready.
    pub uptime: Duration,
    pub mebibytes: u64,
}

/// Starts the process, kills it, and starts it again.
pub struct Keeper {
    pub address: watch::Receiver<Option<String>>,
    stop: Arc<AtomicBool>,
    /// Until it is stopped.
    thread: Option<JoinHandle<Lives>>,
}

impl Keeper {
    /// `test` is the one that [`serve`]s. Kills at random until `kill_until`, and then keeps the process alive until [`stop`](Self::stop).
    pub fn start(directory: &Path, test: &'static str, seed: u64, kill_until: Instant) -> Self {
        let (sender, address) = watch::channel(None);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let directory = directory.to_owned();
        let thread = std::thread::spawn(move || {
            let mut random = Rng::with_seed(seed);
            let mut lives = Lives::default();
            for life in 0.. {
                let started = Instant::now();
                let mut program = Program::start(&directory, test, random.u64(..));
                let is_last = started >= kill_until;
                if !is_last && random.u8(..5) == 0 {
                    std::thread::sleep(Duration::from_millis(random.u64(STILLBORN)));
                    lives.kills += 1;
                    lives.kills_before_ready += 1;
                    program.kill(&mut lives);
                    continue;
                }
                let address = program.wait_until_ready();
                sender.send_replace(Some(address));
                let ready = Instant::now();
                let life_ends = ready + Duration::from_millis(random.u64(LIFE));
                while !stopped.load(Ordering::Relaxed) && (is_last || Instant::now() < life_ends) {
                    std::thread::sleep(TICK.min(life_ends.saturating_duration_since(Instant::now()).max(TICK / 10)));
                    let uptime = ready.elapsed();
                    lives.memory.extend(program.mebibytes().map(|mebibytes| Sample { life, uptime, mebibytes }));
                }
                let stopped = stopped.load(Ordering::Relaxed);
                program.kill(&mut lives);
                sender.send_replace(None);
                if stopped {
                    break;
                }
                lives.kills += 1;
            }
            lives
        });
        Self { address, stop, thread: Some(thread) }
    }

    /// Kills the process for the last time, and answers with what its lives added up to.
    pub async fn stop(mut self) -> Lives {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("a thread");
        let joined = tokio::task::spawn_blocking(|| thread.join()).await;
        joined.expect("a thread").expect("the process was started again each time")
    }
}

impl Drop for Keeper {
    /// When the test fails: the process is gone before its directory is removed.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The process, running. Dropping it is a `kill -9`, so nothing is left behind when the test fails.
struct Program {
    process: Child,
    ready: std::sync::mpsc::Receiver<String>,
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
    readers: Vec<JoinHandle<()>>,
    complaints: Arc<Mutex<String>>,
}

impl Program {
    fn start(directory: &Path, test: &str, weather: u64) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", test, "--nocapture"])
            .env(DIRECTORY, directory)
            .env(WEATHER, weather.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the process starts");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let mut errors = process.stderr.take().expect("its errors");
        let counts = Arc::new(Mutex::new(BTreeMap::new()));
        let complaints = Arc::new(Mutex::new(String::new()));
        let (tell, ready) = std::sync::mpsc::channel();
        let latest = Arc::clone(&counts);
        let reading_output = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix(READY) {
                    // Nobody waits for it when it is killed before.
                    let _ = tell.send(address.to_owned());
                } else if let Some(read) = line.strip_prefix(COUNTS).and_then(|text| serde_json::from_str(text).ok()) {
                    *latest.lock().unwrap_or_else(PoisonError::into_inner) = read;
                }
            }
        });
        let complained = Arc::clone(&complaints);
        let reading_errors = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = errors.read_to_end(&mut bytes);
            complained.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&bytes));
        });
        Self { process, ready, counts, readers: vec![reading_output, reading_errors], complaints }
    }

    fn wait_until_ready(&mut self) -> String {
        self.ready.recv_timeout(Duration::from_mins(1)).unwrap_or_else(|_| {
            let mut lives = Lives::default();
            self.kill(&mut lives);
            panic!("the process does not start: {}", lives.complaints)
        })
    }

    /// What it has of the machine's memory (`VmRSS`), where the system says so.
    fn mebibytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024)
    }

    /// `kill -9`.
    fn kill(&mut self, lives: &mut Lives) {
        // It may have ended by itself, which the test finds out by what it said.
        let _ = self.process.kill();
        let _ = self.process.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        for (what, times) in &*self.counts.lock().unwrap_or_else(PoisonError::into_inner) {
            *lives.counts.entry(what.clone()).or_default() += times;
        }
        lives.complaints.push_str(&self.complaints.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
