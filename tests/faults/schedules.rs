//! Who is first: several workers at once, whose calls are made in an order that follows from a seed.
//!
//! `SUNDIAL_SCHEDULES` of them are tried of each plot; without it a thousand of those that stop a job or only validate it, and 150 of the others.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use axum::http::Method;
use domain::job::Operation;
use domain::limits;
use domain::problem::Code;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::judge::{Allowed, judge};
use crate::network::{Call, Fault, Function, Parked, Script, Span};
use crate::scenes::{Items, Shape, product_schema};
use crate::services::{Lane, Message};
use crate::watch::RECORDS;
use crate::world::{IDLE_JOBS, Posted, VISIBILITY, World, run};
use crate::{ENOUGH, from_environment, report};

/// What comes together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Plot {
    /// Each chunk is with two consumers, as when its visibility ends under a slow worker; all chunks at once, and another
    /// writer.
    Twins,
    /// An abort, or two, while the first chunks arrive.
    Abort,
    /// An abort, or two, of a job that has begun: while its other chunks arrive, twice each, and workers die.
    Stop,
    /// A job that stops at so many failures, its chunks twice each.
    Failures,
    /// A job that validates, its chunks twice each; and then the same job in earnest, which has to do as the other said.
    Validated,
    /// Jobs of three actions on the same records.
    Writers,
    /// The type's rules change, and change back.
    TypeChanged,
    /// Types are deleted and defined again while their first records are made.
    TypeDeleted,
    /// The sweep ends a job whose chunks arrive at last.
    Overdue,
    /// Bury closes chunks that slow workers are still at.
    Burying,
    /// The same of a job that validates, whose chains are gone through by one worker.
    BuryingValidated,
    /// Five jobs for the last slot, while another job ends and gives its own back.
    Crowd,
}

impl Plot {
    const ALL: [Self; 12] = [
        Self::Twins,
        Self::Abort,
        Self::Stop,
        Self::Failures,
        Self::Validated,
        Self::Writers,
        Self::TypeChanged,
        Self::TypeDeleted,
        Self::Overdue,
        Self::Burying,
        Self::BuryingValidated,
        Self::Crowd,
    ];
}

impl Plot {
    /// How many are tried unless somebody says so. Faults were found by the 159th, the 465th and the 806th of those that have a thousand.
    const fn schedules(self) -> u64 {
        match self {
            Self::Abort | Self::Stop | Self::Failures | Self::Validated => 1_000,
            Self::Twins
            | Self::Writers
            | Self::TypeChanged
            | Self::TypeDeleted
            | Self::Overdue
            | Self::Burying
            | Self::BuryingValidated
            | Self::Crowd => 150,
        }
    }
}

impl fmt::Display for Plot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// One of several that are at work at the same time.
pub type Task<'world> = Pin<Box<dyn Future<Output = ()> + 'world>>;

/// In which order calls are made.
enum Order {
    /// Any that waits may be next.
    Random,
    /// The worker with the highest rank goes on until it has nothing to ask; now and then the first becomes the last.
    Ranked { ranks: Vec<(usize, u64)>, changes: u64 },
}

impl Order {
    fn of(random: &mut fastrand::Rng) -> Self {
        if random.bool() { Self::Random } else { Self::Ranked { ranks: Vec::new(), changes: random.u64(2..12) } }
    }

    fn next(&mut self, parked: &[Parked], random: &mut fastrand::Rng) -> usize {
        let Self::Ranked { ranks, changes } = self else { return random.usize(..parked.len()) };
        for parked in parked {
            if !ranks.iter().any(|(worker, _)| *worker == parked.worker) {
                ranks.push((parked.worker, random.u64(..)));
            }
        }
        let rank = |worker: usize| ranks.iter().find(|(known, _)| *known == worker).map_or(0, |(_, rank)| *rank);
        let place = (0..parked.len()).max_by_key(|place| rank(parked[*place].worker)).unwrap_or(0);
        if random.u64(..*changes) == 0 {
            let first = parked[place].worker;
            for (worker, rank) in ranks.iter_mut() {
                if *worker == first {
                    *rank = random.u64(..1_000);
                }
            }
        }
        place
    }
}

