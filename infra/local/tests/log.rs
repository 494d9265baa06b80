//! What the program logs, at the lowest level that its environment can ask for.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use reqwest::Client;
use serde_json::{Value, json};

/// Every value of bytes or text in the catalog's rows that begin like this: hashes, digests and the secret of cursors.
fn secrets_in(rows: &Value) -> Vec<String> {
    let rows = rows["Items"].as_array().expect("rows");
    let values = rows.iter().flat_map(|row| row.as_object().expect("a row"));
    let secret = |(name, value): (&String, &Value)| match name.as_str() {
        "secret" => value["B"].as_str().map(str::to_owned),
        "password" => value["S"].as_str().map(str::to_owned),
        _ => None,
    };
    values.filter_map(secret).collect()
}

#[tokio::test]
async fn no_level_shows_a_secret() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_sundial-local"))
        .args(["--listen", "127.0.0.1:0", "--memory"])
        .env("RUST_LOG", "trace,dynoxide=trace,aws_smithy_runtime=trace,hyper=trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut errors = process.stderr.take().expect("its log");
    let log = std::thread::spawn(move || {
        let mut log = String::new();
        errors.read_to_string(&mut log).expect("text");
        log
    });
    let (mut base_url, mut database) = (String::new(), String::new());
    for line in BufReader::new(process.stdout.take().expect("its output")).lines() {
        let line = line.expect("text");
        if let Some(url) = line.strip_prefix("ready on ") {
            url.clone_into(&mut base_url);
        }
        if let Some((_, rest)) = line.split_once("--endpoint-url ") {
            rest.split(' ').next().unwrap_or_default().clone_into(&mut database);
            break;
        }
    }
    // A password, right and wrong, a token, and a list whose cursor is signed.
    let http = Client::new();
    for (password, status) in [("sunshine", 200), ("Wr0ng-and-secret", 401)] {
        let request = http.get(format!("{base_url}/api/sunshine/objects/types?per_page=1"));
        let answer = request.basic_auth("agent@example.com", Some(password)).send().await.expect("an answer");
        assert_eq!(answer.status(), status);
    }
    let job = json!({"type": "resources", "action": "post", "data": [{"type": "x", "attributes": {"a": "Kept-in-confidence"}}]});
    let request = http.post(format!("{base_url}/api/sunshine/jobs")).bearer_auth("sundial_local_token").json(&job);
    assert_eq!(request.send().await.expect("an answer").status(), 201);
    let scan = http.post(&database).header("x-amz-target", "DynamoDB_20120810.Scan");
    let catalog = scan.body(r#"{"TableName":"sundial-catalog"}"#).send().await.expect("the database");
    let mut secrets = secrets_in(&catalog.json().await.expect("JSON"));
    assert!(secrets.iter().any(|secret| secret.starts_with("$argon2id$")) && secrets.len() > 1, "{secrets:?}");
    secrets.extend(["sundial_local_token", "Wr0ng-and-secret", "Kept-in-confidence"].map(str::to_owned));
    secrets.push(database.rsplit('/').next().expect("the database's own secret").to_owned());

    process.kill().expect("it runs");
    process.wait().expect("its end");
    let log = log.join().expect("the log");
    assert_eq!(log.matches("the request is answered").count(), 3, "it is a log");
    for secret in secrets {
        // Not in the failure either.
        assert!(!log.contains(&secret), "one of the secrets is in the log");
    }
}
