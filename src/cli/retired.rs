//! Commands that are gone: each says so, and what to do instead (cli.md 16.3 and 17).
//!
//! Policies and identities were once made by requests. They are part of the server's configuration now, so whoever types such a
//! command gets the YAML for it, on standard output, and a failure.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use serde_json::Value;

use super::{error::Error, file, output::Output};

/// Whatever stands on the command line of a command that is gone.
#[derive(clap::Args)]
pub(super) struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    words: Vec<String>,
}

impl Rest {
    /// The words that are no flags.
    fn arguments(&self) -> Vec<&str> {
        let words = self.words.iter().map(String::as_str);
        words.filter(|word| !word.starts_with('-')).collect()
    }
}

/// What became of the experimental servers that kept state.
#[derive(Clone, Copy)]
pub(super) enum Feature {
    Enclave,
    Init,
    Secret,
    ServerPath,
}

impl Feature {
    pub(super) fn explain(self) -> Error {
        let (text, hint) = match self {
            Self::Enclave => (
                "there are no enclaves any more: they were removed in August 2023",
                "run one server for each tenant, or separate tenants by policies such as '/v1/key/create/tenant-*'",
            ),
            Self::Init => (
                "there are no servers with a state of their own any more: they were removed in August 2023",
                "a server is started with 'kes server --config FILE', and its keystore is named in FILE",
            ),
            Self::Secret => (
                "the server does not keep secrets any more: that was removed in September 2023",
                "encrypt them with 'kes key encrypt' and keep the ciphertext, or use a store for secrets",
            ),
            Self::ServerPath => (
                "a server cannot be started from a directory any more: that was removed in August 2023",
                "use 'kes server --config FILE'",
            ),
        };
        Error::Retired {
            text: text.to_owned(),
            hint: hint.to_owned(),
        }
    }
}

/// Subcommands of `kes policy` that are gone.
#[derive(clap::Subcommand)]
pub(super) enum PolicyCommand {
    /// Gone: policies are part of the configuration
    #[command(hide = true, alias = "create")]
    Add(Rest),
    /// Gone: policies are part of the configuration
    #[command(hide = true)]
    Assign(Rest),
    /// Gone: policies are part of the configuration
    #[command(hide = true)]
    Rm(Rest),
}

impl PolicyCommand {
    pub(super) fn run(self, out: &Output) -> Result<(), Error> {
        match self {
            Self::Add(rest) => add(&rest.arguments(), out),
            Self::Assign(rest) => match rest.arguments().split_first() {
                Some((policy, identities)) => assign(policy, identities, out),
                None => assign("my-policy", &[], out),
            },
            Self::Rm(rest) => Err(removal("policy", &rest)),
        }
    }
}

/// Subcommands of `kes identity` that are gone.
#[derive(clap::Subcommand)]
pub(super) enum IdentityCommand {
    /// Gone: identities are part of the configuration
    #[command(hide = true)]
    Assign(Rest),
    /// Gone: identities are part of the configuration
    #[command(hide = true)]
    Rm(Rest),
}

impl IdentityCommand {
    pub(super) fn run(self, out: &Output) -> Result<(), Error> {
        match self {
            Self::Assign(rest) => match rest.arguments().as_slice() {
                [identity, policy, ..] => assign(policy, &[*identity], out),
                [identity] => assign("my-policy", &[*identity], out),
                [] => assign("my-policy", &[], out),
            },
            Self::Rm(rest) => Err(removal("identity", &rest)),
        }
    }
}

const RELOAD: &str = "put the lines above into the server's configuration file, and let the server read it again: kill -HUP PID";

/// What is allowed and denied, whatever the file that says so looks like.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rules {
    allow: BTreeSet<String>,
    deny: BTreeSet<String>,
}

impl Rules {
    /// From the YAML or JSON of any release: `allow` and `deny`, or `paths`, as lists or as members of objects.
    fn of(value: &Value) -> Self {
        let section = |name: &str| match value.get(name) {
            Some(Value::Array(list)) => list
                .iter()
                .filter_map(|rule| rule.as_str().map(str::to_owned))
                .collect(),
            Some(Value::Object(map)) => map.keys().cloned().collect(),
            _ => BTreeSet::new(),
        };
        let mut allow = section("allow");
        allow.extend(section("paths"));
        Self {
            allow,
            deny: section("deny"),
        }
    }
}

