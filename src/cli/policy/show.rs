//! `kes policy show`.

use std::fmt::Write as _;

use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    cli::{
        completion,
        connect::{self, ConnectArgs},
        error::Error,
        output::{Output, Style},
        settings::Environment,
    },
    wire::response::{PolicyRules, Rules, timestamp},
};

/// Arguments of `kes policy show`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes policy show my-app
  kes policy show my-app --json | jq -r '.allow | keys[]'")]
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

/// The rules for programs: members of objects, as current servers send them.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(skip_serializing_if = "Rules::is_empty")]
    allow: &'a Rules,
    #[serde(skip_serializing_if = "Rules::is_empty")]
    deny: &'a Rules,
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
    let policy = connect::run(async {
        let call = session.client.read_policy(&args.name);
        let doing = format!("failed to read policy \"{}\"", args.name);
        session.call(doing, call).await
    })?;
    if out.prefers_document() {
        return out.document_for_reading(&Report {
            allow: &policy.allow,
            deny: &policy.deny,
            created_at: policy.created_at,
            created_by: &policy.created_by,
        });
    }
    out.text(prose(&policy, args.utc, out).trim_end())
}

fn prose(policy: &PolicyRules, utc: bool, out: &Output) -> String {
    let mut text = String::new();
    let sections = [
        ("Allow:", Style::Green, &policy.allow),
        ("Deny:", Style::Red, &policy.deny),
    ];
    for (label, style, rules) in sections {
        if rules.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{}", out.styled(style, label));
        for rule in rules.keys() {
            let _ = writeln!(text, "  · {rule}");
        }
        text.push('\n');
    }
    let by = match policy.created_by.as_str() {
        "" => "<unknown>",
        by => by,
    };
    let date = out.known_time(policy.created_at, utc);
    if !date.is_empty() {
        let _ = writeln!(text, "{} {date}", out.styled(Style::Cyan, "Created at:"));
    }
    let _ = writeln!(text, "{} {by}", out.styled(Style::Cyan, "Created by:"));
    text
}
