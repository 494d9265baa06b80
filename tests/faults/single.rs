//! Writes of one record by a request of its own: every fault at every call of it, and many at once in orders of a seed's.

use std::cell::RefCell;
use std::time::Duration;

use axum::http::Method;
use domain::account::AccountId;
use domain::record::RecordId;
use domain::types::TypeKey;
use serde_json::{Map, Value, json};

use crate::network::{Call, Fault, Function, Script, Span};
use crate::scenes::{Items, Shape};
use crate::schedules::{Task, interleave};
use crate::watch::{RECORDS, is_key, new_marks};
use crate::world::{Answer, World, run};
use crate::{ENOUGH, from_environment, report};

/// One request that writes a record, and what comes of it where nothing goes wrong.
#[derive(Clone, Debug)]
struct Write {
    name: &'static str,
    method: Method,
    path: String,
    data: Option<Value>,
    status: u16,
    /// When it is sent once more without a key.
    again: u16,
}

impl Write {
    fn all(items: &Items<'_>) -> Vec<Self> {
        const RECORDS: &str = "/objects/records";
        const LINKS: &str = "/relationships/records";
        let of = |name, method, path: String, data: Option<Value>, status, again| Self {
            name,
            method,
            path,
            data,
            status,
            again,
        };
        let record = |name: &str| format!("{RECORDS}/{}", items.id(name));
        let named = |name: &str| Some(Items::product(name, &json!({"name": name, "price": 5})));
        let nameless = json!({"type": "product", "attributes": {"name": "nameless"}});
        let patch = json!({"attributes": {"price": 2}});
        let pair = |source: &str, target: &str| format!("{LINKS}/{}", items.pair(source, target));
        let likes = |source: &str, target: &str| Some(items.likes(source, target));
        let gone = json!({"relationship_type": "likes", "source": items.id("c"), "target": items.id("nobody")});
        vec![
            of("create", Method::POST, RECORDS.to_owned(), named("x"), 201, 422),
            of("create-nameless", Method::POST, RECORDS.to_owned(), Some(nameless), 201, 201),
            of("create-taken", Method::POST, RECORDS.to_owned(), named("a"), 422, 422),
            of("set-new", Method::PATCH, RECORDS.to_owned(), named("y"), 201, 200),
            of("set", Method::PATCH, RECORDS.to_owned(), named("a"), 200, 200),
            of("update", Method::PATCH, record("a"), Some(patch), 200, 200),
            of("delete", Method::DELETE, record("c"), None, 204, 404),
            of("delete-linked", Method::DELETE, record("a"), None, 422, 422),
            of(
                "delete-by-external-id",
                Method::DELETE,
                format!("{RECORDS}?type=product&external_id=d"),
                None,
                204,
                404,
            ),
            of("relate", Method::POST, LINKS.to_owned(), likes("c", "d"), 201, 422),
            of("relate-itself", Method::POST, LINKS.to_owned(), likes("c", "c"), 201, 422),
            of("relate-taken", Method::POST, LINKS.to_owned(), likes("a", "b"), 422, 422),
            of("relate-nobody", Method::POST, LINKS.to_owned(), Some(gone), 422, 422),
            of("unrelate", Method::DELETE, pair("a", "b"), None, 204, 404),
        ]
    }

    async fn send(&self, world: &World, key: Option<&str>) -> Option<Answer> {
        let body = self.data.as_ref().map(|data| json!({"data": data}));
        world.request(Some(Function::Records), self.method.clone(), &self.path, body.as_ref(), key).await
    }

    const fn succeeds(&self) -> bool {
        self.status < 300
    }
}

/// How often records were written since the run began, and how often keys were.
fn effects(world: &World) -> (usize, usize) {
    let watch = world.services.watch();
    let changes = || watch.changes[world.furniture..].iter().filter(|change| change.place.0 == RECORDS);
    let written = changes().filter(|change| !is_key(change)).filter(|change| {
        change.after.as_ref().is_some_and(|after| !new_marks(change.before.as_ref(), after).is_empty())
    });
    (written.count(), changes().filter(|change| is_key(change)).count())
}

/// Until nothing is still to happen.
async fn settle(world: &World) {
    while world.network.late() > 0 {
        world.clock.pass(Duration::from_secs(1)).await;
    }
}

/// One run: a request, what went wrong with it, and the same request again.
struct Case<'write> {
    write: &'write Write,
    keyed: bool,
    /// Whether it is sent again at once, or when nothing of the first is still to come.
    at_once: bool,
    script: Script,
}

