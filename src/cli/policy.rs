//! `kes policy`: what policies allow.

use clap::Subcommand;

use super::{error::Error, output::Output};
use crate::{
    config::{Inspection, Note, PolicyEntry},
    name::PolicyName,
};

mod explain;
mod offline;
mod test;

/// Arguments of `kes policy`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tell whether a configuration file would allow a request
    Test(test::Args),
    /// Tell what a configuration file allows to whom
    Explain(explain::Args),
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    match &args.command {
        Command::Test(args) => test::run(args, out),
        Command::Explain(args) => explain::run(args, out),
    }
}

/// A policy of a file, by its name.
fn policy<'a>(
    file: &'a Inspection,
    name: &str,
) -> Result<(&'a PolicyName, &'a PolicyEntry), Error> {
    file.policies()
        .iter()
        .find(|(known, _)| known.as_str() == name)
        .ok_or_else(|| Error::Invalid(format!("the file has no policy '{name}'")))
}

/// `FILE:LINE: KEY`.
fn at(place: &Note) -> String {
    let line = place.line.map_or(String::new(), |line| format!(":{line}"));
    format!("{}{line}: {}", place.file, place.key)
}
