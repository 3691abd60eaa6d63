//! `kes key info`.

use super::doing;
use crate::cli::{
    completion,
    connect::{self, ConnectArgs},
    error::Error,
    output::Output,
    settings::Environment,
};

/// Arguments of `kes key info`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes key info my-key
  kes key info my-key --json | jq -r .algorithm")]
pub(super) struct Args {
    /// Name of the key
    #[arg(add = completion::keys())]
    name: String,
    /// Show the time in UTC
    #[arg(long)]
    utc: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let session = args.connect.session(env, out)?;
    let info = connect::run(async {
        let call = session.client.describe_key(&args.name);
        session.call(doing("read key", &args.name), call).await
    })?;
    if out.wants_document() {
        return out.document(&info);
    }
    let date = out.known_time(info.created_at, args.utc);
    out.known_fields(&[
        ("Name", &info.name),
        ("Algorithm", &info.algorithm),
        ("Date", &date),
        ("Owner", &info.created_by),
    ])
}
