//! The documentation says what is so: links lead somewhere, and the routes and limits of `docs/api.md` are the code's.

mod examples;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use domain::limits;
use tests::ROUTES;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project").to_owned()
}

fn pages() -> Vec<PathBuf> {
    let top = ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md"]
        .map(|name| root().join(name));
    let docs = std::fs::read_dir(root().join("docs")).expect("docs").map(|entry| entry.expect("a page").path());
    top.into_iter().chain(docs).filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect()
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The targets of `[text](target)`.
fn links(page: &str) -> Vec<&str> {
    page.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

/// A heading as a link names it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_')).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = read(&page);
        for link in links(&text).into_iter().filter(|link| !link.starts_with("https://")) {
            let (file, place) = link.split_once('#').map_or((link, None), |(file, place)| (file, Some(place)));
            let target = if file.is_empty() { page.clone() } else { page.parent().expect("a folder").join(file) };
            let there = target.exists()
                && place.is_none_or(|place| {
                    read(&target)
                        .lines()
                        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' '))
                        .any(|heading| anchor(heading) == place)
                });
            if !there {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Every source file that a page names, whole or without the folder of its kind: `shared/domain/src/job.rs`, `domain/src/job.rs`.
fn files_named(text: &str) -> Vec<&str> {
    let of_path = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    let words = text.split(|letter| !of_path(letter));
    let is_source =
        |word: &&str| word.contains("/src/") && Path::new(word).extension().is_some_and(|kind| kind == "rs");
    words.filter(is_source).collect()
}

#[test]
fn every_source_file_that_is_named_is_there() {
    let mut named = 0;
    for page in pages() {
        let text = read(&page);
        // It says how things were.
        for file in files_named(&text).into_iter().filter(|_| !page.ends_with("CHANGELOG.md")) {
            named += 1;
            let there =
                ["", "shared", "functions", "infra", "tests"].iter().any(|kind| root().join(kind).join(file).exists());
            assert!(there, "{}: {file}", page.display());
        }
    }
    assert!(named > 30, "{named}");
}

/// The way of a job goes through each file once, and comes back to none.
#[test]
fn the_way_of_a_job_goes_through_each_file_once() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let (_, after) = text.split_once("### From file to file").expect("the section");
    let (way, _) = after.split_once("### ").expect("its end");
    let files = files_named(way);
    assert_eq!(files.iter().collect::<BTreeSet<_>>().len(), files.len(), "{files:?}");
    assert!(files.len() > 10, "{files:?}");
}

/// The rows of the first table behind a heading, without their head.
fn table<'page>(page: &'page str, heading: &str) -> Vec<Vec<&'page str>> {
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn the_routes_are_those_of_the_code() {
    let page = read(&root().join("docs/api.md"));
    let documented: BTreeMap<&str, BTreeSet<&str>> = table(&page, "Routes")
        .into_iter()
        .map(|row| (row[0].trim_matches('`'), row[1].split(", ").map(|method| method.trim_matches('`')).collect()))
        .collect();
    let routes = ROUTES.into_iter().map(|(path, methods)| (path, methods.iter().copied().collect())).collect();
    assert_eq!(documented, routes);
}

#[test]
fn the_limits_are_those_of_the_code() {
    let page = read(&root().join("docs/api.md"));
    let rows = table(&page, "Limits");
    let numbers = |start: &str| -> Vec<u64> {
        let row = rows.iter().find(|row| row[0].starts_with(start)).unwrap_or_else(|| panic!("no {start}"));
        let plain = row[1].replace(',', "");
        plain.split(|letter: char| !letter.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
    };
    let limit = |number: usize| u64::try_from(number).expect("a number");
    for (row, limits) in [
        ("items in a job", vec![limit(limits::ITEMS_PER_JOB)]),
        ("a body, decompressed", vec![limit(limits::DECOMPRESSED_BODY_BYTES)]),
        ("jobs queued", vec![limits::ACTIVE_JOBS]),
        ("attributes", vec![limit(limits::ATTRIBUTES_BYTES)]),
        ("characters of an external id", vec![limit(limits::EXTERNAL_ID_CHARACTERS)]),
        ("a schema", vec![limit(limits::SCHEMA_BYTES)]),
        ("subschemas", vec![limit(limits::SUBSCHEMAS)]),
        ("characters of a property", vec![limit(limits::PROPERTY_NAME_CHARACTERS)]),
        ("a pattern", vec![limit(limits::PATTERN_BYTES), limit(limits::PATTERNS_BYTES)]),
        ("checks", vec![limits::CHECKS_PER_RECORD, limit(limits::ATTRIBUTES_BYTES / 2)]),
        ("object types", vec![limits::TYPES_PER_ACCOUNT]),
        ("object records", vec![limits::RECORDS_PER_ACCOUNT]),
        ("a job can be seen", vec![limits::JOB_LIFETIME_SECONDS / 3_600]),
        ("headers", vec![limit(limits::HEADER_BYTES)]),
        ("the query", vec![limit(limits::QUERY_BYTES)]),
        ("levels", vec![limit(limits::JSON_LEVELS)]),
    ] {
        assert_eq!(numbers(row), limits, "{row}");
    }
    assert_eq!(numbers("a body")[..2], [limit(limits::BODY_BYTES), limit(limits::BODY_BYTES / 4 * 3)]);
}

/// Every block of shell lines that a page has, and what runs it, or why nothing can.
const BLOCKS: [(&str, &str, &str); 17] = [
    ("README.md", "cargo run -- demo", "infra/local/tests/readme.rs"),
    ("README.md", "tests/run", ".ci/run"),
    ("README.md", "cargo run", "infra/local/tests/restart.rs"),
    ("README.md", "curl", "infra/local/tests/readme.rs"),
    ("README.md", "infra/deploy", "nothing: it needs an AWS account"),
    ("docs/access.md", "account create", "infra/admin/tests/life.rs"),
    ("docs/cli.md", "cargo install", "nothing: the program that the tests run is built by them"),
    ("docs/cli.md", "sundial login", "cli/tests/import.rs"),
    ("docs/cli.md", "sundial types create", "tests/suite/cli.rs"),
    ("docs/cli.md", "--retry-failed", "tests/suite/cli.rs"),
    ("docs/cli.md", "sundial jobs list", "tests/suite/cli.rs"),
    ("docs/clients.md", "client/bin/python client.py", "tests/specification/run"),
    ("docs/clients.md", "node client.mjs", "tests/specification/run"),
    ("docs/deploy.md", "infra/deploy", "nothing: it needs an AWS account"),
    ("docs/operations.md", "infra/deploy", "nothing: it needs an AWS account"),
    ("docs/operations.md", "infra/deploy", "nothing: it needs an AWS account"),
    ("docs/operations.md", "aws events", "nothing: it needs an AWS account"),
];

#[test]
fn every_block_of_shell_lines_is_run_or_says_why_not() {
    let mut expected = BLOCKS.to_vec();
    for page in pages() {
        let text = read(&page);
        let name = page.strip_prefix(root()).expect("a page of the project").to_str().expect("a name").to_owned();
        for block in text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block) {
            let known = expected.iter().position(|(page, part, _)| *page == name && block.contains(part));
            let known = known.unwrap_or_else(|| panic!("nobody runs this block of {name}:\n{block}"));
            let (_, _, runner) = expected.remove(known);
            assert!(runner.starts_with("nothing: ") || root().join(runner).exists(), "{runner}");
        }
        assert!(!text.contains("```bash") && !text.contains("```console"), "{name}: shell lines are marked as `sh`");
    }
    assert!(expected.is_empty(), "not there any more: {expected:#?}");
}
