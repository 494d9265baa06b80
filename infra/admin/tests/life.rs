//! What an operator does in the life of an account, and who is let in meanwhile.

mod deployment;

use std::time::Duration;

use domain::account::Role;
use serde_json::{Value, json};

use crate::deployment::{Deployment, basic, bearer, output_of, program};

/// An account that takes passwords, with one agent.
fn deployment() -> Deployment {
    let deployment = Deployment::start();
    deployment.json("account create acme --password-access");
    deployment.json("user create acme Ann@Example.com --name Ann");
    deployment
}

fn text<'value>(value: &'value Value, name: &str) -> &'value str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value}"))
}

#[track_caller]
fn check_failure(deployment: &Deployment, line: &str, code: i32, word: &str) {
    let said = deployment.run(line);
    assert_eq!((said.code, said.stdout.as_str()), (code, ""), "{line}: {said:?}");
    assert!(said.stderr.starts_with("sundial-admin: ") && said.stderr.lines().count() == 1, "{line}: {said:?}");
    let said = deployment.run(&format!("{line} --output json"));
    assert_eq!((said.code, said.stdout.as_str()), (code, ""), "{line}: {said:?}");
    let error: Value = serde_json::from_str(&said.stderr).expect("JSON");
    assert_eq!(error["error"]["code"], word, "{line}");
}

#[test]
fn an_account_is_made_changed_and_disabled() {
    let deployment = Deployment::start();
    assert_eq!(deployment.json("account list"), json!({"accounts": []}));
    let made = deployment.json("account create acme --requests-per-minute 100");
    let created_at = text(&made, "created_at");
    let acme = |active: bool, password_access: bool, requests: Option<u32>| {
        json!({
            "account": "acme",
            "active": active,
            "password_access": password_access,
            "requests_per_minute": requests,
            "created_at": created_at,
        })
    };
    assert_eq!(made, acme(true, false, Some(100)));
    let set = deployment.json("account set acme --password-access on --requests-per-minute default");
    assert_eq!(set, with_limits(acme(true, true, None), 1_000_000, 1_000_000));
    let set = deployment.json("account set acme --password-access off --resources 25000000 --relationships 0");
    assert_eq!(set, with_limits(acme(true, false, None), 25_000_000, 0));
    let set = deployment.json("account set acme --resources default");
    assert_eq!(set, with_limits(acme(true, false, None), 1_000_000, 0));
    deployment.json("account set acme --relationships default");
    check_failure(&deployment, "account set nobody --resources 7", 3, "no_account");
    assert_eq!(deployment.json("account disable acme"), acme(false, false, None));
    // Once more does no harm.
    assert_eq!(deployment.json("account disable acme"), acme(false, false, None));
    let shown = with_limits(acme(false, false, None), 1_000_000, 1_000_000);
    assert_eq!(deployment.json("account show acme"), shown);
    assert_eq!(deployment.json("account enable acme"), acme(true, false, None));
    deployment.json("account create 2nd");
    let listed = deployment.json("account list");
    let ids: Vec<_> = listed["accounts"].as_array().unwrap().iter().map(|account| &account["account"]).collect();
    assert_eq!(ids, ["2nd", "acme"]);

    let said = deployment.run("account show acme");
    let lines = ["account: acme", "active: yes", "password access: no", "requests per minute: default"];
    assert_eq!(said.stdout.lines().take(4).collect::<Vec<_>>(), lines);
    let said = deployment.run("account list");
    assert!(said.stdout.starts_with("ACCOUNT  ACTIVE  PASSWORD ACCESS  REQUESTS PER MINUTE  CREATED AT\n"), "{said:?}");
}

fn with_limits(mut account: Value, resources: u64, relationships: u64) -> Value {
    account["most_resources"] = json!(resources);
    account["most_relationships"] = json!(relationships);
    account
}

