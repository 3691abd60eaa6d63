//! `kes keystore`: a keystore without its server.

use std::fs;

use serde_json::{Value, json};

use super::{Scene, run};
use crate::support::Setup;

fn kes(scene: &Scene, arguments: &[&str]) -> super::Run {
    let config = scene.server.folder().join("kes.yml");
    let mut command = scene.command_of("");
    command.args(arguments).arg("--config").arg(config);
    run(&mut command, b"")
}

/// Standard output of a run that may warn.
fn document(run: &super::Run) -> Value {
    assert_eq!(run.code, Some(0), "{}", run.err);
    serde_json::from_slice(&run.out).unwrap()
}

#[tokio::test]
async fn every_entry_is_shown_and_no_key() {
    let scene = Scene::with(Setup::keys_in_files).await;
    scene
        .run(&["key", "create", "app-1", "app-2", "other"])
        .quietly();
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    scene
        .run(&["key", "import", "app-3", key, "--cipher", "ChaCha20", "-q"])
        .quietly();
    let listed = document(&kes(&scene, &["keystore", "ls", "app-", "--json"]));
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["name"])
        .collect();
    assert_eq!(names, ["app-1", "app-2", "app-3"]);
    let entry = &listed[2];
    assert_eq!(
        (&entry["algorithm"], &entry["hmac"]),
        (&json!("ChaCha20"), &json!(true))
    );
    assert_eq!(entry["created_by"], scene.admin.identity.as_str());
    let text = kes(&scene, &["keystore", "ls"]);
    let text = String::from_utf8(text.out).unwrap();
    assert!(
        text.contains("app-1") && text.contains("0 d") && text.contains("other"),
        "{text}"
    );
    for shown in [text, listed.to_string()] {
        assert!(!shown.contains(key), "key material");
    }
    let verified = document(&kes(&scene, &["keystore", "verify", "--json"]));
    assert_eq!(
        (&verified["keys"], &verified["unreadable"]),
        (&json!(4), &json!([]))
    );
}

#[tokio::test]
async fn what_cannot_be_used_is_found() {
    let scene = Scene::with(Setup::keys_in_files).await;
    scene.run(&["key", "create", "good"]).quietly();
    fs::write(scene.server.keys().join("empty"), "").unwrap();
    fs::write(scene.server.keys().join("rubbish"), "rubbish").unwrap();
    let verify = kes(&scene, &["keystore", "verify", "--json"]);
    assert_eq!(verify.code, Some(1));
    assert!(
        verify.err.contains("2 of 3 entries cannot be used"),
        "{}",
        verify.err
    );
    let found: Value = serde_json::from_slice(&verify.out).unwrap();
    assert_eq!(found["keys"], 3);
    let names: Vec<_> = found["unreadable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["name"])
        .collect();
    assert_eq!(names, ["empty", "rubbish"]);
    // The listing tells, too, and is no failure.
    let listed = document(&kes(&scene, &["keystore", "ls", "--json"]));
    assert!(
        listed[0]["error"].is_string() && listed[1]["error"].is_null(),
        "{listed}"
    );
}

#[tokio::test]
async fn looking_makes_no_keystore() {
    let scene = Scene::with(Setup::keys_in_files).await;
    fs::remove_dir_all(scene.server.keys()).unwrap();
    let error = kes(&scene, &["keystore", "ls"]).failed(1);
    assert!(error.contains("does not exist"), "{error}");
    assert!(!scene.server.keys().exists());
    let error = run(
        scene
            .command_of("")
            .args(["keystore", "ls", "--config", "none"]),
        b"",
    )
    .failed(1);
    assert!(error.contains("none"), "{error}");
}
