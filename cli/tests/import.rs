//! The program as a person starts it, against a small service that does on purpose what a real one does seldom.
#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect should end there")]

mod stub;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use stub::{Service, Twist};

const TOKEN: &str = "a-token-that-nobody-may-see";

/// A folder with a file in it, and the program that imports it.
struct Desk {
    folder: tempfile::TempDir,
    service: Service,
}

impl Desk {
    fn new(rows: &str) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), service: Service::start() };
        fs::write(desk.path("shops.csv"), rows).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sundial"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("SUNDIAL_URL", &self.service.url).env("SUNDIAL_TOKEN", TOKEN);
        command.env("XDG_CONFIG_HOME", self.path("config")).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let (code, text) = ended(&self.command(arguments).output().unwrap());
        assert!(!text.contains(TOKEN), "{text}");
        (code, text)
    }

    fn import(&self, more: &[&str]) -> (i32, String) {
        self.run(&[&["import", "shops.csv", "--type", "shop"], more].concat())
    }
}

fn ended(output: &Output) -> (i32, String) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or(-1), text)
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_there(path: &Path) -> bool {
    path.exists()
}

#[test]
fn an_import_runs_once_however_often_it_is_started() {
    let desk = Desk::new("\u{feff}name;price\r\na;1\r\nb;2\r\nc;3\r\n");
    let (code, text) = desk.import(&["--job-size", "2"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(desk.service.items(), ["a", "b", "c"]);
    assert_eq!(desk.read("shops.csv.succeeded.csv"), "row,id\n2,id-a\n3,id-b\n4,id-c\n");

    let asked = desk.service.requests();
    let (code, text) = desk.import(&["--job-size", "2"]);
    assert_eq!((code, desk.service.requests()), (0, asked), "{text}");
    assert!(text.contains("nothing was sent"), "{text}");

    // Without its ledger it sends the same keys, and the service knows them.
    fs::remove_file(desk.path("shops.csv.sundial-import")).unwrap();
    assert_eq!(desk.import(&["--job-size", "2"]).0, 0);
    assert_eq!(desk.service.items(), ["a", "b", "c"]);

    assert_eq!(desk.import(&["--job-size", "2", "--again"]).0, 0);
    assert_eq!(desk.service.items().len(), 6);
}

#[test]
fn a_busy_or_lost_service_is_asked_again_with_the_same_key() {
    let desk = Desk::new("name\na\n");
    desk.service.twist([Twist::Status(429, Some(1)), Twist::Status(503, Some(0)), Twist::AcceptAndHangUp]);
    let began = Instant::now();
    let (code, text) = desk.import(&[]);
    assert_eq!(code, 0, "{text}");
    assert!(began.elapsed() >= Duration::from_secs(1), "Retry-After was not waited for");
    let keys = desk.service.keys();
    assert_eq!(keys.len(), 4);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(desk.service.items(), ["a"]);
}

#[test]
fn an_import_that_is_killed_between_post_and_ledger_posts_nothing_twice() {
    let desk = Desk::new("name\na\nb\nc\n");
    desk.service.twist([Twist::AcceptAndWait]);
    let arguments = ["import", "shops.csv", "--type", "shop", "--job-size", "2", "--in-flight", "1"];
    let mut child = desk.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the first job is accepted", || desk.service.items().len() == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!desk.read("shops.csv.sundial-import").contains("\"posted\""));

    // With other options it would be another import.
    let (code, text) = desk.import(&["--job-size", "3"]);
    assert_eq!(code, 2, "{text}");

    let (code, text) = desk.run(&[&arguments[..], &["--resume"]].concat());
    assert_eq!(code, 0, "{text}");
    assert_eq!(desk.service.items(), ["a", "b", "c"]);
    assert_eq!(desk.read("shops.csv.succeeded.csv"), "row,id\n2,id-a\n3,id-b\n4,id-c\n");
}