#[test]
fn counts_that_are_wrong_are_mended() {
    let deployment = deployment();
    let recounted = |resources: i64, resources_off: i64, relationships: i64, relationships_off: i64| {
        json!({
            "account": "acme",
            "resources": resources,
            "resources_mended_by": resources_off,
            "relationships": relationships,
            "relationships_mended_by": relationships_off,
        })
    };
    assert_eq!(deployment.json("recount acme"), recounted(0, 0, 0, 0));
    // Two products and a relationship that nobody counted, as an earlier release left them, and counts of what is not there.
    deployment.write_uncounted_records("acme");
    assert_eq!(deployment.json("recount acme"), recounted(2, 2, 1, 1));
    assert_eq!(deployment.json("recount acme"), recounted(2, 0, 1, 0));
    deployment.miscount("acme", 5, -7);
    assert_eq!(deployment.json("recount acme"), recounted(2, -5, 1, 7));
    check_failure(&deployment, "recount nobody", 3, "no_account");
    deployment.hold_a_slot("acme");
    check_failure(&deployment, "recount acme --wait 0s", 1, "busy");
}

#[test]
fn a_user_is_made_changed_and_disabled() {
    let deployment = deployment();
    let ann = &deployment.json("user list acme")["users"][0];
    let expected = json!({
        "account": "acme",
        "email": "ann@example.com",
        "name": "Ann",
        "role": "agent",
        "active": true,
        "has_password": false,
        "created_at": ann["created_at"],
    });
    assert_eq!(ann, &expected);
    let changed = deployment.json("user set acme ann@example.com --name Anna --role admin");
    assert_eq!((&changed["name"], &changed["role"]), (&json!("Anna"), &json!("admin")));
    assert_eq!(deployment.json("user set acme ann@example.com --role agent")["name"], "Anna");
    assert_eq!(deployment.json("user create acme bob@example.com --role end_user")["name"], "");

    let token = deployment.json("token create acme ann@example.com --kind bearer");
    let sent = bearer(text(&token, "secret"));
    assert!(deployment.admits(&sent));
    assert_eq!(deployment.json("user disable acme ann@example.com")["active"], false);
    assert!(!deployment.admits(&sent));
    let said = deployment.run("token create acme ann@example.com");
    assert!(said.stderr.contains("sundial-admin: user ann@example.com is disabled\n"), "{said:?}");
    assert_eq!(deployment.json("user enable acme ann@example.com")["active"], true);
    assert!(deployment.admits(&sent));
    deployment.json("account disable acme");
    assert!(!deployment.admits(&sent));
    let said = deployment.run("token create acme ann@example.com");
    assert!(said.stderr.contains("sundial-admin: account acme is disabled\n"), "{said:?}");
}

#[test]
fn a_password_lets_in_until_it_is_cleared() {
    let deployment = deployment();
    let set = deployment.json("password set acme ann@example.com");
    let random = text(&set, "secret").to_owned();
    let expected = json!({
        "account": "acme",
        "email": "ann@example.com",
        "has_password": true,
        "password_access": true,
        "login_account": "acme",
        "secret": random,
    });
    assert_eq!(set, expected);
    let admitted = deployment.admitted(&basic("Ann@Example.com", &random), "jobs.example.com").unwrap();
    assert_eq!((admitted.account.as_str(), admitted.role), ("acme", Role::Agent));

    let chosen = "correct horse battery";
    let said = deployment.run_with("password set acme ann@example.com --stdin", &format!("{chosen}\n"));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!format!("{}{}", said.stdout, said.stderr).contains("horse"), "{said:?}");
    assert!(!deployment.admits(&basic("ann@example.com", &random)));
    assert!(deployment.admits(&basic("ann@example.com", chosen)));
    for unfit in ["", "short", "\n", "eleven char\n", "control\u{7}control", &"x".repeat(1_025)] {
        let said = deployment.run_with("password set acme ann@example.com --stdin", unfit);
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{unfit}");
        assert!(unfit.trim().is_empty() || !said.stderr.contains(unfit.trim()), "{said:?}");
    }
    assert!(deployment.admits(&basic("ann@example.com", chosen)));

    deployment.json("account set acme --password-access off");
    assert!(!deployment.admits(&basic("ann@example.com", chosen)));
    let said = deployment.run_with("password set acme ann@example.com --stdin", chosen);
    assert!(said.stderr.contains("account set acme --password-access on"), "{said:?}");
    deployment.json("account set acme --password-access on");
    assert!(deployment.admits(&basic("ann@example.com", chosen)));
    for _ in 0..2 {
        assert_eq!(deployment.json("password clear acme ann@example.com")["has_password"], false);
        assert!(!deployment.admits(&basic("ann@example.com", chosen)));
    }
}

