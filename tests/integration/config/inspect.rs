//! What a file amounts to, and what is probably not meant in it.

use kes::config::{Context, Env, Fallback, Inspection, inspect_bytes};
use serde_json::json;

use super::{ALICE, BOB, REST, ROUTES, lines};

fn inspect(text: &str, env: &[(&str, &str)]) -> Inspection {
    let env = Env::of(env.iter().copied());
    let context = Context {
        env: &env,
        routes: ROUTES,
        fallback: Fallback::default(),
    };
    inspect_bytes("kes.yml", text.as_bytes(), &context).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn defaults_are_shown_and_marked() {
    assert_eq!(
        inspect(REST, &[]).shown(),
        "\
address: 0.0.0.0:7373  # default
admin:
  identity: disabled
tls:
  key: k
  cert: c
  auth: off  # default
cache:
  expiry:
    any: 5m  # default
    unused: 30s  # default
log:
  error: on  # default
  audit: off  # default
  format: text  # default
compat:
  legacy_errors: off  # default
  ndjson_lists: off  # default
  legacy_self_describe: off  # default
  legacy_names: off  # default
shutdown:
  drain: 1s  # default
keystore:
  fs:
    path: keys
"
    );
}

#[test]
fn values_are_shown_in_current_spelling_without_secrets() {
    let text = format!(
        "\
root: ${{ADMIN}}
address: ${{HOST}}:${{PORT}}
tls:
  key: 'a key'
  cert: c
  password: hunter2
api:
  v1/status: {{ skip_auth: YES, timeout: 0 }}
  /v1/gone: {{ timeout: 1s }}
policy:
  a: {{ paths: [ /v1/status, '/v1/key/create/*' ], identities: [ '${{ALICE}}', {BOB} ] }}
  b:
cache: {{ expiry: {{ any: '${{TIME}}', unused: 0 }} }}
keys: [ {{ name: one }}, {{ name: two }} ]
keystore:
  fs: {{ path: '' }}
  vault:
    address: https://v
    approle: {{ id: role, secret: '${{SECRET}}', retry: 1s }}
    kubernetes: {{ jwt: '' }}
"
    );
    let env = [
        ("ADMIN", "hunter2"),
        ("HOST", "hunter2"),
        ("PORT", "1"),
        ("ALICE", ALICE),
        ("TIME", "7s"),
        ("SECRET", "hunter2"),
    ];
    let file = inspect(&text, &env);
    assert!(file.refused().unwrap().text.contains("HashiCorp Vault"));
    assert!(file.keystore().is_none());
    let shown = file.shown();
    assert!(!shown.contains("hunter2"), "{shown}");
    let part = shown.split("log:").next().unwrap();
    assert_eq!(
        part,
        format!(
            "\
address: \"${{HOST}}:${{PORT}}\"
admin:
  identity: \"${{ADMIN}}\"
tls:
  key: \"a key\"
  cert: c
  password: \"(hidden)\"
  auth: off  # default
api:
  /v1/status:
    skip_auth: on
policy:
  a:
    allow:
      - /v1/status
      - /v1/key/create/*
    identities:
      - \"${{ALICE}}\"
      - {BOB}
  b: {{}}
cache:
  expiry:
    any: \"${{TIME}}\"
    unused: 30s  # default
"
        )
    );
    let keystore = &file.shown_json()["keystore"];
    assert_eq!(
        *keystore,
        json!({ "vault": {
            "endpoint": "https://v",
            "engine": "kv",
            "version": "v1",
            "approle": { "engine": "approle", "id": "role", "secret": "${SECRET}" },
            "status": { "ping": "10s" },
        } })
    );
    assert_eq!(file.shown_json()["api"]["/v1/status"]["skip_auth"], true);
    assert_eq!(
        file.shown_json()["keys"],
        json!([ { "name": "one" }, { "name": "two" } ])
    );
}

#[test]
fn what_is_shown_can_be_read_again() {
    let text = format!(
        "address: ':1'\npolicy: {{ 'null': {{ allow: [ 'a: b', '-x', '*' ] }} }}\nkeys: [ {{ name: k }} ]\n{REST}"
    );
    let first = inspect(&text, &[]);
    let second = inspect(&first.shown(), &[]);
    assert_eq!(first.shown_json(), second.shown_json());
}

#[test]
fn in_memory_is_said_so() {
    let text = REST.replace("keystore: { fs: { path: keys } }", "");
    let file = inspect(&text, &[]);
    assert!(
        file.shown()
            .ends_with("# no keystore: keys are kept in memory, and lost when the server stops\n")
    );
}

#[test]
fn rules_that_say_nothing_are_found() {
    let text = format!(
        "\
policy:
  a:
    allow:
      - /v1/key/create/my-*
      - /v1/key/create/my-app*
      - /v1/status
      - /v1/key/create/my-*
      - /v1/key/delete/x
      - /v1/key/*/b
    deny:
      - /v1/key/delete/*
      - /v1/key/delete/x
      - /v1/key/create/my-app-1
    identities: [ {ALICE} ]
  b: {{ allow: [ '/v1/key/[ab]/x', '/v1/key/a/x' ] }}
  c: {{ identities: [ {BOB} ] }}
{REST}"
    );
    assert_eq!(
        lines(&inspect(&text, &[]).review()),
        [
            "kes.yml:5: policy.a.allow[1]: the rule '/v1/key/create/my-app*' is needless: '/v1/key/create/my-*' in line 4 covers it",
            "kes.yml:7: policy.a.allow[3]: the rule '/v1/key/create/my-*' is in the list already in line 4",
            "kes.yml:8: policy.a.allow[4]: the rule '/v1/key/delete/x' allows nothing: '/v1/key/delete/*' in line 11 denies all of it",
            "kes.yml:12: policy.a.deny[1]: the rule '/v1/key/delete/x' is needless: '/v1/key/delete/*' in line 11 covers it",
            "kes.yml:15: policy.b: applies to nobody: it has no identities",
            "kes.yml:15: policy.b.allow[1]: the rule '/v1/key/a/x' is needless: '/v1/key/[ab]/x' in line 15 covers it",
            "kes.yml:16: policy.c: allows nothing: it has no allow rules",
        ]
    );
    assert!(inspect(REST, &[]).review().is_empty());
}

#[test]
fn a_secret_in_the_file_itself_is_found() {
    let with = |password: &str| REST.replace("cert: c", &format!("cert: c, password: {password}"));
    assert!(inspect(REST, &[]).literal_secret().is_none());
    assert!(
        inspect(&with("'${P}'"), &[("P", "p")])
            .literal_secret()
            .is_none()
    );
    let note = inspect(&with("p"), &[]).literal_secret().unwrap();
    assert_eq!((note.key.as_str(), note.line), ("tls.password", Some(2)));
}
