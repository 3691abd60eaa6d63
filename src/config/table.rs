//! The table of the configuration file: one row for every key (config.md 4 and 18.3). Types, references, unknown keys and their
//! nearest known spelling, secrets that must not be shown, the JSON Schema and `docs/configuration.md` all come from it. A new key
//! exists only with its row.

use Change::{Reload, Restart};
use Holds::{Fixed, Public, Secret};
use Kind::{
    Address, Bool, Duration, Header, Identity, Ignored, KeyName, Level, Network, Path, Rule, Text,
    Url, Word,
};

/// One key.
pub(super) struct Row {
    /// Its path: `policy.*.allow[]`. A star stands for a name of the user's choice, brackets for the elements of a list.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    pub(super) holds: Holds,
    /// What holds where the key is unset, as it would be written; [`REQUIRED`] where it must be set, empty where nothing holds. The
    /// values of `defaults` are the source; a test compares them.
    pub(super) default: &'static str,
    pub(super) change: Change,
    /// The release that brought it, as far as that is recorded. Those of the predecessor start with `v` or are dates.
    pub(super) since: &'static str,
    /// What it means, in one sentence without full stop.
    pub(super) doc: &'static str,
}

/// What may stand at a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `HOST:PORT`.
    Address,
    /// `on`, `off` and their kin.
    Bool,
    /// A time with its unit.
    Duration,
    /// The name of an HTTP header.
    Header,
    /// The hash of a public key, or a word that matches nobody.
    Identity,
    /// What older releases knew, and what means nothing now. Not looked at.
    Ignored,
    /// The name of a key.
    KeyName,
    /// A log level.
    Level,
    /// An IP address or a network in CIDR notation.
    Network,
    /// A file, or a directory.
    Path,
    /// A pattern of API paths.
    Rule,
    /// Any text.
    Text,
    /// `http://` or `https://`.
    Url,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// How much of a key's value comes from where, and may be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// References to the environment are not expanded.
    Fixed,
    /// References are expanded.
    Public,
    /// References are expanded; the value is never shown.
    Secret,
}

/// What makes a changed value count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// SIGHUP.
    Reload,
    /// A new start.
    Restart,
}

/// The default of a key that must be set wherever its section is in use.
pub(super) const REQUIRED: &str = "required";

/// Older than anything that is recorded of the predecessor in detail.
const OLD: &str = "≤ v0.8.0";

const SWITCH: Kind = Word(&["on", "off"]);

const fn row(
    path: &'static str,
    kind: Kind,
    holds: Holds,
    default: &'static str,
    change: Change,
    since: &'static str,
    doc: &'static str,
) -> Row {
    Row {
        path,
        kind,
        holds,
        default,
        change,
        since,
        doc,
    }
}