#[test]
fn an_address_leads_to_one_account_where_no_host_name_says_which() {
    let deployment = deployment();
    deployment.json("account create other --password-access");
    deployment.json("user create other ann@example.com");
    let first = deployment.json("password set acme ann@example.com");
    let said = deployment.run("password set other ann@example.com");
    assert!(said.stderr.contains("under the host name of other only"), "{said:?}");
    let second = deployment.json("password set other ann@example.com");
    assert_eq!((&first["login_account"], &second["login_account"]), (&json!("acme"), &json!("acme")));
    let account = |secret: &Value, host: &str| {
        let sent = basic("ann@example.com", text(secret, "secret"));
        deployment.admitted(&sent, host).map(|identity| identity.account.to_string())
    };
    assert_eq!(account(&first, "jobs.example.com").as_deref(), Some("acme"));
    assert_eq!(account(&second, "jobs.example.com"), None);
    assert_eq!(account(&second, "other.jobs.example.com").as_deref(), Some("other"));
}

#[test]
fn a_token_lets_in_until_it_is_revoked() {
    let deployment = deployment();
    let api = deployment.json("token create acme ann@example.com --label deploys");
    let bearing = deployment.json("token create acme ann@example.com --kind bearer --expires-in 90d");
    assert_eq!((&api["kind"], &api["label"], &api["state"]), (&json!("api"), &json!("deploys"), &json!("active")));
    assert_eq!((&api["expires_at"], &api["revoked_at"]), (&Value::Null, &Value::Null));
    assert!(text(&bearing, "expires_at") > text(&bearing, "created_at"));
    let api_sent = basic("ann@example.com/token", text(&api, "secret"));
    let bearing_sent = bearer(text(&bearing, "secret"));
    assert!(deployment.admits(&api_sent) && deployment.admits(&bearing_sent));
    // Neither is good as the other.
    assert!(!deployment.admits(&bearer(text(&api, "secret"))));

    let listed = deployment.json("token list acme --user ann@example.com")["tokens"].clone();
    let states = |listed: &Value| {
        let tokens = listed.as_array().unwrap().iter();
        tokens.map(|token| (token["id"].clone(), token["state"].clone())).collect::<Vec<_>>()
    };
    let [first, second] = [&api, &bearing].map(|token| token["id"].clone());
    assert_eq!(states(&listed), [(first.clone(), json!("active")), (second.clone(), json!("active"))]);
    let today = &text(&bearing, "created_at")[..10];
    assert!(text(&listed[0], "last_used_on") >= today, "{listed}");

    // Part of an id is enough when it is one token's only.
    let revoked = deployment.json(&format!("token revoke acme {}", &text(&api, "id")[..12]));
    assert_eq!(revoked["state"], "revoked");
    assert!(!deployment.admits(&api_sent) && deployment.admits(&bearing_sent));
    let said = deployment.run(&format!("token revoke acme {}", text(&api, "id")));
    assert!(said.code == 0 && said.stderr.contains("it was revoked already"), "{said:?}");
    assert!(said.stdout.contains(&format!("revoked at: {}\n", text(&revoked, "revoked_at"))), "{said:?}");
    let listed = deployment.json("token list acme")["tokens"].clone();
    assert_eq!(states(&listed), [(first, json!("revoked")), (second, json!("active"))]);

    deployment.json("user create acme bob@example.com");
    assert_eq!(deployment.json("token list acme --user bob@example.com"), json!({"tokens": []}));
    deployment.advance(Duration::from_hours(24 * 91));
    assert!(!deployment.admits(&bearing_sent));
}

