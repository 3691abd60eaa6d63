//! Old spellings (config.md 18): what falls out of the rewriting step; the samples hold the rest.

use super::{ALICE, lines, load, problems};

const TLS: &str = "tls: { key: k, cert: c }\n";
const FS: &str = "keystore: { fs: { path: p } }\n";

#[test]
fn root_is_the_admin_unless_the_admin_is_there() {
    for (text, admin, warning) in [
        (
            "root: disabled",
            "disabled",
            "kes.yml:1: root: this is an old spelling",
        ),
        (
            "root: ${ID}\nadmin:",
            ALICE,
            "kes.yml:1: root: this is an old spelling",
        ),
        (
            "root: x\nadmin: { identity: '' }",
            "x",
            "kes.yml:1: root: this is an old spelling",
        ),
        (
            "root: ${NOT_SET}\nadmin: { identity: y }",
            "y",
            "kes.yml:1: root: ignored: 'admin.identity' in line 2 is its current spelling",
        ),
    ] {
        let config = load(format!("{text}\n{TLS}{FS}"), &[("ID", ALICE)]).unwrap();
        assert_eq!(config.admin.as_str(), admin, "{text}");
        assert_eq!(lines(&config.warnings), [warning], "{text}");
    }
    assert_eq!(
        problems(load(format!("root: ''\n{TLS}{FS}"), &[])),
        ["kes.yml:1: admin.identity: no admin identity"]
    );
    assert_eq!(
        problems(load(format!("root: x\nadmin: text\n{TLS}{FS}"), &[])),
        ["kes.yml:2: admin: expected a mapping, found text"]
    );
}

#[test]
fn paths_are_the_allow_rules_unless_these_are_there() {
    let text = format!(
        "admin: {{ identity: x }}\n{TLS}{FS}policy:\n  a: {{ paths: [ /v1/status ] }}\n  b: {{ paths: [ /v1/status ], allow: [ /v1/api ] }}\n"
    );
    let config = load(text, &[]).unwrap();
    for (name, rule) in [("a", "/v1/status"), ("b", "/v1/api")] {
        let allow = config.policies[name].policy.allow();
        assert_eq!(allow.len(), 1);
        assert_eq!(allow[0].as_str(), rule);
    }
    assert_eq!(config.warnings.len(), 2);
}

#[test]
fn keystores_under_keys_are_found() {
    let config = load(
        format!("admin: {{ identity: x }}\n{TLS}keys:\n  fs: {{ path: p }}\nkeystore: ~\n"),
        &[],
    )
    .unwrap();
    assert!(matches!(config.keystore, kes::keystore::Settings::Fs(_)));
    assert_eq!(
        lines(&config.warnings),
        ["kes.yml:3: keys: this is an old spelling"]
    );
}

#[test]
fn two_spellings_of_one_setting_are_refused_where_neither_wins() {
    let text =
        format!("admin: {{ identity: x }}\n{TLS}{FS}cache: {{ expiry: {{ any: 1h, all: 2h }} }}\n");
    assert_eq!(
        problems(load(text, &[])),
        ["kes.yml:4: cache.expiry.all: is the same as 'cache.expiry.any' in line 4"]
    );
    let text =
        format!("admin: {{ identity: x }}\n{TLS}{FS}cache: {{ expiry: {{ any: '', all: 2h }} }}\n");
    assert_eq!(load(text, &[]).unwrap().cache.any.as_secs(), 7200);
}
