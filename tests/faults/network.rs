//! What lies between the functions and AWS: every call of both SDKs comes through here, one at a time.
//!
//! A [`Script`] says what becomes of which call. Everything runs in one thread under a clock that moves only when nobody has
//! anything to do, so a script always gives the same run.

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use serde_json::{Value, json};
use tests::refusals::{Refusal, hold_back};
use tokio::sync::{Notify, oneshot};

use crate::clock::SimulatedClock;
use crate::services::{Services, sqs_refusal};

tokio::task_local! {
    /// Whose call it is. What has no worker is the test's own and meets no fault.
    static WORKER: Arc<Worker>;
}

/// The functions, as scripts name them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Function {
    Accept,
    Abort,
    Consume,
    Bury,
    Sweep,
    /// Changes types while jobs run.
    Records,
}

impl Function {
    pub const ALL: [Self; 6] = [Self::Accept, Self::Abort, Self::Consume, Self::Bury, Self::Sweep, Self::Records];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Abort => "abort",
            Self::Consume => "consume",
            Self::Bury => "bury",
            Self::Sweep => "sweep",
            Self::Records => "records",
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Fault {
    /// The service refuses the whole request: it has no effect.
    Refused(Refusal),
    /// The service does some of the batch and refuses the rest.
    SomeRefused(Refusal),
    /// It has its effect, and its answer is lost with the connection.
    Lost,
    /// It never arrives, and nothing ever answers.
    Silent,
    /// Nothing ever answers, and it has its effect a second later, when the SDK has not yet given it up.
    Late,
    /// Nothing ever answers, and it has its effect when the redelivery is long done.
    VeryLate,
    /// The worker dies before it.
    DiesBefore,
    /// It has its effect, and the worker dies before it is told.
    DiesAfter,
    /// The service does some of the batch, and the worker dies before it can ask for the rest.
    DiesMidway,
}

impl Fault {
    pub const ALL: [Self; 13] = [
        Self::Refused(Refusal::Throttled),
        Self::Refused(Refusal::Conflict),
        Self::Refused(Refusal::ServerError),
        Self::SomeRefused(Refusal::Throttled),
        Self::SomeRefused(Refusal::Conflict),
        Self::SomeRefused(Refusal::ServerError),
        Self::Lost,
        Self::Silent,
        Self::Late,
        Self::VeryLate,
        Self::DiesBefore,
        Self::DiesAfter,
        Self::DiesMidway,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Refused(Refusal::Throttled) => "throttled",
            Self::Refused(Refusal::Conflict) => "conflict",
            Self::Refused(Refusal::ServerError) => "server-error",
            Self::SomeRefused(Refusal::Throttled) => "some-throttled",
            Self::SomeRefused(Refusal::Conflict) => "some-conflict",
            Self::SomeRefused(Refusal::ServerError) => "some-server-error",
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::Late => "late",
            Self::VeryLate => "very-late",
            Self::DiesBefore => "dies-before",
            Self::DiesAfter => "dies-after",
            Self::DiesMidway => "dies-midway",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    pub const fn is_death(self) -> bool {
        matches!(self, Self::DiesBefore | Self::DiesAfter | Self::DiesMidway)
    }

    /// Whether this can happen to a call.
    pub fn can_happen_to(self, operation: &str) -> bool {
        // A read that was answered in vain, too late or not at all is a read once more: one kind of each stands for them.
        let is_read = matches!(operation, "GetItem" | "BatchGetItem" | "Query");
        match self {
            Self::SomeRefused(why) => match operation {
                "BatchExecuteStatement" => true,
                "BatchGetItem" | "BatchWriteItem" | "SendMessageBatch" => why == Refusal::Throttled,
                _ => false,
            },
            Self::Refused(Refusal::Conflict) => {
                matches!(operation, "TransactWriteItems" | "PutItem" | "UpdateItem" | "DeleteItem")
            }
            Self::Late | Self::VeryLate | Self::Lost | Self::DiesAfter | Self::Refused(Refusal::ServerError) => {
                !is_read
            }
            Self::DiesMidway => {
                matches!(operation, "BatchExecuteStatement" | "BatchWriteItem" | "SendMessageBatch")
            }
            Self::Refused(Refusal::Throttled) | Self::Silent | Self::DiesBefore => true,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Span {
    /// For this one request: the SDK's own retry gets through.
    Once,
    /// For every call of this operation that the worker still makes.
    Always,
}

/// Which calls meet which fault: the first of each pair counts the calls of the function in the whole run, from 0.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Script(pub BTreeMap<(Function, usize), (Fault, Span)>);

impl Script {
    pub fn one(function: Function, call: usize, fault: Fault, span: Span) -> Self {
        Self(BTreeMap::from([((function, call), (fault, span))]))
    }
}

impl fmt::Display for Script {
    /// `consume:7:lost:once`, joined by commas.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, ((function, call), (fault, span))) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let span = if *span == Span::Once { "once" } else { "always" };
            write!(formatter, "{comma}{function}:{call}:{fault}:{span}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        for one in text.split(',').filter(|one| !one.is_empty()) {
            let parsed = (|| {
                let mut parts = one.split(':');
                let name = parts.next()?;
                let function = Function::ALL.into_iter().find(|function| function.name() == name)?;
                let call = parts.next()?.parse().ok()?;
                let fault = Fault::parse(parts.next()?)?;
                let span = match parts.next()? {
                    "once" => Span::Once,
                    "always" => Span::Always,
                    _ => return None,
                };
                parts.next().is_none().then_some(((function, call), (fault, span)))
            })();
            let (place, fault) = parsed.ok_or_else(|| format!("{one} is no FUNCTION:CALL:FAULT:SPAN"))?;
            script.0.insert(place, fault);
        }
        Ok(script)
    }
}

/// One invocation of a function.
#[derive(Debug)]
pub struct Worker {
    pub function: Function,
    /// Tells the invocations apart, in the order in which they began.
    pub number: usize,
    dies: Notify,
    /// Where it dies, and how many calls of these operations it has made.
    doom: Option<Doom>,
    doomed: AtomicUsize,
    /// What happens from now on to every call of an operation.
    lasting: Mutex<BTreeMap<String, Fault>>,
}

/// Where a worker dies whatever the script says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Doom {
    pub operations: &'static [&'static str],
    pub fault: Fault,
    /// How many such calls it makes before.
    pub skip: usize,
}

/// A call as it is noted.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub function: Function,
    pub worker: usize,
    /// Its place among the calls of its function.
    pub number: usize,
    pub operation: String,
    pub fault: Option<Fault>,
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{} {} {}", self.function, self.worker, self.number, self.operation)?;
        self.fault.map_or(Ok(()), |fault| write!(formatter, " <- {fault}"))
    }
}

