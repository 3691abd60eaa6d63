//! `kes key info`.

use super::doing;
use crate::{
    cli::{
        connect::{self, ConnectArgs},
        error::Error,
        output::Output,
        settings::Environment,
    },
    wire::response::timestamp,
};

/// Arguments of `kes key info`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Name of the key
    name: String,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
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
    if args.json {
        return out.json(&info);
    }
    let date = if info.created_at == timestamp::none() {
        String::new()
    } else {
        out.time(info.created_at, args.utc)
    };
    let fields = [
        ("Name", info.name.as_str()),
        ("Algorithm", info.algorithm.as_str()),
        ("Date", date.as_str()),
        ("Owner", info.created_by.as_str()),
    ];
    let known: Vec<_> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    out.fields(&known)
}