#[test]
fn a_token_is_rotated_and_both_are_good_for_a_while() {
    let deployment = deployment();
    let old = deployment.json("token create acme ann@example.com --kind bearer --label ci --expires-in 30d");
    let new = deployment.json(&format!("token rotate acme {} --overlap 2h", text(&old, "id")));
    let sent = |token: &Value| bearer(text(token, "secret"));
    assert_eq!((&new["kind"], &new["label"], &new["replaces"]), (&json!("bearer"), &json!("ci"), &old["id"]));
    assert!(text(&new, "replaced_revoked_at") > text(&new, "created_at"));
    // As long as the old one, since nothing else was said.
    assert!(text(&new, "expires_at") >= text(&old, "expires_at"));
    assert!(deployment.admits(&sent(&old)) && deployment.admits(&sent(&new)));
    let listed = deployment.json("token list acme")["tokens"][0].clone();
    assert_eq!((&listed["state"], &listed["revoked_at"]), (&json!("active"), &new["replaced_revoked_at"]));
    check_failure(&deployment, &format!("token rotate acme {}", text(&old, "id")), 4, "revoked");
    deployment.advance(Duration::from_hours(3));
    assert!(!deployment.admits(&sent(&old)) && deployment.admits(&sent(&new)));

    let newest = deployment.json(&format!("token rotate acme {} --overlap 0s --expires-in never", text(&new, "id")));
    assert_eq!(newest["expires_at"], Value::Null);
    assert!(!deployment.admits(&sent(&new)) && deployment.admits(&sent(&newest)));
}

#[test]
fn a_secret_is_shown_once_and_its_hash_never() {
    let deployment = deployment();
    deployment.json("user create acme o'neil@example.com");
    let mut secrets = Vec::new();
    for (line, before, after) in [
        ("token create acme o'neil@example.com", "send: curl -u 'o'\\''neil@example.com/token:", "'"),
        ("token create acme ann@example.com --kind bearer", "send: Authorization: Bearer ", ""),
        ("password set acme ann@example.com", "send: curl -u 'ann@example.com:", "'"),
    ] {
        let said = deployment.run(line);
        assert_eq!(said.code, 0, "{said:?}");
        let sent = said.stdout.lines().last().unwrap();
        let secret =
            sent.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap_or_else(|| panic!("{sent}"));
        assert_eq!(said.stdout.matches(secret).count() + said.stderr.matches(secret).count(), 1, "{line}");
        assert!(said.stderr.starts_with("sundial-admin: the secret is shown now and never again\n"), "{said:?}");
        secrets.push(secret.to_owned());
    }
    let json = deployment.run("token create acme ann@example.com --output json");
    let secret = serde_json::from_str::<Value>(&json.stdout).unwrap()["secret"].as_str().unwrap().to_owned();
    assert_eq!((json.stdout.matches(&secret).count(), json.stderr.as_str()), (1, ""));
    secrets.push(secret);
    assert!(deployment.admits(&basic("o'neil@example.com/token", &secrets[0])));
    assert!(deployment.admits(&bearer(&secrets[1])) && deployment.admits(&basic("ann@example.com", &secrets[2])));

    for list in ["account list", "account show acme", "user list acme", "token list acme"] {
        for output in ["text", "json"] {
            let said = deployment.run(&format!("{list} --output {output}"));
            assert!(said.code == 0 && !said.stdout.contains("argon2"), "{said:?}");
            // An id is 16 hex digits; a digest is 64.
            let longest = said.stdout.split(|letter: char| !letter.is_ascii_hexdigit()).map(str::len).max();
            assert!(longest <= Some(16), "{said:?}");
            assert!(!secrets.iter().any(|secret| said.stdout.contains(secret)), "{said:?}");
        }
    }
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    let deployment = deployment();
    for (line, word) in [
        ("account show nobody", "no_account"),
        ("account set nobody --password-access on", "no_account"),
        ("account disable nobody", "no_account"),
        ("user create nobody ann@example.com", "no_account"),
        ("user list nobody", "no_account"),
        ("user set acme bob@example.com --name Bob", "no_user"),
        ("user disable acme bob@example.com", "no_user"),
        ("password set nobody ann@example.com", "no_account"),
        ("password set acme bob@example.com", "no_user"),
        ("password clear acme bob@example.com", "no_user"),
        ("token create nobody ann@example.com", "no_account"),
        ("token create acme bob@example.com", "no_user"),
        ("token list nobody", "no_account"),
        ("token list acme --user bob@example.com", "no_user"),
        ("token revoke acme 0123", "no_token"),
        ("token revoke acme ../x", "no_token"),
        ("token rotate acme 0123", "no_token"),
    ] {
        check_failure(&deployment, line, 3, word);
    }
}