/// Every key, in the order of the documentation.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // path, type, holds, default, change, since, meaning
    row("version",                      Word(&["v1"]), Fixed,  "",             Reload,  "v0.22.3",    "Version of the file's form; 'v1' is the only one"),
    row("address",                      Address,       Public, "0.0.0.0:7373", Restart, OLD,          "Where to listen; without a host on all interfaces, IPv4 and IPv6. The flag --addr goes before it"),
    row("admin.identity",               Identity,      Public, REQUIRED,       Reload,  "v0.17.2",    "Who may do everything; any text that is no identity, like 'disabled', means nobody"),

    row("tls.key",                      Path,          Public, REQUIRED,       Reload,  OLD,          "PEM file with the server's private key; read again when it changes. The flag --key fills it in"),
    row("tls.cert",                     Path,          Public, REQUIRED,       Reload,  OLD,          "PEM file with the server's certificate and its chain; read again when it changes. The flag --cert fills it in"),
    row("tls.password",                 Text,          Secret, "",             Reload,  "v0.17.2",    "What the private key is encrypted with"),
    row("tls.password_file",            Path,          Public, "",             Reload,  "0.1.0",      "File whose first line is that password, in place of tls.password; a relative path is the name of a credential where systemd passes some ($CREDENTIALS_DIRECTORY)"),
    row("tls.auth",                     SWITCH,        Public, "off",          Reload,  "2023-11-09", "Whether clients' certificates must chain to a trusted root; the stricter of this and the flag --auth holds"),
    row("tls.ca",                       Path,          Public, "",             Reload,  "v0.22.0",    "PEM file, or directory of such files, with roots to trust beside the system's"),
    row("tls.proxy.identities[]",       Identity,      Public, "",             Reload,  "v0.6.0",     "TLS proxies whose forwarded client certificates are believed"),
    row("tls.proxy.header.cert",        Header,        Public, "",             Reload,  "v0.6.0",     "The HTTP header in which these proxies forward a certificate; required with identities"),

    row("proxy_protocol.from[]",        Network,       Public, "",             Reload,  "0.1.0",      "TCP load balancers that send the PROXY protocol, version 1 or 2, before everything else: from these it is required, from others never read"),

    row("api.*.skip_auth",              Bool,          Public, "off",          Reload,  "2023-04-03", "Whether anybody may call this API; for /v1/ready, /v1/status, /v1/metrics and /v1/api only"),
    row("api.*.timeout",                Duration,      Public, "",             Reload,  "2023-04-03", "How long a request may take; if unset, the API's own: 10s or 15s, none for log streams"),

    row("policy.*.allow[]",             Rule,          Fixed,  "",             Reload,  "v0.15.0",    "API paths that may be used, unless a deny rule matches"),
    row("policy.*.deny[]",              Rule,          Fixed,  "",             Reload,  "v0.15.0",    "API paths that may not be used"),
    row("policy.*.identities[]",        Identity,      Public, "",             Reload,  OLD,          "To whom the policy applies; an identity is in one policy, once"),

    row("cache.expiry.any",             Duration,      Public, "5m",           Reload,  "v0.8.0",     "How long a key is cached, however often it is used"),
    row("cache.expiry.unused",          Duration,      Public, "30s",          Reload,  OLD,          "How long a key is cached while nobody uses it"),
    row("cache.expiry.offline",         Duration,      Public, "",             Reload,  "v0.17.3",    "How long cached keys can be used while the keystore is unreachable; if unset, not at all"),

    row("log.error",                    Level,         Public, "on",           Reload,  "v0.8.0",     "What is logged to standard error: on, off, debug, info, warn, error, or one of these with a number, like warn+1"),
    row("log.audit",                    Level,         Public, "off",          Reload,  "v0.8.0",     "Whether each request is logged to standard output"),
    row("log.format",                   Word(&["text", "json"]), Public, "text", Reload, "0.1.0",     "How log lines look"),

    row("keys[].name",                  KeyName,       Public, REQUIRED,       Reload,  "v0.13.6",    "A key that is created, if it does not exist, before requests are accepted"),

    row("compat.legacy_errors",         Bool,          Public, "off",          Reload,  "0.1.0",      "Error texts for MinIO of 2020-07-11 to 2022-02-26"),
    row("compat.ndjson_lists",          Bool,          Public, "off",          Reload,  "0.1.0",      "Lists with one object a line, for MinIO of 2022-10 to 2023-08-16"),
    row("compat.legacy_self_describe",  Bool,          Public, "off",          Reload,  "0.1.0",      "The older answer of /v1/identity/self/describe, for MinIO of 2022-03-26 to 2023-08-16"),
    row("compat.legacy_names",          Bool,          Public, "off",          Reload,  "0.1.0",      "Lets keys be used whose names have '.', ':' or '+', which older releases created"),

    row("shutdown.drain",               Duration,      Public, "1s",           Reload,  "0.1.0",      "How long requests under way may go on when the server stops; at most 10m"),

    row("keystore.fs.path",             Path,          Public, REQUIRED,       Reload,  OLD,          "Directory with one file for each key"),

    row("keystore.vault.endpoint",      Url,           Public, REQUIRED,       Reload,  "v0.8.0",     "Address of the HashiCorp Vault server, like https://127.0.0.1:8200"),
    row("keystore.vault.engine",        Text,          Public, "kv",           Reload,  "v0.10.0",    "Path of the key-value engine"),
    row("keystore.vault.version",       Word(&["v1", "v2"]), Public, "v1",     Reload,  "v0.15.0",    "Version of the key-value engine"),
    row("keystore.vault.namespace",     Text,          Public, "",             Reload,  "v0.5.0",     "Vault namespace"),
    row("keystore.vault.prefix",        Text,          Public, "",             Reload,  "v0.8.0",     "Prefix of all keys within the engine"),
    row("keystore.vault.transit.engine", Text,         Public, "transit",      Reload,  "2023-10-24", "Path of the transit engine that encrypts keys before they are stored"),
    row("keystore.vault.transit.key",   Text,          Public, REQUIRED,       Reload,  "2023-10-24", "Name of the transit key"),
    row("keystore.vault.approle.engine", Text,         Public, "approle",      Reload,  "v0.10.0",    "Path of the AppRole login"),
    row("keystore.vault.approle.namespace", Text,      Public, "",             Reload,  "2024-01-11", "Namespace of the login; if unset, that of the keystore; '/' is the root"),
    row("keystore.vault.approle.id",    Text,          Public, REQUIRED,       Reload,  OLD,          "AppRole ID"),
    row("keystore.vault.approle.secret", Text,         Secret, REQUIRED,       Reload,  OLD,          "AppRole secret ID"),
    row("keystore.vault.approle.retry", Ignored,       Fixed,  "",             Reload,  OLD,          "Without effect since 2023-04-03"),
    row("keystore.vault.kubernetes.engine", Text,      Public, "kubernetes",   Reload,  "v0.13.0",    "Path of the Kubernetes login"),
    row("keystore.vault.kubernetes.namespace", Text,   Public, "",             Reload,  "2024-01-11", "Namespace of the login; if unset, that of the keystore; '/' is the root"),
    row("keystore.vault.kubernetes.role", Text,        Public, REQUIRED,       Reload,  "v0.13.0",    "Kubernetes role"),
    row("keystore.vault.kubernetes.jwt", Text,         Secret, REQUIRED,       Reload,  "v0.13.0",    "Token of the service account, or the file that holds it, which is read at every login"),
    row("keystore.vault.kubernetes.retry", Ignored,    Fixed,  "",             Reload,  "v0.13.0",    "Without effect since 2023-04-03"),
    row("keystore.vault.tls.key",       Path,          Public, "",             Reload,  "",           "PEM file with the private key to show to Vault; together with cert"),
    row("keystore.vault.tls.cert",      Path,          Public, "",             Reload,  "",           "PEM file with the certificate to show to Vault; together with key"),
    row("keystore.vault.tls.ca",        Path,          Public, "",             Reload,  "",           "PEM file, or directory of such files, with the roots to trust; if unset, the system's"),
    row("keystore.vault.status.ping",   Duration,      Public, "10s",          Reload,  OLD,          "How often Vault is asked whether it is there"),

    row("keystore.fortanix.sdkms.endpoint", Url,       Public, REQUIRED,       Reload,  "v0.17.0",    "Address of Fortanix SDKMS"),
    row("keystore.fortanix.sdkms.group_id", Text,      Public, "",             Reload,  "v0.17.0",    "Group of new keys; if unset, the application's default group"),
    row("keystore.fortanix.sdkms.credentials.key", Text, Secret, REQUIRED,     Reload,  "v0.17.0",    "API key of the application"),
    row("keystore.fortanix.sdkms.tls.ca", Path,        Public, "",             Reload,  "v0.17.0",    "PEM file, or directory of such files, with the roots to trust; if unset, the system's"),

    row("keystore.gemalto.keysecure.endpoint", Url,    Public, REQUIRED,       Reload,  "v0.11.0",    "Address of Gemalto KeySecure (Thales CipherTrust Manager)"),
    row("keystore.gemalto.keysecure.credentials.token", Text, Secret, REQUIRED, Reload, "v0.11.0",    "Refresh token"),
    row("keystore.gemalto.keysecure.credentials.domain", Text, Public, "",     Reload,  "v0.11.0",    "Domain of the token; if unset, the root domain"),
    row("keystore.gemalto.keysecure.credentials.retry", Duration, Public, "5s", Reload, "v0.11.0",    "How long to wait before a failed login is tried again"),
    row("keystore.gemalto.keysecure.tls.ca", Path,     Public, "",             Reload,  "v0.11.0",    "PEM file, or directory of such files, with the roots to trust; if unset, the system's"),

    row("keystore.gcp.secretmanager.project_id", Text, Public, REQUIRED,       Reload,  "v0.12.0",    "Google Cloud project"),
    row("keystore.gcp.secretmanager.endpoint", Text,   Public, "",             Reload,  "v0.12.0",    "Address of the service, host or URL; if unset, Google's"),
    row("keystore.gcp.secretmanager.scopes[]", Text,   Public, "",             Reload,  "v0.19.3",    "OAuth scopes; if unset, the service's"),
    row("keystore.gcp.secretmanager.credentials.client_email", Text, Public, "", Reload, "v0.12.0",   "E-mail address of the service account; without any credentials, those of the machine are used"),
    row("keystore.gcp.secretmanager.credentials.client_id", Text, Public, "",  Reload,  "v0.12.0",    "ID of the service account"),
    row("keystore.gcp.secretmanager.credentials.private_key_id", Text, Public, "", Reload, "v0.12.0", "ID of its private key"),
    row("keystore.gcp.secretmanager.credentials.private_key", Text, Secret, "", Reload, "v0.12.0",    "Its private key, PEM; '\\n' stands for a new line"),

    row("keystore.aws.secretsmanager.endpoint", Text,  Public, REQUIRED,       Reload,  "v0.8.0",     "Address of AWS Secrets Manager, host or URL, like secretsmanager.us-east-2.amazonaws.com"),
    row("keystore.aws.secretsmanager.region", Text,    Public, REQUIRED,       Reload,  "v0.8.0",     "AWS region"),
    row("keystore.aws.secretsmanager.kmskey", Text,    Public, "",             Reload,  "v0.8.0",     "AWS KMS key that encrypts the secrets; if unset, the account's default key"),
    row("keystore.aws.secretsmanager.credentials.accesskey", Text, Public, "", Reload,  "v0.8.0",     "Access key; without credentials, those of the environment or the machine are used"),
    row("keystore.aws.secretsmanager.credentials.secretkey", Text, Secret, "", Reload,  "v0.8.0",     "Secret key"),
    row("keystore.aws.secretsmanager.credentials.token", Text, Secret, "",     Reload,  "v0.8.0",     "Session token"),

    row("keystore.azure.keyvault.endpoint", Url,       Public, REQUIRED,       Reload,  "v0.16.0",    "Address of the Azure key vault, like https://NAME.vault.azure.net"),
    row("keystore.azure.keyvault.credentials.tenant_id", Text, Public, "",     Reload,  "v0.16.0",    "Tenant of the application; all three credentials or none"),
    row("keystore.azure.keyvault.credentials.client_id", Text, Public, "",     Reload,  "v0.16.0",    "ID of the application"),
    row("keystore.azure.keyvault.credentials.client_secret", Text, Secret, "", Reload,  "v0.16.0",    "Secret of the application"),
    row("keystore.azure.keyvault.managed_identity.client_id", Text, Public, "", Reload, "v0.17.3",    "Client ID of a managed identity, in place of credentials; without either, those of the machine are used"),

    row("keystore.entrust.keycontrol.endpoint", Url,   Public, REQUIRED,       Reload,  "2023-07-26", "Address of Entrust KeyControl"),
    row("keystore.entrust.keycontrol.vault_id", Text,  Public, REQUIRED,       Reload,  "2023-07-26", "ID of the vault"),
    row("keystore.entrust.keycontrol.box_id", Text,    Public, REQUIRED,       Reload,  "2023-07-26", "ID or name of the box"),
    row("keystore.entrust.keycontrol.credentials.username", Text, Public, REQUIRED, Reload, "2023-07-26", "User"),
    row("keystore.entrust.keycontrol.credentials.password", Text, Secret, REQUIRED, Reload, "2023-07-26", "Password of the user"),
    row("keystore.entrust.keycontrol.tls.ca", Path,    Public, "",             Reload,  "2023-07-26", "PEM file, or directory of such files, with the roots to trust; if unset, the system's"),
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;
    use crate::{
        config::{MAX_DRAIN, defaults, duration, shape::FILE, shape::Shape},
        telemetry::{Format, Level},
    };

    fn default_of(path: &str) -> &'static str {
        let row = ROWS.iter().find(|row| row.path == path);
        row.unwrap_or_else(|| panic!("{path} has no row")).default
    }

    fn time_of(path: &str) -> Duration {
        Duration::from_nanos(
            duration::parse(default_of(path))
                .unwrap()
                .try_into()
                .unwrap(),
        )
    }

    #[test]
    fn every_row_is_found_by_its_path() {
        let paths: BTreeSet<_> = ROWS.iter().map(|row| row.path).collect();
        assert_eq!(paths.len(), ROWS.len());
        for row in ROWS {
            let mut shape: &Shape = &FILE;
            for step in row.path.split('.') {
                let (key, is_list) = match step.strip_suffix("[]") {
                    Some(key) => (key, true),
                    None => (step, false),
                };
                shape = shape.child(key).unwrap();
                if is_list {
                    let Shape::List(inner) = shape else {
                        panic!("{}", row.path)
                    };
                    shape = inner;
                }
            }
            let Shape::Leaf(found) = shape else {
                panic!("{}", row.path)
            };
            assert_eq!(found.path, row.path);
        }
    }

    #[test]
    fn defaults_are_those_that_are_used() {
        assert_eq!(default_of("address"), defaults::ADDRESS);
        assert_eq!(time_of("cache.expiry.any"), defaults::CACHE_ANY);
        assert_eq!(time_of("cache.expiry.unused"), defaults::CACHE_UNUSED);
        assert_eq!(time_of("shutdown.drain"), defaults::SHUTDOWN_DRAIN);
        assert_eq!(
            Level::parse(default_of("log.error")),
            Ok(defaults::LOG_ERROR)
        );
        assert_eq!(
            Level::parse(default_of("log.audit")),
            Ok(defaults::LOG_AUDIT)
        );
        assert_eq!(default_of("log.format"), "text");
        assert_eq!(defaults::LOG_FORMAT, Format::Text);
        for (key, default) in [
            ("engine", defaults::VAULT_ENGINE),
            ("transit.engine", defaults::VAULT_TRANSIT),
            ("approle.engine", defaults::VAULT_APPROLE),
            ("kubernetes.engine", defaults::VAULT_KUBERNETES),
        ] {
            assert_eq!(default_of(&format!("keystore.vault.{key}")), default);
        }
        assert_eq!(time_of("keystore.vault.status.ping"), defaults::VAULT_PING);
        assert_eq!(
            time_of("keystore.gemalto.keysecure.credentials.retry"),
            defaults::KEYSECURE_RETRY
        );
        // As the text of its row says.
        assert_eq!(MAX_DRAIN.as_secs(), 10 * 60);
    }

    #[test]
    fn a_default_is_one_of_what_may_stand_there() {
        for row in ROWS {
            let is_one = match (row.kind, row.default) {
                (_, "" | REQUIRED) | (Address | Text, _) => true,
                (Bool, default) => matches!(default, "on" | "off"),
                (Kind::Duration, default) => duration::parse(default).is_ok(),
                (Word(words), default) => words.contains(&default),
                (Level, default) => crate::telemetry::Level::parse(default).is_ok(),
                _ => false,
            };
            assert!(is_one, "{}", row.path);
        }
    }

    #[test]
    fn texts_fit_into_a_table() {
        for row in ROWS {
            for text in [row.path, row.default, row.since, row.doc] {
                assert!(!text.contains(['|', '\n', '<']), "{}", row.path);
            }
            assert!(row.doc.len() > 3 && !row.doc.ends_with('.'), "{}", row.path);
        }
    }
}