impl std::fmt::Display for Case<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = if self.keyed { "keyed" } else { "unkeyed" };
        let again = if self.at_once { "again at once" } else { "again later" };
        write!(formatter, "{}, {key}, {again}, {}", self.write.name, self.script)
    }
}

impl Case<'_> {
    /// What was wrong, and the calls of the first request.
    fn run(&self) -> (Vec<String>, Vec<Call>) {
        run(async {
            const SEED: u64 = 7;
            let world = World::start(Shape::One, SEED);
            world.services.watch().single_writes = true;
            world.network.follow(self.script.clone());
            let key = self.keyed.then_some("key");
            let mut found = Vec::new();
            let first = self.write.send(&world, key).await;
            let calls = world.network.log();
            if !self.at_once {
                settle(&world).await;
                self.check_first(first.as_ref(), effects(&world), &mut found);
            }
            let before = effects(&world).0;
            world.network.follow(Script::default());
            let second = self.write.send(&world, key).await;
            let status = second.map_or(0, |answer| answer.status);
            settle(&world).await;
            let (written, keys) = effects(&world);
            // Where the first may still be under way, what is true of the second is known only now.
            let expected: &[u16] = match (self.keyed, self.at_once, before) {
                (true, ..) | (false, false, 0) => &[self.write.status],
                (false, false, _) => &[self.write.again],
                (false, true, _) => &[self.write.status, self.write.again],
            };
            if !expected.contains(&status) {
                found.push(format!("the same request again was answered {status}"));
            }
            let most = if self.keyed { 1 } else { 2 };
            let least = usize::from(self.write.succeeds());
            if !(least..=most * least).contains(&written) || (self.keyed && keys != written) {
                found.push(format!("in the end there were {written} writes and {keys} keys"));
            }
            if self.at_once && first.as_ref().is_some_and(|answer| answer.status == 503) && written > 1 {
                found.push("it was written after a 503".to_owned());
            }
            found.append(&mut world.services.watch().violations);
            (found, calls)
        })
    }

    /// The answer, and what is so once nothing of the request is still to come.
    fn check_first(&self, answer: Option<&Answer>, (written, keys): (usize, usize), found: &mut Vec<String>) {
        let expected = match answer.map(|answer| answer.status) {
            Some(status) if status == self.write.status => {
                usize::from(self.write.succeeds())..=usize::from(self.write.succeeds())
            }
            Some(503) => 0..=0,
            Some(500) | None => 0..=usize::from(self.write.succeeds()),
            Some(status) => {
                found.push(format!("it was answered {status}: {}", answer.map_or(&Value::Null, |answer| &answer.body)));
                return;
            }
        };
        if !expected.contains(&written) {
            found.push(format!("it was answered {:?} and written {written} times", answer.map(|answer| answer.status)));
        }
        if keys != if self.keyed { written } else { 0 } {
            found.push(format!("{written} writes left {keys} keys"));
        }
    }
}

fn every_fault(keyed: bool) {
    let account = AccountId::parse("acme").expect("an account");
    let (mut wrong, mut runs) = (Vec::new(), 0);
    for write in Write::all(&Items(&account)) {
        let case = |script, at_once| Case { write: &write, keyed, at_once, script };
        let (found, calls) = case(Script::default(), false).run();
        assert!(found.is_empty(), "undisturbed {}: {found:#?}", write.name);
        for call in &calls {
            for fault in Fault::ALL.into_iter().filter(|fault| fault.can_happen_to(&call.operation)) {
                let spans: &[Span] = if fault.is_death() { &[Span::Once] } else { &[Span::Once, Span::Always] };
                for (span, at_once) in spans.iter().flat_map(|span| [(*span, false), (*span, true)]) {
                    let case = case(Script::one(Function::Records, call.number, fault, span), at_once);
                    let (found, calls) = case.run();
                    runs += 1;
                    if !found.is_empty() {
                        let calls: Vec<String> = calls.iter().map(ToString::to_string).collect();
                        wrong.push(format!("{case}\n{}\n{}", found.join("\n"), calls.join("\n")));
                    }
                    if wrong.len() >= ENOUGH {
                        report(&wrong, "its calls are below it");
                    }
                }
            }
        }
    }
    eprintln!("{runs} runs");
    report(&wrong, "its calls are below it");
}

