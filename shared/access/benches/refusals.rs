//! How long a refusal takes, by its reason: `cargo bench -p access`.
//!
//! Every reason in turn, again and again, each time from another source so that nobody is locked, on a database in this
//! process. Prints for each the median and the middle half in microseconds, and the ratio of its median to that of the
//! same run's unknown user. Whoever measures from outside sees the network on top.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use access::{Access, Operator, Settings, Source, TokenRequest};
use domain::account::{AccountId, Email, TokenKind};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderValue};
use secrecy::ExposeSecret;
use store::access::operator::UserChange;

use crate::support::{PASSWORD, add_user, basic, database};

const ROUNDS: u32 = 200;
/// Not counted.
const WARM_UP: u32 = 10;

/// Credentials, and the host name they come under.
struct Presented {
    reason: &'static str,
    headers: HeaderMap,
}

fn presented(reason: &'static str, authorization: &str, host: Option<&str>) -> Presented {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).expect("a header"));
    if let Some(host) = host {
        headers.insert(HOST, HeaderValue::from_str(host).expect("a header"));
    }
    Presented { reason, headers }
}

async fn token(operator: &Operator, account: &AccountId, email: &Email, kind: TokenKind) -> String {
    let request = TokenRequest { kind, label: "bench".to_owned(), expires_at: None };
    let token = operator.create_token(account, email, request).await.expect("a token");
    token.text.expose_secret().to_owned()
}

/// Passwords first, then tokens; of each the first is what the others are compared with.
async fn refusals(operator: &Operator) -> [Vec<Presented>; 2] {
    let [acme, other] = ["acme", "other"].map(|id| AccountId::parse(id).expect("an account id"));
    for account in [&acme, &other] {
        operator.create_account(account, true, None).await.expect("an account");
    }
    let agent = add_user(operator, &acme, "agent").await;
    let inactive = add_user(operator, &acme, "inactive").await;
    let without = add_user(operator, &acme, "without").await;
    operator.clear_password(&acme, &without).await.expect("a user");
    let bearer = token(operator, &acme, &agent, TokenKind::Bearer).await;
    let api = token(operator, &acme, &agent, TokenKind::Api).await;
    let inactive_bearer = token(operator, &acme, &inactive, TokenKind::Bearer).await;
    let change = UserChange { active: Some(false), ..UserChange::default() };
    operator.change_user(&acme, &inactive, change).await.expect("a user");
    let others_host = Some("other.jobs.example.com");
    let mut unknown = bearer.clone();
    unknown.push('x');
    [
        vec![
            presented("unknown user", &basic("nobody@example.com", PASSWORD), None),
            presented("wrong password", &basic(agent.as_str(), "wrong"), None),
            presented("user without a password", &basic(without.as_str(), PASSWORD), None),
            presented("inactive user", &basic(inactive.as_str(), PASSWORD), None),
            presented("another account's host name", &basic(agent.as_str(), PASSWORD), others_host),
            presented("host name of no account", &basic(agent.as_str(), PASSWORD), Some("x.jobs.example.com")),
        ],
        vec![
            presented("unknown token", &format!("Bearer {unknown}"), None),
            presented("nonsense", "Bearer nonsense", None),
            presented("inactive user's token", &format!("Bearer {inactive_bearer}"), None),
            presented("token under another host name", &format!("Bearer {bearer}"), others_host),
            presented("another user's API token", &basic("without@example.com/token", &api), None),
            presented("API token as bearer token", &format!("Bearer {api}"), None),
        ],
    ]
}

fn quantile(sorted: &[Duration], part: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "some hundred"
    )]
    let place = (part * (sorted.len() - 1) as f64).round() as usize;
    sorted[place]
}

#[expect(clippy::print_stdout, reason = "it is what it is for")]
fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = database().await;
        let refusals = refusals(&Operator::new(store.clone())).await;
        let settings = Settings { base_domain: Some("jobs.example.com".to_owned()), ..Settings::default() };
        let access = Access::new(store, settings);
        for refusals in &refusals {
            let mut times = vec![Vec::new(); refusals.len()];
            for round in 0..ROUNDS + WARM_UP {
                for (place, presented) in refusals.iter().enumerate() {
                    let source =
                        Source::of(std::net::Ipv4Addr::from(round * 16 + u32::try_from(place).unwrap_or(0)).into());
                    let began = Instant::now();
                    let refused = access.admit(&presented.headers, source).await;
                    let time = began.elapsed();
                    assert!(matches!(refused, Err(access::Refusal::Unknown { .. })), "{}", presented.reason);
                    if round >= WARM_UP {
                        times[place].push(time);
                    }
                }
            }
            for times in &mut times {
                times.sort_unstable();
            }
            let base = quantile(&times[0], 0.5);
            println!("{:<32}{:>10}{:>20}{:>8}", "refused because of", "median µs", "middle half µs", "ratio");
            for (presented, times) in refusals.iter().zip(&times) {
                let [quarter, median, three_quarters] = [0.25, 0.5, 0.75].map(|part| quantile(times, part));
                println!(
                    "{:<32}{:>10}{:>20}{:>8.3}",
                    presented.reason,
                    median.as_micros(),
                    format!("{} – {}", quarter.as_micros(), three_quarters.as_micros()),
                    median.as_secs_f64() / base.as_secs_f64(),
                );
            }
            println!();
        }
    });
}