fn add(arguments: &[&str], out: &Output) -> Result<(), Error> {
    let name = arguments.first().copied().unwrap_or("my-policy");
    let text = match arguments.get(1) {
        Some(path) => file::read(Path::new(path))?,
        None if file::stdin_is_terminal() => zeroize::Zeroizing::default(),
        None => file::stdin()?,
    };
    let value: Value = if text.trim_ascii().is_empty() {
        Value::Null
    } else {
        let text = String::from_utf8_lossy(&text);
        serde_saphyr::from_str(&text).map_err(|error| {
            Error::Invalid(format!("the policy is neither JSON nor YAML: {error}"))
        })?
    };
    out.text(yaml(name, Some(&Rules::of(&value)), &[]).trim_end())?;
    Err(Error::Retired {
        text: format!(
            "the policy '{name}' cannot be added by a request: policies are part of the server's configuration"
        ),
        hint: RELOAD.to_owned(),
    })
}

fn assign(policy: &str, identities: &[&str], out: &Output) -> Result<(), Error> {
    out.text(yaml(policy, None, identities).trim_end())?;
    Err(Error::Retired {
        text: format!(
            "the policy '{policy}' cannot be assigned by a request: identities are part of the server's configuration"
        ),
        hint: RELOAD.to_owned(),
    })
}

fn removal(what: &str, rest: &Rest) -> Error {
    let names = rest.arguments().join("', '");
    let section = match what {
        "policy" => "below 'policy'",
        _ => "from the 'identities' of its policy",
    };
    let shown = if names.is_empty() {
        String::new()
    } else {
        format!(" '{names}'")
    };
    Error::Retired {
        text: format!(
            "the {what}{shown} cannot be removed by a request: it is part of the server's configuration"
        ),
        hint: format!(
            "remove it {section} in the server's configuration file, and let the server read it again: kill -HUP PID"
        ),
    }
}

/// The lines of a configuration file for a policy.
pub(super) fn yaml_of_rules(policy: &str, allow: &str, identity: &str) -> String {
    let rules = Rules {
        allow: BTreeSet::from([allow.to_owned()]),
        deny: BTreeSet::new(),
    };
    yaml(policy, Some(&rules), &[identity])
}

fn yaml(policy: &str, rules: Option<&Rules>, identities: &[&str]) -> String {
    let mut text = format!("policy:\n  {}:\n", scalar(policy));
    let mut list = |label: &str, items: &[&str]| {
        let _ = writeln!(text, "    {label}:");
        for item in items {
            let _ = writeln!(text, "    - {}", scalar(item));
        }
    };
    if let Some(rules) = rules {
        let allow: Vec<_> = rules.allow.iter().map(String::as_str).collect();
        if allow.is_empty() {
            list("allow", &["/v1/key/create/my-key*"]);
        } else {
            list("allow", &allow);
        }
        let deny: Vec<_> = rules.deny.iter().map(String::as_str).collect();
        if !deny.is_empty() {
            list("deny", &deny);
        }
    }
    if identities.is_empty() {
        list("identities", &["IDENTITY"]);
    } else {
        list("identities", identities);
    }
    text
}

/// A YAML scalar: plain if it can be, else in the quotes of JSON, which YAML reads.
fn scalar(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.*+".contains(&byte);
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let keyword = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if word && !keyword && text.bytes().all(plain) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_of_every_release_become_yaml() {
        for text in [
            r#"{"allow":["/v1/a"],"deny":["/v1/b"]}"#,
            r#"{"allow":{"/v1/a":{}},"deny":{"/v1/b":{}}}"#,
            "paths: [/v1/a]\ndeny:\n- /v1/b\n",
        ] {
            let value: Value = serde_saphyr::from_str(text).unwrap();
            assert_eq!(
                yaml("p", Some(&Rules::of(&value)), &["a050"]),
                "policy:\n  p:\n    allow:\n    - /v1/a\n    deny:\n    - /v1/b\n    identities:\n    - a050\n",
            );
        }
    }

    #[test]
    fn what_is_no_plain_text_for_yaml_is_quoted() {
        for (text, expected) in [
            ("/v1/key/*", "/v1/key/*"),
            ("*", "\"*\""),
            ("no", "\"no\""),
            ("a: b", "\"a: b\""),
            ("12", "\"12\""),
        ] {
            assert_eq!(scalar(text), expected);
        }
    }
}
