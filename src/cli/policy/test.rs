//! `kes policy test`: whether a request would be allowed, decided from the configuration file by the code of the server's door.

use std::path::PathBuf;

use serde_json::json;

use super::offline::{Offline, Rule};
use crate::{
    api::{Caller, Decision, Outcome, ask},
    cli::{
        config::inspect,
        error::Error,
        output::{Output, Style},
    },
    identity::Identity,
    name::PolicyName,
};

/// Arguments of `kes policy test`. Exit code 0 means allowed, 1 denied.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("who").required(true))]
#[command(after_help = "Examples:
  kes policy test --config kes.yaml --policy my-app PUT /v1/key/create/my-key
  kes policy test --config kes.yaml --identity a050837d85070582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5 GET /v1/status")]
pub(super) struct Args {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Whoever has this policy asks
    #[arg(long, value_name = "NAME", group = "who")]
    policy: Option<String>,
    /// A client with this identity asks
    #[arg(long, value_name = "IDENTITY", group = "who")]
    identity: Option<String>,
    /// Method of the request
    #[arg(value_name = "METHOD")]
    method: String,
    /// Path of the request, like /v1/key/create/my-key
    #[arg(value_name = "PATH")]
    path: String,
}

/// The answer.
struct Answer {
    allowed: bool,
    /// One word for programs.
    code: &'static str,
    text: String,
    policy: Option<PolicyName>,
    rule: Option<Rule>,
    /// The path that rules are held against.
    path: Option<String>,
    /// What the server would answer, if it refuses.
    status: Option<u16>,
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    let method = args.method.to_ascii_uppercase();
    let method = http::Method::from_bytes(method.as_bytes())
        .map_err(|_| Error::Usage(format!("'{}' is not an HTTP method", args.method)))?;
    let file = inspect(&args.config)?;
    let offline = Offline::new(&file);
    let identity = args.identity.as_deref().and_then(Identity::from_text);
    let (name, caller) = match (&args.policy, &identity) {
        (Some(policy), _) => {
            let (name, entry) = super::policy(&file, policy)?;
            (Some(name.clone()), Caller::Policy(&entry.policy))
        }
        (None, Some(identity)) => {
            let name = offline.assigned(identity).map(|(name, _)| name.clone());
            (name, Caller::Identity(identity))
        }
        (None, None) => return Err(Error::Usage("the identity is empty".to_owned())),
    };
    let outcome = ask(&offline, caller, &method, &args.path);
    let answer = Answer::of(&outcome, name, &offline);
    if out.wants_document() {
        out.document_for_reading(&answer.json(method.as_str(), args))?;
    } else {
        out.text(&answer.lines(out))?;
    }
    if answer.allowed {
        Ok(())
    } else {
        Err(Error::Negative)
    }
}

impl Answer {
    fn of(outcome: &Outcome<'_>, policy: Option<PolicyName>, offline: &Offline<'_>) -> Self {
        let (decision, path) = match outcome {
            Outcome::Decided { decision, path, .. } => (decision, path),
            Outcome::Turned(error) => {
                return Self::refused("no_route", &error.to_string(), error.status().as_u16());
            }
            Outcome::Unreadable => {
                return Self::refused("no_route", "invalid URL escape", 400);
            }
        };
        let (allowed, code, text) = match decision {
            Decision::Open => (true, "open", "the API asks for no policy"),
            Decision::Admin => (true, "admin", "the identity is the admin's"),
            Decision::Allowed(_) => (
                true,
                "allow_rule",
                "an allow rule matches, and no deny rule",
            ),
            Decision::Denied(_) => (false, "deny_rule", "a deny rule matches"),
            Decision::NoRule => (false, "no_rule", "no rule of the policy matches"),
            Decision::NoPolicy => (false, "no_policy", "the identity has no policy"),
        };
        let rule = match decision {
            Decision::Allowed(rule) | Decision::Denied(rule) => Some(rule),
            _ => None,
        };
        Self {
            allowed,
            code,
            text: text.to_owned(),
            rule: rule.and_then(|rule| offline.rule(policy.as_ref()?, rule)),
            policy,
            path: Some(path.clone()),
            status: (!allowed).then_some(403),
        }
    }

    /// A request that does not get as far as the door.
    fn refused(code: &'static str, text: &str, status: u16) -> Self {
        Self {
            allowed: false,
            code,
            text: format!("answered with {status} before anybody's rights are looked at: {text}"),
            policy: None,
            rule: None,
            path: None,
            status: Some(status),
        }
    }

    fn lines(&self, out: &Output) -> String {
        let (word, style) = if self.allowed {
            ("allowed", Style::Green)
        } else {
            ("denied", Style::Red)
        };
        let mut lines = vec![format!("{}: {}", out.styled(style, word), self.text)];
        let mut add = |label: &str, value: &str| {
            lines.push(format!(
                "{} {value}",
                out.styled(Style::Faint, &format!("{label:7}"))
            ));
        };
        if let Some(policy) = &self.policy {
            add("policy", policy.as_str());
        }
        if let Some(path) = &self.path {
            add("path", path);
        }
        if let Some(Rule { text, list, place }) = &self.rule {
            add("rule", &format!("{} '{text}'", list.as_str()));
            add("at", super::at(place).as_str());
        }
        lines.join("\n")
    }

    fn json(&self, method: &str, args: &Args) -> serde_json::Value {
        let rule = self.rule.as_ref().map(|rule| {
            json!({
                "list": rule.list.as_str(),
                "text": rule.text,
                "key": rule.place.key,
                "line": rule.place.line,
            })
        });
        json!({
            "allowed": self.allowed,
            "decision": self.code,
            "reason": self.text,
            "method": method,
            "path": self.path.as_ref().unwrap_or(&args.path),
            "identity": args.identity,
            "policy": self.policy.as_ref().map(PolicyName::as_str),
            "rule": rule,
            "status": self.status,
        })
    }
}
