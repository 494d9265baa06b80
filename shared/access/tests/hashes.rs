//! One password, one hash: whoever is refused has had as much computed as whoever gave a wrong password.
//!
//! Hashing takes nearly all of the CPU time of a refusal, so that of the whole process tells how often it was done. This is the one
//! test of its program: no other is in the way.

mod support;

use std::net::Ipv4Addr;
use std::time::Duration;

use access::{Access, Operator, Refusal, Settings, Source};
use domain::account::AccountId;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST};
use rustix::time::{ClockId, clock_gettime};
use store::access::operator::UserChange;

use crate::support::{PASSWORD, add_user, basic, database};

fn process_time() -> Duration {
    let at = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(at.tv_sec.unsigned_abs(), u32::try_from(at.tv_nsec).unwrap_or_default())
}

/// The CPU time of being refused with these headers: the least of five, each from another source so that none is locked.
async fn refused(access: &Access, authorization: &str, host: Option<&str>, sources: &mut u32) -> Duration {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, authorization.parse().expect("a header"));
    if let Some(host) = host {
        headers.insert(HOST, host.parse().expect("a header"));
    }
    let mut least = Duration::MAX;
    for _ in 0..5 {
        *sources += 1;
        let source = Source::of(Ipv4Addr::from(*sources).into());
        let began = process_time();
        let answer = access.admit(&headers, source).await;
        least = least.min(process_time().saturating_sub(began));
        assert!(matches!(answer, Err(Refusal::Unknown { .. })), "{authorization}");
    }
    least
}

#[tokio::test]
async fn every_refused_password_is_hashed_once_and_a_token_never() {
    let store = database().await;
    let operator = Operator::new(store.clone());
    let acme = AccountId::parse("acme").expect("an account id");
    operator.create_account(&acme, true, None).await.expect("an account");
    let agent = add_user(&operator, &acme, "agent").await;
    let inactive = add_user(&operator, &acme, "inactive").await;
    let change = UserChange { active: Some(false), ..UserChange::default() };
    operator.change_user(&acme, &inactive, change).await.expect("a user");
    let without = add_user(&operator, &acme, "without").await;
    operator.clear_password(&acme, &without).await.expect("a user");
    let settings = Settings { base_domain: Some("jobs.example.com".to_owned()), ..Settings::default() };
    let access = Access::new(store, settings);

    let mut sources = 0;
    let wrong = refused(&access, &basic(agent.as_str(), "wrong"), None, &mut sources).await;
    for (reason, user, host) in [
        ("nobody", "nobody@example.com", None),
        ("inactive", inactive.as_str(), None),
        ("without a password", without.as_str(), None),
        ("a host name of no account", agent.as_str(), Some("nobody.jobs.example.com")),
    ] {
        let time = refused(&access, &basic(user, PASSWORD), host, &mut sources).await;
        assert!(time * 2 > wrong && time < wrong * 2, "{reason}: {time:?}, and a wrong password {wrong:?}");
    }
    let token = refused(&access, "Bearer sundial_acme_nonsense", None, &mut sources).await;
    assert!(token * 2 < wrong, "a token: {token:?}, and a wrong password {wrong:?}");
}
