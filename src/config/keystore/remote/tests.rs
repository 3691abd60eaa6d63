//! What each section becomes, and all that can be wrong with it.

use std::{fs, path::Path};

use super::*;
use crate::config::{
    env::Env, normalise::normalise, report::Errors, resolve::resolve, shape::FILE, tree,
};

const SAMPLES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/integration/config/samples"
);

/// Reads the section at `section` of a file.
fn section(text: &str, section: &[&str], env: &Env) -> Result<Remote, Errors> {
    let mut report = Report::new("f");
    let mut root = tree(text.as_bytes(), &mut report).unwrap();
    normalise(&mut root, &mut report);
    resolve(&mut root, &FILE, env, &mut report);
    let view = View::of(&root).get("keystore").find(section);
    match read(section, view, &mut report) {
        Some(remote) if report.is_clean() => Ok(remote),
        _ => Err(report.into_errors()),
    }
}

fn sample(name: &str, path: &[&str]) -> Remote {
    let text = fs::read_to_string(Path::new(SAMPLES).join(name)).unwrap();
    let env = text.lines().find_map(|line| line.strip_prefix("# env: "));
    let env = env.unwrap_or_default().split_whitespace();
    let env = Env::of(env.filter_map(|pair| pair.split_once('=')));
    section(&text, path, &env).unwrap_or_else(|errors| panic!("{name}: {errors}"))
}

fn vault(name: &str) -> Vault {
    match sample(name, &["vault"]) {
        Remote::Vault(vault) => vault,
        _ => panic!("{name}"),
    }
}

#[test]
fn vault_has_its_values_and_defaults() {
    let full = vault("02-current-full-vault-approle.yaml");
    assert_eq!(full.endpoint, "https://vault.example.net:8200");
    assert_eq!(full.engine, "/team-a/kv/");
    assert_eq!(full.version, VaultVersion::V2);
    assert_eq!(full.namespace.as_deref(), Some("org/team-a"));
    assert_eq!(full.prefix.as_deref(), Some("kes/prod"));
    assert_eq!(full.ping, Duration::from_secs(30));
    let transit = full.transit.unwrap();
    assert_eq!((&*transit.engine, &*transit.key), ("transit", "wrap"));
    let (key, cert) = full.client.unwrap();
    assert_eq!(key, Path::new("certs/vault-client.key"));
    assert_eq!(cert, Path::new("certs/vault-client.crt"));
    assert_eq!(full.ca.as_deref(), Some(Path::new("certs/vault-ca.crt")));
    let VaultLogin::AppRole {
        engine,
        namespace,
        id,
        secret,
    } = full.login
    else {
        panic!("not AppRole")
    };
    assert_eq!((&*engine, &*id), ("approle", "role-1"));
    assert_eq!(namespace.as_deref(), Some("/"));
    assert_eq!(secret.expose(), b"secret-1");

    let inline = vault("03-current-vault-kubernetes-inline-jwt.yaml");
    assert_eq!((inline.version, &*inline.engine), (VaultVersion::V1, "kv"));
    assert_eq!(inline.ping, Duration::from_secs(10));
    assert!(inline.client.is_none() && inline.transit.is_none() && inline.prefix.is_none());
    let VaultLogin::Kubernetes { engine, jwt, .. } = inline.login else {
        panic!("not Kubernetes")
    };
    assert_eq!(engine, "k8s-eu");
    assert!(matches!(jwt, Jwt::Text(text) if text.expose() == b"aGVhZA.Ym9keQ.c2ln"));

    let operator = vault("11-operator-vault-with-retry.yaml");
    assert_eq!(operator.namespace, None);
    assert_eq!(operator.prefix.as_deref(), Some("my-minio"));
    assert!(operator.client.is_none() && operator.ca.is_none());

    let template = vault("18-docs-vault-empty-subsections.yaml");
    assert!(template.transit.is_none());
    assert!(matches!(template.login, VaultLogin::AppRole { id, .. } if id == "r"));
    // What only looks like a reference stays.
    let literal = vault("25-proxy-and-literal-dollar.yaml");
    assert_eq!(literal.endpoint, "https://${HOST}:8200");
}

