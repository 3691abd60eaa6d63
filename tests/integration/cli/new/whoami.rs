//! `kes whoami` and `kes ready`.

use std::{fs, process::Stdio};

use serde_json::json;

use super::{Scene, bare, run};
use crate::{
    cli::{API_KEY, IDENTITY},
    support::Cert,
};

#[tokio::test]
async fn the_server_says_what_a_client_may_do() {
    let user = Cert::client();
    let stranger = Cert::client();
    let allow = ["/v1/key/generate/my-*", "/v1/status"];
    let scene =
        Scene::with(|setup| setup.policy("my-app", &allow, &["/v1/key/generate/my-x"], &[&user]))
            .await;
    scene.proof("user", &user);
    scene.proof("stranger", &stranger);
    let server = scene.server.address.to_string();
    let asked = |client: &str| run(scene.command_of(client).args(["whoami", "--json"]), b"").json();
    assert_eq!(
        asked("admin"),
        json!({
            "identity": scene.admin.identity, "credential": "KES_CLIENT_CERT", "server": server, "role": "admin",
        })
    );
    assert_eq!(
        asked("user"),
        json!({
            "identity": user.identity, "credential": "KES_CLIENT_CERT", "server": server, "role": "user",
            "policy": "my-app", "allow": allow, "deny": ["/v1/key/generate/my-x"],
        })
    );
    assert_eq!(
        asked("stranger"),
        json!({
            "identity": stranger.identity, "credential": "KES_CLIENT_CERT", "server": server, "role": "none",
        })
    );
    let text = run(scene.command_of("user").arg("whoami"), b"").text();
    for line in [
        format!("Identity    {}", user.identity),
        "Policy      my-app".to_owned(),
        "Allow       · /v1/key/generate/my-*".to_owned(),
        "            · /v1/status".to_owned(),
        "Deny        · /v1/key/generate/my-x".to_owned(),
    ] {
        assert!(
            text.lines().any(|shown| shown == line),
            "{line} is not in\n{text}"
        );
    }
}

#[tokio::test]
async fn an_identity_needs_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let kes = |arguments: &[&str]| {
        let mut command = bare(folder.path());
        command.env("KES_API_KEY", API_KEY).args(arguments);
        run(&mut command, b"")
    };
    let offline = kes(&["whoami", "--offline", "--json"]).json();
    assert_eq!(
        offline,
        json!({"identity": IDENTITY, "credential": "KES_API_KEY"})
    );
    assert_eq!(kes(&["whoami", "-q"]).text(), format!("{IDENTITY}\n"));
    // A server that is not there takes nothing away from what is known.
    let scene = Scene::start().await;
    let address = scene.server.address.to_string();
    drop(scene.server);
    let asked = kes(&["whoami", "--server", &address, "--retries", "0"]);
    assert!(String::from_utf8_lossy(&asked.out).contains(IDENTITY));
    asked.failed(1);
    let nobody = run(bare(folder.path()).args(["whoami", "--offline"]), b"");
    assert!(nobody.failed(1).contains("no API key"));
}

#[tokio::test]
async fn readiness_needs_no_credential_where_the_server_says_so() {
    let open = Scene::with(|setup| setup.open_to_all("/v1/ready")).await;
    let report = run(open.command_of("").args(["ready", "--json"]), b"").json();
    assert_eq!(
        (&report["ready"], &report["server"]),
        (&json!(true), &json!(open.server.address.to_string()))
    );
    assert!(report["latency_ms"].as_f64().unwrap() > 0.0);
    let text = run(open.command_of("").arg("ping"), b"").text();
    assert!(text.contains("is ready ("), "{text}");
    assert_eq!(
        run(open.command_of("").args(["ready", "-q"]), b"").text(),
        ""
    );
    let closed = Scene::start().await;
    closed.run(&["ready"]).quietly();
    // Permission does not change by waiting.
    let refused = run(closed.command_of("").args(["ready", "--wait", "1h"]), b"");
    refused.failed(1);
}

#[tokio::test]
async fn waiting_ends_when_the_keystore_comes_back() {
    let mut scene = Scene::with(crate::support::Setup::keys_in_files).await;
    let (here, away) = (scene.server.keys(), scene.server.folder().join("away"));
    fs::rename(&here, &away).unwrap();
    let error = scene.run(&["ready", "--retries", "0"]).failed(1);
    assert!(error.contains("key store is not reachable"), "{error}");
    let error = scene
        .run(&["ready", "--retries", "0", "--wait", "1ms"])
        .failed(1);
    assert!(error.contains("not"), "{error}");
    let said = scene.server.errors().len();
    let mut waiting = scene
        .command()
        .args(["ready", "--wait", "5m", "--quiet"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // It has asked, and was told to wait.
    scene.server.complained(said.max(1) + 1, "").await;
    fs::rename(&away, &here).unwrap();
    assert!(waiting.wait().unwrap().success());
}
