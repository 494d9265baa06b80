//! The specification is the code's: its files are as they are made, and its routes are those that are answered.

use std::collections::BTreeSet;
use std::path::Path;

use tests::ROUTES;

/// Routes that anybody may ask for, which are no part of [`ROUTES`].
const OPEN: [&str; 2] = ["/docs", "/openapi.json"];

#[test]
fn the_files_are_as_they_are_made() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project").join("docs");
    for (name, made) in openapi::files() {
        let there = std::fs::read_to_string(docs.join(name)).expect("a file");
        let line = there.lines().zip(made.lines()).position(|(there, made)| there != made);
        assert!(there == made, "docs/{name} is not as it is made, from line {line:?} on: cargo run --package openapi");
    }
}

#[test]
fn its_routes_are_those_that_are_answered() {
    let document = openapi::document();
    let paths = document["paths"].as_object().expect("paths");
    let specified: BTreeSet<(String, String)> = paths
        .iter()
        .filter(|(path, _)| !OPEN.contains(&path.as_str()))
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods").keys();
            methods.map(move |method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let routes = ROUTES.iter().flat_map(|(path, methods)| methods.iter().map(move |method| (*path, *method)));
    let answered: BTreeSet<(String, String)> =
        routes.map(|(path, method)| (path.to_owned(), method.to_owned())).collect();
    let differences: Vec<_> = specified.symmetric_difference(&answered).collect();
    assert!(differences.is_empty(), "routes that are only answered, or only specified: {differences:?}");
}
