//! Where a client command finds its server and its credential: flags, then the environment in tiers (cli.md 2.1), then a profile.
//!
//! A flag beats every variable and a higher tier a lower one, as a set: a pair of files for this tool does not conflict with an API
//! key that is meant for the object store on the same host. An empty value counts as unset.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    path::Path,
};

use zeroize::Zeroizing;

use super::{error::Error, file, profile::Profile};
use crate::client::proxy::Proxies;

/// The environment's variables, or a test's. The one place of the command line that reads the environment.
pub(super) struct Environment {
    variables: HashMap<OsString, OsString>,
    profile: Option<Profile>,
}

impl Environment {
    /// The variables of this process.
    pub(super) fn of_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            profile: None,
        }
    }

    /// These variables and no others.
    #[cfg(test)]
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| (name.into(), value.into());
        Self {
            variables: variables.iter().map(owned).collect(),
            profile: None,
        }
    }

    /// The same variables, and below them a profile.
    pub(super) fn above(&self, profile: Option<Profile>) -> Self {
        Self {
            variables: self.variables.clone(),
            profile,
        }
    }

    /// The profile below the variables.
    pub(super) fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    /// The value of a variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = self.variables.get(OsStr::new(name))?.to_str()?;
        (!value.is_empty()).then(|| value.to_owned())
    }
}

/// A value and where it was given. May be a secret: not to be printed.
pub(super) struct Given {
    pub(super) value: Zeroizing<String>,
    /// The flag or variable.
    pub(super) origin: &'static str,
}

/// What the client proves itself with.
pub(super) enum Proof {
    ApiKey(Given),
    Files { certificate: Given, key: Given },
}

