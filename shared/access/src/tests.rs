//! Who is let in, who is not, and what that asks of the database.

use std::time::Duration;

use database::TestDatabase;
use domain::account::{AccountId, Email, Role, TokenKind, User};
use domain::clock::Clock;
use domain::time::Timestamp;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use store::Store;
use store::access::operator::{AccountChange, UserChange};
use tokio::sync::oneshot;

use crate::{Access, NewToken, Operator, Refusal, Settings, Source, TokenRequest};

const PASSWORD: &str = "correct horse battery";
const MINUTE: u64 = 60_000;

/// A database of its own with the accounts `acme` and `other`, each with the agent `agent@example.com`; `acme`'s has a
/// password, which the address alone leads to.
struct Scene {
    store: Store,
    operator: Operator,
    /// Dropping it ends the database.
    database: oneshot::Sender<()>,
}

fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn agent() -> Email {
    email("agent@example.com")
}

fn source(last: u8) -> Source {
    Source::of([192, 0, 2, last].into())
}

impl Scene {
    async fn start() -> Self {
        let (end, ended) = oneshot::channel::<()>();
        let database = TestDatabase::start_until("test", async { drop(ended.await) }).await;
        // At the beginning of a minute.
        let clock = Clock::manual(Timestamp::from_millis(29_448_000 * MINUTE), 7);
        let store = database.store(clock);
        let scene = Self { operator: Operator::new(store.clone()), store, database: end };
        for id in ["acme", "other"] {
            scene.operator.create_account(&account(id), true, None).await.unwrap();
            scene.add_user(id, "agent@example.com", Role::Agent).await;
        }
        scene.set_password("acme", "agent@example.com", PASSWORD).await;
        scene
    }

    async fn add_user(&self, id: &str, address: &str, role: Role) {
        let created_at = self.store.clock().now();
        let user = User { email: email(address), name: "Somebody".to_owned(), role, active: true, created_at };
        self.operator.create_user(&account(id), &user).await.unwrap();
    }

    async fn set_password(&self, id: &str, address: &str, password: &str) -> Option<AccountId> {
        let password = SecretString::from(password);
        self.operator.set_password(&account(id), &email(address), Some(password)).await.unwrap().login_of
    }

    async fn token(&self, id: &str, kind: TokenKind) -> NewToken {
        let request = TokenRequest { kind, label: "test".to_owned(), expires_at: None };
        self.operator.create_token(&account(id), &agent(), request).await.unwrap()
    }

    /// As a container that has just started.
    fn access(&self) -> Access {
        self.access_with(Settings::default())
    }

    fn access_with(&self, settings: Settings) -> Access {
        Access::new(self.store.clone(), settings)
    }

    fn advance(&self, millis: u64) {
        self.store.clock().advance(millis);
    }

    async fn disable_agent(&self, active: bool) {
        let change = UserChange { active: Some(active), ..UserChange::default() };
        self.operator.change_user(&account("acme"), &agent(), change).await.unwrap();
    }

    async fn change_account(&self, change: AccountChange) {
        self.operator.change_account(&account("acme"), change).await.unwrap();
    }
}

fn basic(user: &str, secret: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}")))
}

fn password(secret: &str) -> String {
    basic("agent@example.com", secret)
}

fn api(user: &str, token: &NewToken) -> String {
    basic(&format!("{user}/token"), token.text.expose_secret())
}

fn bearer(token: &NewToken) -> String {
    format!("Bearer {}", token.text.expose_secret())
}

fn headers(authorization: &str, host: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
    if let Some(host) = host {
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
    }
    headers
}

/// What came of a request, in a word.
async fn outcome_at(access: &Access, authorization: &str, host: Option<&str>, from: Source) -> String {
    match access.admit(&headers(authorization, host), from).await {
        Ok(admitted) => format!("{} {}", admitted.identity.account, admitted.identity.role.as_str()),
        Err(Refusal::Unknown { .. }) => "unknown".to_owned(),
        Err(Refusal::TooMany { rate_limit, .. }) => format!("too many for {} s", rate_limit.resets_in),
        Err(Refusal::Locked { retry_after_seconds, .. }) => format!("locked for {retry_after_seconds} s"),
        Err(Refusal::Unavailable { error, .. }) => format!("unavailable: {error}"),
    }
}

