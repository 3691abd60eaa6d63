//! `kes key ls`.

use crate::cli::{
    connect::{self, ConnectArgs},
    error::Error,
    output::Output,
    settings::Environment,
};

/// Arguments of `kes key ls`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Start of the names; a star at its end is allowed
    #[arg(default_value = "*", hide_default_value = true)]
    prefix: String,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let session = args.connect.session(env, out)?;
    let names = connect::run(async {
        let call = session.client.list_keys(&args.prefix);
        session.call("failed to list keys", call).await
    })?;
    if args.json {
        out.json(&names)
    } else {
        out.table("Key", &names)
    }
}
