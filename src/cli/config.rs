//! `kes config`: work on configuration files, without a server (cli.md 19.3).

use std::path::Path;

use clap::Subcommand;

use super::{error::Error, output::Output};
use crate::{
    api,
    config::{self, Context, Env, Fallback, Inspection},
};

mod check;
mod migrate;
mod schema;
mod show;

/// Arguments of `kes config`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tell what is wrong with configuration files, and where
    Check(check::Args),
    /// Print what a configuration file amounts to, secrets masked
    Show(show::Args),
    /// Turn old spellings into current ones
    Migrate(migrate::Args),
    /// Print a JSON Schema of configuration files
    Schema(schema::Args),
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    match &args.command {
        Command::Check(args) => check::run(args, out),
        Command::Show(args) => show::run(args, out),
        Command::Migrate(args) => migrate::run(args, out),
        Command::Schema(args) => schema::run(args, out),
    }
}

/// Reads a file in which nothing may be wrong.
pub(super) fn inspect(path: &Path) -> Result<Inspection, Error> {
    let env = Env::process();
    let routes = api::configurable();
    config::inspect(path, &context(&env, &routes)).map_err(Error::Configuration)
}

/// What files are read in: the environment, and nothing that a command line would add.
fn context<'a>(env: &'a Env, routes: &'a [&'a str]) -> Context<'a> {
    Context {
        env,
        routes,
        fallback: Fallback::default(),
    }
}
