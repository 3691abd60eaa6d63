//! `kes key ls`.

use crate::{
    cli::{error::Error, ls::ListArgs, output::Output, settings::Environment},
    client::listing::Kind,
};

/// Arguments of `kes key ls`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes key ls
  kes key ls 'tenant-*'
  kes key ls --long --json")]
pub(super) struct Args {
    #[command(flatten)]
    list: ListArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    // It has always had its header, also in a pipe.
    args.list.run(Kind::Keys, true, env, out)
}
