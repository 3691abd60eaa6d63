//! Every sample file loads, or fails, as its first lines say (config.md 21). Files that need what this build does not have fail
//! with exactly the errors that say so.

use std::{collections::BTreeSet, fs, path::Path};

use kes::{
    config::{Config, Errors},
    keystore::Settings,
};

use super::{lines, load};

const NO_AWS: &str =
    "keystore.aws.secretsmanager: this build has no AWS SecretsManager keystore yet";
const NO_AZURE: &str = "keystore.azure.keyvault: this build has no Azure KeyVault keystore yet";
const NO_ENTRUST: &str =
    "keystore.entrust.keycontrol: this build has no Entrust KeyControl keystore yet";
const NO_FORTANIX: &str = "keystore.fortanix.sdkms: this build has no Fortanix SDKMS keystore yet";
const NO_GCP: &str = "keystore.gcp.secretmanager: this build has no GCP SecretManager keystore yet";
const NO_GEMALTO: &str =
    "keystore.gemalto.keysecure: this build has no Gemalto KeySecure keystore yet";
const NO_VAULT: &str = "keystore.vault: this build has no HashiCorp Vault keystore yet";

/// A line, 0 for none, and what is said about it.
type Problem = (usize, &'static str);

/// Files that must load: name, what this build cannot do yet, and the keys of all warnings.
const VALID: &[(&str, &[Problem], &[&str])] = &[
    ("01-current-fs-minimal", &[], &[]),
    ("02-current-full-vault-approle", &[(56, NO_VAULT)], &[]),
    (
        "03-current-vault-kubernetes-inline-jwt",
        &[(14, NO_VAULT)],
        &[],
    ),
    ("04-current-aws-default-credentials", &[(20, NO_AWS)], &[]),
    ("05-current-gcp-service-account", &[(16, NO_GCP)], &[]),
    ("06-current-azure-managed-identity", &[(13, NO_AZURE)], &[]),
    ("07-current-azure-default-chain", &[(6, NO_AZURE)], &[]),
    ("08-current-entrust", &[(13, NO_ENTRUST)], &[]),
    ("09-current-fortanix", &[(12, NO_FORTANIX)], &[]),
    ("10-current-gemalto-with-retry", &[(12, NO_GEMALTO)], &[]),
    ("11-operator-vault-with-retry", &[(34, NO_VAULT)], &[]),
    ("12-shape-a-root-disabled-aws", &[(21, NO_AWS)], &["root"]),
    (
        "13-shape-b-root-env-bare-secretsmanager",
        &[(43, NO_AWS)],
        &["root", "policy.storage.allow[3]", "keystore.secretsmanager"],
    ),
    (
        "14-era-b-keys-mapping-paths",
        &[(33, NO_VAULT)],
        &["root", "policy.my-app.paths", "keys"],
    ),
    (
        "15-era-c-keys-list-paths",
        &[(18, NO_GCP)],
        &["root", "policy.ops.paths"],
    ),
    ("16-era-e-all-sections-empty-but-one", &[], &[]),
    ("17-no-keystore-in-memory", &[], &["keystore"]),
    (
        "18-docs-vault-empty-subsections",
        &[(12, NO_VAULT)],
        &["root"],
    ),
    ("19-yaml-features", &[], &["x-notes"]),
    (
        "20-api-path-normalisation",
        &[],
        &["api.v1/status", "api./v1/metrics/"],
    ),
    (
        "21-era-a-old-field-names",
        &[(23, NO_AWS)],
        &[
            "root",
            "policy.prod-app.paths",
            "cache.expiry.all",
            "keystore.aws.secrets_manager",
            "keystore.aws.secretsmanager.address",
            "keystore.aws.secretsmanager.kms_key_id",
            "keystore.aws.secretsmanager.credentials.access_key",
            "keystore.aws.secretsmanager.credentials.secret_key",
            "keystore.aws.secretsmanager.credentials.session_token",
        ],
    ),
    ("22-root-and-admin-both", &[], &["root"]),
    ("23-multi-reference", &[], &[]),
    ("24-durations-lenient", &[], &[]),
    (
        "25-proxy-and-literal-dollar",
        &[(19, NO_VAULT)],
        &["policy.tenant_b.deny[0]", "keystore.vault.endpoint"],
    ),
    (
        "26-unknown-api-path",
        &[],
        &["api./v1/redy", "api./v1/secret/read/"],
    ),
];

/// Files that must fail, and all that is said about them.
const INVALID: &[(&str, &[Problem])] = &[
    ("01-no-admin", &[(0, "admin.identity: no admin identity")]),
    (
        "02-empty-admin-from-env",
        &[(
            4,
            "admin.identity: no admin identity: the value from the variable 'EMPTY_ID' is empty",
        )],
    ),
    (
        "03-unset-variable",
        &[(
            9,
            "policy.app.identities[0]: the environment variable 'SURELY_NOT_SET_ANYWHERE' is not set",
        )],
    ),
    ("04-no-tls-key", &[(4, "tls.key: no private key")]),
    ("05-no-tls-cert", &[(4, "tls.cert: no certificate")]),
    (
        "06-bad-version",
        &[(3, "version: invalid server config version 'v2'")],
    ),
    ("07-bad-tls-auth", &[(4, "tls.auth: invalid auth 'maybe'")]),
    (
        "08-two-keystores",
        &[(
            8,
            "keystore.aws.secretsmanager: more than one keystore specified: 'keystore.fs' in line 6 and 'keystore.aws.secretsmanager' in line 8",
        )],
    ),
    (
        "09-vault-two-logins",
        &[(
            9,
            "keystore.vault.kubernetes: more than one authentication method specified: 'keystore.vault.approle' and 'keystore.vault.kubernetes'",
        )],
    ),
    (
        "10-vault-no-login",
        &[(6, "keystore.vault: no authentication method specified")],
    ),
    (
        "11-vault-tls-key-only",
        &[(9, "keystore.vault.tls.cert: no TLS certificate provided")],
    ),
    (
        "12-vault-jwt-file-missing",
        &[(
            8,
            "keystore.vault.kubernetes.jwt: the file with the token cannot be read: No such file or directory (os error 2)",
        )],
    ),
    (
        "13-vault-transit-without-key",
        &[(9, "keystore.vault.transit.key: no key name specified")],
    ),
    (
        "14-aws-no-region",
        &[(5, "keystore.aws.secretsmanager.region: no region specified")],
    ),
    (
        "15-azure-incomplete-credentials",
        &[(
            9,
            "keystore.azure.keyvault.credentials.client_secret: no client secret specified",
        )],
    ),
    (
        "16-entrust-no-credentials",
        &[
            (
                7,
                "keystore.entrust.keycontrol.credentials.username: no username specified",
            ),
            (
                7,
                "keystore.entrust.keycontrol.credentials.password: no password specified",
            ),
        ],
    ),
    (
        "17-proxy-is-admin",
        &[(
            7,
            "tls.proxy.identities[0]: identity '819918552bd3954921f39ae2ba817826ea35fb18169d1a198fdaa546f2208c01' is already admin",
        )],
    ),
    (
        "18-policy-contains-admin",
        &[(
            6,
            "policy.app.identities[0]: identity '819918552bd3954921f39ae2ba817826ea35fb18169d1a198fdaa546f2208c01' is already admin",
        )],
    ),
    (
        "19-identity-in-two-policies",
        &[(
            7,
            "policy.b.identities[0]: identity '93e97fd09ef109cc7e7fd6397fdbb90b1f4a18f636c4fbebddefa870416900fd' already has a policy: 'a' in line 6",
        )],
    ),
    (
        "20-bad-policy-name",
        &[(
            6,
            "policy.my.app: policy name 'my.app' is empty, longer than 80 bytes, or contains other characters than 0-9 A-Z a-z - _",
        )],
    ),
    (
        "21-negative-cache",
        &[(5, "cache.expiry.any: invalid expiry '-5m': negative")],
    ),
    (
        "22-bad-duration",
        &[(
            5,
            "cache.expiry.unused: invalid duration '30': a duration needs a unit",
        )],
    ),
    (
        "23-bad-log-level",
        &[(5, "log.error: invalid log level 'warning'")],
    ),
    (
        "24-duplicate-key-name",
        &[(
            5,
            "keys[1].name: key 'k1' is defined multiple times, first in line 5",
        )],
    ),
    (
        "25-duplicate-mapping-key",
        &[
            (10, "policy.first.allow: defined twice, in lines 7 and 10"),
            (
                11,
                "policy.first.identities: defined twice, in lines 8 and 11",
            ),
        ],
    ),
    (
        "26-removed-generic-keystore",
        &[(6, "keystore.generic: no longer supported")],
    ),
    (
        "27-removed-kes-keystore",
        &[(6, "keystore.kes: no longer supported")],
    ),
    (
        "28-missing-endpoint",
        &[(7, "keystore.vault.endpoint: no endpoint specified")],
    ),
    (
        "29-keys-mapping-and-keystore",
        &[(5, "keys: is the same as 'keystore' in line 7")],
    ),
    (
        "30-skip-auth-on-key-api",
        &[(
            7,
            "api./v1/key/decrypt/.skip_auth: authentication cannot be skipped for this API",
        )],
    ),
    (
        "31-empty-key-name",
        &[(
            5,
            "keys[0].name: key name '' is empty, longer than 80 bytes, or contains other characters than 0-9 A-Z a-z - _",
        )],
    ),
    (
        "32-negative-ping",
        &[(
            9,
            "keystore.vault.status.ping: invalid time '-1s': negative",
        )],
    ),
    (
        "33-not-a-mapping",
        &[(
            3,
            ": expected a mapping at the top of the file, like 'address: 0.0.0.0:7373'",
        )],
    ),
    (
        "34-flow-reference-unquoted",
        &[(
            9,
            ": invalid YAML: while parsing a flow sequence, expected ',' or ']'",
        )],
    ),
    (
        "35-both-bare-and-nested-aws",
        &[
            (
                6,
                "keystore.secretsmanager: is the same as 'keystore.aws.secretsmanager' in line 8",
            ),
            (8, NO_AWS),
        ],
    ),
];

pub(super) fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/integration/config/samples")
        .join(name)
}

