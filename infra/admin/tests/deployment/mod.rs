//! A database with Sundial's tables, and the program that works on it.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use access::{Access, Settings, Source};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::account::Identity;
use domain::ambient::Ambient;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST};
use serde_json::Value;
use store::Store;
use store::clients::{AwsSettings, dynamodb, http_client};
use store::tables::{TableNames, create_missing};
use tokio::net::TcpListener;
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
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
            let database = dynoxide::Database::memory().expect("a database");
            tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
            let client = dynamodb(&AwsSettings::emulator(&endpoint), http_client());
            let names = TableNames::with_prefix("sundial");
            create_missing(&client, &names).await.expect("the tables");
            (endpoint, Store::new(client, names, Ambient::shiftable()))
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
        self.store.ambient().advance(u64::try_from(duration.as_millis()).expect("not for ever"));
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