async fn outcome(access: &Access, authorization: &str) -> String {
    outcome_at(access, authorization, None, source(1)).await
}

#[tokio::test]
async fn each_kind_of_credentials_lets_its_own_user_in() {
    let scene = Scene::start().await;
    let (api_token, bearer_token) =
        (scene.token("acme", TokenKind::Api).await, scene.token("acme", TokenKind::Bearer).await);
    let access = scene.access();
    for good in [
        password(PASSWORD),
        basic("Agent@Example.com", PASSWORD),
        api("agent@example.com", &api_token),
        api("AGENT@example.com", &api_token),
        bearer(&bearer_token),
    ] {
        assert_eq!(outcome(&access, &good).await, "acme agent");
        // And once more, from what is remembered.
        assert_eq!(outcome(&access, &good).await, "acme agent");
    }
    scene.add_user("acme", "another@example.com", Role::Admin).await;
    for wrong in [
        password("wrong"),
        password(""),
        password(api_token.text.expose_secret()),
        basic("nobody@example.com", PASSWORD),
        basic("another@example.com", PASSWORD),
        basic("agent@example.com/token", PASSWORD),
        // Each token is of one kind and of one user.
        api("agent@example.com", &bearer_token),
        api("another@example.com", &api_token),
        bearer(&api_token),
        format!("Bearer {PASSWORD}"),
        bearer(&bearer_token).replace("sundial_acme", "sundial_other"),
        bearer(&bearer_token).replace("sundial_acme", "sundial_nobody"),
    ] {
        assert_eq!(outcome_at(&access, &wrong, None, source(2)).await, "unknown");
    }
    assert!(matches!(access.admit(&HeaderMap::new(), source(2)).await, Err(Refusal::Unknown { .. })));
}

#[tokio::test]
async fn a_role_is_the_users_own() {
    let scene = Scene::start().await;
    for role in Role::ALL {
        let address = format!("{}@example.com", role.as_str());
        if role != Role::Agent {
            scene.add_user("acme", &address, role).await;
        }
        scene.set_password("acme", &address, PASSWORD).await;
        let expected = format!("acme {}", role.as_str());
        assert_eq!(outcome(&scene.access(), &basic(&address, PASSWORD)).await, expected);
    }
}

#[tokio::test]
async fn under_an_accounts_host_name_no_other_account_is_let_in() {
    let scene = Scene::start().await;
    let login_of = scene.set_password("other", "agent@example.com", "another good password").await;
    assert_eq!(login_of, Some(account("acme")), "the operator is told that the address alone leads elsewhere");
    let [acme, other] = [scene.token("acme", TokenKind::Bearer).await, scene.token("other", TokenKind::Bearer).await];
    let settings = Settings { base_domain: Some("jobs.example.com".to_owned()), ..Settings::default() };
    let access = scene.access_with(settings);
    let acmes = [password(PASSWORD), bearer(&acme)];
    let others = [password("another good password"), bearer(&other)];
    for (host, from_acme, from_other) in [
        ("acme.jobs.example.com", "acme agent", "unknown"),
        ("ACME.jobs.example.com:443", "acme agent", "unknown"),
        ("other.jobs.example.com", "unknown", "other agent"),
        ("nobody.jobs.example.com", "unknown", "unknown"),
        ("a.acme.jobs.example.com", "unknown", "unknown"),
    ] {
        for (credentials, expected) in [(&acmes, from_acme), (&others, from_other)] {
            for authorization in credentials {
                let outcome = outcome_at(&access, authorization, Some(host), source(1)).await;
                assert_eq!(outcome, expected, "{host}");
            }
        }
    }
    // Under any other name a token says its account, and the address alone leads to the first.
    let elsewhere = Some("abc.execute-api.eu-central-1.amazonaws.com");
    for (authorization, expected) in
        [(&acmes[0], "acme agent"), (&acmes[1], "acme agent"), (&others[0], "unknown"), (&others[1], "other agent")]
    {
        assert_eq!(outcome_at(&access, authorization, elsewhere, source(2)).await, expected);
    }
}

