//! What can be wrong when a server is started: each is told in a clear sentence, and nothing is half started.

use std::{
    fs::{self, File, Permissions},
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, chown},
    process::{Command, Stdio},
};

use super::{Manager, program};
use crate::{
    keystore::child::{NOBODY, is_root},
    support::{Cert, Setup, Version, client::Payload},
};

/// Starts what must fail: its code is 1, it prints nothing on standard output, and an error and perhaps a hint.
fn fails(mut command: Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(output.stdout.is_empty(), "{error}");
    // What was to be warned of stands before it.
    let at = error.find("Error: ");
    error[at.unwrap_or_else(|| panic!("{error}"))..].to_owned()
}

#[test]
fn a_key_file_that_cannot_be_read_is_named_with_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(&Cert::client());
    let setup = if is_root() {
        setup.run_by(NOBODY, 8192)
    } else {
        setup
    };
    let command = setup.command(folder.path());
    let key = folder.path().join("server.key");
    if is_root() {
        chown(&key, Some(0), Some(0)).unwrap();
    }
    let mode = if is_root() { 0o600 } else { 0 };
    fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
    let error = fails(command);
    let expected = format!(
        "Error: failed to read TLS private key: {}: the file cannot be read: Permission denied",
        key.display()
    );
    assert!(error.starts_with(&expected), "{error}");
    assert!(
        error.contains("\nHint: the user that the server runs as"),
        "{error}"
    );
}

#[test]
fn a_folder_in_the_place_of_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["server.key", "server.pem"] {
        let command = Setup::new(&Cert::client()).command(folder.path());
        let path = folder.path().join(name);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let error = fails(command);
        assert!(
            error.contains(name) && error.contains("Is a directory"),
            "{error}"
        );
        assert!(
            error.contains("\nHint: name the file in that folder"),
            "{error}"
        );
        fs::remove_dir(&path).unwrap();
    }
    let mut command = program();
    command.args(["server", "--config"]).arg(folder.path());
    let error = fails(command);
    assert!(
        error.contains("the file cannot be read: Is a directory"),
        "{error}"
    );
}

#[tokio::test]
async fn a_private_key_that_everybody_can_read_is_warned_of() {
    let admin = Cert::client();
    let folder = tempfile::tempdir().unwrap();
    let cert = Cert::server();
    let (key, pem) = (folder.path().join("k"), folder.path().join("c"));
    fs::write(&key, cert.key_pem()).unwrap();
    fs::write(&pem, cert.pem()).unwrap();
    for (mode, warned) in [(0o644, true), (0o604, true), (0o640, false), (0o600, false)] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let flags = [
            "--root",
            &admin.identity,
            "--key",
            key.to_str().unwrap(),
            "--cert",
            pem.to_str().unwrap(),
        ];
        let setup = flags.iter().fold(Setup::bare(), |setup, flag| {
            setup.flag((*flag).to_owned().leak())
        });
        let mut server = setup.start().await;
        assert_eq!(server.client(&admin).get("/v1/status").await.status, 200);
        server.terminate();
        assert_eq!(server.end().await.code(), Some(0));
        let expected = format!(
            "can be read by every user of this machine (mode {mode:04o}): chmod 600 {}",
            key.display()
        );
        let errors = server.errors();
        let told: Vec<_> = errors
            .iter()
            .filter(|line| line.contains("every user"))
            .collect();
        assert_eq!(told.len(), usize::from(warned), "{errors:?}");
        assert!(
            told.iter()
                .all(|line| line.contains("level=WARN") && line.contains(&expected)),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_served_and_complained_about() {
    let admin = Cert::client();
    for (cert, expected) in [
        (Cert::expired_server(), "expired on 2020-01-01T00:00:00Z"),
        (
            Cert::future_server(),
            "is not valid before 2096-01-01T00:00:00Z",
        ),
    ] {
        let setup = Setup::new(&admin).shows(cert.pem(), cert.key_pem());
        let mut server = setup.start().await;
        assert_eq!(server.client(&admin).get("/v1/status").await.status, 200);
        let line = server.complained(1, expected).await;
        assert!(line.contains("level=ERROR"), "{line}");
        assert!(
            line.contains("clients that verify it cannot connect"),
            "{line}"
        );
    }
}

#[test]
fn an_address_that_is_taken_is_named_and_no_key_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let setup = Setup::new(&Cert::client())
        .keys_in_files()
        .with("keys:\n- name: made")
        .flag("--addr")
        .flag(address.to_string().leak());
    let error = fails(setup.command(folder.path()));
    let expected = format!("Error: failed to listen on {address}: Address already in use");
    assert!(error.contains(&expected), "{error}");
    let hint = format!("'ss -ltnp sport = :{}' shows which", address.port());
    assert!(
        error.contains("\nHint: another process listens there") && error.contains(&hint),
        "{error}"
    );
    let keys = fs::read_dir(folder.path().join("keys"));
    assert_eq!(keys.map_or(0, Iterator::count), 0);
}

#[test]
fn an_address_of_another_machine_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // RFC 5737: in nobody's use.
    let setup = Setup::new(&Cert::client()).flag("--addr=203.0.113.7:7373");
    let error = fails(setup.command(folder.path()));
    assert!(
        error.starts_with(
            "Error: failed to listen on 203.0.113.7:7373: Cannot assign requested address"
        ) && error.contains("\nHint: no interface of this machine has that address"),
        "{error}"
    );
}

