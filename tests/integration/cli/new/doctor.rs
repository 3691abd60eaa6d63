//! `kes doctor`: each thing that can be wrong, wrong once.

use std::{fs, net::TcpListener, process::Command};

use serde_json::Value;

use super::{Run, Scene, bare, run};
use crate::{cli::API_KEY, support::Cert};

/// Name, state, and detail with remedy, of all checks.
struct Seen(Vec<(String, String, String)>);

impl Seen {
    fn of(run: &Run) -> Self {
        let report: Value = serde_json::from_slice(&run.out).unwrap();
        let checks = report["checks"].as_array().unwrap().iter();
        let text =
            |check: &Value, member: &str| check[member].as_str().unwrap_or_default().to_owned();
        let seen: Vec<_> = checks
            .map(|check| {
                let told = format!("{} → {}", text(check, "detail"), text(check, "remedy"));
                (text(check, "name"), text(check, "state"), told)
            })
            .collect();
        let failed = seen
            .iter()
            .filter(|(_, state, _)| state == "failed")
            .count();
        assert_eq!(report["failed"], failed);
        assert_eq!(run.code, Some(i32::from(failed > 0)), "{}", run.err);
        Self(seen)
    }

    /// Those in this state.
    fn names(&self, state: &str) -> Vec<&str> {
        let names = self.0.iter().filter(|(_, other, _)| other == state);
        names.map(|(name, _, _)| name.as_str()).collect()
    }

    /// What is told of the first check of this name.
    fn told(&self, name: &str) -> &str {
        let check = self.0.iter().find(|(other, _, _)| other == name);
        &check.unwrap_or_else(|| panic!("no {name}")).2
    }
}

fn doctor(command: &mut Command, arguments: &[&str]) -> Seen {
    Seen::of(&run(
        command.args(["doctor", "--json"]).args(arguments),
        b"",
    ))
}

const ALL: [&str; 14] = [
    "route",
    "servers",
    "credential",
    "trust",
    "name",
    "connection",
    "tls",
    "certificate",
    "trusted",
    "proof",
    "answer",
    "clock",
    "identity",
    "permission",
];

