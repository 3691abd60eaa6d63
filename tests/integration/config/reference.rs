//! References to the environment (config.md 2).

use super::{ALICE, REST, good, lines, load, problems};

#[test]
fn references_stand_in_for_text_times_and_switches() {
    let text = format!(
        "\
address: ${{ADDR}}
log: {{ error: \"${{LEVEL}}\" }}
cache: {{ expiry: {{ any: '${{TIME}}', unused: \"${{EMPTY}}\", offline: \" ${{TIME}} \" }} }}
keys:
  - name: ${{ KEY }}
compat: {{ legacy_errors: \"${{YES}}\", ndjson_lists: \"${{TRUE}}\", legacy_names: \"${{EMPTY}}\" }}
policy: {{ a: {{ identities: [ \"${{WHO}}\" ] }} }}
{REST}"
    );
    let config = load(
        text,
        &[
            ("ADDR", "127.0.0.1:1"),
            ("LEVEL", "warn"),
            ("TIME", "1h"),
            ("EMPTY", ""),
            ("KEY", "my-key"),
            ("YES", "yes"),
            ("TRUE", "true"),
            ("WHO", ALICE),
        ],
    )
    .unwrap();
    assert_eq!(config.address, "127.0.0.1:1");
    assert_eq!(config.log.error.to_string(), "WARN");
    assert_eq!(config.cache.any.as_secs(), 3600);
    assert_eq!(config.cache.unused.as_secs(), 30);
    assert_eq!(config.cache.offline.unwrap().as_secs(), 3600);
    assert_eq!(config.keys[0].as_str(), "my-key");
    assert!(config.compat.legacy_errors && config.compat.ndjson_lists);
    assert!(!config.compat.legacy_names);
    assert_eq!(config.policies["a"].identities[0].as_str(), ALICE);
    assert!(config.warnings.is_empty());
}

#[test]
fn values_are_text_and_not_yaml() {
    for value in [
        "null",
        "~",
        "a: b",
        "[ x ]",
        "${OTHER}",
        "*x",
        "!!binary eA==",
    ] {
        let text = REST.replace("disabled", "'${ID}'");
        let config = load(text, &[("ID", value), ("OTHER", "no")]).unwrap();
        assert_eq!(config.admin.as_str(), value);
    }
}

#[test]
fn patterns_versions_and_keys_are_never_expanded() {
    let config = good(&format!(
        "policy: {{ a: {{ allow: [ '${{X}}' ], deny: [ 'x${{X}}' ], identities: [ {ALICE} ] }} }}\napi: {{ '${{X}}': {{}} }}"
    ));
    assert_eq!(config.policies["a"].policy.allow()[0].as_str(), "${X}");
    let warnings = lines(&config.warnings);
    for key in ["policy.a.allow[0]", "policy.a.deny[0]"] {
        let expected = format!("kes.yml:1: {key}: references to variables are not expanded here");
        assert!(warnings.contains(&expected), "{warnings:?}");
    }
    assert_eq!(
        problems(load(format!("version: ${{V}}\n{REST}"), &[("V", "v1")])),
        ["kes.yml:1: version: invalid server config version '${V}'"]
    );
}

#[test]
fn references_in_unknown_keys_are_not_looked_up() {
    good("x-notes: ${SURELY_NOT_SET}");
}

#[test]
fn a_half_written_reference_stays_and_is_warned_about() {
    let config = load(
        REST.replace("keys }", "'/keys/${HOST}' }"),
        &[("HOST", "x")],
    )
    .unwrap();
    assert_eq!(
        lines(&config.warnings),
        ["kes.yml:3: keystore.fs.path: the text contains a reference that is not expanded"]
    );
}

#[test]
fn every_unset_variable_is_named_with_its_line() {
    let text = format!(
        "address: ${{A}}:${{B}}\nlog:\n  error: ${{C}}\ncache:\n  expiry: {{ any: \"${{D:-1m}}\" }}\n{REST}"
    );
    assert_eq!(
        problems(load(text, &[("A", "127.0.0.1")])),
        [
            "kes.yml:1: address: the environment variable 'B' is not set",
            "kes.yml:3: log.error: the environment variable 'C' is not set",
            "kes.yml:5: cache.expiry.any: the environment variable 'D:-1m' is not set",
        ]
    );
}

#[test]
fn no_message_holds_the_value_of_a_variable() {
    let secret = "hunter2 hunter2";
    let reference = "\"${X}\"";
    let text = format!(
        "\
address: {reference}
admin: {{ identity: {reference} }}
tls: {{ key: {reference}, cert: c, auth: {reference}, proxy: {{ identities: [ {reference} ] }} }}
api: {{ /v1/ready: {{ timeout: {reference}, skip_auth: {reference} }} }}
policy: {{ a: {{ identities: [ {reference}, {reference} ] }} }}
cache: {{ expiry: {{ any: {reference}, unused: {reference}, offline: {reference} }} }}
log: {{ error: {reference}, audit: {reference} }}
keys: [ {{ name: {reference} }}, {{ name: {reference} }} ]
keystore: {{ vault: {{ endpoint: {reference} }}, fs: {{ path: {reference} }} }}
"
    );
    // Values that pass some checks and fail others.
    for value in [secret, "-7h0m3s", "disabled7", ALICE, "9h0m9s"] {
        let errors = load(&text, &[("X", value)]).err().unwrap();
        assert!(errors.problems.len() > 3, "{errors}");
        let warnings = lines(&errors.warnings).join("\n");
        let shown = format!("{errors}\n{errors:?}\n{warnings}");
        assert!(!shown.contains(value), "{shown}");
        assert!(shown.contains("the variable 'X'"), "{shown}");
    }
}

#[test]
fn the_password_of_the_private_key_is_kept_secret() {
    let text = REST.replace("cert: c", "cert: c, password: \"${PASS}\"");
    let config = load(text, &[("PASS", "pass word")]).unwrap();
    assert_eq!(config.tls.password.unwrap().expose(), b"pass word");
    let text = REST.replace("cert: c", "cert: c, password: hunter2, cart: c, auth: 1");
    let errors = load(text, &[]).err().unwrap();
    let warnings = lines(&errors.warnings).join("\n");
    assert!(!format!("{errors:?}{warnings}").contains("hunter2"));
}
