//! `kes schema`, held against what commands print.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use serde_json::Value;

use super::{Scene, run, validate};
use crate::support::Cert;

/// The schema of a command.
fn schema(scene: &Scene, command: &str) -> Value {
    let words: Vec<&str> = ["schema"].into_iter().chain(command.split(' ')).collect();
    let schema = scene.run(&words).json();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    schema
}

/// Every line of `text` is as the schema of `command` says; there is one at least.
fn hold(scene: &Scene, command: &str, text: &str) {
    let schema = schema(scene, command);
    assert!(!text.is_empty(), "{command} prints nothing");
    for line in text.lines() {
        let value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{command}: {error}: {line}"));
        let errors = validate::errors(&schema, &value);
        assert!(errors.is_empty(), "{command}: {errors:?}");
    }
}

/// Command lines, each behind the name of its schema. They are run in this order.
const LINES: &[(&str, &str)] = &[
    ("key create", "key create a b"),
    ("key create", "key create a --if-not-exists"),
    ("key import", "key import c --generate --cipher ChaCha20"),
    ("key info", "key info a"),
    ("key ls", "key ls"),
    ("key ls", "key ls --long"),
    ("key ls", "key ls --count"),
    ("ls", "ls"),
    ("ls", "ls -i --long"),
    ("policy ls", "policy ls"),
    ("policy ls", "policy ls --long"),
    ("policy info", "policy info p"),
    ("policy show", "policy show p"),
    ("identity ls", "identity ls"),
    ("identity info", "identity info"),
    ("identity new", "identity new"),
    ("identity new", "identity new --key n.key --cert n.crt"),
    (
        "identity new",
        "identity new --key m.key --cert m.crt --show-api-key",
    ),
    ("identity of", "identity of n.crt m.crt"),
    (
        "identity rotate",
        "identity rotate --key n.key --cert n.crt",
    ),
    (
        "identity rotate",
        "identity rotate --key n.key --cert n.crt --finish",
    ),
    ("key encrypt", "key encrypt a text"),
    ("key dek", "key dek a"),
    ("key hmac", "key hmac a text"),
    ("key encrypt-file", "key encrypt-file a data"),
    ("key decrypt-file", "key decrypt-file data.kes --force"),
    ("key decrypt-file", "key decrypt-file data.kes --check"),
    ("key rm", "key rm b c"),
    ("key rm", "key rm none --ignore-missing"),
    ("status", "status"),
    ("status", "status --api"),
    ("status", "status --all"),
    ("status", "status --ready"),
    ("ready", "ready"),
    ("whoami", "whoami"),
    ("whoami", "whoami --offline"),
    ("doctor", "doctor"),
    ("metric", "metric --once"),
    ("top", "top --once --interval 10ms"),
    ("version", "version"),
    ("cert fetch", "cert fetch --quiet"),
    ("profile add", "profile add lab --server 127.0.0.1:1"),
    ("profile use", "profile use lab"),
    ("profile ls", "profile ls"),
    ("profile show", "profile show lab"),
    ("profile use", "profile use --none"),
    ("profile rm", "profile rm lab"),
];