/// The samples in a folder, by their names without extension.
pub(super) fn names(name: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder(name)).unwrap();
    entries
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            (path.extension()? == "yaml").then(|| {
                let stem = path.file_stem().unwrap();
                stem.to_str().unwrap().to_owned()
            })
        })
        .collect()
}

/// What a comment line at the head of a sample says.
fn said<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| {
            line.strip_prefix("# ")?
                .strip_prefix(what)?
                .strip_prefix(':')
        })
        .map(str::trim)
        .collect()
}

fn run(name: &str) -> (String, Result<Config, Errors>) {
    let text = fs::read_to_string(folder(&format!("{name}.yaml"))).unwrap();
    let env: Vec<_> = said(&text, "env")
        .iter()
        .flat_map(|line| line.split_whitespace())
        .map(|pair| pair.split_once('=').unwrap())
        .collect();
    let result = load(&text, &env);
    (text, result)
}

/// The problems as `FILE:LINE: text`.
fn expected(problems: &[Problem]) -> Vec<String> {
    let line = |(line, text): &Problem| match line {
        0 => format!("kes.yml: {text}"),
        line if text.starts_with(':') => format!("kes.yml:{line}{text}"),
        line => format!("kes.yml:{line}: {text}"),
    };
    problems.iter().map(line).collect()
}