/// A call that waits for its turn.
pub struct Parked {
    /// Whose it is: see [`Worker::number`].
    pub worker: usize,
    turn: oneshot::Sender<()>,
}

/// What has been called, and by whom.
#[derive(Clone, Debug, Default)]
pub struct Past {
    made: BTreeMap<Function, usize>,
    workers: usize,
    log: Vec<Call>,
    died_at: Option<Duration>,
}

impl Past {
    /// Whether nothing of it meets the script.
    pub fn precedes(&self, script: &Script) -> bool {
        script.0.keys().all(|(function, call)| self.made.get(function).is_none_or(|made| made <= call))
    }
}

#[derive(Default)]
struct State {
    script: Script,
    past: Past,
    /// Effects that are still to come.
    late: usize,
    /// Whether calls wait for their turn.
    in_turns: bool,
    parked: Vec<Parked>,
}

/// The way to both services. Clones are the same.
#[derive(Clone)]
pub struct Network {
    state: Arc<Mutex<State>>,
    services: Services,
    clock: SimulatedClock,
    /// How long the queue hides a message.
    visibility: Duration,
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Network")
    }
}

impl Network {
    pub fn new(services: Services, clock: SimulatedClock, visibility: Duration) -> Self {
        Self { state: Arc::default(), services, clock, visibility }
    }

