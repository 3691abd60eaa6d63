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

#[test]
fn keystores_at_the_top_of_the_file_are_found() {
    let head = format!("admin: {{ identity: x }}\n{TLS}");
    let config = load(format!("{head}fs: {{ path: p }}\n"), &[]).unwrap();
    assert!(matches!(config.keystore, kes::keystore::Settings::Fs(_)));
    assert_eq!(
        lines(&config.warnings),
        ["kes.yml:3: fs: this is an old spelling"]
    );
    assert_eq!(
        problems(load(
            format!(
                "{head}vault: {{ address: 'http://v', name: n, approle: {{ id: a, secret: b }} }}\n"
            ),
            &[]
        )),
        ["kes.yml:3: keystore.vault: this build has no HashiCorp Vault keystore yet"]
    );
    assert_eq!(
        problems(load(
            format!("{head}fs: {{ path: p }}\nvault: {{ address: 'http://v' }}\n"),
            &[]
        )),
        [
            "kes.yml:4: keystore.vault: more than one keystore specified: 'keystore.fs' in line 3 and 'keystore.vault' in line 4"
        ]
    );
    assert_eq!(
        problems(load(
            format!("{head}fs: {{ path: p }}\nkeystore: {{ fs: {{ path: q }} }}\n"),
            &[]
        )),
        ["kes.yml:3: fs: is the same as 'keystore.fs' in line 4"]
    );
}

#[test]
fn the_keystore_alone_can_be_read() {
    let env = kes::config::Env::of([("SET", "p"), ("EMPTY", "")]);
    let read = |text: &str| kes::config::parse_keystore("kes.yml", text.as_bytes(), &env);
    for text in [
        "keystore: { fs: { path: '${SET}' } }",
        // Nothing else need be right.
        "root: [ a ]\nadmin: ${NOT_SET}\ntls: { auth: maybe }\nkeys: [ { name: '/' } ]\nkeystore: { fs: { path: p } }",
        "cache: { expiry: { any: 1, all: 2 } }\nfs: { path: p }",
        "keys: { fs: { path: p } }",
        "x-notes: 1\nkeystore: { fs: { path: p } }",
    ] {
        let (settings, _) = read(text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        let expected = kes::keystore::fs::Settings { path: "p".into() };
        assert_eq!(settings, kes::keystore::Settings::Fs(expected), "{text}");
    }
    let (settings, notes) = read("admin: { identity: x }").unwrap();
    assert_eq!(settings, kes::keystore::Settings::Mem);
    assert_eq!(notes.len(), 1);
    for (text, problem) in [
        (
            "keystor: { fs: { path: p } }",
            "keystor: unknown key, and no keystore is specified",
        ),
        (
            "keystore: { fs: { path: '${NOT_SET}' } }",
            "keystore.fs.path: the environment variable 'NOT_SET' is not set",
        ),
        (
            "kms: { vault: { endpoint: x } }\nkeystore: { fs: { path: p } }",
            "kms: no longer supported",
        ),
    ] {
        let errors = read(text).err().unwrap();
        assert_eq!(
            lines(&errors.problems),
            [format!("kes.yml:1: {problem}")],
            "{text}"
        );
    }
}
