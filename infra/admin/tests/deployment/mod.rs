//! A database with Sundial's tables, and the program that works on it.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use access::{Access, Settings, Source};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use database::TestDatabase;
use domain::account::usage::PerKind;
use domain::account::{AccountId, Identity};
use domain::clock::Clock;
use domain::job::{Job, JobId, Operation};
use domain::plan::decide::{Before, Write as RecordWrite};
use domain::record::applied::AppliedWrites;
use domain::record::{End, ObjectRecord, RecordId, RelationshipRecord, Row, State};
use domain::types::{ObjectTypeDefinition, RelationshipType, Schema, TypeKey};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST};
use serde_json::Value;
use store::Store;
use store::clients::{AwsSettings, dynamodb, http_client};
use store::jobs::Commit;
use store::tables::TableNames;
use tokio::runtime::Runtime;

/// What callers are let in by: the tables of the stack `sundial`.
pub struct Deployment {
    runtime: Runtime,
    pub endpoint: String,
    store: Store,
    sources: AtomicU32,
}

/// What the program said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Deployment {
    pub fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (endpoint, store) = runtime.block_on(async {
            let database = TestDatabase::start("sundial").await;
            let store = database.store(Clock::shiftable());
            (database.endpoint, store)
        });
        Self { runtime, endpoint, store, sources: AtomicU32::new(1) }
    }

    /// Runs the program on this database. No argument of these tests has a space in it.
    pub fn run(&self, line: &str) -> Said {
        self.run_with(line, "")
    }

    /// The same with something on stdin.
    pub fn run_with(&self, line: &str, stdin: &str) -> Said {
        output_of(program(line).args(["--endpoint-url", &self.endpoint]), stdin)
    }

    /// Runs the program, which is to do it and say so in JSON.
    pub fn json(&self, line: &str) -> Value {
        let said = self.run(&format!("{line} --output json"));
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{line}: {said:?}");
        serde_json::from_str(&said.stdout).expect("JSON")
    }

    /// Who is let in with this, under this host name, if anybody is.
    pub fn admitted(&self, authorization: &str, host: &str) -> Option<Identity> {
        let settings = Settings {
            remembered_for: Duration::ZERO,
            base_domain: Some("jobs.example.com".to_owned()),
            ..Settings::default()
        };
        let access = Access::new(self.store.clone(), settings);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, authorization.parse().expect("a header")),
            (HOST, host.parse().expect("a header")),
        ]);
        // Always from somewhere else: these tests are not about guessing.
        let source = Ipv4Addr::from(self.sources.fetch_add(1, Ordering::Relaxed));
        let admitted = self.runtime.block_on(access.admit(&headers, Source::of(IpAddr::V4(source))));
        admitted.ok().map(|admitted| admitted.identity)
    }

    /// Whether somebody is let in with this.
    pub fn admits(&self, authorization: &str) -> bool {
        self.admitted(authorization, "jobs.example.com").is_some()
    }

    /// Lets time go by for whoever lets in.
    pub fn advance(&self, duration: Duration) {
        self.store.clock().advance(u64::try_from(duration.as_millis()).expect("not for ever"));
    }

    /// Makes two products and a relationship between them, without counting them.
    pub fn write_uncounted_records(&self, account: &str) {
        let account = AccountId::parse(account).expect("an account");
        let (key, now) = (|text| TypeKey::parse(text).expect("a key"), self.store.clock().now());
        let schema = serde_json::json!({"properties": {"a": {"type": "string"}}});
        let product = ObjectTypeDefinition::new(key("product"), &Schema::parse(&schema).expect("a schema"), now);
        let data = serde_json::json!({"key": "likes", "source": "product", "target": "product"});
        let likes = RelationshipType::parse(&data, now).expect("a type");
        let ids = [1, 2].map(|byte| RecordId::from_bytes([byte; 16]));
        let objects = ids.map(|id| ObjectRecord {
            id,
            object_type: key("product"),
            external_id: None,
            attributes: "{}".to_owned(),
            created_at: now,
            position: None,
            updated_at: now,
            type_version: 1,
            links: 0,
            entries: None,
        });
        let link = RelationshipRecord {
            id: RecordId::from_bytes([3; 16]),
            relationship_type: key("likes"),
            source: End::Object(ids[0]),
            target: End::Object(ids[1]),
            created_at: now,
            position: None,
        };
        let write = |id, state| RecordWrite {
            id,
            base: 0,
            before: Before::Nothing,
            row: Row { version: 1, applied: AppliedWrites::default(), state },
            links: Vec::new(),
        };
        let objects = objects.map(|object| write(object.id, State::Object(object)));
        let links = [write(link.id, State::Relationship(link))];
        self.runtime.block_on(async {
            let store = &self.store;
            store.catalog.define_object_type(&account, &product).await.expect("the database");
            store.catalog.define_relationship_type(&account, &likes).await.expect("the database");
            store.records.write_objects(&account, &objects, now).await.expect("the database");
            store.records.write_relationships(&account, &links, now).await.expect("the database");
        });
    }

    /// Puts the counts of records off by so many.
    pub fn miscount(&self, account: &str, objects: i64, relationships: i64) {
        let account = AccountId::parse(account).expect("an account");
        let change = PerKind { objects, relationships };
        self.runtime.block_on(self.store.usages.mend_counts(&account, change)).expect("the database");
    }

    /// Makes a job that nobody works on.
    pub fn hold_a_slot(&self, account: &str) {
        let account = AccountId::parse(account).expect("an account");
        let job = Job::queued(JobId::new(self.store.clock()), Operation::CreateObjects, 1, 1);
        let commit = self.store.jobs.commit(&account, &job, None, job.created_at);
        assert_eq!(self.runtime.block_on(commit).expect("the database"), Commit::Done);
    }

    /// Takes the tables away.
    pub fn without_tables(self) -> Self {
        let client = dynamodb(&AwsSettings::emulator(&self.endpoint), http_client());
        let names = TableNames::with_prefix("sundial");
        self.runtime.block_on(async { client.delete_table().table_name(names.catalog).send().await.expect("a table") });
        self
    }
}

/// The program with nothing in its environment, so that no test reads anybody's credentials.
pub fn program(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sundial-admin"));
    command.env_clear().args(line.split_whitespace());
    command
}

pub fn output_of(command: &mut Command, stdin: &str) -> Said {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("the program starts");
    process.stdin.take().expect("its stdin").write_all(stdin.as_bytes()).expect("it reads all of it");
    let Output { status, stdout, stderr } = process.wait_with_output().expect("its end");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Said { code: status.code().expect("no signal ended it"), stdout: text(stdout), stderr: text(stderr) }
}

pub fn basic(user: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
