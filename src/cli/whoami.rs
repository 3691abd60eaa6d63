//! `kes whoami`: whom servers take this client for, and what it may do there (cli.md 19.1).
//!
//! The identity is computed here, from the credential; it needs no server and cannot fail because of one. Role and policy are what
//! the server says of it.

use serde::Serialize;

use super::{
    connect::{self, ConnectArgs, Session},
    error::Error,
    output::{Output, Style},
    settings::Environment,
};
use crate::{
    client::error::{Answer, Error as Call},
    wire::response::{Rules, SelfInfo},
};

/// Arguments of `kes whoami`.
#[derive(clap::Args)]
#[command(
    after_help = "The identity is no secret: it goes into the server's configuration, below a policy.\n\n\
                        Examples:\n  \
                        kes whoami\n  \
                        kes whoami --offline --client-cert app.crt --client-key app.key\n  \
                        kes whoami --quiet"
)]
pub(super) struct Args {
    /// Compute the identity and ask no server
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Who the client is.
#[derive(Serialize)]
struct Report<'a> {
    identity: &'a str,
    /// The flag or variable that the credential comes from.
    credential: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    /// `admin`, `user`, or `none` if the server has no policy for it. Absent if no server was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deny: Option<Vec<&'a str>>,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let (credential, origin) = args.connect.who(env, out)?;
    let identity = credential.identity();
    let report = Report {
        identity: identity.as_str(),
        credential: origin,
        server: None,
        role: None,
        policy: None,
        allow: None,
        deny: None,
    };
    if out.is_quiet() && !out.wants_document() {
        return out.text(identity.as_str());
    }
    if args.offline {
        return show(&report, out);
    }
    let session = args.connect.session_with(credential.clone(), env, out)?;
    let outcome = connect::run(ask(&session));
    let info = match outcome {
        Ok(info) => info,
        Err(error) => {
            // What is known without a server is told all the same.
            show(&report, out)?;
            return Err(error);
        }
    };
    let known = info.as_ref();
    show(
        &Report {
            server: Some(session.servers()),
            role: Some(match known {
                None => "none",
                Some(info) if info.admin => "admin",
                Some(_) => "user",
            }),
            policy: known
                .map(|info| info.policy.as_str())
                .filter(|policy| !policy.is_empty()),
            allow: patterns(known.map(|info| &info.allow)),
            deny: patterns(known.map(|info| &info.deny)),
            ..report
        },
        out,
    )
}

/// The patterns of rules, if there are any.
fn patterns(rules: Option<&Rules>) -> Option<Vec<&str>> {
    let patterns: Vec<_> = rules?.keys().map(String::as_str).collect();
    (!patterns.is_empty()).then_some(patterns)
}

/// What the server says of this client; `None` if it does not know it.
async fn ask(session: &Session) -> Result<Option<SelfInfo>, Error> {
    let call = session.client.describe_self().await;
    match call {
        Err(Call::Answer(Answer {
            status: 404,
            message,
            ..
        })) if message == "identity does not exist" => Ok(None),
        Ok(info) => Ok(Some(info)),
        Err(error) => Err(session.failure("", error)),
    }
}

fn show(report: &Report<'_>, out: &Output) -> Result<(), Error> {
    out.show(report, || {
        let role = report.role.map(|role| match role {
            "admin" => "Admin",
            "user" => "User",
            _ => "none: the server has no policy for this identity",
        });
        let fields = [
            ("Identity", Some(report.identity)),
            ("Credential", Some(report.credential)),
            ("Server", report.server),
            ("Role", role),
            ("Policy", report.policy),
        ];
        let fields: Vec<_> = fields
            .into_iter()
            .filter_map(|(label, value)| Some((label, value?)))
            .collect();
        out.fields(&fields)?;
        for (label, style, rules) in [
            ("Allow", Style::Green, &report.allow),
            ("Deny", Style::Red, &report.deny),
        ] {
            for (index, rule) in rules.iter().flatten().enumerate() {
                let label = if index == 0 { label } else { "" };
                let label = out.styled(Style::Faint, &format!("{label:11}"));
                out.text(&format!("{label} {} {rule}", out.styled(style, "·")))?;
            }
        }
        Ok(())
    })
}