/// Lets the tasks make their calls one at a time, in an order of the seed's.
pub async fn interleave(world: &World, tasks: Vec<Task<'_>>, random: &mut fastrand::Rng) {
    /// More than any of them needs.
    const MOST_TURNS: usize = 20_000;
    let mut order = Order::of(random);
    world.network.take_turns(true);
    let mut all = Box::pin(join_all(tasks));
    for _ in 0..MOST_TURNS {
        // Time goes on when everybody waits: for a turn, or for a time.
        tokio::select! {
            biased;
            _ = &mut all => {
                world.network.take_turns(false);
                return;
            }
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
        let mut parked = world.network.take_parked();
        if parked.is_empty() {
            continue;
        }
        let next = parked.remove(order.next(&parked, random));
        world.network.put_back(parked);
        next.let_go();
    }
    world.services.watch().violations.push("the workers do not come to an end".to_owned());
    world.network.take_turns(false);
    all.await;
}

struct Schedule {
    plot: Plot,
    seed: u64,
}

struct Ended {
    found: Vec<String>,
    calls: Vec<Call>,
}

impl Schedule {
    fn run(&self) -> Ended {
        run(async {
            let mut random = fastrand::Rng::with_seed(self.seed);
            let shape = Shape::ALL[random.usize(..Shape::ALL.len())];
            let world = match self.plot {
                Plot::Crowd => World::start_crowded(shape, self.seed),
                _ => World::start(shape, self.seed),
            };
            let mut staging = Staging { world: &world, shape, random, posted: Vec::new(), found: Vec::new() };
            let allowed = Box::pin(staging.play(self.plot)).await;
            let Staging { posted, mut found, .. } = staging;
            let calls = world.network.log();
            found.extend(judge(&world, &posted, allowed).await);
            Ended { found, calls }
        })
    }
}

struct Staging<'world> {
    world: &'world World,
    shape: Shape,
    random: fastrand::Rng,
    posted: Vec<Posted>,
    found: Vec<String>,
}

impl<'world> Staging<'world> {
    async fn play(&mut self, plot: Plot) -> Allowed {
        match plot {
            Plot::Twins => self.twins().await,
            Plot::Abort => return self.abort().await,
            Plot::Stop => return self.stop().await,
            Plot::Failures => return self.failures().await,
            Plot::Validated => self.validated().await,
            Plot::Writers => self.writers().await,
            Plot::TypeChanged => self.type_changed().await,
            Plot::TypeDeleted => self.type_deleted().await,
            Plot::Overdue => return Box::pin(self.overdue()).await,
            Plot::Burying => {
                self.post_two().await;
                return self.burying().await;
            }
            Plot::BuryingValidated => {
                let (operation, items) = (self.any_operation(), Items(&self.world.account));
                let wanted = items.of(operation, self.shape);
                self.post_with(operation, wanted, |posted| posted.validate_only = true).await;
                return self.burying().await;
            }
            Plot::Crowd => return self.crowd().await,
        }
        Allowed::default()
    }

    fn any_operation(&mut self) -> Operation {
        Operation::ALL[self.random.usize(..Operation::ALL.len())]
    }

    /// A job that is accepted at once.
    async fn post(&mut self, operation: Operation, items: Vec<Value>) {
        self.post_with(operation, items, |_| {}).await;
    }

    async fn post_with(&mut self, operation: Operation, items: Vec<Value>, change: impl FnOnce(&mut Posted)) {
        let key = format!("key {}", self.posted.len());
        let mut posted = self.world.posting(operation, items, Some(&key));
        change(&mut posted);
        let answer = self.world.post(&mut posted).await;
        if answer.as_ref().is_none_or(|answer| answer.status != 201) {
            self.found.push(format!("nothing disturbs the request, and it is answered {answer:?}"));
        }
        self.posted.push(posted);
    }

    /// A job of any action, and one of another writer.
    async fn post_two(&mut self) -> Operation {
        let operation = self.any_operation();
        let items = Items(&self.world.account);
        self.post(operation, items.of(operation, self.shape)).await;
        let (other, theirs) = items.of_other_writer(operation);
        self.post(other, theirs).await;
        operation
    }

