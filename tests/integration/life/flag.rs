//! Flags of `kes server`, of every release that had some (cli.md 8 and 17): the real program, started with each.

use std::{fs, path::PathBuf};

use super::{Manager, program};
use crate::support::{Cert, Setup, Version};

/// Files as they are named on command lines.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cert = Cert::server();
        fs::write(folder.path().join("k.pem"), cert.key_pem()).unwrap();
        fs::write(folder.path().join("c.pem"), cert.pem()).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> &'static str {
        let path: PathBuf = self.folder.path().join(name);
        path.to_str().unwrap().to_owned().leak()
    }
}

/// A server whose file has neither key, nor certificate, nor administrator.
fn server(flags: &[&'static str]) -> Setup {
    let setup = Setup::bare();
    flags.iter().fold(setup, |setup, flag| setup.flag(flag))
}

#[tokio::test]
async fn key_certificate_and_administrator_may_come_from_flags_of_any_release() {
    let files = Files::new();
    let (key, cert) = (files.path("k.pem"), files.path("c.pem"));
    let admin = Cert::client();
    let root: &'static str = admin.identity.clone().leak();
    for flags in [
        ["--key", key, "--cert", cert, "--root", root],
        ["--tls-key", key, "--tls-cert", cert, "--root", root],
        ["-key", key, "-cert", cert, "-root", root],
    ] {
        let server = server(&flags).start().await;
        let client = server.client(&admin);
        assert_eq!(client.get("/v1/status").await.status, 200, "{flags:?}");
    }
}

#[tokio::test]
async fn what_the_file_says_wins_over_flags_and_a_warning_says_so() {
    let files = Files::new();
    let admin = Cert::client();
    let setup = Setup::new(&admin)
        .flag("--key")
        .flag(files.path("k.pem"))
        .flag("--cert")
        .flag(files.path("c.pem"))
        .flag("--root=somebody");
    let mut server = setup.start().await;
    assert_eq!(server.client(&admin).get("/v1/status").await.status, 200);
    for text in [
        "tls.key: the flag '--key' names another file and is ignored",
        "tls.cert: the flag '--cert' names another file and is ignored",
        "admin.identity: the flag '--root' names another identity and is ignored",
    ] {
        server.complained(1, text).await;
    }
}

#[tokio::test]
async fn clients_are_verified_if_the_flag_says_so_in_the_words_of_any_release() {
    let authority = Cert::authority();
    let folder = tempfile::tempdir().unwrap();
    let (trusted, stranger) = (authority.sign_client(), Cert::client());
    for (flags, verified) in [
        (&["--auth", "on"][..], true),
        (&["--auth=ON"], true),
        (&["-auth=on"], true),
        (&["--mtls-auth", "verify"], true),
        (&["--auth=off"], false),
        (&["--auth", "Off"], false),
        (&["--mtls-auth=ignore"], false),
    ] {
        let setup = Setup::new(&trusted).trust(&authority, folder.path());
        let setup = flags.iter().fold(setup, |setup, flag| setup.flag(flag));
        let server = setup.start().await;
        assert_eq!(server.client(&trusted).get("/v1/status").await.status, 200);
        let answered = match server.client(&stranger).connect(Version::H1).await {
            Err(_) => false,
            Ok(mut connection) => connection
                .try_send("GET", "/version", crate::support::Payload::None)
                .await
                .is_ok(),
        };
        assert_eq!(answered, !verified, "{flags:?}");
    }
}

#[tokio::test]
async fn the_banner_is_left_out_if_that_is_asked_for() {
    let admin = Cert::client();
    for (flag, banner) in [
        ("-q", false),
        ("--quiet", false),
        ("--quiet=true", false),
        ("-quiet", false),
        ("--banner=never", false),
        ("--quiet=false", true),
        ("--banner=always", true),
        ("--mlock=false", true),
        ("--dev=false", true),
    ] {
        // The output may not tell that it is up.
        let manager = Manager::new();
        let setup = Setup::new(&admin).flag(flag);
        let mut server = manager.told_by(setup).launch();
        assert_eq!(manager.next()[0], "READY=1", "{flag}");
        server.terminate();
        server.said(1, "=> Stopping server... Goodbye.").await;
        assert_eq!(server.end().await.code(), Some(0), "{flag}");
        let shown = server.output().iter().any(|line| line.starts_with("API "));
        assert_eq!(shown, banner, "{flag}");
    }
}

/// Runs `kes server` with these arguments, which it must refuse.
fn misused(arguments: &[&str]) -> String {
    let output = program().arg("server").args(arguments).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    error
}

#[test]
fn what_makes_no_sense_is_explained() {
    for (arguments, expected) in [
        (
            &[][..],
            "Error: no configuration: name it with --config FILE, or try a server without one with --dev",
        ),
        (&["--config", ""], "--config"),
        (&["--auth=maybe", "--config", "c"], "--auth"),
        (&["--frobnicate"], "--frobnicate"),
        (&["--config", "c", "--addr", "nothing"], "--addr"),
        (&["--config", "c", "--mlock=perhaps"], "--mlock"),
    ] {
        let error = misused(arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(
            error.starts_with("Error: ") || error.starts_with("error: "),
            "{error}"
        );
    }
}

#[test]
fn a_folder_as_experimental_releases_took_it_is_explained() {
    for arguments in [&["./folder"][..], &["./folder", "--config", "c"]] {
        let output = program().arg("server").args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.starts_with("Error: a server cannot be started from a directory any more"),
            "{error}"
        );
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let output = program()
        .args(["server", "--config", "/nowhere/kes.yml"])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.starts_with("Error: /nowhere/kes.yml: the file cannot be read"),
        "{error}"
    );
}
