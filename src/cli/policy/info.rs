//! `kes policy info`.

use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    cli::{
        completion,
        connect::{self, ConnectArgs},
        error::Error,
        output::Output,
        settings::Environment,
    },
    wire::response::timestamp,
};

/// Arguments of `kes policy info`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes policy info my-app
  kes policy info my-app --json | jq -r .created_at")]
pub(super) struct Args {
    /// Name of the policy
    #[arg(add = completion::policies())]
    name: String,
    /// Show the time in UTC
    #[arg(long)]
    utc: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What is known of a policy; the unknown is left out.
#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    #[serde(with = "timestamp", skip_serializing_if = "is_unknown")]
    created_at: OffsetDateTime,
    #[serde(skip_serializing_if = "str::is_empty")]
    created_by: &'a str,
}

fn is_unknown(at: &OffsetDateTime) -> bool {
    *at == timestamp::none()
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let session = args.connect.session(env, out)?;
    let info = connect::run(async {
        let call = session.client.describe_policy(&args.name);
        session.call("", call).await
    })?;
    if out.wants_document() {
        return out.document_for_reading(&Report {
            name: &info.name,
            created_at: info.created_at,
            created_by: &info.created_by,
        });
    }
    let date = out.known_time(info.created_at, args.utc);
    out.known_fields(&[
        ("Name", &info.name),
        ("Date", &date),
        ("Created by", &info.created_by),
    ])
}