#[tokio::test]
async fn what_the_operator_takes_away_is_gone_once_nobody_remembers_it() {
    let scene = Scene::start().await;
    let token = scene.token("acme", TokenKind::Bearer).await;
    let access = scene.access();
    for credentials in [password(PASSWORD), bearer(&token)] {
        assert_eq!(outcome(&access, &credentials).await, "acme agent");
    }
    scene.disable_agent(false).await;
    scene.advance(MINUTE - 1);
    for credentials in [password(PASSWORD), bearer(&token)] {
        assert_eq!(outcome(&access, &credentials).await, "acme agent", "it is remembered for a minute");
    }
    scene.advance(1);
    for credentials in [password(PASSWORD), bearer(&token)] {
        assert_eq!(outcome(&access, &credentials).await, "unknown", "and no longer");
    }
    scene.disable_agent(true).await;

    let fresh = async || {
        let access = scene.access();
        (outcome(&access, &password(PASSWORD)).await, outcome(&access, &bearer(&token)).await)
    };
    let both = |first: &str, second: &str| (first.to_owned(), second.to_owned());
    assert_eq!(fresh().await, both("acme agent", "acme agent"));
    scene.change_account(AccountChange { password_access: Some(false), ..AccountChange::default() }).await;
    assert_eq!(fresh().await, both("unknown", "acme agent"));
    let change = AccountChange { active: Some(false), password_access: Some(true), ..AccountChange::default() };
    scene.change_account(change).await;
    assert_eq!(fresh().await, both("unknown", "unknown"));
    scene.change_account(AccountChange { active: Some(true), ..AccountChange::default() }).await;
    assert_eq!(fresh().await, both("acme agent", "acme agent"));
    scene.operator.clear_password(&account("acme"), &agent()).await.unwrap();
    scene.operator.revoke_token(&account("acme"), &Operator::id_of(&token.token)).await.unwrap();
    assert_eq!(fresh().await, both("unknown", "unknown"));
    // The address is free for another account's password.
    assert_eq!(scene.set_password("other", "agent@example.com", PASSWORD).await, None);
    assert_eq!(fresh().await.0, "other agent");
}

#[tokio::test]
async fn a_token_ends_to_the_millisecond_even_where_it_is_remembered() {
    let scene = Scene::start().await;
    let ends = scene.store.clock().now().plus_millis(10_000);
    let request = TokenRequest { kind: TokenKind::Bearer, label: "short".to_owned(), expires_at: Some(ends) };
    let short = scene.operator.create_token(&account("acme"), &agent(), request).await.unwrap();
    let old = scene.token("acme", TokenKind::Bearer).await;
    let id = Operator::id_of(&old.token);
    let new = scene.operator.rotate_token(&account("acme"), &id, ends, None).await.unwrap();
    let access = scene.access();
    scene.advance(9_999);
    for token in [&short, &old, &new] {
        assert_eq!(outcome(&access, &bearer(token)).await, "acme agent");
    }
    scene.advance(1);
    for (token, expected) in [(&short, "unknown"), (&old, "unknown"), (&new, "acme agent")] {
        assert_eq!(outcome(&access, &bearer(token)).await, expected);
    }
    assert!(scene.operator.rotate_token(&account("acme"), &id, ends, None).await.is_err());
}

#[tokio::test]
async fn the_day_of_a_tokens_last_use_is_noted_once() {
    let scene = Scene::start().await;
    let token = scene.token("acme", TokenKind::Bearer).await;
    let last_used = async || scene.operator.tokens(&account("acme")).await.unwrap()[0].last_used_on;
    assert_eq!(last_used().await, None);
    let access = scene.access();
    outcome(&access, &bearer(&token)).await;
    let day = 24 * 60 * MINUTE;
    let today = scene.store.clock().now().as_millis() / day * day;
    assert_eq!(last_used().await, Some(Timestamp::from_millis(today)));
    scene.advance(day);
    outcome(&access, &bearer(&token)).await;
    assert_eq!(last_used().await, Some(Timestamp::from_millis(today + day)));
}

