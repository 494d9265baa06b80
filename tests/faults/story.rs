//! The stories of the runs: what a client, another writer and the operator do while the script disturbs the functions.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use domain::job::Operation;
use domain::problem::Code;

use crate::judge::{Allowed, judge};
use crate::network::{Call, Doom, Fault, Script};
use crate::scenes::{Items, Shape};
use crate::watch::Change;
use crate::world::{Answer, Moment, Posted, World, run};

/// What happens besides the faults.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Story {
    /// The client retries with its Idempotency-Key until it has a job; another writer is at the same records.
    Keyed,
    /// The client asks once and takes what it gets.
    Once,
    /// The job is aborted while it is queued, by a client that retries.
    Aborted,
    /// The first delivery dies at this stage, and then the job is aborted, by a client that retries.
    Stopped(Stage),
    /// The job only validates, by itself; what it said is compared with what the same job then does in earnest.
    Validated,
    /// The same of a job that only validates as [`Buried`](Self::Buried) of another.
    ValidatedBuried(Stage),
    /// Every delivery of its chunks dies at this stage, until they are dead letters.
    Buried(Stage),
    /// The first delivery dies at this stage, and then the queue is emptied: the sweep finds the job 23 hours later.
    Swept(Stage),
}

/// How far the workers come whose chunks are given up.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    Unstarted,
    Started,
    Agreed,
    HalfWritten,
    Written,
    Recorded,
}

impl Stage {
    pub const ALL: [Self; 6] =
        [Self::Unstarted, Self::Started, Self::Agreed, Self::HalfWritten, Self::Written, Self::Recorded];

    const fn name(self) -> &'static str {
        match self {
            Self::Unstarted => "unstarted",
            Self::Started => "started",
            Self::Agreed => "agreed",
            Self::HalfWritten => "half-written",
            Self::Written => "written",
            Self::Recorded => "recorded",
        }
    }

    /// The way to die there: the call after which nothing follows.
    const fn doom(self) -> Doom {
        match self {
            Self::Unstarted => Doom { operations: &["GetItem"], fault: Fault::DiesBefore, skip: 0 },
            // Whatever a worker does first with a job that is processing: it knows its types, or reads.
            Self::Started => Doom { operations: &["BatchGetItem", "GetItem"], fault: Fault::DiesBefore, skip: 1 },
            Self::Agreed => Doom { operations: &["PutItem"], fault: Fault::DiesAfter, skip: 0 },
            Self::HalfWritten => Doom { operations: &["BatchExecuteStatement"], fault: Fault::DiesMidway, skip: 0 },
            Self::Written => {
                Doom { operations: &["BatchExecuteStatement", "TransactWriteItems"], fault: Fault::DiesAfter, skip: 0 }
            }
            // The job's own row, after the start.
            Self::Recorded => Doom { operations: &["UpdateItem"], fault: Fault::DiesAfter, skip: 1 },
        }
    }
}

impl Story {
    /// Every story of one job.
    pub fn all() -> impl Iterator<Item = Self> {
        let staged = Stage::ALL.into_iter().flat_map(|stage| {
            [Self::Buried(stage), Self::Swept(stage), Self::Stopped(stage), Self::ValidatedBuried(stage)]
        });
        [Self::Keyed, Self::Once, Self::Aborted, Self::Validated].into_iter().chain(staged)
    }

    /// What happens in it, one after the other. With each step every function has new containers.
    fn steps(self) -> Vec<Step> {
        match self {
            Self::Once => vec![Step::AskOnce],
            Self::Keyed => vec![Step::Ask, Step::LetOtherWriterIn, Step::Drain],
            Self::Aborted => vec![Step::Ask, Step::Abort],
            Self::Stopped(stage) => vec![Step::Ask, Step::DeliverFirst(stage), Step::Stop],
            Self::Validated => vec![Step::Ask, Step::Drain, Step::DoInEarnest],
            Self::Buried(stage) | Self::ValidatedBuried(stage) => {
                vec![Step::Ask, Step::LetOtherWriterIn, Step::GiveUp(stage), Step::DrainDoomed(stage)]
            }
            Self::Swept(stage) => vec![Step::Ask, Step::LetOtherWriterIn, Step::DeliverAll(stage), Step::Sweep],
        }
    }

    const fn is_given_up(self) -> bool {
        matches!(self, Self::Buried(_) | Self::Swept(_) | Self::ValidatedBuried(_))
    }

    const fn validates(self) -> bool {
        matches!(self, Self::Validated | Self::ValidatedBuried(_))
    }
}

