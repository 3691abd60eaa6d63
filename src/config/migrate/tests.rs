//! What becomes of old spellings in the text, and that nothing else does.

use std::{fs, path::Path};

use proptest::prelude::*;

use super::*;

const ROUTES: &[&str] = &["/v1/status", "/v1/metrics", "/v1/key/list/"];

fn migrated(text: &str) -> Migration {
    migrate_bytes("f", text.as_bytes(), ROUTES).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn tree_of(text: &str) -> Node {
    let mut report = Report::new("f");
    let tree = tree(text.as_bytes(), &mut report).unwrap();
    assert!(report.is_clean(), "{}\n{text}", report.into_errors());
    tree
}

/// How many old spellings a reader of `text` would be warned of.
fn warnings(text: &str) -> Vec<Note> {
    let mut report = Report::new("f");
    let mut tree = tree(text.as_bytes(), &mut report).unwrap();
    normalise::normalise(&mut tree, &mut report);
    report.into_warnings()
}

/// Checks that `old` becomes `new` without a rest, once and for all.
fn becomes(old: &str, new: &str) {
    let migration = migrated(old);
    assert_eq!(migration.text, new, "{old}");
    assert!(migration.left.is_empty(), "{:?}", migration.left);
    assert_eq!(warnings(&migration.text), [], "{old}");
    let again = migrated(&migration.text);
    assert_eq!(again.text, new);
    assert!(again.changed.is_empty(), "{:?}", again.changed);
}

#[test]
fn keys_are_renamed_where_they_stand() {
    becomes(
        "# head\npolicy:\n  a:   # mine\n    paths: [ /v1/status ]  # all\n  'b c': { \"paths\" : [] }\ncache: { expiry: { all : 1h } }\n",
        "# head\npolicy:\n  a:   # mine\n    allow: [ /v1/status ]  # all\n  'b c': { allow : [] }\ncache: { expiry: { any : 1h } }\n",
    );
    becomes(
        "keystore:\n  vault:\n    address: ${A}\n    name: x\n",
        "keystore:\n  vault:\n    endpoint: ${A}\n    prefix: x\n",
    );
    becomes(
        "api:\n  v1/status: {}\n  \"/v1/key/list\": { timeout: 1s }\n  /v1/metrics/: {}\n  /v1/gone: {}\n",
        "api:\n  /v1/status: {}\n  /v1/key/list/: { timeout: 1s }\n  /v1/metrics: {}\n  /v1/gone: {}\n",
    );
}

#[test]
fn keystores_under_keys_move_and_names_of_keys_stay() {
    becomes(
        "keys:\n  vault:\n    address: a\n    approle: { id: x, retry: 1s }\n",
        "keystore:\n  vault:\n    endpoint: a\n    approle: { id: x, retry: 1s }\n",
    );
    becomes("keys:\n  - name: a\n", "keys:\n  - name: a\n");
    becomes(
        "keys:\n  fs: { path: p }\nkeystore:\n",
        "keystore:\n  fs: { path: p }\n# keystore:\n",
    );
}

#[test]
fn sections_are_put_around_what_lacked_them() {
    becomes(
        "root: ${ID}   # the admin\ntls: {}\n",
        "admin:\n  identity: ${ID}   # the admin\ntls: {}\n",
    );
    becomes(
        "keystore:\n    secretsmanager:\n        region: a\n\n        # why\n        credentials:\n            access_key: x\n",
        "keystore:\n    aws:\n      secretsmanager:\n          region: a\n\n          # why\n          credentials:\n              accesskey: x\n",
    );
    becomes(
        "keystore: { secretsmanager: { region: a } }\n",
        "keystore: { aws: { secretsmanager: { region: a } } }\n",
    );
    becomes(
        "root: >-\n  some\n  text\nfs:\n  path: p",
        "admin:\n  identity: >-\n    some\n    text\nkeystore:\n  fs:\n    path: p\n",
    );
    // With the line ends and the mark that the file has.
    becomes(
        "\u{feff}root: x\r\nfs: { path: p }\r\n",
        "\u{feff}admin:\r\n  identity: x\r\nkeystore:\r\n  fs: { path: p }\r\n",
    );
}

#[test]
fn what_has_a_section_already_moves_into_it() {
    becomes(
        "tls: {}\n# who may\n# do all\nroot: x # y\nadmin:\n  # nothing else\n  note: 1\nlog: {}\n",
        "tls: {}\nadmin:\n  # nothing else\n  note: 1\n  # who may\n  # do all\n  identity: x # y\nlog: {}\n",
    );
    becomes(
        "fs: { path: '' }\nvault:\n  address: a\n",
        "keystore:\n  fs: { path: '' }\n  vault:\n    endpoint: a\n",
    );
    becomes(
        "admin: { note: 1 }\nroot: x # why\nlog: {}\n",
        "admin: { note: 1, identity: x }\n# why\nlog: {}\n",
    );
    becomes(
        "root: x\nadmin:\ntls: {}\n",
        "admin:\n  identity: x\n# admin:\ntls: {}\n",
    );
}

#[test]
fn what_does_not_count_becomes_a_comment() {
    becomes(
        "root: x\nadmin: { identity: y }\npolicy:\n  a:\n    paths:\n      - /v1/status\n    allow: [ /v1/metrics ]\n",
        "# root: x\nadmin: { identity: y }\npolicy:\n  a:\n    # paths:\n    #   - /v1/status\n    allow: [ /v1/metrics ]\n",
    );
}

#[test]
fn what_cannot_be_moved_stays_and_is_told() {
    for (text, left) in [
        // A block does not fit into braces.
        (
            "admin: { note: 1 }\nroot: >-\n  a\n  b\n",
            "f:2: root: stays: it cannot be changed without writing its surroundings anew",
        ),
        // A reference must not stand in braces without quotes.
        (
            "admin: { note: 1 }\nroot: ${ID}\n",
            "f:2: root: stays: it cannot be changed without writing its surroundings anew",
        ),
        // Neither wins.
        (
            "cache: { expiry: { all: 1h, any: 2h } }\n",
            "f:1: cache.expiry.all: stays: it is the same as 'cache.expiry.any', which is there too",
        ),
        // It stands somewhere else as well.
        (
            "x-base: &base { paths: [ a ] }\npolicy:\n  a: { paths: [ b ], allow: [ c ] }\n",
            "f:3: policy.a.paths: stays: it cannot be changed without writing its surroundings anew",
        ),
    ] {
        let migration = migrated(text);
        assert_eq!(migration.text, text);
        assert!(migration.changed.is_empty());
        let said: Vec<_> = migration.left.iter().map(Note::to_string).collect();
        assert_eq!(said, [left], "{text}");
        assert!(migration.left[0].hint.is_some());
    }
}

#[test]
fn aliases_and_merged_keys_keep_their_meaning() {
    for text in [
        "x: &x { paths: [ a ] }\npolicy:\n  a: *x\n  b: { <<: *x, deny: [ c ] }\n",
        "policy:\n  a: &a\n    paths: [ a ]\n  b: *a\n",
        "root: &id x\npolicy: { a: { identities: [ *id ] } }\n",
        "root: *nothing_yet_known\n",
    ] {
        let Ok(migration) = migrate_bytes("f", text.as_bytes(), ROUTES) else {
            assert!(text.contains("nothing"));
            continue;
        };
        let (old, new) = (tree_of(text), tree_of(&migration.text));
        assert!(
            same(&meaning(old, ROUTES), &meaning(new, ROUTES)),
            "{}",
            migration.text
        );
    }
}

#[test]
fn a_later_document_is_left_alone() {
    becomes(
        "---\nroot: x\n---\nroot: y\n",
        "---\nadmin:\n  identity: x\n---\nroot: y\n",
    );
}

#[test]
fn what_is_no_yaml_is_refused() {
    for text in ["", "a: [", "- a\n", "a: 1\na: 2\n"] {
        assert!(
            migrate_bytes("f", text.as_bytes(), ROUTES).is_err(),
            "{text}"
        );
    }
}

#[test]
fn every_sample_is_migrated_completely_and_means_the_same() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/integration/config/samples"
    );
    let mut seen = 0;
    for folder in [Path::new(folder), &Path::new(folder).join("invalid")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            let name = path.display();
            let Ok(migration) = migrate_bytes("f", text.as_bytes(), ROUTES) else {
                assert!(name.to_string().contains("invalid"), "{name}");
                continue;
            };
            seen += 1;
            let (old, new) = (tree_of(&text), tree_of(&migration.text));
            assert!(same(&meaning(old, ROUTES), &meaning(new, ROUTES)), "{name}");
            let clashes = ["29-keys", "35-both"];
            let is_clash = clashes.iter().any(|it| name.to_string().contains(it));
            assert_eq!(
                migration.left.is_empty(),
                !is_clash,
                "{name}: {:?}",
                migration.left
            );
            assert_eq!(migrated(&migration.text).text, migration.text, "{name}");
            if !is_clash {
                assert_eq!(warnings(&migration.text), [], "{name}");
            }
            // Every comment is still there.
            for line in text
                .lines()
                .filter(|line| line.trim_start().starts_with('#'))
            {
                assert!(migration.text.contains(line.trim()), "{name}: {line}");
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

/// One entry in one of its old spellings, in block or in flow style.
fn entry() -> impl Strategy<Value = String> {
    let comment = prop_oneof![Just(""), Just(" # why"), Just("   ")];
    let before = prop_oneof![Just(""), Just("# before\n"), Just("\n")];
    let body = prop_oneof![
        prop_oneof![Just("x"), Just("${A}"), Just("'q'"), Just("\"d\\n\""), Just("~")]
            .prop_map(|value| format!("root: {value}")),
        Just("admin:".to_owned()),
        Just("admin: { note: 1 }".to_owned()),
        Just("admin:\n    identity: y".to_owned()),
        Just("policy:\n  a:\n    paths:\n    - b\n    - c".to_owned()),
        Just("policy: { a: { paths: [ b ] }, c: { paths: [], allow: [ d ] } }".to_owned()),
        Just("cache:\n  expiry:\n   all: 1h\n   unused: 1s".to_owned()),
        Just("cache: { expiry: { all: 1h, any: '' } }".to_owned()),
        Just("keys:\n  vault:\n    name: a\n    address: b".to_owned()),
        Just("keys: [ { name: a } ]".to_owned()),
        Just("fs:\n    path: |\n      a\n      b\n".to_owned()),
        Just("vault: { address: a }".to_owned()),
        Just("keystore:\n  secretsmanager:\n    credentials: { access_key: a,\n      session_token: b }".to_owned()),
        Just("keystore:\n  aws:\n    secrets_manager: { address: a }\n  keyvault:\n    endpoint: b".to_owned()),
        Just("keystore: { sdkms: { endpoint: a }, gcp: ~ }".to_owned()),
        Just("keystore:".to_owned()),
        Just("api: { v1/status: {}, /v1/key/list: { timeout: 1s } }".to_owned()),
        Just("log: { error: on }".to_owned()),
    ];
    (before, body, comment).prop_map(|(before, body, comment)| format!("{before}{body}{comment}\n"))
}

proptest! {
    #[test]
    fn any_file_means_the_same_afterwards(entries in prop::collection::vec(entry(), 1..6), crlf: bool) {
        // A key may stand in a file once.
        let mut keys = HashSet::new();
        let text: String = entries
            .iter()
            .filter(|entry| {
                let key = entry.lines().find(|line| !line.starts_with('#') && !line.is_empty());
                keys.insert(key.unwrap().split(':').next().unwrap().to_owned())
            })
            .map(String::as_str)
            .collect();
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let migration = migrated(&text);
        let (old, new) = (tree_of(&text), tree_of(&migration.text));
        prop_assert!(same(&meaning(old, ROUTES), &meaning(new, ROUTES)), "{}\n{}", text, migration.text);
        let again = migrated(&migration.text);
        prop_assert_eq!(&again.text, &migration.text);
        prop_assert!(again.changed.is_empty());
    }
}
