//! Who gets what: every route and method, for every role, kind of credentials and host name.

use std::collections::BTreeMap;
use std::sync::Arc;

use access::{Operator, TokenRequest};
use domain::account::{AccountId, Email, Role, TokenKind, User};
use domain::clock::Clock;
use futures_util::StreamExt;
use reqwest::Method;
use secrecy::ExposeSecret;
use store::access::PasswordHash;
use store::access::operator::{AccountChange, UserChange};
use tests::{Answer, BASE, ROUTES, answer};

use crate::home::{Home, fresh_name, keep_secret};

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// Requests under way at the same time.
const AT_ONCE: usize = 16;
/// A password whose hash takes next to no time, as a password's hash names its own parameters. Hashes that cost what they should are
/// made and compared for one route and method of each caller: for all, they were two thirds of this table's work.
const CHEAP_PASSWORD: &str = "a cheap password";
const CHEAP_HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$9/DExnjUN20o7g8mJgO2RJ5CQKqzSx+U8uOhNtKHsEU";
/// What the homes of this suite serve accounts under.
const BASE_DOMAIN: &str = "sundial.test";

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Caller {
    Admin,
    Agent,
    EndUser,
    /// An agent who is disabled.
    Inactive,
    /// An agent of an account that is disabled.
    OfInactiveAccount,
    /// An agent with wrong credentials.
    Mistaken,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    None,
    Password,
    Api,
    Bearer,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HostName {
    /// The gateway's own.
    Neutral,
    Own,
    Others,
    Nobodys,
}

#[derive(Clone, Debug)]
struct Cell {
    path: &'static str,
    /// The methods that the path has.
    methods: &'static [&'static str],
    method: &'static str,
    caller: Caller,
    kind: Kind,
    host: HostName,
}

impl Cell {
    /// The documented answer: nobody learns anything before it is known who asks; then comes whether there is such a route,
    /// then the role, and then what the route says.
    fn expected(&self) -> u16 {
        let known = self.kind != Kind::None
            && matches!(self.caller, Caller::Admin | Caller::Agent | Caller::EndUser)
            && matches!(self.host, HostName::Neutral | HostName::Own);
        let has_method =
            |method: &str| self.methods.contains(&method) || (method == "HEAD" && self.methods.contains(&"GET"));
        match () {
            () if !known => 401,
            () if !has_method(self.method) => 405,
            () if self.caller == Caller::EndUser => 403,
            () => of_an_agent(self.method, self.path),
        }
    }
}

/// What an agent is answered who sends no body and names what is not there.
fn of_an_agent(method: &str, path: &str) -> u16 {
    match (method, path) {
        // Lists.
        ("GET" | "HEAD", "/jobs" | "/limits" | "/objects/types" | "/relationships/types") => 200,
        // A list or a deletion that has to be told what of, and bodies that are not there.
        ("GET" | "HEAD", "/objects/records" | "/relationships/records")
        | ("DELETE", "/objects/records")
        | (
            "POST",
            "/jobs"
            | "/objects/types"
            | "/objects/records"
            | "/objects/query"
            | "/relationships/types"
            | "/relationships/records",
        )
        | ("PUT" | "PATCH", "/objects/types/{key}" | "/objects/records" | "/objects/records/{id}") => 400,
        _ => 404,
    }
}

/// Users of every kind, of an account that is this test's own. Of those whose passwords are refused there are as many as there are routes
/// and methods: nobody's password is wrong more often than is free.
struct People {
    account: AccountId,
    inactive_account: AccountId,
    /// The `Authorization` of each, by caller and kind; a mistaken one's and those of passwords by number too.
    tokens: BTreeMap<(Caller, &'static str), String>,
    passwords: BTreeMap<(Caller, usize), String>,
}

fn role_of(caller: Caller) -> Role {
    match caller {
        Caller::Admin => Role::Admin,
        Caller::EndUser => Role::EndUser,
        _ => Role::Agent,
    }
}

fn basic(user: &str, secret: &str) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}"));
    keep_secret(&encoded);
    keep_secret(secret);
    format!("Basic {encoded}")
}

impl People {
    async fn make(home: &Home, numbers: usize) -> Self {
        let operator = Operator::new(home.store_at(Clock::system()));
        let [account, inactive_account] =
            ["access", "closed"].map(|name| AccountId::parse(&fresh_name(name)).expect("an account id"));
        for id in [&account, &inactive_account] {
            operator.create_account(id, true, Some(1_000_000)).await.expect("an account");
        }
        let mut people = Self { account, inactive_account, tokens: BTreeMap::new(), passwords: BTreeMap::new() };
        for caller in [
            Caller::Admin,
            Caller::Agent,
            Caller::EndUser,
            Caller::Inactive,
            Caller::OfInactiveAccount,
            Caller::Mistaken,
        ] {
            people.add_tokens(&operator, caller).await;
            for number in 0..numbers {
                people.add_password(home, &operator, caller, number).await;
            }
        }
        let change = AccountChange { active: Some(false), ..AccountChange::default() };
        operator.change_account(&people.inactive_account, change).await.expect("the account");
        people
    }

