//! `kes identity rotate`.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::json;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::{Scene, run};
use crate::{
    cli::{API_KEY, IDENTITY},
    support::{Cert, Setup},
};

/// A folder with a server's identity in it: names, addresses and a life of its own.
async fn scene() -> (Scene, String) {
    let scene = Scene::start().await;
    let new = [
        "identity",
        "new",
        "--key",
        "app.key",
        "--cert",
        "app.crt",
        "--dns",
        "a.example,b.example",
        "--ip",
        "10.0.0.1",
        "--expiry",
        "90d",
        "--server",
        "my-host",
        "-q",
    ];
    let identity = run(scene.command_of("").args(new), b"");
    assert_eq!(identity.code, Some(0), "{}", identity.err);
    let identity = String::from_utf8(identity.out).unwrap().trim().to_owned();
    (scene, identity)
}

const PAIR: [&str; 6] = [
    "identity", "rotate", "--key", "app.key", "--cert", "app.crt",
];

fn offline(scene: &Scene, ending: &str) -> String {
    let (key, cert) = (format!("app.key{ending}"), format!("app.crt{ending}"));
    let who = ["whoami", "-q", "--client-key", &key, "--client-cert", &cert];
    run(scene.command_of("").args(who), b"")
        .text()
        .trim()
        .to_owned()
}

