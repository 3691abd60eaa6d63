//! `kes policy`: look at the policies of a server (cli.md 11). They are made in its configuration.

use super::{error::Error, ls::ListArgs, output::Output, retired, settings::Environment};
use crate::client::listing::Kind;

mod info;
mod show;

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
        Command::Retired(command) => command.run(out),
    }
}
