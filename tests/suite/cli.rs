//! The command line against the service: what docs/cli.md shows, and an import that is killed and goes on.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tests::Client;

use crate::home::{Home, not_here};

/// The program, which `cargo test --manifest-path cli/Cargo.toml --target-dir target` builds beside the tests.
fn program() -> Option<PathBuf> {
    let tests = std::env::current_exe().expect("this program");
    let program = tests.parent()?.parent()?.join("sundial");
    program.exists().then_some(program)
}

/// Somebody at a terminal.
struct Desk {
    program: PathBuf,
    folder: tempfile::TempDir,
    url: String,
    token: String,
}

impl Desk {
    /// None where the program was not built, which is said.
    fn of(home: &Home, agent: &Client) -> Option<Self> {
        let Some(program) = program() else {
            not_here("the command line", "it is not built: tests/run builds it");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        Some(Self { program, folder, url: home.base_url(), token: agent.token().to_owned() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(line.split(' ')).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.env("SUNDIAL_URL", &self.url).env("SUNDIAL_TOKEN", &self.token);
        command.env("XDG_CONFIG_HOME", self.path("config"));
        // A deployed stack answers under a name of the test's own, and without TLS.
        command.arg("--insecure-http");
        command
    }

    /// Runs a line to its end. It never shows the token.
    async fn run(&self, line: &str) -> (i32, String) {
        let Output { status, stdout, stderr } = output(self.command(line)).await;
        let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert!(!text.contains(&self.token), "{line} shows the token");
        (status.code().unwrap_or(-1), text)
    }

    async fn succeeds(&self, line: &str) -> String {
        let (code, text) = self.run(line).await;
        assert_eq!(code, 0, "{line}: {text}");
        text
    }

    async fn json(&self, line: &str) -> Value {
        let text = self.succeeds(&format!("{line} --json")).await;
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{line}: {text}"))
    }
}

/// What a program printed, once it has ended. The service may be in this process, and goes on meanwhile.
async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().expect("the program")).await.expect("its end")
}

/// The airports of the demonstration as a spreadsheet writes them: with a byte order mark and semicolons. Answers how many.
fn write_airports(file: &Path) -> usize {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/local/data/airports.ndjson");
    let lines = std::fs::read_to_string(data).expect("the airports");
    let columns = ["name", "city", "subd", "country", "elevation", "lat", "lon", "tz"];
    let mut table = format!("\u{feff}external_id;{}\r\n", columns.join(";"));
    let mut count = 0;
    for line in lines.lines() {
        let airport: Value = serde_json::from_str(line).expect("JSON");
        let cell = |value: &Value| match value {
            Value::String(text) => format!("\"{}\"", text.replace('"', "\"\"")),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let cells = columns.iter().map(|column| cell(&airport["attributes"][column]));
        let row: Vec<String> = std::iter::once(cell(&airport["external_id"])).chain(cells).collect();
        table.push_str(&row.join(";"));
        table.push_str("\r\n");
        count += 1;
    }
    std::fs::write(file, table).expect("the file");
    count
}

/// The type of the airports, as the demonstration defines it.
fn write_type(file: &Path) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/local/data/airport-type.json");
    let defined: Value = serde_json::from_slice(&std::fs::read(data).expect("the type")).expect("JSON");
    let schema = if defined["schema"].is_object() { &defined["schema"] } else { &defined["data"]["schema"] };
    std::fs::write(file, schema.to_string()).expect("the file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_goes_on_and_every_row_is_there_once() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let Some(desk) = Desk::of(&home, &agent) else { return home.stop().await };
    write_type(&desk.path("airport.json"));
    let count = write_airports(&desk.path("airports.csv"));
    desk.succeeds("types create airport --schema airport.json").await;
    let asked = desk.succeeds("import airports.csv --type airport --dry-run").await;
    assert!(asked.contains("0 would fail"), "{asked}");
    // Killed at three moments, without external ids to tell one record from the next.
    let import = "import airports.csv --type airport --ignore external_id --job-size 100 --in-flight 2";
    for milliseconds in [150, 300, 450] {
        let mut killed = desk.command(import).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program");
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        killed.kill().expect("its end");
        killed.wait().expect("its end");
    }
    let told = desk.succeeds(import).await;
    assert!(told.contains("0 failed"), "{told}");
    let limits = desk.json("limits").await;
    assert_eq!(limits[0]["count"], count, "each row once: {limits}");
    let report = std::fs::read_to_string(desk.path("airports.csv.succeeded.csv")).expect("the report");
    assert_eq!(report.lines().count(), count + 1);
    let jobs = desk.json("jobs list --limit 0").await.as_array().map(Vec::len);
    let again = desk.succeeds(import).await;
    assert!(again.contains("nothing was sent"), "{again}");
    assert_eq!(desk.json("jobs list --limit 0").await.as_array().map(Vec::len), jobs);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_that_the_documentation_shows_does_what_it_says() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let Some(desk) = Desk::of(&home, &agent) else { return home.stop().await };
    let schema = json!({"properties": {"name": {"type": "string"}, "country": {"type": "string"}, "elevation": {"type": "number"}}});
    std::fs::write(desk.path("airport.json"), schema.to_string()).expect("the file");
    desk.succeeds("types create airport --schema airport.json").await;
    agent.define_relationship("bought", "airport", json!(["airport"])).await;
    let rows = "external_id,name,country,elevation\nLSZH,Zurich,CH,1416\nSLLP,El Alto,BO,13355\nNONE,Nowhere,CH,high\n";
    std::fs::write(desk.path("airports.csv"), rows).expect("the file");
    // A row that does not fit is told before anything is sent, and can be left out.
    let (code, told) = desk.run("import airports.csv --type airport").await;
    assert!(code == 3 && told.contains("elevation"), "{code}: {told}");
    let (code, told) = desk.run("import airports.csv --type airport --skip-invalid").await;
    assert!(code == 1, "{code}: {told}");
    let mended =
        std::fs::read_to_string(desk.path("airports.csv.failed.csv")).expect("the report").replace("high", "0");
    std::fs::write(desk.path("airports.csv.failed.csv"), mended).expect("the file");
    desk.succeeds("import airports.csv --type airport --retry-failed").await;
    assert!(desk.succeeds("whoami").await.contains(&desk.url));
    let jobs = desk.json("jobs list").await;
    let id = jobs[0]["id"].as_str().expect("a job").to_owned();
    desk.succeeds("jobs list").await;
    desk.succeeds(&format!("jobs show {id}")).await;
    desk.succeeds(&format!("jobs watch {id} --exit-status")).await;
    desk.succeeds(&format!("jobs results {id}")).await;
    let found = desk.json("records search --type airport --where country=CH").await;
    assert_eq!(found.as_array().map(Vec::len), Some(2), "{found}");
    let mut high = desk.command("records search --limit 20 --json");
    high.args(["--query", r#"{"elevation": {"$gt": 10000}}"#]);
    let high = output(high).await;
    let high: Value = serde_json::from_slice(&high.stdout).expect("JSON");
    assert_eq!(high[0]["external_id"], "SLLP");
    let record = high[0]["id"].as_str().expect("an id").to_owned();
    desk.succeeds(&format!("records get {record}")).await;
    desk.succeeds("records list --type airport").await;
    desk.succeeds("types show airport").await;
    desk.succeeds("types list").await;
    desk.succeeds("types replace airport --schema airport.json").await;
    desk.succeeds("relationships list --type bought").await;
    desk.succeeds("limits").await;
    desk.succeeds(&format!("records delete {record}")).await;
    assert_eq!(desk.json("limits").await[0]["count"], 2);
    home.stop().await;
}