#[tokio::test]
async fn nothing_is_wrong_with_a_server_that_is_well() {
    let scene = Scene::start().await;
    let seen = doctor(&mut scene.command(), &[]);
    let names: Vec<&str> = seen.0.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names, [&ALL[..], &["keystore"]].concat());
    assert_eq!(seen.names("failed"), Vec::<&str>::new());
    assert_eq!(seen.names("skipped"), Vec::<&str>::new());
    assert!(seen.told("servers").contains("KES_SERVER"));
    assert!(seen.told("credential").contains(&scene.admin.identity));
    assert!(seen.told("tls").contains("h2"), "{}", seen.told("tls"));
    assert!(seen.told("permission").contains("everything"));
    let config = scene.server.folder().join("kes.yml");
    let seen = doctor(
        &mut scene.command(),
        &["--config", config.to_str().unwrap()],
    );
    assert_eq!(seen.names("failed"), Vec::<&str>::new());
    let text = scene.run(&["doctor"]).text();
    assert!(
        text.contains("  ✓ tls ") && text.contains("this client\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_looked_at_to_the_end() {
    let scene = Scene::start().await;
    let seen = doctor(scene.command().env_remove("KES_CA"), &[]);
    assert_eq!(seen.names("failed"), ["trusted", "identity", "keystore"]);
    assert!(
        seen.told("trusted").contains("--ca"),
        "{}",
        seen.told("trusted")
    );
    // Certificate, clock and the server's nature are known all the same.
    for name in ["certificate", "proof", "answer", "clock"] {
        assert!(
            seen.names("ok").contains(&name),
            "{name}: {}",
            seen.told(name)
        );
    }
    let seen = doctor(scene.command().env_remove("KES_CA"), &["-k"]);
    assert_eq!(seen.names("failed"), Vec::<&str>::new());
    assert!(seen.names("warning").contains(&"trust"));
}

#[tokio::test]
async fn an_expired_certificate_is_told_with_its_date() {
    let expired = Cert::expired_server();
    let scene = Scene::with(|setup| setup.shows(expired.pem(), expired.key_pem())).await;
    let seen = doctor(&mut scene.command(), &[]);
    assert!(seen.names("failed").contains(&"certificate"));
    assert!(
        seen.told("certificate").contains("2020-01-01"),
        "{}",
        seen.told("certificate")
    );
    let config = scene.server.folder().join("kes.yml");
    let config = config.to_str().unwrap();
    let seen = doctor(&mut scene.command(), &["--config", config]);
    let certificates = seen.0.iter().filter(|(name, _, _)| name == "certificate");
    assert_eq!(
        certificates
            .filter(|(_, state, _)| state == "failed")
            .count(),
        2
    );
}

#[tokio::test]
async fn a_name_that_the_certificate_does_not_have_is_told_with_those_it_has() {
    let scene = Scene::start().await;
    let port = scene.server.address.port();
    let seen = doctor(
        scene
            .command()
            .env("KES_SERVER", format!("127.0.0.2:{port}")),
        &[],
    );
    assert!(
        seen.names("failed").contains(&"connection"),
        "it listens on 127.0.0.1 only"
    );
    let folder = tempfile::tempdir().unwrap();
    let new = "identity new --key k --cert c --dns other.example --expiry 90d -q";
    let made = run(bare(folder.path()).args(new.split(' ')), b"");
    assert_eq!(made.code, Some(0), "{}", made.err);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let scene = Scene::with(|setup| setup.shows(read("c"), read("k"))).await;
    let seen = doctor(&mut scene.command(), &[]);
    assert!(seen.names("failed").contains(&"trusted"));
    let told = seen.told("trusted");
    assert!(told.contains("other.example"), "{told}");
}

#[tokio::test]
async fn nobody_there_and_no_tls_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let command = || {
        let mut command = bare(folder.path());
        command
            .env("KES_API_KEY", API_KEY)
            .env("KES_SERVER", &address);
        command
    };
    let answering = std::thread::spawn(move || {
        use std::io::Write as _;
        // One for the steps, more for the calls after them.
        while let Ok((mut stream, _)) = listener.accept() {
            let mut hello = [0; 1];
            if stream.peek(&mut hello).unwrap_or(0) == 0 {
                break;
            }
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
    });
    let seen = doctor(&mut command(), &["--retries", "0"]);
    assert!(seen.names("ok").contains(&"connection"));
    assert!(seen.names("failed").contains(&"tls"));
    assert!(
        seen.told("tls").contains("does not speak TLS"),
        "{}",
        seen.told("tls")
    );
    assert!(seen.names("skipped").contains(&"answer"));
    // Ends the server.
    drop(std::net::TcpStream::connect(&address).unwrap());
    answering.join().unwrap();
    let seen = doctor(&mut command(), &["--retries", "0"]);
    assert!(seen.names("failed").contains(&"connection"));
    assert!(
        seen.told("connection").contains("KES_SERVER"),
        "{}",
        seen.told("connection")
    );
    assert_eq!(seen.names("skipped"), ["tls", "answer", "permission"]);
}

#[tokio::test]
async fn whom_the_server_does_not_know_or_let_is_told_so() {
    let user = Cert::client();
    let stranger = Cert::client();
    let allow = ["/v1/key/generate/app-*", "/v1/key/list"];
    let scene = Scene::with(|setup| setup.policy("app", &allow, &[], &[&user])).await;
    scene.proof("user", &user);
    scene.proof("stranger", &stranger);
    let seen = doctor(&mut scene.command_of("stranger"), &[]);
    assert_eq!(seen.names("failed"), ["identity"]);
    assert!(
        seen.told("identity")
            .contains("add the identity to a policy")
    );
    let seen = doctor(&mut scene.command_of("user"), &["--key", "app-1"]);
    assert_eq!(seen.names("failed"), Vec::<&str>::new());
    assert!(
        seen.told("permission").contains("generate; not create"),
        "{}",
        seen.told("permission")
    );
    assert!(seen.told("keystore").contains("may not ask"));
    let seen = doctor(&mut scene.command_of("user"), &["--key", "other"]);
    assert_eq!(seen.names("failed"), ["permission"]);
    let seen = doctor(&mut scene.command_of(""), &[]);
    assert!(seen.names("failed").contains(&"credential"));
    assert!(
        seen.names("ok").contains(&"connection"),
        "the rest is looked at"
    );
}

#[tokio::test]
async fn a_dead_keystore_is_found_from_both_sides() {
    let scene = Scene::with(crate::support::Setup::keys_in_files).await;
    let config = scene.server.folder().join("kes.yml");
    let arguments = ["--config", config.to_str().unwrap()];
    fs::rename(scene.server.keys(), scene.server.folder().join("away")).unwrap();
    let seen = doctor(&mut scene.command(), &arguments);
    assert_eq!(seen.names("failed"), ["keystore"]);
    let told: Vec<_> = seen
        .0
        .iter()
        .filter(|(name, _, _)| name == "keystore")
        .collect();
    assert!(
        told.iter()
            .any(|(_, _, told)| told.contains("does not exist")),
        "{told:?}"
    );
    assert!(!scene.server.keys().exists(), "looking makes nothing");
}

#[tokio::test]
async fn a_configuration_is_read_with_all_its_errors() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("kes.yml"),
        "address: 127.0.0.1:0\ntls:\n  keyy: x\n",
    )
    .unwrap();
    let mut command = bare(folder.path());
    command
        .env("KES_API_KEY", API_KEY)
        .env("KES_SERVER", "127.0.0.1:1");
    let seen = doctor(&mut command, &["--config", "kes.yml", "--retries", "0"]);
    let problems = seen
        .0
        .iter()
        .filter(|(name, state, _)| name == "configuration" && state == "failed");
    let problems: Vec<_> = problems.map(|(_, _, told)| told.as_str()).collect();
    assert!(problems.len() > 1, "{problems:?}");
    assert!(
        problems.iter().all(|told| told.starts_with("kes.yml:")),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_proxy_is_for_servers_elsewhere() {
    let scene = Scene::start().await;
    let proxy = ("HTTPS_PROXY", "http://127.0.0.1:1");
    let seen = doctor(scene.command().env(proxy.0, proxy.1), &[]);
    assert_eq!(seen.names("failed"), Vec::<&str>::new());
    assert!(seen.told("route").contains("HTTPS_PROXY"));
    let mut command = scene.command();
    command
        .env(proxy.0, proxy.1)
        .env("KES_SERVER", "kes.invalid:7373");
    let seen = doctor(&mut command, &["--retries", "0"]);
    assert!(
        seen.names("skipped").contains(&"name"),
        "the proxy resolves it"
    );
    assert!(seen.names("failed").contains(&"connection"));
}