    /// What has been called so far.
    pub fn past(&self) -> Past {
        self.state().past.clone()
    }

    /// Goes on from what was called.
    pub fn take_up(&self, past: Past) {
        self.state().past = past;
    }

    /// What is to go wrong from now on. The counts of calls go on.
    pub fn follow(&self, script: Script) {
        self.state().script = script;
    }

    pub fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// Runs one invocation of a function; `None` when it died.
    pub async fn invoke<Invocation: Future>(
        &self,
        function: Function,
        doom: Option<Doom>,
        invocation: Invocation,
    ) -> Option<Invocation::Output> {
        let number = {
            let mut state = self.state();
            state.past.workers += 1;
            state.past.workers
        };
        let worker = Arc::new(Worker {
            function,
            number,
            dies: Notify::new(),
            doom,
            doomed: AtomicUsize::new(0),
            lasting: Mutex::default(),
        });
        let mortal = Arc::clone(&worker);
        WORKER
            .scope(worker, async move {
                tokio::select! {
                    biased;
                    () = mortal.dies.notified() => None,
                    done = invocation => Some(done),
                }
            })
            .await
    }

    pub fn log(&self) -> Vec<Call> {
        self.state().past.log.clone()
    }

    /// Effects that are still to come.
    pub fn late(&self) -> usize {
        self.state().late
    }

    /// When a worker last died.
    pub fn died_at(&self) -> Option<Duration> {
        self.state().past.died_at
    }

    /// From now on calls wait until they are [`take_parked`](Self::take_parked) and let go, or no longer.
    pub fn take_turns(&self, in_turns: bool) {
        let mut state = self.state();
        state.in_turns = in_turns;
        if !in_turns {
            for parked in state.parked.drain(..) {
                let _ = parked.turn.send(());
            }
        }
    }

    /// The calls that wait, in the order in which they came. What is not put back is never made.
    pub fn take_parked(&self) -> Vec<Parked> {
        let mut state = self.state();
        // A worker that died waits no more.
        state.parked.retain(|parked| !parked.turn.is_closed());
        std::mem::take(&mut state.parked)
    }

