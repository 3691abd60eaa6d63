//! `kes profile`, and what profiles do to other commands.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    process::Command,
};

use serde_json::json;

use super::{Scene, run};
use crate::cli::{API_KEY, IDENTITY};

/// `kes` with a home and without any other setting.
fn homely(scene: &Scene) -> Command {
    let mut command = super::bare(&scene.path(""));
    command.env("HOME", scene.path("home"));
    command
}

fn mode(scene: &Scene, path: &str) -> u32 {
    fs::metadata(scene.path(path)).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_profile_holds_server_credential_and_trust() {
    let scene = Scene::start().await;
    let server = scene.server.address.to_string();
    let ca = scene.server.folder().join("server.pem");
    let kes = |arguments: &[&str]| run(homely(&scene).args(arguments), b"");
    let add = [
        "profile",
        "add",
        "lab",
        "--server",
        &server,
        "--client-cert",
        "admin.pem",
        "--client-key",
        "admin.key",
        "--ca",
        ca.to_str().unwrap(),
    ];
    assert_eq!(
        kes(&[&add[..], &["--json"]].concat()).json(),
        json!({"name": "lab", "added": true})
    );
    let file = "home/.config/kes/profiles.yaml";
    assert_eq!(
        (mode(&scene, file), mode(&scene, "home/.config/kes")),
        (0o600, 0o700)
    );
    kes(&["whoami", "--profile", "lab"]).quietly();
    // Nothing is used that was not chosen.
    kes(&["whoami"]).failed(1);
    let mut chosen = homely(&scene);
    let chosen = run(
        chosen.env("KES_PROFILE", "lab").args(["whoami", "--json"]),
        b"",
    )
    .json();
    assert_eq!(chosen["credential"], "the profile");
    kes(&["profile", "use", "lab"]).quietly();
    assert_eq!(kes(&["whoami", "--json"]).json()["role"], "admin");
    let shown = kes(&["profile", "show", "--json"]).json();
    assert_eq!(
        shown,
        json!({
            "name": "lab", "server": server, "ca": ca, "in_use": true,
            // From wherever they are used.
            "client_cert": scene.path("admin.pem"), "client_key": scene.path("admin.key"),
        })
    );
    assert!(kes(&add).failed(1).contains("exists"));
    kes(&[&add[..], &["--force"]].concat()).quietly();
    assert_eq!(
        kes(&["profile", "ls", "--json"])
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let listed = kes(&["profile", "ls"]).text();
    assert!(
        listed.contains("* lab") && listed.contains(&server),
        "{listed}"
    );
    kes(&["profile", "use", "--none"]).quietly();
    kes(&["whoami"]).failed(1);
    kes(&["profile", "rm", "lab"]).quietly();
    let error = kes(&["whoami", "--profile", "lab"]).failed(1);
    assert!(error.contains("no profile 'lab'"), "{error}");
}

#[tokio::test]
async fn flags_and_variables_beat_a_profile() {
    let scene = Scene::start().await;
    let server = scene.server.address.to_string();
    let kes = |env: &[(&str, &str)], arguments: &[&str], input: &str| {
        let mut command = homely(&scene);
        command.envs(env.iter().copied()).args(arguments);
        run(&mut command, input.as_bytes())
    };
    let key = format!("{API_KEY}\n");
    let add = [
        "profile",
        "add",
        "p",
        "--server",
        "127.0.0.1:1",
        "--api-key-file",
        "-",
    ];
    kes(&[], &add, &key).quietly();
    // The key is in a file of its own, for its owner alone.
    assert_eq!(mode(&scene, "home/.config/kes/p.key"), 0o600);
    assert_eq!(
        fs::read_to_string(scene.path("home/.config/kes/p.key")).unwrap(),
        key
    );
    let all = fs::read_to_string(scene.path("home/.config/kes/profiles.yaml")).unwrap();
    assert!(!all.contains(API_KEY));
    let who = |env: &[(&str, &str)], arguments: &[&str]| {
        let all = [
            &["whoami", "--offline", "--json", "--profile", "p"],
            arguments,
        ]
        .concat();
        kes(env, &all, "").json()
    };
    assert_eq!(who(&[], &[])["identity"], IDENTITY);
    let files = [
        ("KES_CLIENT_CERT", "admin.pem"),
        ("KES_CLIENT_KEY", "admin.key"),
    ];
    assert_eq!(who(&files, &[])["identity"], scene.admin.identity.as_str());
    let flags = ["--client-cert", "admin.pem", "--client-key", "admin.key"];
    assert_eq!(who(&[], &flags)["identity"], scene.admin.identity.as_str());
    let ca = scene.server.folder().join("server.pem");
    let env = [
        ("KES_SERVER", server.as_str()),
        ("KES_CA", ca.to_str().unwrap()),
    ];
    let all = [files, env].concat();
    assert_eq!(
        kes(&all, &["whoami", "--profile", "p", "--json"], "").json()["server"],
        server
    );
}

#[tokio::test]
async fn a_profiles_carelessness_holds_for_its_own_server_only() {
    let scene = Scene::start().await;
    let server = scene.server.address.to_string();
    let kes = |arguments: &[&str]| run(homely(&scene).args(arguments), b"");
    let proof = ["--client-cert", "admin.pem", "--client-key", "admin.key"];
    let careless = [
        &[
            "profile",
            "add",
            "careless",
            "--insecure",
            "--server",
            &server,
        ],
        &proof[..],
    ]
    .concat();
    let added = kes(&careless);
    assert!(
        added.err.contains("anybody can pass for the server"),
        "{}",
        added.err
    );
    kes(&["whoami", "--profile", "careless"]).quietly();
    let error = kes(&["whoami", "--profile", "careless", "--server", &server]).failed(1);
    assert!(error.contains("--ca"), "{error}");
}

#[tokio::test]
async fn a_file_that_others_can_read_is_refused_with_the_remedy() {
    let scene = Scene::start().await;
    let kes = |arguments: &[&str]| run(homely(&scene).args(arguments), b"");
    kes(&["profile", "add", "p", "--server", "127.0.0.1:1"]).quietly();
    let file = scene.path("home/.config/kes/profiles.yaml");
    for wide in [0o640, 0o604, 0o660] {
        fs::set_permissions(&file, Permissions::from_mode(wide)).unwrap();
        for arguments in [&["profile", "ls"][..], &["key", "ls", "-a", API_KEY]] {
            let error = kes(arguments).failed(1);
            let remedy = format!("chmod 600 '{}'", file.display());
            assert!(error.contains(&remedy), "{error}");
        }
    }
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    kes(&["profile", "ls"]).quietly();
    fs::write(&file, "profiles:\n  p:\n    sever: x\n").unwrap();
    let error = kes(&["profile", "ls"]).failed(1);
    assert!(error.contains("sever"), "{error}");
}

#[tokio::test]
async fn misuse_of_profiles_is_told() {
    let scene = Scene::start().await;
    for (arguments, code, said) in [
        (&["profile", "add", "a/b", "--server", "x"][..], 2, "'a/b'"),
        (
            &["profile", "add", "p"],
            2,
            "at least a server or a credential",
        ),
        (
            &["profile", "add", "p", "--client-key", "k"],
            2,
            "--client-cert",
        ),
        (&["profile", "add", "p", "--ca", "none"], 1, "none"),
        (&["profile", "use", "p"], 1, "no profile 'p'"),
        (&["profile", "rm", "p"], 1, "no profile 'p'"),
        (&["profile", "show"], 2, "no profile is in use"),
    ] {
        let error = run(homely(&scene).args(arguments), b"").failed(code);
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    // Without a home there are no profiles, and nobody misses them.
    scene.run(&["status", "--json"]).quietly();
    let error = scene.run(&["profile", "ls"]).failed(1);
    assert!(error.contains("HOME"), "{error}");
}