/// The answer of the write is lost, and then something else goes wrong: at each call after it, for good.
#[test]
fn a_lost_answer_and_another_fault() {
    let account = AccountId::parse("acme").expect("an account");
    let (mut wrong, mut runs) = (Vec::new(), 0);
    for write in Write::all(&Items(&account)).into_iter().filter(Write::succeeds) {
        for (keyed, at_once) in [(false, false), (false, true), (true, false), (true, true)] {
            let case = |script| Case { write: &write, keyed, at_once, script };
            let (_, calls) = case(Script::default()).run();
            let is_write = |call: &&Call| matches!(&*call.operation, "BatchExecuteStatement" | "TransactWriteItems");
            let number = calls.iter().rfind(is_write).expect("a write").number;
            for span in [Span::Once, Span::Always] {
                let lost = Script::one(Function::Records, number, Fault::Lost, span);
                let (_, calls) = case(lost.clone()).run();
                for call in calls.iter().filter(|call| call.number > number) {
                    for fault in Fault::ALL.into_iter().filter(|fault| fault.can_happen_to(&call.operation)) {
                        let mut script = lost.clone();
                        script.0.insert((Function::Records, call.number), (fault, Span::Always));
                        let case = case(script);
                        let (found, _) = case.run();
                        runs += 1;
                        if !found.is_empty() {
                            wrong.push(format!("{case}\n{}", found.join("\n")));
                        }
                    }
                }
            }
        }
    }
    eprintln!("{runs} runs");
    report(&wrong, "its script is in its first line");
}

#[test]
fn writes_without_a_key() {
    every_fault(false);
}

#[test]
fn writes_with_a_key() {
    every_fault(true);
}

/// What is done to the one record of a schedule, which is not there at first.
#[derive(Clone, Debug)]
enum Act {
    Create(i32),
    /// Of one member, which no other has.
    Set(usize),
    Update(usize),
    Delete,
    /// As `Set`, twice at the same time with one key.
    SetTwice(usize),
}

const MEMBERS: [&str; 3] = ["price", "at", "size"];

/// Attributes of the record, if it is there.
type Record = Option<Map<String, Value>>;

impl Act {
    fn any(random: &mut fastrand::Rng) -> Self {
        let member = random.usize(..MEMBERS.len());
        match random.u32(..8) {
            0 | 1 => Self::Create(random.i32(10..20)),
            2 | 3 => Self::Set(member),
            4 | 5 => Self::Update(member),
            6 => Self::Delete,
            _ => Self::SetTwice(member),
        }
    }

    fn writes(&self, items: &Items<'_>, place: usize) -> Write {
        const RECORDS: &str = "/objects/records";
        let id = RecordId::of_external_id(items.0, &TypeKey::parse("thing").expect("a key"), "q");
        let item = |attributes: Value| Some(json!({"type": "thing", "external_id": "q", "attributes": attributes}));
        let (method, path, data) = match self {
            Self::Create(price) => (Method::POST, RECORDS.to_owned(), item(json!({"price": price}))),
            Self::Set(member) | Self::SetTwice(member) => {
                (Method::PATCH, RECORDS.to_owned(), item(json!({MEMBERS[*member]: place})))
            }
            Self::Update(member) => {
                (Method::PATCH, format!("{RECORDS}/{id}"), Some(json!({"attributes": {MEMBERS[*member]: place}})))
            }
            Self::Delete => (Method::DELETE, format!("{RECORDS}/{id}"), None),
        };
        Write { name: "one of many", method, path, data, status: 0, again: 0 }
    }

    /// What it does and is answered where it is done alone.
    fn apply(&self, record: &mut Record, place: usize) -> u16 {
        let patch = |members: &mut Map<String, Value>, member: usize| {
            members.insert(MEMBERS[member].to_owned(), json!(place));
        };
        match (self, record.as_mut()) {
            (Self::Create(_), Some(_)) => 422,
            (Self::Create(price), None) => {
                *record = Some(Map::from_iter([("price".to_owned(), json!(price))]));
                201
            }
            (Self::Set(member) | Self::SetTwice(member), None) => {
                patch(record.insert(Map::new()), *member);
                201
            }
            (Self::Set(member) | Self::SetTwice(member) | Self::Update(member), Some(members)) => {
                patch(members, *member);
                200
            }
            (Self::Update(_) | Self::Delete, None) => 404,
            (Self::Delete, Some(_)) => {
                *record = None;
                204
            }
        }
    }
}