    fn account_of(&self, caller: Caller) -> &AccountId {
        if caller == Caller::OfInactiveAccount { &self.inactive_account } else { &self.account }
    }

    async fn add_user(&self, operator: &Operator, caller: Caller, name: &str) -> Email {
        let account = self.account_of(caller);
        let email = Email::parse(&format!("{caller:?}-{name}@{account}.test")).expect("an address");
        let created_at = Clock::system().now();
        let user =
            User { email: email.clone(), name: name.to_owned(), role: role_of(caller), active: true, created_at };
        operator.create_user(account, &user).await.expect("a user");
        email
    }

    async fn disable(&self, operator: &Operator, caller: Caller, email: &Email) {
        if caller == Caller::Inactive {
            let change = UserChange { active: Some(false), ..UserChange::default() };
            operator.change_user(self.account_of(caller), email, change).await.expect("the user");
        }
    }

    async fn add_tokens(&mut self, operator: &Operator, caller: Caller) {
        let email = self.add_user(operator, caller, "tokens").await;
        for kind in TokenKind::ALL {
            let request = TokenRequest { kind, label: "table".to_owned(), expires_at: None };
            let token = operator.create_token(self.account_of(caller), &email, request).await.expect("a token");
            let text = token.text.expose_secret();
            keep_secret(text);
            let text = if caller == Caller::Mistaken { format!("{text}x") } else { text.to_owned() };
            let authorization = match kind {
                TokenKind::Api => basic(&format!("{email}/token"), &text),
                TokenKind::Bearer => format!("Bearer {text}"),
            };
            self.tokens.insert((caller, kind.as_str()), authorization);
        }
        self.disable(operator, caller, &email).await;
    }

    async fn add_password(&mut self, home: &Home, operator: &Operator, caller: Caller, number: usize) {
        let email = self.add_user(operator, caller, &number.to_string()).await;
        let account = self.account_of(caller);
        let mut password = CHEAP_PASSWORD.to_owned();
        if number > 0 {
            let (rows, hash) = (home.store_at(Clock::system()).access, PasswordHash(CHEAP_HASH.to_owned()));
            rows.set_password(account, &email, &hash).await.expect("a password");
        } else if caller != Caller::Mistaken {
            let set = operator.set_password(account, &email, None).await.expect("a password");
            set.text.expose_secret().clone_into(&mut password);
        }
        // Without a password, as the first of them is, every password is wrong.
        let password = if caller == Caller::Mistaken { "a wrong password" } else { &password };
        self.disable(operator, caller, &email).await;
        self.passwords.insert((caller, number), basic(email.as_str(), password));
    }

    fn authorization(&self, cell: &Cell, number: usize) -> Option<&str> {
        let found = match cell.kind {
            Kind::None => return None,
            Kind::Password => self.passwords.get(&(cell.caller, number)),
            Kind::Api => self.tokens.get(&(cell.caller, "api")),
            Kind::Bearer => self.tokens.get(&(cell.caller, "bearer")),
        };
        Some(found.expect("credentials"))
    }

    fn host(&self, cell: &Cell) -> Option<String> {
        let label = match cell.host {
            HostName::Neutral => return None,
            HostName::Own => self.account_of(cell.caller).as_str(),
            HostName::Others if cell.caller == Caller::OfInactiveAccount => self.account.as_str(),
            HostName::Others => self.inactive_account.as_str(),
            HostName::Nobodys => "no.account",
        };
        Some(format!("{label}.{BASE_DOMAIN}"))
    }
}

fn cells() -> Vec<(usize, Cell)> {
    let callers =
        [Caller::Admin, Caller::Agent, Caller::EndUser, Caller::Inactive, Caller::OfInactiveAccount, Caller::Mistaken];
    let hosts = [HostName::Neutral, HostName::Own, HostName::Others, HostName::Nobodys];
    let mut cells = Vec::new();
    let mut number = 0;
    for (path, methods) in ROUTES {
        for method in METHODS {
            for host in hosts {
                let cell = Cell { path, methods, method, caller: Caller::Agent, kind: Kind::None, host };
                cells.push((number, cell.clone()));
                for caller in callers {
                    for kind in [Kind::Password, Kind::Api, Kind::Bearer] {
                        cells.push((number, Cell { caller, kind, ..cell.clone() }));
                    }
                }
            }
            number += 1;
        }
    }
    cells
}