#[test]
fn every_valid_sample_loads_or_says_what_is_missing() {
    let listed: BTreeSet<_> = VALID.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(listed, names(""));
    assert_eq!(VALID.len(), 26);
    let mut loaded = 0;
    for (name, missing, warned) in VALID {
        let (text, result) = run(name);
        let warnings = match &result {
            Ok(config) => &config.warnings,
            Err(errors) => &errors.warnings,
        };
        let keys: Vec<_> = warnings.iter().map(|note| note.key.as_str()).collect();
        assert_eq!(keys, *warned, "{name}: {warnings:#?}");
        let required = said(&text, "warn").iter().filter(|w| **w != "none").count();
        assert!(warned.len() >= required, "{name}");
        match result {
            Ok(config) => {
                loaded += 1;
                assert!(missing.is_empty(), "{name} loads");
                let facts = said(&text, "expect").join(" ");
                let kind = match config.keystore {
                    Settings::Fs(_) => "keystore=fs",
                    Settings::Mem => "keystore=memory",
                };
                assert!(facts.split_whitespace().any(|fact| fact == kind), "{name}");
            }
            Err(errors) => assert_eq!(lines(&errors.problems), expected(missing), "{name}"),
        }
    }
    assert_eq!(loaded, 9);
}

#[test]
fn every_invalid_sample_fails_with_its_reason() {
    let listed: BTreeSet<_> = INVALID.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, names("invalid"));
    assert_eq!(INVALID.len(), 35);
    for (name, problems) in INVALID {
        let (_, result) = run(&format!("invalid/{name}"));
        let errors = result.err().unwrap_or_else(|| panic!("{name} loads"));
        assert_eq!(lines(&errors.problems), expected(problems), "{name}");
    }
}