#[test]
fn what_is_there_already_is_left_alone() {
    let deployment = deployment();
    check_failure(&deployment, "account create acme", 4, "account_taken");
    assert_eq!(deployment.json("account show acme")["password_access"], true);
    check_failure(&deployment, "user create acme ANN@example.com --role admin", 4, "user_taken");
    assert_eq!(deployment.json("user list acme")["users"][0]["role"], "agent");
    // Of 17 tokens two begin with the same digit.
    for _ in 0..17 {
        deployment.json("token create acme ann@example.com");
    }
    let listed = deployment.json("token list acme");
    let mut digits: Vec<_> = listed["tokens"].as_array().unwrap().iter().map(|token| &text(token, "id")[..1]).collect();
    digits.sort_unstable();
    let twice = digits.windows(2).find(|pair| pair[0] == pair[1]).unwrap()[0];
    check_failure(&deployment, &format!("token revoke acme {twice}"), 4, "ambiguous");
}

#[test]
fn a_wrong_command_line_and_a_database_that_is_not_there_are_told_apart() {
    let deployment = Deployment::start();
    for line in ["", "account", "account create -- -acme", "account set acme", "token create acme ann"] {
        let said = deployment.run(line);
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{line}: {said:?}");
    }
    let help = deployment.run("--help");
    assert!(help.code == 0 && help.stdout.contains("\n  4  it is there already"), "{help:?}");

    let deployment = deployment.without_tables();
    for line in ["account list", "account create acme", "user disable acme ann@example.com", "token list acme"] {
        check_failure(&deployment, line, 1, "no_table");
    }
    let said = deployment.run("account list --stack other");
    assert!(said.stderr.contains(&format!("no table other-catalog at {}", deployment.endpoint)), "{said:?}");

    // Nothing listens on a port that was just given back.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = output_of(&mut program(&format!("account list --endpoint-url http://{free} --output json")), "");
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(serde_json::from_str::<Value>(&said.stderr).unwrap()["error"]["code"], "unavailable");
}

#[test]
fn aws_needs_a_region_and_credentials_and_a_profile_has_both() {
    let run = |line: &str| output_of(program(line).env("AWS_EC2_METADATA_DISABLED", "true"), "");
    let failed = run("account list");
    assert!(failed.code == 1 && failed.stderr.contains("no AWS region"), "{failed:?}");
    let failed = run("account list --region eu-west-1");
    assert!(failed.code == 1 && failed.stderr.contains("no AWS credentials"), "{failed:?}");

    let deployment = Deployment::start();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let profile = "[profile operator]\nregion = eu-west-1\naws_access_key_id = id\naws_secret_access_key = secret\n";
    std::io::Write::write_all(&mut file, profile.as_bytes()).unwrap();
    let run = |profile: &str| {
        let line = format!("account list --profile {profile} --endpoint-url {}", deployment.endpoint);
        let files = [("AWS_CONFIG_FILE", file.path()), ("AWS_SHARED_CREDENTIALS_FILE", file.path())];
        output_of(program(&line).envs(files).env("AWS_EC2_METADATA_DISABLED", "true"), "")
    };
    assert_eq!(run("operator").code, 0);
    let failed = run("another");
    assert!(failed.code == 1 && !failed.stderr.is_empty(), "{failed:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_was_done_and_cannot_be_shown_is_no_success() {
    let deployment = deployment();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let line = format!("token create acme ann@example.com --endpoint-url {}", deployment.endpoint);
    let output = program(&line).stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.starts_with("sundial-admin: it was done, but stdout cannot be written to"), "{stderr}");
    assert!(!stderr.contains("sundial_acme_"), "{stderr}");
}

#[test]
fn the_commands_of_the_page_about_access_let_somebody_in() {
    let page = include_str!("../../../docs/access.md");
    let (_, rest) = page.split_once("```sh\n").expect("a block");
    let (block, _) = rest.split_once("```").expect("its end");
    let deployment = Deployment::start();
    let mut said = Vec::new();
    for line in block.lines() {
        let line = line.strip_prefix("cargo run --package admin -- ").unwrap_or_else(|| panic!("{line}"));
        said.push(deployment.json(line));
    }
    let token = said.last().expect("a line");
    let admitted = deployment.admitted(&bearer(text(token, "secret")), "localhost").expect("let in");
    assert_eq!((admitted.account.as_str(), admitted.role), ("acme", Role::Agent));
}