fn check(cell: &Cell, answer: &Answer) {
    let status = cell.expected();
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, status, "{cell:?}: {body}");
    let is_number = |name: &str| answer.header(name).is_some_and(|value| value.parse::<u32>().is_ok());
    assert!(is_number("x-rate-limit") && is_number("x-rate-limit-remaining"), "{cell:?}: {:?}", answer.headers);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{cell:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{cell:?}");
    assert_eq!(answer.header("www-authenticate"), (status == 401).then_some("Basic"), "{cell:?}");
    let mut allow: Vec<&str> = answer.header("allow").into_iter().flat_map(|allow| allow.split(',')).collect();
    allow.sort_unstable();
    let mut expected = if status == 405 { cell.methods.to_vec() } else { Vec::new() };
    if expected.contains(&"GET") {
        expected.push("HEAD");
    }
    expected.sort_unstable();
    assert_eq!(allow, expected, "{cell:?}");
    if cell.method == "HEAD" {
        return;
    }
    let code = match status {
        401 => {
            assert_eq!(body, r#"{"error":"Couldn't authenticate you"}"#, "{cell:?}");
            return;
        }
        200 => return,
        400 => "BadRequest",
        403 => "Forbidden",
        404 => "NotFound",
        _ => "MethodNotAllowed",
    };
    assert_eq!(answer.error(status).0, code, "{cell:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_cell_of_the_table_has_its_documented_answer() {
    let home = Arc::new(Home::start().await);
    let cells = cells();
    let people = Arc::new(People::make(&home, ROUTES.len() * METHODS.len()).await);
    let count = cells.len();
    let checked = futures_util::stream::iter(cells)
        .map(|(number, cell)| {
            let (home, people) = (Arc::clone(&home), Arc::clone(&people));
            async move {
                let path = cell
                    .path
                    .replace("{id}", "0190163d-8694-7000-8000-000000000000")
                    .replace("{key}", "nothing")
                    .replace("{type}", "nothing");
                let method: Method = cell.method.parse().expect("a method");
                let mut request = home.request(method, &format!("{BASE}{path}"));
                if let Some(authorization) = people.authorization(&cell, number) {
                    request = request.header("authorization", authorization);
                }
                if let Some(host) = people.host(&cell) {
                    request = request.header("host", host);
                }
                check(&cell, &answer(request).await);
            }
        })
        .buffer_unordered(AT_ONCE)
        .count()
        .await;
    assert_eq!(checked, count);
    eprintln!("{count} cells");
    Arc::into_inner(home).expect("nobody else").stop().await;
}

/// What the operator takes away is gone within the time that the home remembers credentials.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_lets_nobody_in() {
    let home = Home::start().await;
    let acme = home.agent().await;
    let operator = Operator::new(home.store_at(Clock::system()));
    assert_eq!(acme.get("/jobs").await.status, 200);
    let token = operator.tokens(&acme.account).await.expect("tokens").remove(0);
    assert!(token.last_used_on.is_some());
    operator.revoke_token(&acme.account, &Operator::id_of(&token.token)).await.expect("the token");
    let since = std::time::Instant::now();
    while acme.get("/jobs").await.status != 401 {
        assert!(since.elapsed() < home.remembered_for() * 2 + tests::PATIENCE / 10, "it is still let in");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    home.stop().await;
}

/// An account that has used up its minute is told when to come back; another one is not disturbed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_over_its_limit_is_told_when_to_come_back() {
    const LIMIT: u32 = 20;
    let home = Home::start().await;
    let (acme, other) = (home.agent().await, home.agent().await);
    let operator = Operator::new(home.store_at(Clock::system()));
    let change = AccountChange { requests_per_minute: Some(Some(LIMIT)), ..AccountChange::default() };
    operator.change_account(&acme.account, change).await.expect("the account");
    let mut admitted = 0;
    // More than two minutes' worth, should one end in between; and containers may have taken some that they do not use.
    let refused = loop {
        let answer = acme.get("/jobs").await;
        if answer.status == 429 {
            break answer;
        }
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-rate-limit"), Some("20"));
        admitted += 1;
        assert!(admitted <= 2 * LIMIT, "too many are admitted");
    };
    let (code, detail) = refused.error(429);
    assert_eq!(code, "TooManyRequests");
    assert!(detail.contains("20 requests a minute"), "{detail}");
    assert_eq!(refused.json()["errors"][0]["message"], detail);
    assert_eq!(refused.header("x-rate-limit-remaining"), Some("0"));
    let retry_after: u32 = refused.header("retry-after").and_then(|it| it.parse().ok()).expect("seconds");
    assert!((1..=60).contains(&retry_after), "{retry_after}");
    assert_eq!(other.get("/jobs").await.status, 200);
    home.stop().await;
}
