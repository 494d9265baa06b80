//! The shape of the source: modules that can be read in one go, and nothing in the store that only tests call.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::docs::{read, root};

const LONGEST_MODULE: usize = 400;

/// A source file of what is delivered, without its tests.
struct Module {
    /// From the root.
    path: PathBuf,
    text: String,
}

impl Module {
    fn read(path: PathBuf) -> Self {
        let text = read(&root().join(&path));
        // Tests within a file stand at its end.
        let text =
            text.split_once("#[cfg(test)]\nmod tests {").map_or(text.as_str(), |(product, _)| product).to_owned();
        Self { path, text }
    }

    /// Without comments, in which a name is not called.
    fn code(&self) -> String {
        self.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    }
}

/// Every module of these folders' `src`, but for those that are compiled for tests alone.
fn modules(folders: &[&str]) -> Vec<Module> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
            let path = folder.join(entry.expect("an entry").file_name());
            if root().join(&path).is_dir() {
                if !["target", "tests", "benches"].iter().any(|name| path.ends_with(name)) {
                    walk(&path, found);
                }
            } else if path.extension().is_some_and(|kind| kind == "rs") && path.components().any(is_src) {
                found.push(path);
            }
        }
    }
    fn is_src(part: std::path::Component<'_>) -> bool {
        part.as_os_str() == "src"
    }
    let mut paths = Vec::new();
    for folder in folders {
        walk(Path::new(folder), &mut paths);
    }
    // As their parents declare them: `#[cfg(test)] mod NAME;`.
    let only_for_tests: BTreeSet<PathBuf> = paths
        .iter()
        .flat_map(|parent| {
            let text = read(&root().join(parent));
            let folder = match parent.file_stem().and_then(|name| name.to_str()) {
                Some("lib" | "main") | None => parent.with_file_name(""),
                Some(_) => parent.with_extension(""),
            };
            let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
                let line = rest.lines().next()?.strip_suffix(';')?;
                line.rsplit_once("mod ").map(|(_, name)| name.to_owned())
            });
            declared.map(|name| folder.join(format!("{name}.rs"))).collect::<Vec<_>>()
        })
        .collect();
    paths.into_iter().filter(|path| !only_for_tests.contains(path)).map(Module::read).collect()
}

#[test]
fn no_module_is_longer_than_one_reads_in_one_go() {
    let modules = modules(&["functions", "shared", "infra", "cli"]);
    assert!(modules.len() > 150, "{}", modules.len());
    let too_long: Vec<_> = modules
        .iter()
        .map(|module| (&module.path, module.text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_MODULE)
        .collect();
    assert!(too_long.is_empty(), "{too_long:#?}");
}

#[test]
fn a_function_starts_in_a_few_lines() {
    let mains: Vec<_> =
        modules(&["functions"]).into_iter().filter(|module| module.path.ends_with("src/main.rs")).collect();
    assert_eq!(mains.len(), 6);
    for main in mains {
        assert!(main.text.lines().count() <= 15, "{}", main.path.display());
    }
}

/// By its name: what has the name of something that is called counts as called.
#[test]
fn nothing_in_the_store_is_there_for_tests_alone() {
    let store = modules(&["shared/store"]);
    let code: Vec<String> = modules(&["functions", "shared", "infra"]).iter().map(Module::code).collect();
    let mut methods = 0;
    let mut uncalled = Vec::new();
    for module in &store {
        let text = module.code();
        for rest in text.split("pub ").skip(1) {
            let rest = ["const ", "async "].iter().fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
            let Some(rest) = rest.strip_prefix("fn ") else { continue };
            let name: String = rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            methods += 1;
            // Wherever it stands but where it is made.
            let is_called = code.iter().any(|text| {
                text.match_indices(&name).any(|(at, _)| {
                    let before = &text[..at];
                    let after = text[at + name.len()..].chars().next();
                    let is_whole = !before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
                        && after.is_some_and(|letter| !letter.is_alphanumeric() && letter != '_');
                    is_whole
                        && (before.ends_with('.') || before.ends_with("::") || after == Some('('))
                        && !before.ends_with("fn ")
                })
            });
            if !is_called {
                uncalled.push(format!("{}: {name}", module.path.display()));
            }
        }
    }
    assert!(methods > 100, "{methods}");
    assert!(uncalled.is_empty(), "{uncalled:#?}");
}