/// Flags that name a credential.
#[derive(Default)]
pub(super) struct ProofFlags {
    pub(super) api_key: Option<Given>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

const API_KEY: &[&[&str]] = &[
    &["MINIO_KES_API_KEY"],
    &["KES_API_KEY"],
    &["MINIO_KMS_KES_API_KEY"],
    &[],
];
/// Two names in the third tier: the object store's own, and the one the reference reads instead.
const KEY_FILE: &[&[&str]] = &[
    &["MINIO_KES_KEY_FILE"],
    &["KES_CLIENT_KEY"],
    &["MINIO_KES_CLIENT_KEY", "MINIO_KMS_KES_KEY_FILE"],
    &["KES_CLIENT_TLS_KEY_FILE"],
];
const CERT_FILE: &[&[&str]] = &[
    &["MINIO_KES_CERT_FILE"],
    &["KES_CLIENT_CERT"],
    &["MINIO_KES_CLIENT_CERT", "MINIO_KMS_KES_CERT_FILE"],
    &["KES_CLIENT_TLS_CERT_FILE"],
];
/// What is below all variables.
pub(super) const PROFILE: &str = "the profile";
/// Variables of the last tier, which are deprecated.
pub(super) const DEPRECATED: &[&str] = &["KES_CLIENT_TLS_KEY_FILE", "KES_CLIENT_TLS_CERT_FILE"];

/// The list of servers.
pub(super) fn servers(flag: Option<&str>, env: &Environment) -> Given {
    let flag = flag.filter(|value| !value.is_empty());
    let variables = ["MINIO_KES_SERVER", "KES_SERVER", "MINIO_KMS_KES_ENDPOINT"];
    flag.map(|value| given(value.to_owned(), "--server"))
        .or_else(|| first(&variables, env))
        .or_else(|| of_profile(env, |profile| profile.server.as_ref()))
        .unwrap_or_else(|| given("127.0.0.1:7373".to_owned(), "the default"))
}

/// How servers elsewhere are reached.
pub(super) fn proxies(env: &Environment) -> Option<Proxies> {
    let either = |upper, lower| env.get(upper).or_else(|| env.get(lower));
    let proxy = either("HTTPS_PROXY", "https_proxy")?;
    let exceptions = either("NO_PROXY", "no_proxy").unwrap_or_default();
    Some(Proxies::new(&proxy, &exceptions))
}

/// The file or directory of trusted certificates.
pub(super) fn ca(flag: Option<&str>, env: &Environment) -> Option<Given> {
    let flag = flag.filter(|value| !value.is_empty());
    flag.map(|value| given(value.to_owned(), "--ca"))
        .or_else(|| first(&["KES_CA", "MINIO_KMS_KES_CAPATH"], env))
}

/// The credential of the highest tier that has one. A tier with only one of the two files takes the other from below.
///
/// # Errors
/// If a tier names both an API key and a file, if only one file is named, or if nothing is.
pub(super) fn proof(flags: ProofFlags, env: &Environment) -> Result<Proof, Error> {
    let tiers = |names: &[&[&'static str]]| -> Vec<Option<Given>> {
        names.iter().map(|names| first(names, env)).collect()
    };
    let with_flag = |flag: Option<Given>, names, profile| {
        let mut all = vec![flag.filter(|given| !given.value.is_empty())];
        all.extend(tiers(names));
        all.push(profile);
        all
    };
    let key_file = of_profile(env, |profile| profile.api_key_file.as_ref());
    let api_keys = with_flag(flags.api_key, API_KEY, key_file);
    let mut keys = with_flag(
        flags.key.map(|value| given(value, "--client-key")),
        KEY_FILE,
        of_profile(env, |profile| profile.client_key.as_ref()),
    );
    let mut certificates = with_flag(
        flags.certificate.map(|value| given(value, "--client-cert")),
        CERT_FILE,
        of_profile(env, |profile| profile.client_cert.as_ref()),
    );
    for (tier, api_key) in api_keys.into_iter().enumerate() {
        let file = [&keys, &certificates]
            .into_iter()
            .find_map(|files| files.get(tier)?.as_ref());
        match (api_key, file) {
            (None, None) => {}
            (Some(path), None) if path.origin == PROFILE => {
                let text = file::read(Path::new(path.value.as_str()))?;
                let key = std::str::from_utf8(&text).unwrap_or("?").trim();
                return Ok(Proof::ApiKey(given(key.to_owned(), PROFILE)));
            }
            (Some(api_key), None) => return Ok(Proof::ApiKey(api_key)),
            (Some(api_key), Some(file)) => {
                let (one, other) = (api_key.origin, file.origin);
                return Err(Error::Proof(format!(
                    "{one} and {other} exclude each other: use either an API key or certificate files"
                )));
            }
            (None, Some(_)) => {
                let key = keys.drain(tier..).flatten().next();
                let certificate = certificates.drain(tier..).flatten().next();
                return files(certificate, key);
            }
        }
    }
    Err(Error::Stranger)
}

fn files(certificate: Option<Given>, key: Option<Given>) -> Result<Proof, Error> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Proof::Files { certificate, key }),
        (None, Some(key)) => Err(Error::Proof(format!(
            "{} names a private key but MINIO_KES_CERT_FILE, KES_CLIENT_CERT or --client-cert no certificate",
            key.origin
        ))),
        (Some(certificate), None) => Err(Error::Proof(format!(
            "{} names a certificate but MINIO_KES_KEY_FILE, KES_CLIENT_KEY or --client-key no private key",
            certificate.origin
        ))),
        (None, None) => Err(Error::Stranger),
    }
}

/// The file with the password of the client's private key, or the password itself.
pub(super) fn key_password(flag: Option<&str>, env: &Environment) -> Option<Password> {
    let flag = flag.filter(|value| !value.is_empty());
    match flag {
        Some(path) => Some(Password::In(given(path.to_owned(), "--key-password-file"))),
        None => first(
            &["KES_CLIENT_KEY_PASSWORD", "MINIO_KMS_KES_KEY_PASSWORD"],
            env,
        )
        .map(Password::Is)
        .or_else(|| {
            of_profile(env, |profile| profile.key_password_file.as_ref()).map(Password::In)
        }),
    }
}

/// What the profile says, if there is one and it says anything.
fn of_profile(env: &Environment, pick: impl Fn(&Profile) -> Option<&String>) -> Option<Given> {
    let value = pick(env.profile()?)?;
    Some(given(value.clone(), PROFILE))
}

/// A password, or where it is.
pub(super) enum Password {
    Is(Given),
    In(Given),
}

pub(super) fn given(value: String, origin: &'static str) -> Given {
    Given {
        value: Zeroizing::new(value),
        origin,
    }
}