#[test]
fn a_token_is_a_file_if_it_has_a_slash_or_a_file_has_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "x").unwrap();
    let read = |jwt: &str| {
        let text = format!(
            "keystore: {{ vault: {{ endpoint: 'http://v', kubernetes: {{ role: r, jwt: '{jwt}' }} }} }}"
        );
        match section(&text, &["vault"], &Env::of([("A", "b")])) {
            Ok(Remote::Vault(Vault {
                login: VaultLogin::Kubernetes { jwt, .. },
                ..
            })) => Ok(jwt),
            Ok(_) => panic!("{jwt}"),
            Err(errors) => Err(errors.to_string()),
        }
    };
    let path = file.to_str().unwrap();
    assert!(matches!(read(path), Ok(Jwt::File(found)) if found == file));
    // A file of the working directory, which is that of the crate.
    assert!(matches!(read("Cargo.toml"), Ok(Jwt::File(_))));
    assert!(matches!(read("no-such-file"), Ok(Jwt::Text(_))));
    assert!(matches!(read("a.b.c"), Ok(Jwt::Text(_))));
    let folder = folder.path().to_str().unwrap().to_owned();
    let refused = read(&folder).err().unwrap();
    assert!(refused.contains("from a directory"), "{refused}");
    let refused = read("./hunter2").err().unwrap();
    assert!(
        refused.contains("cannot be read") && !refused.contains("hunter2"),
        "{refused}"
    );
}

#[test]
fn the_other_services_have_their_values_and_defaults() {
    let Remote::Aws(aws) = sample(
        "04-current-aws-default-credentials.yaml",
        &["aws", "secretsmanager"],
    ) else {
        panic!()
    };
    assert!(aws.credentials.is_none() && aws.kmskey.is_none());
    assert_eq!(aws.region, "us-east-2");
    for name in [
        "12-shape-a-root-disabled-aws.yaml",
        "13-shape-b-root-env-bare-secretsmanager.yaml",
        "21-era-a-old-field-names.yaml",
    ] {
        let Remote::Aws(aws) = sample(name, &["aws", "secretsmanager"]) else {
            panic!()
        };
        let credentials = aws.credentials.unwrap();
        assert_eq!(credentials.accesskey, "AKEXAMPLE");
        assert_eq!(credentials.secretkey.expose(), b"sk");
        assert!(credentials.token.is_none());
    }

    let Remote::Gcp(gcp) = sample(
        "05-current-gcp-service-account.yaml",
        &["gcp", "secretmanager"],
    ) else {
        panic!()
    };
    assert!(gcp.scopes.is_empty() && gcp.endpoint.is_none());
    let credentials = gcp.credentials.unwrap();
    assert_eq!(
        credentials.private_key.expose(),
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    );
    let Remote::Gcp(gcp) = sample("15-era-c-keys-list-paths.yaml", &["gcp", "secretmanager"])
    else {
        panic!()
    };
    assert!(gcp.credentials.is_none());

    let login = |name| match sample(name, &["azure", "keyvault"]) {
        Remote::Azure(azure) => azure.login,
        _ => panic!("{name}"),
    };
    assert!(matches!(
        login("06-current-azure-managed-identity.yaml"),
        AzureLogin::ManagedIdentity { client_id } if client_id == "7c0d3a52-53b5-4a2d-9a3c-0b5ea3f0c111"
    ));
    assert!(matches!(
        login("07-current-azure-default-chain.yaml"),
        AzureLogin::Default
    ));

    let Remote::Entrust(entrust) = sample("08-current-entrust.yaml", &["entrust", "keycontrol"])
    else {
        panic!()
    };
    assert_eq!(entrust.username, "kes@example.net");
    assert_eq!(entrust.password.expose(), b"pw");
    assert_eq!(entrust.ca.as_deref(), Some(Path::new("certs/kc-ca.pem")));

    let Remote::Fortanix(fortanix) = sample("09-current-fortanix.yaml", &["fortanix", "sdkms"])
    else {
        panic!()
    };
    assert_eq!(fortanix.key.expose(), b"c2FtcGxlLWFwcDpzYW1wbGUtc2VjcmV0");
    assert!(fortanix.ca.is_none());

    let Remote::KeySecure(keysecure) = sample(
        "10-current-gemalto-with-retry.yaml",
        &["gemalto", "keysecure"],
    ) else {
        panic!()
    };
    assert_eq!(keysecure.retry, Duration::from_secs(15));
    assert_eq!(keysecure.domain, None);
    assert_eq!(keysecure.token.expose(), b"CEvk5refreshTOKEN");
}

