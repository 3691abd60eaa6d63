//! `kes policy`: the policies of a server (cli.md 11), and what those of a configuration file allow. They are made there.

use super::{error::Error, ls::ListArgs, output::Output, retired, settings::Environment};
use crate::{
    client::listing::Kind,
    config::{Inspection, Note, PolicyEntry},
    name::PolicyName,
};

mod explain;
mod info;
mod offline;
mod show;
mod test;

/// Arguments of `kes policy`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show when a policy was made, and by whom
    Info(info::Args),
    /// List policies
    Ls(LsArgs),
    /// Show the rules of a policy
    Show(show::Args),
    /// Tell whether a configuration file would allow a request
    Test(test::Args),
    /// Tell what a configuration file allows to whom
    Explain(explain::Args),
    #[command(flatten)]
    Retired(retired::PolicyCommand),
}

/// Arguments of `kes policy ls`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes policy ls
  kes policy ls 'app-*' --json")]
struct LsArgs {
    #[command(flatten)]
    list: ListArgs,
}

pub(super) fn run(args: Args, env: &Environment, out: &Output) -> Result<(), Error> {
    match args.command {
        Command::Info(args) => info::run(&args, env, out),
        Command::Ls(args) => args.list.run(Kind::Policies, true, env, out),
        Command::Show(args) => show::run(&args, env, out),
        Command::Test(args) => test::run(&args, out),
        Command::Explain(args) => explain::run(&args, out),
        Command::Retired(command) => command.run(out),
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
