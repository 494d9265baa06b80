//! Makes a module's text of each function's program, so that a test can start the program as it is deployed and not a copy
//! of it: see `tests/it/alarms/programs.rs`.

use std::path::Path;

const FUNCTIONS: [&str; 6] = ["accept", "consume", "status", "records", "bury", "sweep"];

fn main() {
    let folder = std::env::var("OUT_DIR").expect("cargo says where");
    for function in FUNCTIONS {
        let path = format!("../functions/{function}/src/main.rs");
        println!("cargo::rerun-if-changed={path}");
        let program = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        // What describes a whole file may not stand in a part of one. Nothing else is changed.
        let lines = program.lines().filter(|line| !line.starts_with("//!"));
        let module: String = lines.flat_map(|line| [line, "\n"]).collect();
        std::fs::write(Path::new(&folder).join(format!("{function}.rs")), module).expect("a file of cargo's");
    }
}