/// Sections, and the key and the reason of everything that is wrong with them.
const WRONG: &[(&[&str], &str, &[&str])] = &[
    (
        &["vault"],
        "endpoint: 'v:8200'",
        &[
            "endpoint: 'v:8200' is not a URL",
            ": no authentication method specified",
        ],
    ),
    (
        &["vault"],
        "endpoint: 'ftp://v', approle: { id: a }, version: v3, tls: { cert: c }, transit: { engine: t }, status: { ping: -1s }",
        &[
            "endpoint: 'ftp://v' is not a URL",
            "version: invalid engine API version 'v3'",
            "approle.secret: no approle secret specified",
            "transit.key: no key name specified",
            "tls.key: no TLS private key provided",
            "status.ping: invalid time '-1s': negative",
        ],
    ),
    (
        &["vault"],
        "endpoint: 'http://v', approle: { secret: a }, tls: { key: c }",
        &[
            "approle.id: no approle ID specified",
            "tls.cert: no TLS certificate provided",
        ],
    ),
    (
        &["vault"],
        "endpoint: 'http://v', kubernetes: { engine: k }",
        &[
            "kubernetes.role: no role specified",
            "kubernetes.jwt: no JWT specified",
        ],
    ),
    (
        &["vault"],
        "endpoint: 'http://v', approle: { id: a, secret: b }, kubernetes: { role: r, jwt: j }",
        &[
            "kubernetes: more than one authentication method specified: 'keystore.vault.approle' and 'keystore.vault.kubernetes'",
        ],
    ),
    (
        &["fortanix", "sdkms"],
        "endpoint: 'https:///'",
        &[
            "endpoint: 'https:///' is not a URL",
            "credentials.key: no API key specified",
        ],
    ),
    (
        &["gemalto", "keysecure"],
        "endpoint: 'https://k', credentials: { retry: -1s }",
        &[
            "credentials.token: no token specified",
            "credentials.retry: invalid time '-1s': negative",
        ],
    ),
    (
        &["gcp", "secretmanager"],
        "project_id: p, credentials: { client_id: x }",
        &[
            "credentials.client_email: no client email specified",
            "credentials.private_key_id: no client private key ID specified",
            "credentials.private_key: no client private key specified",
        ],
    ),
    (
        &["gcp", "secretmanager"],
        "project_id: p, credentials: { private_key: x }",
        &[
            "credentials.client_email: no client email specified",
            "credentials.client_id: no client ID specified",
            "credentials.private_key_id: no client private key ID specified",
        ],
    ),
    (
        &["aws", "secretsmanager"],
        "endpoint: e, credentials: { token: t }",
        &[
            "region: no region specified",
            "credentials.accesskey: no access key specified",
            "credentials.secretkey: no secret key specified",
        ],
    ),
    (
        &["azure", "keyvault"],
        "endpoint: 'https://a b', credentials: { tenant_id: '', client_id: x }",
        &[
            "endpoint: 'https://a b' is not a URL",
            "credentials.tenant_id: no tenant ID specified",
            "credentials.client_secret: no client secret specified",
        ],
    ),
    (
        &["azure", "keyvault"],
        "endpoint: 'https://a', credentials: { tenant_id: t, client_id: x, client_secret: s }, managed_identity: { client_id: x }",
        &[
            "managed_identity: more than one authentication method specified: 'keystore.azure.keyvault.credentials' and 'keystore.azure.keyvault.managed_identity'",
        ],
    ),
    (
        &["entrust", "keycontrol"],
        "endpoint: 'https://e'",
        &[
            "vault_id: no vault ID specified",
            "box_id: no box ID specified",
            "credentials.username: no username specified",
            "credentials.password: no password specified",
        ],
    ),
];

#[test]
fn everything_that_is_wrong_with_a_section_is_said() {
    for (path, text, expected) in WRONG {
        let (open, close) = match path {
            [provider, product] => (format!("{provider}: {{ {product}: {{ "), " } }"),
            _ => (format!("{}: {{ ", path.join("")), " }"),
        };
        let text = format!("keystore: {{ {open}{text}{close} }}");
        let errors = section(&text, path, &Env::of([("A", "b")])).err().unwrap();
        let base = format!("keystore.{}", path.join("."));
        let found: Vec<_> = errors
            .problems
            .iter()
            .map(|note| {
                let key = note.key.strip_prefix(&base).unwrap();
                format!("{}: {}", key.trim_start_matches('.'), note.text)
            })
            .collect();
        let mut found: Vec<_> = found.iter().map(String::as_str).collect();
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{text}");
    }
}
