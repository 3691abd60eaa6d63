//! `kes man`: manual pages, made from the command table.

use std::{fs, path::PathBuf};

use clap::Command;

use super::{error::Error, output::Output};

/// Arguments of `kes man`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes man | man -l -
  kes man /usr/local/share/man/man1")]
pub(super) struct Args {
    /// Write a page for each command into this directory, rather than the first one to standard output
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(super) fn run(args: &Args, mut commands: Command, out: &Output) -> Result<(), Error> {
    commands.build();
    let Some(folder) = &args.folder else {
        return out.raw(&page(&commands)?);
    };
    let failed = |source| Error::File {
        doing: "write to",
        path: folder.display().to_string(),
        source,
    };
    fs::create_dir_all(folder).map_err(failed)?;
    for (name, command) in all(&commands, "kes") {
        fs::write(folder.join(format!("{name}.1")), page(&command)?).map_err(failed)?;
    }
    Ok(())
}

/// All commands that are shown, each by the name of its page.
fn all(command: &Command, name: &str) -> Vec<(String, Command)> {
    let own = command
        .clone()
        .name(name.to_owned())
        .display_name(name.to_owned());
    let mut found = vec![(name.to_owned(), own)];
    for below in command.get_subcommands() {
        if !below.is_hide_set() && below.get_name() != "help" {
            found.extend(all(below, &format!("{name}-{}", below.get_name())));
        }
    }
    found
}

fn page(command: &Command) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command.clone())
        .source(format!("kes {}", crate::VERSION))
        .manual("kes");
    page.render(&mut text).map_err(|source| Error::Io {
        doing: "write the page",
        source,
    })?;
    Ok(text)
}
