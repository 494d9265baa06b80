//! Watching the whole log of a test's process for secrets.
//!
//! Everything that is logged while tests run goes through here and nowhere else, each of our crates at its most talkative. A
//! line with a secret in it ends the process: no test of it passes.

use std::io::{self, Write};
use std::sync::{Once, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tracing_subscriber::EnvFilter;

/// A text, prepared for being looked for in every line: a tenth of what the tests compute is this search.
type Secret = memchr::memmem::Finder<'static>;

fn finder(secret: &str) -> Secret {
    memchr::memmem::Finder::new(secret).into_owned()
}

/// What must not be logged.
static SECRETS: RwLock<Vec<Secret>> = RwLock::new(Vec::new());

/// Our crates at the lowest level, the libraries at what a deployment may be set to.
const LOG: &str = "info,accept=trace,access=trace,bury=trace,consume=trace,lifecycle=trace,local=trace,records=trace,\
    status=trace,store=trace,sweep=trace,telemetry=trace,wire=trace,dynoxide=error";

/// Has every line of this process's log looked at from now on.
///
/// # Panics
/// When the log is kept elsewhere already.
pub fn start_watching() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_env_filter(EnvFilter::new(LOG)).with_writer(|| Watch);
        subscriber.try_init().expect("no other log");
        watch_for(access::LOCAL_TOKEN);
        // The password alone is a word of every path.
        watch_for(&format!("{}:{}", access::LOCAL_AGENT, access::LOCAL_PASSWORD));
    });
}

/// Has the log watched for this secret too, and for what Basic authentication makes of it.
pub fn watch_for(secret: &str) {
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    secrets.push(finder(secret));
    secrets.extend(in_base64(secret));
}

/// What base64 makes of the secret wherever in a text it begins, without the letters that its neighbours decide as well.
fn in_base64(secret: &str) -> Vec<Secret> {
    let encoded = |before: usize| {
        let text = STANDARD.encode([&vec![0; before], secret.as_bytes()].concat());
        let first = (before * 8).div_ceil(6);
        let last = (before + secret.len()) * 8 / 6;
        text.get(first..last).unwrap_or_default().to_owned()
    };
    // Too short a piece may be in any text.
    (0..3).map(encoded).filter(|piece| piece.len() >= 10).map(|piece| finder(&piece)).collect()
}

/// Whether there is a secret in the text.
fn tells(text: &[u8], secrets: &[Secret]) -> bool {
    secrets.iter().any(|secret| secret.find(text).is_some())
}

struct Watch;

impl Write for Watch {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let secrets = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
        if tells(line, &secrets) {
            eprintln!("A secret was logged; the line is not repeated here. It has {} bytes.", line.len());
            std::process::abort();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// That the watch sees what it is there for. The harness has no tests of its own: see `tests/it/secrets.rs`.
#[must_use]
pub fn would_tell(text: &str, secret: &str) -> bool {
    let secrets: Vec<_> = std::iter::once(finder(secret)).chain(in_base64(secret)).collect();
    tells(text.as_bytes(), &secrets)
}