fn sample(name: &str) -> Config {
    let (_, result) = run(name);
    result.unwrap_or_else(|errors| panic!("{name}: {errors}"))
}

fn fs_path(config: &Config) -> &Path {
    match &config.keystore {
        Settings::Fs(settings) => &settings.path,
        Settings::Mem => panic!("in memory"),
    }
}

#[test]
fn the_minimal_sample_has_every_default() {
    let config = sample("01-current-fs-minimal");
    assert_eq!(config.address, "0.0.0.0:7373");
    assert_eq!(
        config.admin.as_str(),
        "819918552bd3954921f39ae2ba817826ea35fb18169d1a198fdaa546f2208c01"
    );
    assert_eq!(config.tls.key, Path::new("certs/server.key"));
    assert_eq!(config.tls.cert, Path::new("certs/server.crt"));
    assert!(config.tls.password.is_none() && config.tls.ca.is_none() && !config.tls.auth);
    assert!(config.tls.proxy.identities.is_empty() && config.tls.proxy.header.is_none());
    assert!(config.api.is_empty() && config.policies.is_empty() && config.keys.is_empty());
    assert_eq!(config.cache.any.as_secs(), 300);
    assert_eq!(config.cache.unused.as_secs(), 30);
    assert_eq!(config.cache.offline, None);
    assert_eq!(config.log.error.to_string(), "INFO");
    assert_eq!(config.log.audit.to_string(), "ERROR+1");
    assert_eq!(fs_path(&config), Path::new("data/keys"));
    assert_eq!(config.compat, kes::compat::Compat::default());
}

#[test]
fn the_sample_of_yaml_features_means_what_its_head_says() {
    let config = sample("19-yaml-features");
    assert_eq!(config.address, "[::1]:7373");
    assert_eq!(config.tls.key, Path::new("server.key"));
    assert!(config.tls.password.is_none());
    let [ready, status] = config.api.as_slice() else {
        panic!("{:?}", config.api);
    };
    assert!(ready.path == "/v1/ready" && ready.skip_auth);
    assert_eq!(ready.timeout.unwrap().as_secs(), 7);
    assert!(status.path == "/v1/status" && !status.skip_auth && status.timeout.is_none());
    assert_eq!(config.log.error.to_string(), "DEBUG");
    assert_eq!(config.policies["a"].identities.len(), 1);
    assert!(config.policies["b"].policy.allow().is_empty());
    assert_eq!(config.cache.any.as_secs(), 300);
    assert_eq!(config.cache.unused.as_secs(), 5400);
}

#[test]
fn the_other_samples_mean_what_their_heads_say() {
    let config = sample("16-era-e-all-sections-empty-but-one");
    assert_eq!(fs_path(&config), Path::new("data/keys"));
    assert_eq!(config.log.error.to_string(), "INFO");

    let config = sample("20-api-path-normalisation");
    let paths: Vec<_> = config.api.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["/v1/status", "/v1/metrics"]);
    assert!(config.api[0].skip_auth);
    assert_eq!(config.api[1].timeout.unwrap().as_secs(), 22);

    let config = sample("22-root-and-admin-both");
    assert!(config.admin.is_hash());

    assert_eq!(sample("23-multi-reference").address, "127.0.0.1:7373");

    let config = sample("24-durations-lenient");
    assert_eq!(config.cache.any.as_secs(), 300);
    assert_eq!(config.cache.offline, None);
    assert!(config.api[0].skip_auth);

    // An entry that is ignored must not relax the handshake.
    assert!(sample("26-unknown-api-path").api.is_empty());
}