#[tokio::test]
async fn a_new_pair_is_made_beside_the_old_one_and_takes_its_place_when_told() {
    let (scene, old) = scene().await;
    let kes = |arguments: &[&str]| {
        run(
            scene.command_of("").args([&PAIR[..], arguments].concat()),
            b"",
        )
    };
    let (key, cert) = (scene.read("app.key"), scene.read("app.crt"));
    let begun = kes(&["--json"]).json();
    let new = begun["new_identity"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    assert_eq!(
        begun,
        json!({
            "finished": false, "old_identity": old, "new_identity": new,
            "old_files": ["app.crt", "app.key"], "new_files": ["app.crt.new", "app.key.new"],
        })
    );
    assert_eq!(
        (scene.read("app.key"), scene.read("app.crt")),
        (key.clone(), cert.clone())
    );
    assert_eq!(
        (offline(&scene, ""), offline(&scene, ".new")),
        (old.clone(), new.clone())
    );
    let mode = |name: &str| fs::metadata(scene.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("app.key.new"), 0o600);
    for (what, expected) in [
        ("names", "DNS:a.example,DNS:b.example,IP:10.0.0.1"),
        ("subject", "my-host"),
        ("usage", "server"),
        ("days", "90"),
    ] {
        assert_eq!(
            certificate_text(&scene, "app.crt.new", what),
            expected,
            "{what}"
        );
        assert_eq!(
            certificate_text(&scene, "app.crt", what),
            expected,
            "{what} of the old one"
        );
    }
    // A change that is under way is not begun anew.
    assert!(kes(&[]).failed(1).contains("--finish"));

    let done = kes(&["--finish", "--json"]).json();
    assert_eq!(
        done,
        json!({
            "finished": true, "old_identity": old, "new_identity": new,
            "old_files": ["app.crt.old", "app.key.old"], "new_files": ["app.crt", "app.key"],
        })
    );
    assert_eq!((offline(&scene, ""), offline(&scene, ".old")), (new, old));
    assert_eq!(
        (scene.read("app.key.old"), scene.read("app.crt.old")),
        (key, cert)
    );
    assert!(kes(&["--finish"]).failed(1).contains("nothing to finish"));
    // What is kept is never lost to the next change.
    kes(&["-q"]).quietly();
    let error = kes(&["--finish"]).failed(1);
    assert!(error.contains(".old' exists"), "{error}");
}

/// What a certificate says of itself.
fn certificate_text(scene: &Scene, name: &str, what: &str) -> String {
    let pem = scene.read(name);
    let blocks = kes::pem::decode(&pem).unwrap();
    let (_, cert) = X509Certificate::from_der(blocks[0].der()).unwrap();
    let dates = cert.validity();
    match what {
        "subject" => {
            let name = cert.subject().iter_common_name().next().unwrap();
            name.as_str().unwrap().to_owned()
        }
        "usage" => {
            let usage = cert.extended_key_usage().unwrap().unwrap().value;
            let ends = [(usage.client_auth, "client"), (usage.server_auth, "server")];
            let ends = ends.iter().filter(|(is, _)| *is).map(|(_, end)| *end);
            ends.collect::<Vec<_>>().join(" ")
        }
        "days" => {
            let seconds = dates.not_after.timestamp() - dates.not_before.timestamp();
            (seconds / 86400).to_string()
        }
        _ => {
            let names = cert.subject_alternative_name().unwrap().unwrap().value;
            let names = names.general_names.iter().map(|name| match name {
                GeneralName::DNSName(name) => format!("DNS:{name}"),
                GeneralName::IPAddress([a, b, c, d]) => format!("IP:{a}.{b}.{c}.{d}"),
                other => format!("{other:?}"),
            });
            names.collect::<Vec<_>>().join(",")
        }
    }
}

#[tokio::test]
async fn who_was_stopped_half_way_can_go_on() {
    let (scene, old) = scene().await;
    let kes = |arguments: &[&str]| {
        run(
            scene.command_of("").args([&PAIR[..], arguments].concat()),
            b"",
        )
    };
    kes(&["-q"]).quietly();
    let new = offline(&scene, ".new");
    // As if the power had failed after the certificate's second name, its key's, and its replacement.
    fs::hard_link(scene.path("app.crt"), scene.path("app.crt.old")).unwrap();
    fs::hard_link(scene.path("app.key"), scene.path("app.key.old")).unwrap();
    fs::rename(scene.path("app.crt.new"), scene.path("app.crt")).unwrap();
    kes(&["--finish", "-q"]).quietly();
    assert_eq!((offline(&scene, ""), offline(&scene, ".old")), (new, old));
}

#[tokio::test]
async fn a_server_can_know_both_during_the_change() {
    let scene = Scene::start().await;
    scene.write("app.key", format!("{API_KEY}\n").as_bytes());
    let rotate = ["identity", "rotate", "--api-key-file", "app.key"];
    let kes = |arguments: &[&str]| run(scene.command_of("").args(arguments), b"");
    let prose = kes(&[&rotate[..], &["--policy", "my-app"]].concat()).text();
    let new = kes(&["whoami", "-q", "--api-key-file", "app.key.new"])
        .text()
        .trim()
        .to_owned();
    // The text that is to be pasted is what the server takes.
    let (_, snippet) = prose.split_once("policy:\n").unwrap();
    let snippet = format!("policy:\n{}", snippet.split("\n\n").next().unwrap());
    assert!(
        snippet.contains(IDENTITY) && snippet.contains(&new),
        "{snippet}"
    );
    let snippet = snippet.replace("my-app:\n", "my-app:\n    allow: [/v1/status]\n");
    let both = Setup::new(&scene.admin).with(&snippet).start().await;
    let server = both.address.to_string();
    for file in ["app.key", "app.key.new"] {
        let who = [
            "whoami",
            "--json",
            "-k",
            "--server",
            &server,
            "--api-key-file",
            file,
        ];
        assert_eq!(kes(&who).json()["policy"], "my-app", "{file}");
    }
    kes(&[&rotate[..], &["--finish", "-q"]].concat()).quietly();
    assert_eq!(
        kes(&["whoami", "-q", "--api-key-file", "app.key"])
            .text()
            .trim(),
        new
    );
    assert_eq!(
        kes(&["whoami", "-q", "--api-key-file", "app.key.old"])
            .text()
            .trim(),
        IDENTITY
    );
}

#[tokio::test]
async fn what_cannot_be_rotated_is_named() {
    let scene = Scene::start().await;
    let authority = Cert::authority();
    let client = authority.sign_client();
    scene.proof("signed", &client);
    scene.write("app.key", b"no key\n");
    for (arguments, code, said) in [
        (
            &["--key", "signed.key", "--cert", "signed.pem"][..],
            1,
            "signed by an authority",
        ),
        (
            &["--key", "admin.key", "--cert", "signed.pem"],
            1,
            "does not belong",
        ),
        (&["--api-key-file", "app.key"], 1, "'app.key'"),
        (&["--api-key-file", "none"], 1, "none"),
        (&["--key", "admin.key"], 2, "--cert"),
        (&[], 2, "--api-key-file"),
    ] {
        let all = [&["identity", "rotate"], arguments].concat();
        let error = run(scene.command_of("").args(all), b"").failed(code);
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}