    pub fn put_back(&self, parked: Vec<Parked>) {
        let mut state = self.state();
        let later = std::mem::replace(&mut state.parked, parked);
        state.parked.extend(later);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn perform(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body: Value =
            serde_json::from_slice(request.body().bytes().unwrap_or_default()).expect("the SDKs send JSON");
        let Ok(worker) = WORKER.try_with(Arc::clone) else {
            self.clock.keep_up();
            return Ok(self.services.answer(&operation, &body));
        };
        self.wait_for_turn(&worker).await;
        self.clock.keep_up();
        let fault = self.note(&worker, &operation);
        let is_queue = operation == "SendMessageBatch";
        let lost = || Err(ConnectorError::io("the connection was closed".into()));
        match fault {
            None => {
                let answer = self.answer(worker.number, &operation, &body);
                if worker.function == Function::Consume {
                    self.services.watch().told(worker.number, &operation, &body);
                }
                Ok(answer)
            }
            Some(Fault::Refused(why)) if is_queue => Ok(sqs_refusal(why)),
            Some(Fault::Refused(why)) => Ok(why.answer(&operation, &body)),
            Some(Fault::SomeRefused(why)) => Ok(self.some(&operation, body, why)),
            Some(Fault::Lost) => {
                self.answer(worker.number, &operation, &body);
                lost()
            }
            Some(Fault::Silent) => pending().await,
            Some(Fault::Late) => self.late_effect(worker.number, operation, body, Duration::from_secs(1)).await,
            Some(Fault::VeryLate) => {
                let delay = self.visibility + Duration::from_secs(10);
                self.late_effect(worker.number, operation, body, delay).await
            }
            Some(Fault::DiesBefore) => self.die(&worker).await,
            Some(Fault::DiesAfter) => {
                self.answer(worker.number, &operation, &body);
                self.die(&worker).await
            }
            Some(Fault::DiesMidway) => {
                self.some(&operation, body, Refusal::Throttled);
                self.die(&worker).await
            }
        }
    }

    async fn wait_for_turn(&self, worker: &Worker) {
        let waiting = {
            let mut state = self.state();
            if !state.in_turns {
                return;
            }
            let (turn, waiting) = oneshot::channel();
            state.parked.push(Parked { worker: worker.number, turn });
            waiting
        };
        let _ = waiting.await;
    }

    /// Notes the call and what is to become of it.
    fn note(&self, worker: &Worker, operation: &str) -> Option<Fault> {
        let mut state = self.state();
        let made = state.past.made.entry(worker.function).or_default();
        let number = *made;
        *made += 1;
        let mut lasting = worker.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fault = lasting.get(operation).copied();
        if let Some((scripted, span)) = state.script.0.get(&(worker.function, number)).copied()
            && scripted.can_happen_to(operation)
        {
            fault = Some(scripted);
            if span == Span::Always {
                lasting.insert(operation.to_owned(), scripted);
            }
        }
        if let Some(doom) = worker.doom
            && doom.operations.contains(&operation)
            && worker.doomed.fetch_add(1, Ordering::SeqCst) == doom.skip
            && doom.fault.can_happen_to(operation)
        {
            fault = Some(doom.fault);
        }
        let (function, worker) = (worker.function, worker.number);
        state.past.log.push(Call { function, worker, number, operation: operation.to_owned(), fault });
        fault
    }

    /// Refuses the first half of a batch, and of one the whole.
    fn some(&self, operation: &str, mut body: Value, why: Refusal) -> HttpResponse {
        if operation == "SendMessageBatch" {
            return self.services.send_some(&body);
        }
        let members = match operation {
            "BatchExecuteStatement" => body["Statements"].as_array().map_or(0, Vec::len),
            // Tables are asked one at a time.
            "BatchGetItem" => body["RequestItems"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, keys)| keys["Keys"].as_array().map_or(0, Vec::len))
                .sum(),
            _ => body["RequestItems"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, rows)| rows.as_array().map_or(0, Vec::len))
                .sum(),
        };
        let held = hold_back(operation, &mut body, why, |place| place < members.div_ceil(2));
        let nothing_left = members <= 1;
        let answer = if nothing_left { None } else { Some(self.services.answer(operation, &body)) };
        let mut told: Value = answer
            .and_then(|answer| serde_json::from_slice(answer.body().bytes().unwrap_or_default()).ok())
            .unwrap_or_else(|| json!({}));
        if let Some(held) = held {
            held.complete(&mut told);
        }
        HttpResponse::new(200.try_into().expect("a status"), told.to_string().into())
    }

    /// Does what a worker asks, in its name.
    fn answer(&self, worker: usize, operation: &str, body: &Value) -> HttpResponse {
        self.services.watch().worker = Some(worker);
        let answer = self.services.answer(operation, body);
        self.services.watch().worker = None;
        answer
    }

    async fn late_effect(
        &self,
        worker: usize,
        operation: String,
        body: Value,
        delay: Duration,
    ) -> Result<HttpResponse, ConnectorError> {
        let network = self.clone();
        network.state().late += 1;
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            network.clock.keep_up();
            network.answer(worker, &operation, &body);
            network.state().late -= 1;
        });
        pending().await
    }

    async fn die(&self, worker: &Worker) -> Result<HttpResponse, ConnectorError> {
        self.state().past.died_at = Some(self.clock.elapsed());
        worker.dies.notify_one();
        pending().await
    }
}

impl Parked {
    /// Lets it go on.
    pub fn let_go(self) {
        let _ = self.turn.send(());
    }
}

impl HttpClient for Network {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let network = self.clone();
        HttpConnectorFuture::new(async move { network.perform(request).await })
    }
}