/// However few files it may open, a server says so, or serves; nothing between.
#[tokio::test]
async fn with_very_few_files_a_server_serves_or_says_why_not() {
    let admin = Cert::client();
    let (mut up, mut refused) = (0, 0);
    let cores = std::thread::available_parallelism().unwrap().get();
    // The fewest that it begins with, and others.
    let least = 48 + 5 * u32::try_from(cores).unwrap();
    for limit in [8, 16, 32, least - 1, least, 4 * least] {
        let manager = Manager::new();
        let setup = manager.told_by(Setup::new(&admin).files(limit));
        let mut server = setup.launch();
        if server.is_up().await {
            up += 1;
            let reply = server.client(&admin).get("/v1/status").await;
            assert_eq!(reply.status, 200, "{limit}");
            server.terminate();
            assert_eq!(server.end().await.code(), Some(0), "{limit}");
            continue;
        }
        refused += 1;
        assert_eq!(server.end().await.code(), Some(1), "{limit}");
        server.complained(1, "Error: no more than ").await;
        server
            .complained(1, "Hint: raise the limit of open files")
            .await;
        assert!(manager.is_idle(), "{limit}");
    }
    assert!(up > 0 && refused > 0, "{up} {refused}");
}

#[tokio::test]
async fn output_that_cannot_be_written_is_no_reason_not_to_serve() {
    let admin = Cert::client();
    let manager = Manager::new();
    let folder = tempfile::tempdir().unwrap();
    let setup = manager.told_by(Setup::new(&admin).with("log:\n  audit: on"));
    let mut command = setup.command(folder.path());
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(full())
        .stderr(full())
        .spawn()
        .unwrap();
    let ready = manager.next();
    assert_eq!(ready[0], "READY=1");
    let address = ready[1].strip_prefix("STATUS=Serving on ").unwrap();
    let address = address.split(',').next().unwrap().parse().unwrap();
    let client = crate::support::Client::new(address, Some(&admin));
    for version in Version::ALL {
        let mut connection = client.connect(version).await.unwrap();
        let path = format!("/v1/key/create/{version:?}");
        connection.send("PUT", &path, Payload::None).await.empty();
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The server's command, run where `mount` has put a small file system in the place of its keys.
fn on_small_disk(command: &Command, keys: &std::path::Path, options: &str) -> Command {
    fs::create_dir_all(keys).unwrap();
    let mut mounted = Command::new("unshare");
    mounted.arg("--mount");
    if !is_root() {
        mounted.arg("--map-root-user");
    }
    let script = format!(r#"mount -t tmpfs -o mode=700,{options} tmpfs "$0"; exec "$@""#);
    mounted
        .args(["sh", "-ec", &script])
        .arg(keys)
        .arg(command.get_program())
        .args(command.get_args());
    mounted
}

#[test]
fn a_key_of_the_configuration_that_cannot_be_made_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(&Cert::client())
        .keys_in_files()
        .with("keys:\n- name: made");
    let command = setup.command(folder.path());
    let command = on_small_disk(&command, &folder.path().join("keys"), "nr_inodes=1");
    let error = {
        let mut command = command;
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(
        error.contains("Error: failed to create predefined key 'made'")
            && error.contains("No space left on device"),
        "{error}"
    );
}

#[tokio::test]
async fn on_a_full_disk_creating_fails_and_everything_else_goes_on() {
    let admin = Cert::client();
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(&admin).keys_in_files();
    let command = setup.command(folder.path());
    let mut command = on_small_disk(&command, &folder.path().join("keys"), "size=32k");
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = crate::support::Server::adopt(child);
    server.said(1, "=> Server is up and running...").await;
    server.find_address();
    let client = server.client(&admin);
    let mut made = Vec::new();
    let refused = loop {
        let name = format!("key-{:03}", made.len());
        let reply = client
            .put(&format!("/v1/key/create/{name}"), Payload::None)
            .await;
        if reply.status != 200 {
            break reply;
        }
        made.push(name);
        assert!(made.len() < 100, "it never gets full");
    };
    assert!(!made.is_empty());
    assert_eq!(refused.status, 502, "{}", refused.text());
    let line = server.complained(1, "No space left on device").await;
    assert!(
        line.contains("level=ERROR") && line.contains("file system is full"),
        "{line}"
    );

    let listed = client.get("/v1/key/list/").await.json();
    assert_eq!(listed["names"], serde_json::json!(made));
    for name in &made {
        let key = client
            .put(&format!("/v1/key/generate/{name}"), "{}")
            .await
            .json();
        let body = serde_json::json!({"ciphertext": key["ciphertext"]});
        let opened = client
            .put(&format!("/v1/key/decrypt/{name}"), body)
            .await
            .json();
        assert_eq!(opened["plaintext"], key["plaintext"]);
    }
    // With room again, the name that was refused is free.
    let path = format!("/v1/key/delete/{}", made[0]);
    client
        .send(Version::H1, "DELETE", &path, Payload::None)
        .await
        .empty();
    let path = format!("/v1/key/create/key-{:03}", made.len());
    client.put(&path, Payload::None).await.empty();
    server.terminate();
    assert_eq!(server.end().await.code(), Some(0));
}
