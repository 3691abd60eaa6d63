//! `kes policy explain`: what an identity, or a policy, may do at each API, read from the configuration file.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::offline::{Offline, Reach, Rule, reach};
use crate::{
    api::{Auth, Door as _, ROUTES, Route, Takes},
    cli::{config::inspect, error::Error, output::Output},
    identity::Identity,
    name::PolicyName,
    policy::{Pattern, Policy},
};

/// Arguments of `kes policy explain`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes policy explain --config kes.yaml
  kes policy explain --config kes.yaml --policy my-app")]
pub(super) struct Args {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// An identity; without it and --policy, all identities are listed
    #[arg(value_name = "IDENTITY", conflicts_with = "policy")]
    identity: Option<String>,
    /// A policy
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
}

/// Whose rights are explained.
enum Who<'a> {
    Admin,
    Nobody,
    Policy(&'a PolicyName, &'a Policy),
}

/// What may be done at one route.
struct Line {
    route: &'static Route,
    /// One word for programs.
    code: &'static str,
    text: String,
    rules: Vec<Rule>,
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    let file = inspect(&args.config)?;
    let offline = Offline::new(&file);
    let identity = args.identity.as_deref().and_then(Identity::from_text);
    let who = match (&args.policy, &identity) {
        (Some(policy), _) => {
            let (name, entry) = super::policy(&file, policy)?;
            Who::Policy(name, &entry.policy)
        }
        (None, Some(identity)) if identity == file.admin() => Who::Admin,
        (None, Some(identity)) => match offline.assigned(identity) {
            Some((name, policy)) => Who::Policy(name, policy),
            None => Who::Nobody,
        },
        (None, None) => return overview(&offline, out),
    };
    let lines: Vec<Line> = ROUTES
        .iter()
        .map(|route| line(&offline, &who, route))
        .collect();
    if out.wants_document() {
        return out.document_for_reading(&document(&who, args.identity.as_deref(), &lines));
    }
    let mut text = vec![who.text()];
    for line in &lines {
        let path = format!("{}{}", line.route.path, name_of(line.route.takes));
        text.push(format!(
            "  {:6} {path:36} {}",
            line.route.method.as_str(),
            line.text
        ));
        text.extend(line.rules.iter().map(|rule| {
            format!(
                "{:46}{} '{}' ({})",
                "",
                rule.list.as_str(),
                rule.text,
                super::at(&rule.place)
            )
        }));
    }
    out.text(&text.join("\n"))
}

impl Who<'_> {
    fn text(&self) -> String {
        match self {
            Self::Admin => "the admin may do everything:".to_owned(),
            Self::Nobody => "the identity has no policy:".to_owned(),
            Self::Policy(name, _) => format!("policy '{name}':"),
        }
    }
}

fn line(offline: &Offline<'_>, who: &Who<'_>, route: &'static Route) -> Line {
    let plain = |code, text: &str| Line {
        route,
        code,
        text: text.to_owned(),
        rules: Vec::new(),
    };
    match (route.auth, who) {
        (Auth::Open, _) => return plain("open", "open to everybody"),
        _ if offline.is_open(route.path) => return plain("open", "open to everybody (skip_auth)"),
        (Auth::Identify, _) => return plain("self", "allowed, about itself"),
        (_, Who::Admin) => return plain("all", "allowed"),
        (_, Who::Nobody) => return plain("none", "denied"),
        (Auth::Policy, Who::Policy(..)) => {}
    }
    let Who::Policy(name, policy) = who else {
        return plain("none", "denied");
    };
    let places = |rules: &[&Pattern]| -> Vec<Rule> {
        rules
            .iter()
            .filter_map(|rule| offline.rule(name, rule))
            .collect()
    };
    match reach(policy, route) {
        Reach::All(rule) => Line {
            rules: places(&[rule]),
            ..plain("all", "allowed")
        },
        Reach::None(rule) => Line {
            rules: rule.map(|rule| places(&[rule])).unwrap_or_default(),
            ..plain("none", "denied")
        },
        Reach::Some { allow, deny } => Line {
            rules: places(&[allow, deny].concat()),
            ..plain("some", "some, by name")
        },
    }
}

fn name_of(takes: Takes) -> &'static str {
    match takes {
        Takes::Nothing => "",
        Takes::Identity => "IDENTITY",
        Takes::Key | Takes::OldKey => "KEY",
        Takes::KeyPattern | Takes::Pattern => "PATTERN",
        Takes::PolicyName => "POLICY",
    }
}

fn document(who: &Who<'_>, identity: Option<&str>, lines: &[Line]) -> Value {
    let apis: Vec<_> = lines
        .iter()
        .map(|line| {
            let rules = line.rules.iter().map(|rule| {
                json!({
                    "list": rule.list.as_str(),
                    "text": rule.text,
                    "key": rule.place.key,
                    "line": rule.place.line,
                })
            });
            json!({
                "method": line.route.method.as_str(),
                "path": line.route.path,
                "access": line.code,
                "rules": rules.collect::<Vec<_>>(),
            })
        })
        .collect();
    let policy = match who {
        Who::Policy(name, _) => Some(name.as_str()),
        Who::Admin | Who::Nobody => None,
    };
    json!({
        "identity": identity,
        "admin": matches!(who, Who::Admin),
        "policy": policy,
        "apis": apis,
    })
}

/// Who there is.
fn overview(offline: &Offline<'_>, out: &Output) -> Result<(), Error> {
    let file = offline.file;
    if out.wants_document() {
        let policies = file.policies().iter().map(|(name, entry)| {
            let identities: Vec<_> = entry.identities.iter().map(Identity::as_str).collect();
            (name.as_str().to_owned(), identities.into())
        });
        return out.document_for_reading(&json!({
            "admin": file.admin().as_str(),
            "policies": Value::Object(policies.collect()),
        }));
    }
    let nobody = if file.admin().is_hash() {
        ""
    } else {
        " (nobody)"
    };
    let mut lines = vec![format!("admin: {}{nobody}", file.admin())];
    for (name, entry) in file.policies() {
        lines.push(format!("policy '{name}':"));
        if entry.identities.is_empty() {
            lines.push("  nobody".to_owned());
        }
        lines.extend(
            entry
                .identities
                .iter()
                .map(|identity| format!("  {identity}")),
        );
    }
    out.text(&lines.join("\n"))
}