#[test]
fn a_lost_network_is_no_lost_import() {
    let desk = Desk::new("name\na\n");
    desk.service.twist([Twist::HangUp, Twist::HangUp, Twist::HangUp]);
    let (code, text) = desk.import(&["--retry-for", "0"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("start the same command again"), "{text}");
    assert_eq!(desk.import(&[]).0, 0);
    assert_eq!(desk.service.items(), ["a"]);
}

#[test]
fn failures_are_mended_and_sent_again() {
    let desk = Desk::new("name,price\na,1\nbad,2\n\"bad, too\",\n");
    let (code, text) = desk.import(&[]);
    assert_eq!(code, 1, "{text}");
    let failed = desk.read("shops.csv.failed.csv");
    let expected = "error_code,error_detail,name,price\nUnprocessableEntity,it is bad,bad,2\n\
                    UnprocessableEntity,it is bad,\"bad, too\",\n";
    assert_eq!(failed, expected);
    // Not even the second start of it is a success.
    assert_eq!(desk.import(&[]).0, 1);

    fs::write(desk.path("shops.csv.failed.csv"), failed.replace("bad,2", "b,2").replace("\"bad, too\"", "c")).unwrap();
    let (code, text) = desk.import(&["--retry-failed"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(desk.service.items(), ["a", "bad", "bad, too", "b", "c"]);
}

#[test]
fn what_does_not_fit_is_said_before_anything_is_sent() {
    let desk = Desk::new("name,price\na,1\nb,cheap\n,3\n");
    let (code, text) = desk.import(&[]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("row 3, column price: \"cheap\" is not number"), "{text}");
    assert!(text.contains("row 4, column name: name is required"), "{text}");
    assert!(desk.service.items().is_empty() && !is_there(&desk.path("shops.csv.sundial-import")));

    let (code, text) = desk.import(&["--skip-invalid"]);
    assert_eq!(code, 1, "{text}");
    assert_eq!(desk.service.items(), ["a"]);
    assert!(desk.read("shops.csv.failed.csv").contains("Invalid,\"name: name is required"));
}

#[test]
fn a_dry_run_changes_nothing() {
    let desk = Desk::new("name\na\nbad\n");
    let (code, text) = desk.import(&["--dry-run"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("1 row would be made, 1 would fail") && text.contains("row 3: it is bad"), "{text}");
    assert!(desk.service.items().is_empty() && !is_there(&desk.path("shops.csv.sundial-import")));
}

#[test]
fn a_dry_run_tells_what_would_be_made_from_what_would_be_changed() {
    let desk = Desk::new("external_id,name\nnew-1,a\nold-1,b\nNEW-1,c\nold-1,d\nnew-2,bad\nnew-2,e\n");
    let set = ["--action", "external_id_set", "--dry-run", "--in-flight", "1"];
    let (code, text) = desk.import(&set);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("2 rows would be made, 3 would be changed, 1 would fail."), "{text}");
    assert_eq!(desk.service.keys().len(), 2, "one job asks what would come of the rows, and one which are there");
    let output = desk.command(&[&["import", "shops.csv", "--type", "shop", "--json"], &set[..]].concat()).output();
    let told: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let count = |name: &str| told[name].as_u64().unwrap();
    assert_eq!(["would_make", "would_change", "would_delete", "would_fail"].map(count), [2, 3, 0, 1], "{told}");
    assert!(desk.service.items().is_empty());

    let (code, text) = desk.import(&["--action", "external_id_delete", "--dry-run"]);
    assert!(code == 1 && text.contains("2 rows would be deleted, 4 would fail"), "{text}");
}

#[test]
fn a_dry_run_counts_what_nobody_can_tell() {
    let desk = Desk::new(
        "external_id,name\nnew-1,a\nold-1,b\nused-1,c\nlost-1,d\nLOST-1,e\nstopped-1,f\nnew-2,lost\nnew-3,bad\n",
    );
    let set = ["--action", "external_id_set", "--dry-run"];
    let (code, text) = desk.import(&set);
    let told = "1 row would be made, 3 would be changed, 1 would fail. Of 3 nobody can tell. Nothing was changed.";
    assert!(code == 3 && text.contains(told), "{code} {text}");
    assert!(text.contains("row 8: An unexpected error occurred"), "{text}");
    let output = desk.command(&[&["import", "shops.csv", "--type", "shop", "--json"], &set[..]].concat()).output();
    let told: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let count = |name: &str| told[name].as_u64().unwrap();
    assert_eq!(["rows", "would_succeed", "would_fail", "unknown"].map(count), [8, 4, 1, 3], "{told}");

    // A job that is forgotten says nothing of any of them.
    fs::write(desk.path("shops.csv"), "external_id,name\nforgotten,a\nold-1,b\n").unwrap();
    let (code, text) = desk.import(&set);
    assert!(code == 3 && text.contains("0 would fail. Of 2 nobody can tell."), "{code} {text}");
}

#[test]
fn a_dry_run_looks_at_all_rows_however_many_would_fail() {
    let desk = Desk::new("name\nbad\na\nb\n");
    let (code, text) = desk.import(&["--dry-run", "--max-failures", "0"]);
    assert!(code == 1 && text.contains("2 rows would be made, 1 would fail. Nothing"), "{code} {text}");
}

#[test]
fn items_of_another_type_are_not_sent() {
    let desk = Desk::new("");
    let items = "{\"type\": \"Shop\", \"attributes\": {\"name\": \"a\"}}\n{\"type\": \"bar\", \"attributes\": {\"name\": \"b\"}}\n";
    fs::write(desk.path("shops.csv"), items).unwrap();
    let (code, text) = desk.import(&[]);
    let why = "row 2, column type: the item is of the type \"bar\", and --type is \"shop\"";
    assert!(code == 3 && text.contains(why), "{code} {text}");
    assert!(desk.service.items().is_empty() && desk.service.keys().is_empty());
    let (code, text) = desk.import(&["--ignore", "type"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(desk.service.items(), ["a", "b"]);
}

#[test]
fn too_many_failures_stop_the_import() {
    let desk = Desk::new("name\nbad\na\nb\n");
    let (code, text) = desk.import(&["--max-failures", "0", "--job-size", "1", "--in-flight", "1"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("more than 0 rows failed"), "{text}");
    assert!(desk.service.items().len() < 3);
    // With more patience it goes on where it was.
    assert_eq!(desk.import(&["--max-failures", "5", "--job-size", "1"]).0, 1);
    assert_eq!(desk.service.items(), ["bad", "a", "b"]);
}

#[test]
fn standard_input_is_a_file_too() {
    let desk = Desk::new("");
    let file = desk.path("shops.json");
    fs::write(&file, r#"[{"name": "a"}, {"external_id": "x", "attributes": {"name": "b"}}]"#).unwrap();
    let mut command = desk.command(&["import", "-", "--type", "shop"]);
    let (code, text) = ended(&command.stdin(fs::File::open(&file).unwrap()).output().unwrap());
    assert_eq!(code, 0, "{text}");
    assert_eq!(desk.service.items(), ["a", "b"]);
}

#[test]
fn refused_access_and_wrong_lines_have_their_own_exit_codes() {
    let desk = Desk::new("name\na\n");
    desk.service.twist([Twist::Status(401, None)]);
    assert_eq!(desk.import(&[]).0, 4);
    assert_eq!(desk.run(&["import", "shops.csv"]).0, 2);
    assert_eq!(desk.run(&["import", "nowhere.csv", "--type", "shop"]).0, 3);
    let without_token = desk.command(&["limits"]).env_remove("SUNDIAL_TOKEN").output().unwrap();
    assert_eq!(ended(&without_token).0, 4);
}

#[cfg(unix)]
#[test]
fn a_login_is_kept_for_its_owner_alone_and_for_its_service_alone() {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new("");
    let mut login = desk.command(&["login", "--token-stdin"]);
    let mut login = login.env_remove("SUNDIAL_TOKEN").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    login.stdin.take().unwrap().write_all(TOKEN.as_bytes()).unwrap();
    let (code, text) = ended(&login.wait_with_output().unwrap());
    assert!(code == 0 && !text.contains(TOKEN), "{code} {text}");
    let kept = desk.path("config/sundial/config.json");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);

    let mut whoami = desk.command(&["whoami"]);
    let (code, text) = ended(&whoami.env_remove("SUNDIAL_TOKEN").env_remove("SUNDIAL_URL").output().unwrap());
    assert!(code == 0 && text.contains("profile default") && !text.contains(TOKEN), "{code} {text}");

    let mut elsewhere = desk.command(&["whoami", "--url", "http://127.0.0.1:9"]);
    assert_eq!(ended(&elsewhere.env_remove("SUNDIAL_TOKEN").output().unwrap()).0, 4, "its token goes nowhere else");
}

#[cfg(unix)]
#[test]
fn a_password_logs_in_and_is_kept_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    // Blanks belong to a password.
    const PASSWORD: &str = " sun shine ";
    let desk = Desk::new("");
    let run = |arguments: &[&str], input: &str| {
        fs::write(desk.path("input"), input).unwrap();
        let mut command = desk.command(arguments);
        command.env_remove("SUNDIAL_TOKEN").stdin(fs::File::open(desk.path("input")).unwrap());
        let (code, text) = ended(&command.output().unwrap());
        assert!(!text.contains("sun shine") && !text.contains("YWdlbn"), "{text}");
        (code, text)
    };
    let login = ["login", "--email", "agent@example.com", "--password-stdin"];
    let (code, text) = run(&login, "another");
    assert!(code == 4 && text.contains("email and password"), "{code} {text}");
    let kept = desk.path("config/sundial/config.json");
    assert!(!is_there(&kept), "nothing is kept that was refused");
    assert_eq!(run(&login, "\n").0, 2);
    assert_eq!(run(&[&login[..], &["--token-stdin"]].concat(), PASSWORD).0, 2);
    assert_eq!(run(&["login", "--password-stdin"], PASSWORD).0, 2);
    // There is nobody to ask.
    assert_eq!(run(&login[..3], "").0, 2);

    let (code, text) = run(&login, &format!("{PASSWORD}\r\n"));
    assert!(code == 0 && text.contains("The password itself is kept, in "), "{code} {text}");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let (code, text) = run(&["whoami"], "");
    assert!(code == 0 && text.contains("as agent@example.com with the password of profile default"), "{code} {text}");
    assert!(desk.service.authorization().starts_with("Basic "));
    assert_eq!(run(&["whoami", "--url", "http://127.0.0.1:9"], "").0, 4, "its password goes nowhere else");
    assert_eq!(desk.run(&["whoami"]).0, 0);
    assert_eq!(desk.service.authorization(), format!("Bearer {TOKEN}"), "SUNDIAL_TOKEN wins");
}

#[test]
fn a_page_of_the_manual_is_written_for_each_command() {
    let desk = Desk::new("");
    let (code, text) = desk.run(&["man", "--dir", "pages/man1"]);
    assert_eq!(code, 0, "{text}");
    for name in ["sundial", "sundial-import", "sundial-jobs-results", "sundial-relationships-types-create"] {
        assert!(desk.read(&format!("pages/man1/{name}.1")).contains(".TH"), "{name}");
    }
    assert!(desk.run(&["man"]).1.contains(".TH sundial 1"));
    let (code, text) = desk.run(&["man", "--dir", "shops.csv"]);
    assert!(code == 3 && text.contains("shops.csv"), "{code} {text}");
}

#[test]
fn records_are_exported_as_lines_as_a_table_and_as_an_array() {
    let desk = Desk::new("");
    let export = ["records", "export", "--type", "shop"];
    let run = |more: &[&str]| desk.command(&[&export[..], more].concat()).output().unwrap();
    let lines = run(&[]);
    assert_eq!(lines.status.code(), Some(0));
    let text = String::from_utf8(lines.stdout).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.ends_with("{\"id\":\"2\",\"external_id\":null,\"attributes\":{\"name\":\"b, c\"}}\n"), "{text}");
    let array: serde_json::Value = serde_json::from_slice(&run(&["--json"]).stdout).unwrap();
    assert_eq!(array[1]["id"], "2");
    assert_eq!(run(&["--format", "csv", "--output", "out.csv"]).status.code(), Some(0));
    assert_eq!(desk.read("out.csv"), "id,external_id,name,price\n1,x,a,1.5\n2,,\"b, c\",\n");
    assert_eq!(run(&["--format", "csv", "--json"]).status.code(), Some(2));
    assert_eq!(run(&["--output", "nowhere/out"]).status.code(), Some(3));
}

const EXPORT: [&str; 6] = ["records", "export", "--type", "shop", "--format", "csv"];
const EXPORTED: &str = "id,external_id,name,price\n1,x,a,1.5\n2,,\"b, c\",\n";

impl Desk {
    fn export(&self, path: &str) -> (i32, String) {
        self.run(&[&EXPORT[..], &["--output", path]].concat())
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn an_export_that_fails_leaves_nothing_and_takes_nothing_away() {
    let desk = Desk::new("older");
    desk.service.twist_last_page(Twist::Status(400, None));
    for path in ["shops.csv", "new.csv"] {
        let (code, text) = desk.export(path);
        assert!(code == 3 && text.contains("not this page"), "{code} {text}");
        assert_eq!((desk.files(), desk.read("shops.csv")), (vec!["shops.csv".to_owned()], "older".to_owned()));
    }
    let (code, text) = desk.export(".");
    assert!(code == 3 && text.contains("is a folder"), "{code} {text}");
}

#[cfg(unix)]
#[test]
fn an_export_that_is_stopped_leaves_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new("older");
    desk.service.twist_last_page(Twist::AcceptAndWait);
    let mut command = desk.command(&[&EXPORT[..], &["--output", "shops.csv", "--retry-for", "0"]].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let half_done = || {
        let of = |name: &String| fs::read_to_string(desk.path(name)).unwrap_or_default().contains("1,x,a");
        desk.files().into_iter().find(of)
    };
    wait_until("the first page is written", || half_done().is_some());
    let mode = fs::metadata(desk.path(&half_done().unwrap())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let (code, text) = ended(&child.wait_with_output().unwrap());
    assert!(code == 3 && text.contains("Stopped: nothing was exported."), "{code} {text}");
    assert_eq!((desk.files(), desk.read("shops.csv")), (vec!["shops.csv".to_owned()], "older".to_owned()));
}

#[test]
fn a_dash_is_standard_output() {
    let desk = Desk::new("");
    let (code, text) = desk.export("-");
    assert!(code == 0 && text.starts_with(EXPORTED), "{code} {text}");
    assert_eq!(desk.files(), ["shops.csv"]);
}

#[cfg(unix)]
#[test]
fn an_export_replaces_files_alone() {
    use std::io::Write as _;
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
    let desk = Desk::new("older");
    let is_link = |name: &str| fs::symlink_metadata(desk.path(name)).unwrap().is_symlink();

    // What a link leads to is replaced, and who could read it still can.
    fs::create_dir(desk.path("folder")).unwrap();
    symlink("../shops.csv", desk.path("folder/link")).unwrap();
    symlink("folder/link", desk.path("link")).unwrap();
    fs::set_permissions(desk.path("shops.csv"), fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(desk.export("link").0, 0);
    assert!(is_link("link") && is_link("folder/link") && !is_link("shops.csv"));
    assert_eq!(desk.read("shops.csv"), EXPORTED);
    assert_eq!(fs::metadata(desk.path("shops.csv")).unwrap().permissions().mode() & 0o777, 0o640);

    // Also where nothing is there yet.
    symlink("new.csv", desk.path("ahead")).unwrap();
    assert_eq!(desk.export("ahead").0, 0);
    assert!(is_link("ahead") && !is_link("new.csv"));
    assert_eq!(desk.read("new.csv"), EXPORTED);
    assert_eq!(fs::metadata(desk.path("new.csv")).unwrap().permissions().mode() & 0o777, 0o600);

    // A pipe is written to.
    assert!(Command::new("mkfifo").arg(desk.path("pipe")).status().unwrap().success());
    let reader = {
        let pipe = desk.path("pipe");
        std::thread::spawn(move || fs::read_to_string(pipe).unwrap())
    };
    assert_eq!(desk.export("pipe").0, 0);
    assert!(fs::metadata(desk.path("pipe")).unwrap().file_type().is_fifo());
    assert_eq!(reader.join().unwrap(), EXPORTED);

    // The name of standard output is standard output, also where that is a file with something in it.
    symlink("/dev/stdout", desk.path("stdout")).unwrap();
    let mut log = fs::File::create(desk.path("log")).unwrap();
    log.write_all(b"before\n").unwrap();
    let mut command = desk.command(&[&EXPORT[..], &["--output", "stdout"]].concat());
    assert!(command.stdout(log).status().unwrap().success());
    assert!(is_link("stdout"));
    assert_eq!(desk.read("log"), format!("before\n{EXPORTED}"));
}

#[test]
fn jobs_are_listed_watched_and_stopped() {
    let desk = Desk::new("");
    let (code, text) = desk.run(&["jobs", "list"]);
    assert_eq!(code, 0, "{text}");
    let expected = "ID         STATUS      ACTION  ITEMS  FAILED  CREATED (UTC)\n\
                    watched-0  completed   post    3      1       11-03 16:00\n\
                    watched-0  processing  post    3      0       11-03 16:00\n";
    assert_eq!(text, expected);
    let (code, text) = desk.run(&["jobs", "watch", "watched-0", "--exit-status"]);
    assert!(
        code == 1 && text.contains("(resources, post): completed\n3 items: 2 succeeded, 1 failed\n"),
        "{code} {text}"
    );
    assert_eq!(desk.run(&["jobs", "watch", "watched-0"]).0, 0);
    let (code, text) = desk.run(&["jobs", "results", "watched-0", "--failed"]);
    // What a terminal would obey is shown, and not done.
    assert!(code == 0 && text.contains("row 4  failed  it is\u{fffd}[31m bad"), "{text}");
    assert!(desk.service.asked().1.contains("success=false"));
    let (code, text) = desk.run(&["jobs", "abort", "watched-0", "--json"]);
    let job: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(code == 0 && job["job_status"] == "processing", "{text}");
}

#[test]
fn types_and_relationships_are_changed_as_the_api_wants_it() {
    let desk = Desk::new("");
    assert_eq!(desk.run(&["types", "delete", "shop"]).0, 0);
    let create = ["relationships", "types", "create", "bought", "--source", "zen:user", "--target", "shop", "--many"];
    assert_eq!(desk.run(&create).0, 0);
    let (method, target, body) = desk.service.asked();
    assert_eq!((method.as_str(), target.as_str()), ("POST", "/api/sunshine/relationships/types"));
    assert_eq!(body, r#"{"data":{"key":"bought","source":"zen:user","target":["shop"]}}"#);
    let link = ["relationships", "create", "--type", "bought", "--source", "zen:user:7", "--target", "1"];
    assert_eq!(desk.run(&link).0, 0);
    let body = desk.service.asked().2;
    assert_eq!(body, r#"{"data":{"relationship_type":"bought","source":"zen:user:7","target":"1"}}"#);
    let (code, text) = desk.run(&["relationships", "list", "--type", "bought", "--source", "zen:user:7", "--json"]);
    assert!(code == 0 && text.contains("zen:user:7"), "{text}");
    let (code, text) = desk.run(&["relationships", "types", "delete", "bought"]);
    assert!(code == 0 && text.contains("Deleted bought."), "{text}");
}

#[test]
#[ignore = "needs a running service: SUNDIAL_URL and SUNDIAL_TOKEN say which, and it gets a type with three records"]
fn a_real_service_takes_an_import() {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("cli{}", std::process::id());
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sundial"));
        ended(&command.args(arguments).current_dir(folder.path()).output().unwrap())
    };
    fs::write(folder.path().join("schema.json"), r#"{"properties": {"name": {"type": "string"}}}"#).unwrap();
    fs::write(folder.path().join("shops.csv"), "external_id,name\n1,a\n2,b\n3,c\n").unwrap();
    let (code, text) = run(&["types", "create", &key, "--schema", "schema.json"]);
    assert_eq!(code, 0, "{text}");
    let import = ["import", "shops.csv", "--type", &key, "--job-size", "2"];
    let (code, text) = run(&[&import[..], &["--dry-run"]].concat());
    assert!(code == 0 && text.contains("3 rows would be made"), "{code} {text}");
    let (code, text) = run(&import);
    assert_eq!(code, 0, "{text}");
    let (code, text) = run(&["records", "search", "--type", &key, "--where", "name=b"]);
    assert!(code == 0 && text.contains("\"name\":\"b\""), "{code} {text}");
    let (code, text) = run(&["import", "shops.csv.succeeded.csv", "--type", &key, "--action", "delete"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = run(&["types", "delete", &key]);
    assert_eq!(code, 0, "{text}");
}