/// Whether the acts that are left, one after the other in some order, give these answers and leave this record. An act that was
/// answered 503 was not done; one without an answer, or with a 500, was or was not.
fn explains(acts: &[(Act, Vec<u16>)], left: &mut Vec<usize>, record: &Record, end: &Record) -> bool {
    if left.is_empty() {
        return record == end;
    }
    for turn in 0..left.len() {
        let place = left.swap_remove(turn);
        let (act, answers) = &acts[place];
        let mut after = record.clone();
        let status = act.apply(&mut after, place);
        let is_so = |answer: &u16| {
            *answer == status || matches!(answer, 0 | 500 | 503) || (matches!(act, Act::SetTwice(_)) && *answer == 404)
        };
        let may_be_done = answers.iter().any(|answer| *answer != 503) && answers.iter().all(is_so);
        let may_be_left = answers.iter().all(|answer| matches!(answer, 0 | 500 | 503));
        let explained =
            (may_be_done && explains(acts, left, &after, end)) || (may_be_left && explains(acts, left, record, end));
        left.push(place);
        let last = left.len() - 1;
        left.swap(turn, last);
        if explained {
            return true;
        }
    }
    false
}

/// Some acts at once in an order of the seed's, with now and then a fault.
fn schedule(seed: u64) -> Result<(), String> {
    run(async {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = World::start(Shape::One, seed);
        world.services.watch().single_writes = true;
        let members: Map<_, _> =
            MEMBERS.iter().map(|member| ((*member).to_owned(), json!({"type": "integer"}))).collect();
        let define = json!({"data": {"key": "thing", "schema": {"properties": members}}});
        let defined = world.request(None, Method::POST, "/objects/types", Some(&define), None).await;
        assert_eq!(defined.map(|answer| answer.status), Some(201));
        let mut script = Script::default();
        for _ in 0..random.usize(..3) {
            let fault = Fault::ALL[random.usize(..Fault::ALL.len())];
            let span = if random.bool() && !fault.is_death() { Span::Always } else { Span::Once };
            script.0.insert((Function::Records, random.usize(..40)), (fault, span));
        }
        world.network.follow(script);

        let acts: Vec<Act> = (0..random.usize(2..=5)).map(|_| Act::any(&mut random)).collect();
        let answers = RefCell::new(vec![Vec::new(); acts.len()]);
        let items = Items(&world.account);
        let (world, items, answered) = (&world, &items, &answers);
        let mut tasks: Vec<Task<'_>> = Vec::new();
        for (place, act) in acts.iter().enumerate() {
            let times = if matches!(act, Act::SetTwice(_)) { 2 } else { 1 };
            for _ in 0..times {
                let write = act.writes(items, place);
                tasks.push(Box::pin(async move {
                    let key = (times > 1).then(|| format!("key {place}"));
                    let answer = write.send(world, key.as_deref()).await;
                    answered.borrow_mut()[place].push(answer.map_or(0, |answer| answer.status));
                }));
            }
        }
        interleave(world, tasks, &mut random).await;
        settle(world).await;
        world.network.follow(Script::default());
        let path = acts.first().map_or_else(String::new, |_| Act::Delete.writes(items, 0).path);
        let there = world.request(None, Method::GET, &path, None, None).await.expect("an answer");
        let end: Record =
            (there.status == 200).then(|| there.body["data"]["attributes"].as_object().cloned()).flatten();
        let acts: Vec<(Act, Vec<u16>)> = acts.into_iter().zip(answers.into_inner()).collect();
        let violations = std::mem::take(&mut world.services.watch().violations);
        if !violations.is_empty() {
            return Err(format!("seed {seed}: {violations:#?}"));
        }
        if explains(&acts, &mut (0..acts.len()).collect(), &None, &end) {
            return Ok(());
        }
        Err(format!("seed {seed}: nothing explains {acts:?} and, in the end, {end:?}"))
    })
}

/// `SUNDIAL_SEED` names one, `SUNDIAL_RUNS` how many from there.
#[test]
fn many_at_once_are_as_if_one_by_one() {
    const RUNS: u64 = 1_000;
    let first = from_environment("SUNDIAL_SEED", 0);
    let runs = from_environment("SUNDIAL_RUNS", RUNS);
    let wrong: Vec<String> = (first..first + runs).filter_map(|seed| schedule(seed).err()).take(ENOUGH).collect();
    report(&wrong, "SUNDIAL_SEED=SEED SUNDIAL_RUNS=1 cargo test -p tests --test faults many_at_once");
}
