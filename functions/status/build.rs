//! Compresses the files that the function serves, so that it carries them small and does nothing with them when it starts.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Of the documentation: where each file is served.
const DOCUMENTS: [(&str, &str); 3] = [
    ("openapi.json", "/api/sunshine/openapi.json"),
    ("reference.html", "/api/sunshine/docs"),
    ("reference.css", "/api/sunshine/reference.css"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    let console = here.join("console");
    collect(&console, "/console", &mut files)?;
    let docs = here.join("../../docs");
    files.extend(DOCUMENTS.map(|(name, path)| (path.to_owned(), docs.join(name))));
    // A folder is changed when a file comes or goes.
    println!("cargo::rerun-if-changed={}", console.display());
    let mut code = "&[\n".to_owned();
    for (number, (path, file)) in files.iter().enumerate() {
        println!("cargo::rerun-if-changed={}", file.display());
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&fs::read(file)?)?;
        fs::write(out.join(format!("{number}.gz")), encoder.finish()?)?;
        let compressed = format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{number}.gz\"))");
        writeln!(code, "    File {{ path: {path:?}, kind: Kind::{}, compressed: {compressed} }},", kind(file)?)?;
    }
    code.push(']');
    fs::write(out.join("files.rs"), code)?;
    Ok(())
}

/// The files beneath a folder, in order.
fn collect(folder: &Path, path: &str, files: &mut Vec<(String, PathBuf)>) -> Result<(), Box<dyn Error>> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &path, files)?;
        } else {
            files.push((path, entry.path()));
        }
    }
    Ok(())
}

fn kind(file: &Path) -> Result<&'static str, String> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => Ok("Html"),
        Some("css") => Ok("Css"),
        Some("js") => Ok("Script"),
        Some("svg") => Ok("Svg"),
        Some("json") => Ok("Json"),
        _ => Err(format!("nobody says what {} is served as", file.display())),
    }
}