impl fmt::Display for Story {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyed => formatter.write_str("keyed"),
            Self::Once => formatter.write_str("once"),
            Self::Aborted => formatter.write_str("aborted"),
            Self::Buried(stage) => write!(formatter, "buried-{}", stage.name()),
            Self::Swept(stage) => write!(formatter, "swept-{}", stage.name()),
            Self::Stopped(stage) => write!(formatter, "stopped-{}", stage.name()),
            Self::Validated => formatter.write_str("validated"),
            Self::ValidatedBuried(stage) => write!(formatter, "validated-buried-{}", stage.name()),
        }
    }
}

/// A step of a story.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The client asks once, and then everything comes to its end.
    AskOnce,
    /// The client asks until it has a job.
    Ask,
    LetOtherWriterIn,
    /// Everything is delivered until nothing is left.
    Drain,
    /// The same, with workers of the job's chunks that die at the stage.
    DrainDoomed(Stage),
    /// Chunks are delivered until those of the job are dead letters, because their workers die at the stage.
    GiveUp(Stage),
    /// The first message is delivered, and its worker dies at the stage.
    DeliverFirst(Stage),
    /// Each message is delivered once, and the job's workers die at the stage; then the queue is emptied.
    DeliverAll(Stage),
    Abort,
    Stop,
    DoInEarnest,
    Sweep,
}

/// One run: everything that decides how it goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Case {
    pub operation: Operation,
    pub shape: Shape,
    pub story: Story,
    pub script: Script,
}

impl fmt::Display for Case {
    /// `resources.post/three/keyed/consume:7:lost:once`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, shape, story, script } = self;
        let (job_type, action) = (operation.job_type(), operation.action());
        write!(formatter, "{job_type}.{action}/{}/{story}/{script}", shape.name())
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('/');
        let mut part = |what| parts.next().ok_or_else(|| format!("{text} has no {what}"));
        let (operation, shape, story) = (part("operation")?, part("shape")?, part("story")?);
        let script = part("script")?.parse()?;
        let named = |it: &Operation| format!("{}.{}", it.job_type(), it.action()) == operation;
        Ok(Self {
            operation: Operation::ALL.into_iter().find(named).ok_or_else(|| format!("no operation {operation}"))?,
            shape: Shape::ALL.into_iter().find(|it| it.name() == shape).ok_or_else(|| format!("no shape {shape}"))?,
            story: Story::all().find(|it| it.to_string() == story).ok_or_else(|| format!("no story {story}"))?,
            script,
        })
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What is wrong; empty when all is well.
    pub found: Vec<String>,
    pub calls: Vec<Call>,
    /// From the death of a worker to the end of its job.
    pub recovery: Option<Duration>,
}

/// A story without any fault.
pub struct Undisturbed {
    pub outcome: Outcome,
    /// The beginnings of its steps but the first.
    beginnings: Vec<Beginning>,
}

/// Where a step of a story begins: what was told before it, of which nothing was disturbed.
struct Beginning {
    moment: Moment,
    job: Posted,
    others: Vec<Posted>,
}

impl Undisturbed {
    /// The last step that begins before anything is disturbed.
    fn beginning_of(&self, case: &Case) -> Option<&Beginning> {
        self.beginnings.iter().rev().find(|beginning| beginning.moment.precedes(&case.script))
    }

    /// Whether the case goes on from a step of it.
    pub fn can_begin(&self, case: &Case) -> bool {
        self.beginning_of(case).is_some()
    }
}

/// What is random follows from the case.
const SEED: u64 = 1;

impl Case {
    /// The whole run.
    pub fn run(&self) -> Outcome {
        run(async { self.told(None).await.end().await })
    }

    /// The same run, of which what comes before the first fault was told already.
    pub fn run_after(&self, undisturbed: &Undisturbed) -> Outcome {
        run(async { self.told(undisturbed.beginning_of(self)).await.end().await })
    }

    /// The changes of all rows in a run, and what it came to.
    pub fn trace(&self, undisturbed: Option<&Undisturbed>) -> (Vec<Change>, Outcome) {
        run(async {
            let telling = self.told(undisturbed.and_then(|undisturbed| undisturbed.beginning_of(self))).await;
            let changes = telling.world.services.watch().changes.clone();
            (changes, telling.end().await)
        })
    }

    async fn told(&self, beginning: Option<&Beginning>) -> Telling<'_> {
        let (mut telling, step) = match beginning {
            Some(beginning) => (Telling::take_up(self, beginning), beginning.moment.step),
            None => (Telling::start(self), 0),
        };
        telling.tell(step).await;
        telling
    }

    /// The run of the case without its script.
    pub fn undisturbed(&self) -> Undisturbed {
        let case = Self { script: Script::default(), ..self.clone() };
        run(async {
            let mut telling = Telling::start(&case);
            telling.beginnings = Some(Vec::new());
            telling.tell(0).await;
            let beginnings = telling.beginnings.take().unwrap_or_default();
            Undisturbed { outcome: telling.end().await, beginnings }
        })
    }
}

