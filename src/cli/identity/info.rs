//! `kes identity info`: what a server knows of an identity, and what it may do (cli.md 9.4).

use serde::Serialize;
use time::OffsetDateTime;

use super::source;
use crate::{
    cli::{
        completion,
        connect::{self, ConnectArgs, Session},
        error::Error,
        output::Output,
        settings::Environment,
    },
    client::error::Error as Call,
    wire::response::{Rules, SelfInfo, timestamp},
};

/// Arguments of `kes identity info`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes identity info
  kes identity info public.crt
  kes identity info --json | jq -r .policy")]
pub(super) struct Args {
    /// An identity, an API key or a certificate file; without it the caller
    #[arg(value_name = "IDENTITY|API-KEY|FILE", add = completion::identities())]
    identity: Option<String>,
    /// Show times in UTC
    #[arg(long)]
    utc: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What is known of an identity; the unknown is left out.
#[derive(Serialize)]
struct Report {
    identity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    policy: String,
    #[serde(skip_serializing_if = "Rules::is_empty")]
    allow: Rules,
    #[serde(skip_serializing_if = "Rules::is_empty")]
    deny: Rules,
    #[serde(with = "timestamp", skip_serializing_if = "is_unknown")]
    created_at: OffsetDateTime,
    #[serde(skip_serializing_if = "String::is_empty")]
    created_by: String,
}

fn is_unknown(at: &OffsetDateTime) -> bool {
    *at == timestamp::none()
}

impl Report {
    fn of(info: SelfInfo) -> Self {
        Self {
            identity: info.identity,
            role: Some(if info.admin { "Admin" } else { "User" }),
            admin: Some(info.admin),
            policy: info.policy,
            allow: info.allow,
            deny: info.deny,
            created_at: info.created_at,
            created_by: info.created_by,
        }
    }

    /// What is known without a server.
    fn of_stranger(identity: String) -> Self {
        Self {
            identity,
            role: None,
            admin: None,
            policy: String::new(),
            allow: Rules::new(),
            deny: Rules::new(),
            created_at: timestamp::none(),
            created_by: String::new(),
        }
    }

    fn print(&self, utc: bool, out: &Output) -> Result<(), Error> {
        out.show(self, || {
            let created = out.known_time(self.created_at, utc);
            let mut fields = vec![
                ("Identity", self.identity.as_str()),
                ("Created At", &created),
                ("Role", self.role.unwrap_or_default()),
                ("Created By", &self.created_by),
            ];
            fields.retain(|(_, value)| !value.is_empty());
            out.fields(&fields)?;
            let mut policy = vec![("Policy", self.policy.as_str())];
            for (label, rules) in [("Allow", &self.allow), ("Deny", &self.deny)] {
                for (at, rule) in rules.keys().enumerate() {
                    policy.push((if at == 0 { label } else { "" }, rule.as_str()));
                }
            }
            policy.retain(|(_, value)| !value.is_empty());
            if policy.is_empty() {
                return Ok(());
            }
            let lines: Vec<String> = policy
                .iter()
                .map(|(label, value)| match *label {
                    "Policy" => (*value).to_owned(),
                    _ => format!("· {value}"),
                })
                .collect();
            let shown: Vec<_> = policy
                .iter()
                .zip(&lines)
                .map(|((label, _), line)| (*label, line.as_str()))
                .collect();
            out.text("")?;
            out.fields(&shown)
        })
    }
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let session = args.connect.session(env, out)?;
    match &args.identity {
        None => caller(&session, args.utc, out),
        Some(text) => other(&session, text, args.utc, out),
    }
}

fn caller(session: &Session, utc: bool, out: &Output) -> Result<(), Error> {
    let described = connect::run(session.call("", session.client.describe_self()));
    match described {
        Ok(info) => Report::of(info).print(utc, out),
        Err(error) => {
            // Who asks can at least be told who it is, whatever the server thinks of it.
            if let (
                Error::Call {
                    source: Call::Answer(_),
                    ..
                },
                Some(identity),
            ) = (&error, session.identity())
            {
                Report::of_stranger(identity.to_string()).print(utc, out)?;
            }
            Err(error)
        }
    }
}

fn other(session: &Session, text: &str, utc: bool, out: &Output) -> Result<(), Error> {
    let identity = source::identity(text)?;
    let info = connect::run(async {
        let call = session.client.describe_identity(&identity);
        session.call("", call).await
    })?;
    Report::of(SelfInfo {
        identity: identity.clone(),
        admin: info.admin,
        created_at: info.created_at,
        created_by: info.created_by,
        policy: info.policy,
        allow: Rules::new(),
        deny: Rules::new(),
    })
    .print(utc, out)
}
