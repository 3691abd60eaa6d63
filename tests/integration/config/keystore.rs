//! Which keystore is in use (config.md 9): a forgotten or misspelled section must never end in memory.

use kes::{config::Config, config::Errors, keystore::Settings};

use super::{lines, load, problems};

const HEAD: &str = "admin: { identity: disabled }\ntls: { key: k, cert: c }\n";

fn with(keystore: &str) -> Result<Config, Errors> {
    load(
        format!("{HEAD}{keystore}\n"),
        &[("EMPTY", ""), ("SET", "x")],
    )
}

#[test]
fn nothing_but_empty_sections_means_memory_with_a_warning() {
    for text in [
        "",
        "keystore:",
        "keystore: {}",
        "keystore: { fs: ~, vault: null, aws: { secretsmanager: ~ } }",
        // The template that the predecessor shipped.
        "keystore: { fs: { path: '' }, vault: { endpoint: '', approle: { id: '', retry: 15s }, status: { ping: 10s } }, gcp: { secretmanager: { project_id: '', scopes: [ '' ] } } }",
        "keystore: { fs: { path: '${EMPTY}' }, vault: { endpoint: '${EMPTY}' } }",
    ] {
        let config = with(text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        assert!(matches!(config.keystore, Settings::Mem), "{text}");
        let [warning] = config.warnings.as_slice() else {
            panic!("{text}: {:?}", config.warnings);
        };
        assert!(warning.text.contains("kept in memory"), "{text}");
    }
}

#[test]
fn one_active_section_is_used_and_empty_ones_are_ignored() {
    for text in [
        "keystore: { fs: { path: x } }",
        "keystore: { fs: { path: '${SET}' }, vault: { endpoint: '' } }",
        "keystore: { vault: { endpoint: '', approle: { id: left, secret: over } }, fs: { path: x } }",
        "keystore: { fs: { path: x }, generic: { endpoint: '' } }",
    ] {
        let config = with(text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        let Settings::Fs(settings) = &config.keystore else {
            panic!("{text}");
        };
        assert_eq!(settings.path, std::path::Path::new("x"), "{text}");
    }
}

#[test]
fn a_section_without_its_endpoint_fails_with_its_own_message() {
    for (text, problem) in [
        (
            "keystore: { fs: {} }",
            "keystore.fs.path: no path specified",
        ),
        (
            "keystore: { fs: { path: '' } }",
            "keystore.fs.path: no path specified",
        ),
        (
            "keystore: { fs: { path: '${EMPTY}' } }",
            "keystore.fs.path: no path specified",
        ),
        (
            "keystore: { vault: { status: { ping: 10s } } }",
            "keystore.vault.endpoint: no endpoint specified",
        ),
        (
            "keystore: { aws: {} }",
            "keystore.aws.secretsmanager.endpoint: no endpoint specified",
        ),
        (
            "keystore: { aws: { secretsmanager: { region: x } }, fs: { path: '' } }",
            "keystore.aws.secretsmanager.endpoint: no endpoint specified",
        ),
        (
            "keystore: { gcp: { secretmanager: { endpoint: x } } }",
            "keystore.gcp.secretmanager.project_id: no project ID specified",
        ),
        // The one that was filled in is meant, although its endpoint is misspelled.
        (
            "keystore: { fs: { path: '' }, vault: { endpiont: 'https://x' } }",
            "keystore.vault.endpoint: no endpoint specified",
        ),
    ] {
        assert_eq!(
            problems(with(text)),
            [format!("kes.yml:3: {problem}")],
            "{text}"
        );
    }
    let errors = with("keystore: { vault: { endpiont: 'https://x' } }")
        .err()
        .unwrap();
    assert_eq!(
        errors.warnings[0].hint.as_deref(),
        Some("did you mean 'endpoint'?")
    );
}

#[test]
fn several_active_sections_are_refused() {
    for text in [
        "keystore: { fs: { path: x }, vault: { endpoint: y } }",
        "keystore: { azure: { keyvault: { endpoint: x } }, entrust: { keycontrol: { endpoint: y } }, fs: { path: z } }",
    ] {
        let problems = problems(with(text));
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("more than one keystore specified: "),
            "{problems:?}"
        );
    }
}

#[test]
fn every_kind_of_another_build_is_refused_by_name() {
    for (section, rest) in [
        (
            "vault",
            "endpoint: 'http://v', approle: { id: a, secret: b }",
        ),
        (
            "fortanix.sdkms",
            "endpoint: 'https://f', credentials: { key: k }",
        ),
        (
            "gemalto.keysecure",
            "endpoint: 'https://k', credentials: { token: t }",
        ),
        ("gcp.secretmanager", "project_id: p"),
        ("aws.secretsmanager", "endpoint: e, region: r"),
        ("azure.keyvault", "endpoint: 'https://a'"),
        (
            "entrust.keycontrol",
            "endpoint: 'https://e', vault_id: v, box_id: b, credentials: { username: u, password: p }",
        ),
    ] {
        let text = match section.split_once('.') {
            None => format!("keystore: {{ {section}: {{ {rest} }} }}"),
            Some((provider, product)) => {
                format!("keystore: {{ {provider}: {{ {product}: {{ {rest} }} }} }}")
            }
        };
        let problems = problems(with(&text));
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].starts_with(&format!(
                "kes.yml:3: keystore.{section}: this build has no "
            )),
            "{problems:?}"
        );
    }
}

#[test]
fn in_memory_an_unknown_key_is_an_error() {
    for (text, problem) in [
        (
            "keystor: { fs: { path: x } }",
            "keystor: unknown key, and no keystore is specified",
        ),
        (
            "x-notes: 1",
            "x-notes: unknown key, and no keystore is specified",
        ),
        (
            "keystore: { fss: { path: x } }",
            "keystore.fss: unknown key, and no keystore is specified",
        ),
        (
            "keystore: { aws: { secretsmanger: { endpoint: x } } }",
            "keystore.aws.secretsmanger: unknown key, and no keystore is specified",
        ),
    ] {
        let result = with(text);
        assert_eq!(
            problems(result),
            [format!("kes.yml:3: {problem}")],
            "{text}"
        );
        // With a keystore it is a warning.
        if !text.starts_with("keystore:") {
            let config = with(&format!("{text}\nkeystore: {{ fs: {{ path: x }} }}")).unwrap();
            assert_eq!(config.warnings.len(), 1, "{text}");
        }
    }
    // Deeper down it is only a warning.
    let config = with("log: { eror: on }").unwrap();
    assert_eq!(
        lines(&config.warnings),
        [
            "kes.yml: keystore: no keystore specified: keys are kept in memory and ARE LOST when the server stops",
            "kes.yml:3: log.eror: unknown key, ignored",
        ]
    );
}

#[test]
fn removed_sections_are_refused_even_beside_a_keystore() {
    for (text, key) in [
        ("keystore: { generic: { endpoint: x } }", "keystore.generic"),
        ("keystore: { generic: {} }", "keystore.generic"),
        (
            "keystore: { kes: { endpoint: [ x ] }, fs: { path: x } }",
            "keystore.kes",
        ),
        ("keystore: { etcd: { endpoint: x } }", "keystore.etcd"),
        (
            "kms: { vault: { endpoint: x } }\nkeystore: { fs: { path: x } }",
            "kms",
        ),
    ] {
        let expected = format!("kes.yml:3: {key}: no longer supported");
        assert_eq!(problems(with(text)), [expected], "{text}");
    }
}