#[tokio::test]
async fn what_commands_print_is_what_the_schemas_say() {
    let user = Cert::client();
    let scene = Scene::with(|setup| {
        let setup = setup.keys_in_files();
        setup.policy(
            "p",
            &["/v1/status", "/v1/key/*"],
            &["/v1/key/delete/*"],
            &[&user],
        )
    })
    .await;
    scene.proof("user", &user);
    scene.write("data", b"text");
    let mut held: BTreeSet<&str> = LINES.iter().map(|(command, _)| *command).collect();
    for (command, line) in LINES {
        let arguments: Vec<&str> = line.split(' ').chain(["--json"]).collect();
        let mut program = scene.command();
        let done = run(
            program.env("HOME", scene.path("home")).args(&arguments),
            b"",
        );
        assert_eq!(done.code, Some(0), "{line}: {}", done.err);
        hold(&scene, command, &String::from_utf8(done.out).unwrap());
    }
    for line in ["identity info", "whoami"] {
        let mut program = scene.command_of("user");
        let done = run(program.args(line.split(' ')).arg("--json"), b"");
        hold(&scene, line, &done.text());
    }
    // Those that need what others printed, or that fail.
    let sealed = scene.run(&["key", "encrypt", "a", "text"]).json();
    let ciphertext = sealed["ciphertext"].as_str().unwrap();
    let opened = scene.run(&["key", "decrypt", "a", ciphertext, "--json"]);
    hold(&scene, "key decrypt", &opened.text());
    let config = scene.server.folder().join("kes.yml");
    for command in ["keystore ls", "keystore verify"] {
        let mut program = scene.command();
        program
            .args(command.split(' '))
            .arg("--json")
            .arg("--config")
            .arg(&config);
        let done = run(&mut program, b"");
        assert_eq!(done.code, Some(0), "{}", done.err);
        hold(&scene, command, &String::from_utf8(done.out).unwrap());
    }
    let moved = format!(
        "keystore: {{ fs: {{ path: {} }} }}\n",
        scene.path("moved").display()
    );
    scene.write("to.yml", moved.as_bytes());
    let config = config.to_str().unwrap();
    for (command, line, code) in [
        ("config check", format!("config check {config}"), 0),
        (
            "policy explain",
            format!("policy explain --config {config}"),
            0,
        ),
        (
            "policy explain",
            format!("policy explain --config {config} --policy p"),
            0,
        ),
        (
            "policy test",
            format!("policy test --config {config} --policy p GET /v1/status"),
            0,
        ),
        (
            "policy test",
            format!("policy test --config {config} --policy p GET /v1/metrics"),
            1,
        ),
        (
            "migrate",
            format!(
                "migrate --from {config} --to {}",
                scene.path("to.yml").display()
            ),
            0,
        ),
    ] {
        let mut program = scene.command();
        let done = run(program.args(line.split(' ')).arg("--json"), b"");
        assert_eq!(done.code, Some(code), "{line}: {}", done.err);
        hold(&scene, command, &String::from_utf8(done.out).unwrap());
    }
    let update = scene.run(&["update", "--json"]);
    hold(&scene, "update", &String::from_utf8_lossy(&update.out));
    hold(&scene, "log", &event(&scene));
    for failing in [
        "key info none",
        "key create a",
        "key create a/b",
        "no-such-command",
        "key ls --no-such-flag",
        "status --server 127.0.0.1:1 --retries 0",
        "whoami --api-key x",
    ] {
        let arguments: Vec<&str> = failing.split(' ').chain(["--json"]).collect();
        let done = scene.run(&arguments);
        assert_ne!(done.code, Some(0), "{failing}");
        hold(&scene, "error", &done.err);
    }
    held.extend([
        "config check",
        "key decrypt",
        "keystore ls",
        "keystore verify",
        "migrate",
        "policy explain",
        "policy test",
        "update",
        "log",
        "error",
    ]);
    let listed = scene.run(&["schema", "--json"]).json();
    let listed: BTreeSet<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(listed, held, "every schema is held against something");
}

/// A line of the audit log.
fn event(scene: &Scene) -> String {
    let mut log = scene
        .command()
        .args(["log", "--audit", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It says when it is connected: events before that are not seen.
    let mut said = String::new();
    BufReader::new(log.stderr.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    scene.run(&["key", "info", "a"]).quietly();
    let mut line = String::new();
    BufReader::new(log.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    log.kill().unwrap();
    log.wait().unwrap();
    line
}

#[tokio::test]
async fn a_schema_that_is_not_there_is_misuse() {
    let scene = Scene::start().await;
    let error = scene.run(&["schema", "key", "fly"]).failed(2);
    assert!(
        error.contains("'key fly'") && error.contains("'kes schema'"),
        "{error}"
    );
}
