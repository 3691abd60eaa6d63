//! `kes config`: work on configuration files, without a server (cli.md 19.3).

use clap::Subcommand;

use super::{error::Error, output::Output};

mod schema;

/// Arguments of `kes config`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print a JSON Schema of configuration files
    Schema(schema::Args),
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    match &args.command {
        Command::Schema(args) => schema::run(args, out),
    }
}