/// So that neither the database's bill nor the time tells why somebody is refused: each way to be wrong reads and writes
/// as much. That each hashes once is seen by `tests/hashes.rs`; `cargo bench -p access` measures both.
#[tokio::test]
async fn every_refusal_asks_the_database_the_same() {
    let scene = Scene::start().await;
    let token = scene.token("acme", TokenKind::Bearer).await;
    let api_token = scene.token("acme", TokenKind::Api).await;
    scene.add_user("acme", "inactive@example.com", Role::Agent).await;
    scene.set_password("acme", "inactive@example.com", PASSWORD).await;
    let inactive = UserChange { active: Some(false), ..UserChange::default() };
    scene.operator.change_user(&account("acme"), &email("inactive@example.com"), inactive).await.unwrap();
    scene.add_user("acme", "tokens@example.com", Role::Agent).await;
    let settings = Settings { base_domain: Some("jobs.example.com".to_owned()), ..Settings::default() };
    let access = scene.access_with(settings);

    let mut asked = Vec::new();
    let wrong_passwords = [
        (password("wrong"), None),
        (basic("nobody@example.com", PASSWORD), None),
        (basic("inactive@example.com", PASSWORD), None),
        (basic("tokens@example.com", PASSWORD), None),
        (password(PASSWORD), Some("other.jobs.example.com")),
        (password(PASSWORD), Some("nobody.jobs.example.com")),
        (password(PASSWORD), Some("a.b.jobs.example.com")),
    ];
    let wrong_tokens = [
        (bearer(&api_token), None),
        (bearer(&token).replace("acme_", "acme_x"), None),
        (bearer(&token).replace("acme_", "nobody_"), None),
        ("Bearer nonsense".to_owned(), None),
        (bearer(&token), Some("other.jobs.example.com")),
        (api("nobody@example.com", &api_token), None),
        (api("tokens@example.com", &api_token), None),
    ];
    for (number, wrong) in [&wrong_passwords[..], &wrong_tokens[..]].into_iter().enumerate() {
        for (last, (authorization, host)) in (10..).zip(wrong) {
            let before = scene.store.meter().read();
            assert_eq!(outcome_at(&access, authorization, *host, source(last)).await, "unknown", "{last}");
            let used = scene.store.meter().read() - before;
            asked.push((number, used.reads.requests, used.writes.requests));
        }
    }
    let kinds: std::collections::BTreeSet<_> = asked.iter().copied().collect();
    assert_eq!(kinds.len(), 2, "{asked:?}");
}