struct Telling<'case> {
    case: &'case Case,
    world: World,
    job: Posted,
    others: Vec<Posted>,
    found: Vec<String>,
    /// The calls up to where the script ends, where that is before the end of the story.
    calls: Option<Vec<Call>>,
    /// Where the steps began, where that is to be kept.
    beginnings: Option<Vec<Beginning>>,
}

/// What a client makes of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    Accepted,
    /// 4xx or 503: never.
    Refused,
    /// 500, or none.
    Unknown,
}

fn told(answer: Option<&Answer>) -> Told {
    match answer.map(|answer| answer.status) {
        Some(201) => Told::Accepted,
        Some(400..=499 | 503) => Told::Refused,
        _ => Told::Unknown,
    }
}

impl<'case> Telling<'case> {
    fn start(case: &'case Case) -> Self {
        let world = World::start(case.shape, SEED);
        world.network.follow(case.script.clone());
        let items = Items(&world.account).of(case.operation, case.shape);
        let key = (case.story != Story::Once).then_some("the key");
        let mut job = world.posting(case.operation, items, key);
        job.validate_only = case.story.validates();
        Self { case, world, job, others: Vec::new(), found: Vec::new(), calls: None, beginnings: None }
    }

    /// The run as it is where a step of the story begins.
    fn take_up(case: &'case Case, beginning: &Beginning) -> Self {
        let world = World::take_up(&beginning.moment, SEED);
        world.network.follow(case.script.clone());
        let (job, others) = (beginning.job.clone(), beginning.others.clone());
        Self { case, world, job, others, found: Vec::new(), calls: None, beginnings: None }
    }

    /// Tells the story from this step on, which has begun.
    async fn tell(&mut self, from: u64) {
        for (number, step) in (0..).zip(self.case.story.steps()).skip_while(|(number, _)| *number < from) {
            if number > from {
                self.begin(number);
            }
            Box::pin(self.take(step)).await;
        }
    }

    fn begin(&mut self, step: u64) {
        let Some(beginnings) = &mut self.beginnings else {
            self.world.renew(step);
            return;
        };
        // Nothing can be taken up of what went wrong, which is told at the end.
        if self.found.is_empty() {
            let (job, others) = (self.job.clone(), self.others.clone());
            beginnings.push(Beginning { moment: self.world.moment(step), job, others });
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::AskOnce => self.ask_once().await,
            Step::Ask => self.ask_until_accepted().await,
            Step::LetOtherWriterIn => self.let_other_writer_in().await,
            Step::Drain => self.world.drain().await,
            Step::DrainDoomed(stage) => {
                self.doom(stage);
                self.world.drain().await;
            }
            Step::GiveUp(stage) => {
                self.doom(stage);
                self.world.drain_to_dead_letters().await;
            }
            Step::DeliverFirst(stage) => {
                self.doom(stage);
                if let Some((lane, message)) = self.world.receive() {
                    self.world.deliver(lane, &message).await;
                }
            }
            Step::DeliverAll(stage) => {
                self.doom(stage);
                while let Some((lane, message)) = self.world.receive() {
                    self.world.deliver(lane, &message).await;
                }
                self.world.services.purge();
            }
            Step::Abort => {
                self.abort().await;
                self.world.drain().await;
            }
            Step::Stop => self.stop().await,
            Step::DoInEarnest => {
                self.calls = Some(self.world.network.log());
                self.world.network.follow(Script::default());
                self.do_in_earnest().await;
            }
            Step::Sweep => self.sweep().await,
        }
    }

    /// Until the next step, the workers of the job's chunks die at the stage.
    fn doom(&mut self, stage: Stage) {
        self.world.doom = self.job.id.map(|id| (id, stage.doom()));
    }

    /// The job, from a client that asks once. Whatever it is told is true for ever.
    async fn ask_once(&mut self) {
        let answer = self.world.post(&mut self.job).await;
        self.let_other_writer_in().await;
        self.world.drain().await;
        let there = self.world.unknown_job(&self.others);
        match told(answer.as_ref()) {
            Told::Accepted => {}
            Told::Refused => {
                if there.is_some() || self.world.applied_for_unknown(&self.others) {
                    self.found.push(format!("the job was refused, and is there or was applied: {answer:?}"));
                }
            }
            Told::Unknown if answer.as_ref().is_none_or(|answer| answer.status == 500) => self.job.id = there,
            Told::Unknown => self.found.push(format!("the answer is none of the contract: {answer:?}")),
        }
    }

