//! The manual: one page for the program, or one for each of its commands.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory as _};

use crate::arguments::Arguments;
use crate::failure::{Failure, Verdict};
use crate::output::{self, Output};

/// Prints the main page, or writes a page of each command into the folder.
pub(crate) fn write(directory: Option<&Path>, output: &Output) -> Result<Verdict, Failure> {
    let Some(directory) = directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
        output::write(&page)?;
        return Ok(Verdict::Succeeded);
    };
    let unwritable = |error| Failure::NotDone(format!("cannot write the pages to {}: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(unwritable)?;
    // Built, so that options that every command has are in the page of each. A page for `help` would repeat them all.
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let count = write_pages(&command, directory).map_err(unwritable)?;
    output.line(&format!("{count} pages are in {}.", crate::text::printable(&directory.display().to_string())))?;
    Ok(Verdict::Succeeded)
}

fn write_pages(command: &Command, directory: &Path) -> std::io::Result<usize> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(directory.join(format!("{name}.1")), text)?;
    let mut count = 1;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        count += write_pages(inner, directory)?;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::write_pages;
    use crate::arguments::Arguments;
    use clap::CommandFactory as _;

    #[test]
    fn each_command_has_a_page_that_names_its_options() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Arguments::command().disable_help_subcommand(true);
        command.build();
        let count = write_pages(&command, folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), count, "no page replaces another");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let import = read("sundial-import.1");
        assert!(import.contains("skip\\-invalid") && import.contains("retry\\-for"), "{import}");
        assert!(read("sundial-jobs-watch.1").contains("exit\\-status"));
        assert!(read("sundial.1").contains("Exit codes"));
    }
}