    fn messages(&mut self) -> Vec<Message> {
        let mut messages: Vec<Message> =
            std::iter::from_fn(|| self.world.receive()).map(|(_, message)| message).collect();
        self.random.shuffle(&mut messages);
        messages
    }

    fn deliver(&self, message: Message) -> Task<'world> {
        let world = self.world;
        Box::pin(async move {
            world.deliver(Lane::Main, &message).await;
        })
    }

    /// Everything that waits, each message once or twice.
    fn deliveries(&mut self, twins: bool) -> Vec<Task<'world>> {
        let mut tasks = Vec::new();
        for message in self.messages() {
            if twins || self.random.u8(..4) == 0 {
                let mut twin = message.clone();
                // A standard queue may hand out a message twice for the first time.
                twin.receives += self.random.u32(..2);
                tasks.push(self.deliver(twin));
            }
            tasks.push(self.deliver(message));
        }
        tasks
    }

    /// One schedule in three is disturbed besides.
    fn disturb(&mut self, functions: &[Function]) {
        if self.random.u8(..3) > 0 {
            return;
        }
        let fault = Fault::ALL[self.random.usize(..Fault::ALL.len())];
        let span = if self.random.bool() { Span::Once } else { Span::Always };
        self.meet(functions, fault, span);
    }

    /// One of the next calls of one of these functions meets this fault.
    fn meet(&mut self, functions: &[Function], fault: Fault, span: Span) {
        let function = functions[self.random.usize(..functions.len())];
        let made = self.world.network.log().iter().filter(|call| call.function == function).count();
        let call = made + self.random.usize(..20);
        self.world.network.follow(Script::one(function, call, fault, span));
    }

    /// As [`disturb`](Self::disturb), always, and half of the time a worker dies.
    fn disturb_or_kill(&mut self, functions: &[Function]) {
        let faults: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| fault.is_death()).collect();
        let (all, deaths) = (&Fault::ALL[..], &faults[..]);
        let (faults, span) = if self.random.bool() {
            (deaths, Span::Once)
        } else {
            (all, if self.random.bool() { Span::Once } else { Span::Always })
        };
        let fault = faults[self.random.usize(..faults.len())];
        self.meet(functions, fault, span);
    }

    pub async fn interleave(&mut self, tasks: Vec<Task<'world>>) {
        interleave(self.world, tasks, &mut self.random).await;
    }

    async fn twins(&mut self) {
        self.post_two().await;
        self.disturb(&[Function::Consume]);
        let tasks = self.deliveries(true);
        self.interleave(tasks).await;
        self.world.drain().await;
    }

    async fn abort(&mut self) -> Allowed {
        self.post_two().await;
        let tasks = self.deliveries(false);
        self.abort_beside(tasks, true).await;
        Allowed { stopped: Some(Code::Aborted), ..Allowed::default() }
    }

    async fn stop(&mut self) -> Allowed {
        let world = self.world;
        self.post_two().await;
        // Some of it may be done.
        for message in self.messages().into_iter().take(self.random.usize(..3)) {
            world.deliver(Lane::Main, &message).await;
        }
        // Those that were received and not delivered come again.
        world.clock.pass(VISIBILITY).await;
        let is_disturbed = self.random.bool();
        if is_disturbed {
            self.disturb_or_kill(&[Function::Consume, Function::Consume, Function::Abort]);
        }
        let tasks = self.deliveries(true);
        self.abort_beside(tasks, !is_disturbed).await;
        Allowed { stopped: Some(Code::Aborted), ..Allowed::default() }
    }

    /// Aborts the first job once or twice beside other tasks. Without a fault, the answers agree with what comes of the job.
    async fn abort_beside(&mut self, mut tasks: Vec<Task<'world>>, are_answered: bool) {
        let id = self.posted[0].id.expect("an accepted job");
        let world = self.world;
        let answers = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        for _ in 0..self.random.usize(1..3) {
            let answers = std::rc::Rc::clone(&answers);
            tasks.push(Box::pin(async move {
                let answer = world.abort(id).await;
                answers.borrow_mut().push(answer.map_or(0, |answer| answer.status));
            }));
        }
        self.random.shuffle(&mut tasks);
        self.interleave(tasks).await;
        world.drain().await;
        let job = world.show(id).await.body["data"].clone();
        let (status, answers) = (job["job_status"].as_str().unwrap_or_default(), answers.take());
        let all = |allowed: &[u16]| answers.iter().all(|answer| allowed.contains(answer));
        let agrees = match status {
            "aborted" => all(&[200]),
            // It was told to stop, by one of them at least.
            "failed" => all(&[200, 202]) && answers.contains(&202),
            // It had ended; or it was told to stop when nothing was left to do.
            "completed" => all(&[409]) || all(&[200, 202]) && answers.contains(&202),
            _ => false,
        };
        if are_answered && !agrees {
            self.found.push(format!("the job is {job}, and its aborts were answered {answers:?}"));
        }
    }

    async fn failures(&mut self) -> Allowed {
        let operation = self.any_operation();
        let items = Items(&self.world.account);
        let most = self.random.u32(..5);
        let wanted = items.of(operation, self.shape);
        self.post_with(operation, wanted, |posted| posted.max_failures = Some(most)).await;
        let (other, theirs) = items.of_other_writer(operation);
        self.post(other, theirs).await;
        self.disturb(&[Function::Consume]);
        let tasks = self.deliveries(true);
        self.interleave(tasks).await;
        self.world.drain().await;
        Allowed { stopped: Some(Code::TooManyFailures), ..Allowed::default() }
    }

    /// Nobody else writes meanwhile. What the records are is another thing in each run: up to two jobs come before.
    async fn validated(&mut self) {
        let world = self.world;
        let items = Items(&world.account);
        for _ in 0..self.random.usize(..3) {
            let operation = self.any_operation();
            let some = self.some_of(items.of(operation, Shape::One));
            self.post(operation, some).await;
            world.drain().await;
        }
        let operation = self.any_operation();
        let mut all = items.of(operation, Shape::One);
        all.extend(items.of(operation, Shape::Chain));
        let wanted = self.some_of(all);
        let before = world.services.watch().changes.iter().filter(|change| change.place.0 == RECORDS).count();
        self.post_with(operation, wanted.clone(), |posted| posted.validate_only = true).await;
        self.disturb(&[Function::Consume]);
        let tasks = self.deliveries(true);
        self.interleave(tasks).await;
        world.network.follow(Script::default());
        world.drain().await;
        let after = world.services.watch().changes.iter().filter(|change| change.place.0 == RECORDS).count();
        if after != before {
            self.found.push(format!("a job that validates changed {} rows", after - before));
        }
        self.post(operation, wanted).await;
        world.drain().await;
        let [said, done] = [2, 1].map(|back| self.posted[self.posted.len() - back].id.expect("an accepted job"));
        self.found.extend(world.differ(self.posted.last().expect("the second"), said, done).await);
    }

    /// Some of these, in any order.
    fn some_of(&mut self, mut items: Vec<Value>) -> Vec<Value> {
        self.random.shuffle(&mut items);
        items.truncate(self.random.usize(1..=items.len()));
        items
    }

    async fn writers(&mut self) {
        let items = Items(&self.world.account);
        for _ in 0..3 {
            let operation = self.any_operation();
            let shape = if self.random.bool() { Shape::One } else { self.shape };
            self.post(operation, items.of(operation, shape)).await;
        }
        self.disturb(&[Function::Consume]);
        let tasks = self.deliveries(false);
        self.interleave(tasks).await;
        self.world.drain().await;
    }

    fn change(&self, method: Method, path: &'static str, body: Option<Value>) -> Task<'world> {
        let world = self.world;
        Box::pin(async move {
            world.request(Some(Function::Records), method, path, body.as_ref(), None).await;
        })
    }

    async fn type_changed(&mut self) {
        let operations = [Operation::CreateObjects, Operation::UpdateObjects, Operation::SetObjects];
        let operation = operations[self.random.usize(..operations.len())];
        self.post(operation, Items(&self.world.account).of(operation, self.shape)).await;
        self.disturb(&[Function::Consume]);
        let mut strict = product_schema();
        strict["properties"]["price"]["maximum"] = json!(self.random.u32(1..9));
        if self.random.bool() {
            strict["required"] = json!(["name", "price"]);
        }
        let [strict, loose] = [strict, product_schema()].map(|schema| json!({"data": {"schema": schema}}));
        let mut tasks = self.deliveries(false);
        tasks.push(self.change(Method::PUT, "/objects/types/product", Some(strict)));
        if self.random.bool() {
            tasks.push(self.change(Method::PUT, "/objects/types/product", Some(loose)));
        }
        self.random.shuffle(&mut tasks);
        self.interleave(tasks).await;
        self.world.drain().await;
    }

    async fn type_deleted(&mut self) {
        let world = self.world;
        let gadget = json!({"data": {"key": "gadget", "schema": product_schema()}});
        let owns = json!({"data": {"key": "owns", "source": "product", "target": ["product"]}});
        for (path, body) in [("/objects/types", &gadget), ("/relationships/types", &owns)] {
            let made = world.request(None, Method::POST, path, Some(body), None).await;
            assert!(made.is_some_and(|made| made.status == 201));
        }
        let items = Items(&world.account);
        let (one, many, body) = if self.random.bool() {
            let made = (0..5).map(|number| {
                json!({"type": "gadget", "external_id": number.to_string(), "attributes": {"name": "a gadget"}})
            });
            self.post(Operation::CreateObjects, made.collect()).await;
            ("/objects/types/gadget", "/objects/types", gadget)
        } else {
            let related = [("a", "b"), ("b", "c"), ("a", "b"), ("c", "d"), ("d", "a")].iter().map(|(source, target)| {
                json!({"relationship_type": "owns", "source": items.id(source), "target": items.id(target)})
            });
            self.post(Operation::CreateRelationships, related.collect()).await;
            ("/relationships/types/owns", "/relationships/types", owns)
        };
        self.disturb(&[Function::Consume]);
        let mut tasks = self.deliveries(false);
        tasks.push(self.change(Method::DELETE, one, None));
        if self.random.bool() {
            tasks.push(self.change(Method::POST, many, Some(body)));
        }
        self.random.shuffle(&mut tasks);
        self.interleave(tasks).await;
        world.drain().await;
    }

    async fn overdue(&mut self) -> Allowed {
        const SWEEP_EVERY: Duration = Duration::from_mins(5);
        let world = self.world;
        self.post_two().await;
        if self.random.bool() {
            // Its first chunk was done long ago.
            if let Some((lane, message)) = world.receive() {
                world.deliver(lane, &message).await;
            }
        }
        let mut tasks = self.deliveries(false);
        world.clock.pass(Duration::from_secs(limits::JOB_OVERDUE_SECONDS) + SWEEP_EVERY).await;
        self.disturb(&[Function::Consume, Function::Sweep]);
        for _ in 0..self.random.usize(1..3) {
            tasks.push(Box::pin(async move {
                let _ = world.sweep().await;
            }));
        }
        self.random.shuffle(&mut tasks);
        self.interleave(tasks).await;
        for _ in 0..3 {
            world.drain().await;
            let _ = world.sweep().await;
            world.clock.pass(SWEEP_EVERY).await;
        }
        Allowed { given_up: true, unknown: true, ..Allowed::default() }
    }

    async fn burying(&mut self) -> Allowed {
        let world = self.world;
        self.disturb(&[Function::Consume, Function::Bury]);
        let mut tasks = Vec::new();
        for message in self.messages() {
            if self.random.u8(..3) > 0 {
                world.services.give_up(message.id);
            }
            tasks.push(self.deliver(message));
        }
        while let Some((lane, letter)) = world.receive() {
            tasks.push(Box::pin(async move {
                world.deliver(lane, &letter).await;
            }) as Task<'world>);
        }
        self.random.shuffle(&mut tasks);
        self.interleave(tasks).await;
        world.drain().await;
        Allowed { given_up: true, ..Allowed::default() }
    }

    async fn crowd(&mut self) -> Allowed {
        let world = self.world;
        let items = Items(&world.account);
        self.post(Operation::UpdateObjects, items.of(Operation::UpdateObjects, self.shape)).await;
        let tasks = self.deliveries(false);
        let wishes: Vec<_> = (0..5)
            .map(|number| {
                let key = format!("wish {number}");
                let key = (number % 2 == 0).then_some(key.as_str());
                let items = vec![items.update("a", &json!({"price": 10 + number}))];
                world.posting(Operation::UpdateObjects, items, key)
            })
            .collect();
        let wishes = std::rc::Rc::new(std::cell::RefCell::new(wishes.into_iter().map(Some).collect::<Vec<_>>()));
        let answers = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let mut tasks = tasks;
        for place in 0..5 {
            let (wishes, answers) = (std::rc::Rc::clone(&wishes), std::rc::Rc::clone(&answers));
            tasks.push(Box::pin(async move {
                let mut wish = wishes.borrow_mut()[place].take().expect("a wish of its own");
                let answer = world.post(&mut wish).await;
                answers.borrow_mut().push(answer.map_or(0, |answer| answer.status));
                wishes.borrow_mut()[place] = Some(wish);
            }));
        }
        self.random.shuffle(&mut tasks);
        self.interleave(tasks).await;
        world.drain().await;
        self.posted.extend(wishes.take().into_iter().flatten().filter(|wish| wish.id.is_some()));
        let answers = answers.take();
        let accepted = answers.iter().filter(|answer| **answer == 201).count();
        let refused = answers.iter().filter(|answer| **answer == 429).count();
        if accepted + refused != 5 || accepted == 0 {
            self.found.push(format!("five jobs for the last slot were answered {answers:?}"));
        }
        if refused > 0 && world.services.watch().most_active() < limits::ACTIVE_JOBS {
            self.found.push("a job was refused while a slot was free".to_owned());
        }
        Allowed { idle: IDLE_JOBS, ..Allowed::default() }
    }
}

fn explore(plot: Plot) {
    let schedules = from_environment("SUNDIAL_SCHEDULES", plot.schedules());
    let mut wrong = Vec::new();
    for seed in 0..schedules {
        if wrong.len() >= ENOUGH {
            break;
        }
        let ended = Schedule { plot, seed }.run();
        if !ended.found.is_empty() {
            wrong.push(format!("{plot}/{seed}\n{}", ended.found.join("\n")));
        }
    }
    eprintln!("{plot}: {schedules} schedules");
    report(&wrong, "SUNDIAL_SCHEDULE=ITS FIRST LINE cargo test -p tests --test faults replay -- --nocapture");
}

#[test]
fn twins() {
    explore(Plot::Twins);
}

#[test]
fn abort() {
    explore(Plot::Abort);
}

#[test]
fn stop() {
    explore(Plot::Stop);
}

#[test]
fn failures() {
    explore(Plot::Failures);
}

#[test]
fn validated() {
    explore(Plot::Validated);
}

#[test]
fn writers() {
    explore(Plot::Writers);
}

#[test]
fn type_changed() {
    explore(Plot::TypeChanged);
}

#[test]
fn type_deleted() {
    explore(Plot::TypeDeleted);
}

#[test]
fn overdue() {
    explore(Plot::Overdue);
}

#[test]
fn burying() {
    explore(Plot::Burying);
}

#[test]
fn burying_validated() {
    explore(Plot::BuryingValidated);
}

#[test]
fn crowd() {
    explore(Plot::Crowd);
}

/// `SUNDIAL_SCHEDULE` names one schedule, as a failure prints it: this repeats it and tells every call.
#[test]
fn replay() {
    let named = std::env::var("SUNDIAL_SCHEDULE").unwrap_or_else(|_| "Twins/1".to_owned());
    let (plot, seed) = named.split_once('/').expect("PLOT/SEED");
    let plot = Plot::ALL.into_iter().find(|it| it.to_string() == plot).expect("a plot");
    let ended = Schedule { plot, seed: seed.parse().expect("a seed") }.run();
    eprintln!("{named}");
    for call in &ended.calls {
        eprintln!("{call}");
    }
    assert!(ended.found.is_empty(), "{}", ended.found.join("\n"));
}
