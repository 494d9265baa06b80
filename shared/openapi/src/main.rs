//! Writes the files of the specification into `docs/`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (name, text) in openapi::files() {
        std::fs::write(docs.join(name), text)?;
    }
    Ok(())
}