    /// The job, from a client that retries with its key, as clients do that mean it.
    async fn ask_until_accepted(&mut self) {
        const ATTEMPTS: u32 = 6;
        for _ in 0..ATTEMPTS {
            let answer = self.world.post(&mut self.job).await;
            match told(answer.as_ref()) {
                Told::Accepted => return,
                Told::Refused | Told::Unknown => self.world.clock.pass(Duration::from_secs(2)).await,
            }
        }
        self.found.push("the job is never accepted".to_owned());
    }

    async fn let_other_writer_in(&mut self) {
        let (operation, items) = Items(&self.world.account).of_other_writer(self.case.operation);
        let mut other = self.world.posting(operation, items, Some("the other key"));
        for _ in 0..6 {
            if told(self.world.post(&mut other).await.as_ref()) == Told::Accepted {
                self.others.push(other);
                return;
            }
            self.world.clock.pass(Duration::from_secs(2)).await;
        }
        self.found.push("the other writer's job is never accepted".to_owned());
    }

    /// An abort that is asked for until it is answered. Both answers are possible only where a worker may have been there.
    async fn abort(&mut self) {
        let Some(id) = self.job.id else { return };
        for _ in 0..6 {
            match self.world.abort(id).await {
                Some(Answer { status: 200, .. }) => return,
                Some(Answer { status: 500 | 503, .. }) | None => {
                    self.world.clock.pass(Duration::from_secs(2)).await;
                }
                Some(answer) => self.found.push(format!("nothing had started the job, and its abort is {answer:?}")),
            }
        }
        self.found.push("the job is never aborted".to_owned());
    }

    /// An abort of a job that a worker has begun, which is asked for until it is answered; and then the job is left to its end. What is
    /// answered and what comes of the job agree.
    async fn stop(&mut self) {
        let Some(id) = self.job.id else { return };
        let mut answer = None;
        for _ in 0..6 {
            answer = self.world.abort(id).await;
            if answer.as_ref().is_some_and(|answer| !matches!(answer.status, 500 | 503)) {
                break;
            }
            self.world.clock.pass(Duration::from_secs(2)).await;
        }
        self.world.drain().await;
        let job = self.world.show(id).await.body["data"].clone();
        let status = answer.map_or(0, |answer| answer.status);
        let agrees = match job["job_status"].as_str().unwrap_or_default() {
            // Where a fault kept the worker from the start.
            "aborted" => status == 200,
            // An earlier try may have told it to stop, and been answered in vain.
            "failed" => matches!(status, 200 | 202),
            // There was nothing left to stop; or it had ended, where a fault kept the worker from its death.
            "completed" => matches!(status, 202 | 409),
            _ => false,
        };
        if !agrees || (self.case.script == Script::default() && status != 202) {
            self.found.push(format!("the abort was answered {status}, and the job is {job}"));
        }
    }

    /// Posts what the job validated as a job that is to be done, and compares the results.
    async fn do_in_earnest(&mut self) {
        let Posted { operation, items, id: said, .. } = self.job.clone();
        let mut job = self.world.posting(operation, items, None);
        let answer = self.world.post(&mut job).await;
        self.world.drain().await;
        let (Some(said), Some(done)) = (said, job.id) else {
            return self.found.push(format!("the job in earnest was answered {answer:?}"));
        };
        self.found.extend(self.world.differ(&job, said, done).await);
        self.others.push(job);
    }

    /// The schedule of the sweep, from the hour at which jobs are overdue.
    async fn sweep(&mut self) {
        const EVERY: Duration = Duration::from_mins(5);
        let overdue = Duration::from_secs(domain::limits::JOB_OVERDUE_SECONDS) + EVERY;
        self.world.clock.pass(overdue).await;
        for _ in 0..4 {
            // One that dies or fails is followed by the next.
            let _ = self.world.sweep().await;
            self.world.clock.pass(EVERY).await;
            // A chain's next chunk may have been sent.
            self.world.drain().await;
        }
    }

    async fn end(mut self) -> Outcome {
        let recovery = self.recovery();
        let mut posted = vec![self.job.clone()];
        posted.append(&mut self.others);
        let allowed = Allowed {
            given_up: self.case.story.is_given_up(),
            unknown: matches!(self.case.story, Story::Swept(_)),
            stopped: matches!(self.case.story, Story::Aborted | Story::Stopped(_)).then_some(Code::Aborted),
            ..Allowed::default()
        };
        let calls = self.calls.take().unwrap_or_else(|| self.world.network.log());
        self.found.extend(judge(&self.world, &posted, allowed).await);
        Outcome { found: self.found, calls, recovery }
    }

    fn recovery(&self) -> Option<Duration> {
        let died_at = self.world.network.died_at()?;
        let ended_at = self.world.services.watch().ended_at(self.job.id?)?;
        ended_at.checked_sub(died_at)
    }
}