#[tokio::test]
async fn guessing_gets_slower_and_locks_nobody_else() {
    let scene = Scene::start().await;
    let token = scene.token("acme", TokenKind::Bearer).await;
    let access = scene.access();
    for _ in 0..7 {
        assert_eq!(outcome(&access, &password("guess")).await, "unknown");
        // The sixth has to wait for a second, and each one after it twice as long as the one before.
        scene.advance(1_000);
    }
    assert_eq!(outcome(&access, &password("guess")).await, "locked for 1 s");
    scene.advance(1_000);
    assert_eq!(outcome(&access, &password("guess")).await, "unknown");
    // Now even the right password has to wait there, in every container,
    for access in [&access, &scene.access()] {
        assert_eq!(outcome(access, &password(PASSWORD)).await, "locked for 4 s");
    }
    // somebody who is not there is locked just so,
    for (attempt, expected) in (0..8).zip(["unknown"; 6].iter().chain(&["locked for 1 s"; 2])) {
        let outcome = outcome(&access, &basic("nobody@example.com", "guess")).await;
        assert_eq!(&outcome, expected, "{attempt}");
    }
    // and nobody else: not from elsewhere, not with a token, not who is remembered.
    assert_eq!(outcome_at(&access, &password(PASSWORD), None, source(2)).await, "acme agent");
    assert_eq!(outcome(&access, &bearer(&token)).await, "acme agent");
    assert_eq!(outcome(&access, &password(PASSWORD)).await, "acme agent");
    // The right password in time makes all good.
    let access = scene.access();
    scene.advance(4_000);
    assert_eq!(outcome(&access, &password(PASSWORD)).await, "acme agent");
    for _ in 0..5 {
        assert_eq!(outcome(&access, &password("guess")).await, "unknown");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_one_moment_are_counted_one_by_one() {
    let scene = Scene::start().await;
    // Containers of their own: nothing but the database tells one from another.
    let guesses: Vec<_> = (0..12)
        .map(|guess| {
            let access = scene.access();
            tokio::spawn(async move { outcome(&access, &password(&format!("guess {guess}"))).await })
        })
        .collect();
    let mut tried = 0;
    for guess in guesses {
        tried += usize::from(guess.await.unwrap() == "unknown");
    }
    assert_eq!(tried, 6, "the clock stands still, so nobody may try after the first who has to wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_crowd_with_one_password_is_not_taken_for_guessers() {
    let scene = Scene::start().await;
    let crowd: Vec<_> = (0..8)
        .map(|_| {
            let access = scene.access();
            tokio::spawn(async move { outcome(&access, &password(PASSWORD)).await })
        })
        .collect();
    for member in crowd {
        assert_eq!(member.await.unwrap(), "acme agent");
    }
}

#[tokio::test]
async fn a_source_that_only_fails_is_not_looked_up_for_ever() {
    let scene = Scene::start().await;
    let token = scene.token("acme", TokenKind::Bearer).await;
    let access = scene.access_with(Settings { requests_per_minute: 3, ..Settings::default() });
    assert_eq!(outcome(&access, &bearer(&token)).await, "acme agent");
    for _ in 0..3 {
        assert_eq!(outcome(&access, "Bearer nonsense").await, "unknown");
    }
    let before = scene.store.meter().read();
    assert_eq!(outcome(&access, "Bearer nonsense").await, "locked for 60 s");
    let used = scene.store.meter().read() - before;
    assert_eq!(used.requests(), 0);
    assert_eq!(outcome_at(&access, "Bearer nonsense", None, source(2)).await, "unknown");
    assert_eq!(outcome(&access, &bearer(&token)).await, "acme agent", "who is remembered is not asked again");
    scene.advance(MINUTE);
    assert_eq!(outcome(&access, "Bearer nonsense").await, "unknown");
}

/// Behind one address there may be somebody who tries everything, and a whole office.
#[tokio::test]
async fn a_good_token_is_let_in_whatever_its_neighbours_tried() {
    let scene = Scene::start().await;
    let bearer_token = scene.token("acme", TokenKind::Bearer).await;
    let api_token = scene.token("acme", TokenKind::Api).await;
    let good = [bearer(&bearer_token), api("agent@example.com", &api_token)];
    let wrong = bearer(&bearer_token).replace("acme_", "acme_x");
    let access = scene.access_with(Settings { requests_per_minute: 100, ..Settings::default() });
    for number in 0..100 {
        let tried = if number % 2 == 0 { "Bearer nonsense" } else { &wrong };
        assert_eq!(outcome(&access, tried).await, "unknown");
    }
    // Neither is remembered yet, and both get in;
    for good in &good {
        assert_eq!(outcome(&access, good).await, "acme agent");
    }
    // what is wrong waits, for as long as before, however well it is spelled; and so does a password, which costs a hash.
    for wrong in [&wrong, "Bearer nonsense", &password("wrong"), &password(PASSWORD)] {
        assert_eq!(outcome(&access, wrong).await, "locked for 60 s", "{wrong}");
    }
    let before = scene.store.meter().read();
    assert_eq!(outcome(&access, &wrong).await, "locked for 60 s");
    let used = scene.store.meter().read() - before;
    assert_eq!((used.reads.requests, used.writes.requests), (2, 0), "what a stranger's request costs then");
}

/// How many requests are admitted, and what each said was left.
async fn admitted(access: &Access, authorization: &str, requests: u32) -> (usize, Vec<u32>) {
    let mut left = Vec::new();
    for _ in 0..requests {
        match access.admit(&headers(authorization, None), source(1)).await {
            Ok(admitted) => left.push(admitted.rate_limit.remaining),
            Err(Refusal::TooMany { rate_limit, .. }) => assert_eq!((rate_limit.remaining, rate_limit.limit), (0, 50)),
            Err(other) => panic!("{other:?}"),
        }
    }
    (left.len(), left)
}

#[tokio::test]
async fn one_container_rations_exactly_and_cheaply() {
    let scene = Scene::start().await;
    let token = bearer(&scene.token("acme", TokenKind::Bearer).await);
    let access = scene.access_with(Settings { requests_per_minute: 50, ..Settings::default() });
    assert_eq!(admitted(&access, &token, 1).await, (1, vec![49]));
    let before = scene.store.meter().read();
    let (count, left) = admitted(&access, &token, 60).await;
    assert_eq!((count, left), (49, (0..49).rev().collect()));
    let used = scene.store.meter().read() - before;
    assert_eq!(
        (used.reads.requests, used.writes.requests),
        (0, 8),
        "1, 2, 4, 8, 10, 10, 10, 10 requests, and none once nothing is left"
    );
    assert_eq!(outcome(&access, &token).await, "too many for 60 s");
    scene.advance(MINUTE - 1);
    assert_eq!(outcome(&access, &token).await, "too many for 1 s");
    scene.advance(1);
    assert_eq!(admitted(&access, &token, 60).await.0, 50);
}

#[tokio::test]
async fn many_containers_never_admit_too_many_and_at_most_a_handful_each_too_few() {
    let scene = Scene::start().await;
    let token = bearer(&scene.token("acme", TokenKind::Bearer).await);
    let containers: Vec<_> =
        (0..4).map(|_| scene.access_with(Settings { requests_per_minute: 50, ..Settings::default() })).collect();
    let mut count = 0;
    // Each answers one request after the other, until every one refuses.
    for _ in 0..50 {
        for container in &containers {
            count += admitted(container, &token, 1).await.0;
        }
    }
    assert!((50 - 3 * 10..=50).contains(&count), "{count}");
    assert_eq!(count, 50, "in turns nothing is left over");
    // One that takes a handful and then falls silent costs the others no more than that.
    scene.advance(MINUTE);
    assert_eq!(admitted(&containers[0], &token, 8).await.0, 8);
    let (rest, _) = admitted(&containers[1], &token, 60).await;
    assert!((50 - 8 - 10..=50 - 8).contains(&rest), "{rest}");
}

#[tokio::test]
async fn an_account_may_have_a_limit_of_its_own() {
    let scene = Scene::start().await;
    let token = bearer(&scene.token("other", TokenKind::Bearer).await);
    let change = AccountChange { requests_per_minute: Some(Some(50)), ..AccountChange::default() };
    scene.operator.change_account(&account("other"), change).await.unwrap();
    assert_eq!(admitted(&scene.access(), &token, 60).await.0, 50);
    let change = AccountChange { requests_per_minute: Some(None), ..AccountChange::default() };
    scene.operator.change_account(&account("other"), change).await.unwrap();
    let admitted = scene.access().admit(&headers(&token, None), source(1)).await.unwrap();
    assert_eq!(admitted.rate_limit.limit, 700);
}

#[tokio::test]
async fn without_its_row_a_container_counts_for_itself_and_refuses_nobody_before_its_limit() {
    let scene = Scene::start().await;
    let token = bearer(&scene.token("acme", TokenKind::Bearer).await);
    let access = scene.access_with(Settings { requests_per_minute: 50, ..Settings::default() });
    assert_eq!(admitted(&access, &token, 1).await.0, 1);
    // From now on there is no database.
    let Scene { store, database, .. } = scene;
    drop(database);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (count, left) = admitted(&access, &token, 60).await;
    assert_eq!((count, left[0]), (49, 48));
    assert!(matches!(access.admit(&headers("Bearer x", None), source(1)).await, Err(Refusal::Unavailable { .. })));
    store.clock().advance(MINUTE - 1);
    assert_eq!(outcome(&access, &token).await, "too many for 1 s");
}