fn first(names: &[&'static str], env: &Environment) -> Option<Given> {
    names
        .iter()
        .find_map(|name| Some(given(env.get(name)?, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(api_key: &str, certificate: &str, key: &str) -> ProofFlags {
        let text = |text: &str| Some(text.to_owned());
        ProofFlags {
            api_key: text(api_key).map(|value| given(value, "--api-key")),
            certificate: text(certificate),
            key: text(key),
        }
    }

    /// The origins of what was chosen, or the text of the error.
    fn chosen(flags: ProofFlags, variables: &[(&str, &str)]) -> Result<Vec<&'static str>, String> {
        match proof(flags, &Environment::of(variables)) {
            Ok(Proof::ApiKey(key)) => Ok(vec![key.origin]),
            Ok(Proof::Files { certificate, key }) => Ok(vec![certificate.origin, key.origin]),
            Err(error) => Err(error.text()),
        }
    }

    #[test]
    fn the_first_name_that_is_set_and_not_empty_wins() {
        let all = [
            ("MINIO_KES_SERVER", ""),
            ("KES_SERVER", "b"),
            ("MINIO_KMS_KES_ENDPOINT", "c"),
        ];
        assert_eq!(servers(None, &Environment::of(&all)).origin, "KES_SERVER");
        assert_eq!(
            servers(Some("a"), &Environment::of(&all)).origin,
            "--server"
        );
        assert_eq!(
            servers(Some(""), &Environment::of(&all[2..])).origin,
            "MINIO_KMS_KES_ENDPOINT"
        );
        assert_eq!(
            *servers(None, &Environment::of(&all[..1])).value,
            "127.0.0.1:7373"
        );
        assert!(ca(None, &Environment::of(&[])).is_none());
        assert_eq!(
            ca(None, &Environment::of(&[("MINIO_KMS_KES_CAPATH", "d")]))
                .unwrap()
                .origin,
            "MINIO_KMS_KES_CAPATH"
        );
    }

    #[test]
    fn a_higher_tier_beats_a_lower_one_as_a_set() {
        let files = [("KES_CLIENT_KEY", "k"), ("KES_CLIENT_CERT", "c")];
        let own = ("MINIO_KES_API_KEY", "a");
        let store = ("MINIO_KMS_KES_API_KEY", "a");
        let none = ProofFlags::default;
        let both = vec!["KES_CLIENT_CERT", "KES_CLIENT_KEY"];
        assert_eq!(chosen(none(), &[files[0], files[1], store]).unwrap(), both);
        assert_eq!(
            chosen(none(), &[files[0], files[1], own]).unwrap(),
            ["MINIO_KES_API_KEY"]
        );
        assert_eq!(chosen(flags("a", "", ""), &files).unwrap(), ["--api-key"]);
        let flagged = vec!["--client-cert", "--client-key"];
        assert_eq!(chosen(flags("", "c", "k"), &[own]).unwrap(), flagged);
    }

    #[test]
    fn half_a_pair_is_completed_from_below_or_named() {
        let mixed = [("MINIO_KES_KEY_FILE", "k"), ("KES_CLIENT_CERT", "c")];
        let none = ProofFlags::default;
        let pair = vec!["KES_CLIENT_CERT", "MINIO_KES_KEY_FILE"];
        assert_eq!(chosen(none(), &mixed).unwrap(), pair);
        let error = chosen(none(), &mixed[..1]).unwrap_err();
        assert!(error.contains("MINIO_KES_CERT_FILE"), "{error}");
        let error = chosen(none(), &mixed[1..]).unwrap_err();
        assert!(error.contains("MINIO_KES_KEY_FILE"), "{error}");
        let old = [
            ("KES_CLIENT_TLS_KEY_FILE", "k"),
            ("KES_CLIENT_TLS_CERT_FILE", "c"),
        ];
        assert_eq!(chosen(none(), &old).unwrap()[1], "KES_CLIENT_TLS_KEY_FILE");
        let store = [
            ("MINIO_KMS_KES_KEY_FILE", "k"),
            ("MINIO_KMS_KES_CERT_FILE", "c"),
        ];
        assert_eq!(chosen(none(), &store).unwrap()[1], "MINIO_KMS_KES_KEY_FILE");
    }

    #[test]
    fn a_conflict_within_a_tier_names_both_sides() {
        let error = chosen(flags("a", "c", ""), &[]).unwrap_err();
        assert!(
            error.contains("--api-key") && error.contains("--client-cert"),
            "{error}"
        );
        let variables = [("KES_API_KEY", "a"), ("KES_CLIENT_KEY", "k")];
        let error = chosen(ProofFlags::default(), &variables).unwrap_err();
        assert!(
            error.contains("KES_API_KEY") && error.contains("KES_CLIENT_KEY"),
            "{error}"
        );
        let error = chosen(ProofFlags::default(), &[]).unwrap_err();
        assert!(error.contains("MINIO_KES_API_KEY"), "{error}");
    }
}
