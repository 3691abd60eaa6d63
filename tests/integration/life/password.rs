//! Passwords of private keys: those of clients, from everywhere they may come from, and that of the server from a credential.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::support::{Cert, Server, Setup, client::Payload};

/// cli.md 21: the form that the predecessor writes, the password is `secret`.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,8c7e96991ff72f6e03bc0de8a749f8c1\n\nLNvoBNiH3O5X6EgfLzpvg5u+Sb5GlZf2sgpdAg89Y32Ld9pviuv5mnouU/IX0XnD\ngoPrGjuYRiErLLfsZW/7NQ==\n-----END PRIVATE KEY-----\n";
/// Its identity.
const IDENTITY: &str = "a050837d85070582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5";

/// Variables of the environment, and their values.
type Variables<'a> = &'a [(&'a str, &'a str)];

/// A folder with a client's certificate and encrypted keys, and a server that knows the client.
struct Place {
    folder: tempfile::TempDir,
    server: Server,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::write(path.join("old.key"), KEY).unwrap();
        for (name, text) in [
            ("password", "secret\n"),
            ("wrong", "Secret\n"),
            ("empty", "\n"),
        ] {
            fs::write(path.join(name), text).unwrap();
        }
        openssl(path, "pkey -in old.key -passin pass:secret -out clear.key");
        openssl(
            path,
            "req -new -x509 -key clear.key -out client.crt -subj /CN=client -days 2 -addext basicConstraints=critical,CA:FALSE",
        );
        openssl(
            path,
            "pkcs8 -topk8 -v2 aes-256-cbc -in clear.key -out new.key -passout pass:secret",
        );
        openssl(
            path,
            "pkcs8 -topk8 -scrypt -in clear.key -out scrypt.key -passout pass:secret",
        );
        let setup = Setup::with_admin(IDENTITY);
        let server = setup.start().await;
        Self { folder, server }
    }

    /// `kes key ls` with this key, more arguments and more environment.
    fn command(&self, key: &str, arguments: &[&str], env: Variables<'_>) -> Command {
        // A session of its own: there is no terminal to ask on.
        let mut command = Command::new("setsid");
        command
            .arg("-w")
            .arg(env!("CARGO_BIN_EXE_kes"))
            .args(["key", "ls", "-k", "--server"])
            .arg(self.server.address.to_string())
            .args(["--client-cert", "client.crt", "--client-key", key])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(env.iter().copied())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// The same, for programs.
    fn listed(&self, key: &str, arguments: &[&str], env: Variables<'_>) -> Output {
        let mut command = self.command(key, arguments, env);
        command.arg("--json").output().unwrap()
    }

    fn run(&self, key: &str, arguments: &[&str], env: Variables<'_>) -> Output {
        self.command(key, arguments, env).output().unwrap()
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    let command = command.args(arguments.split(' ')).current_dir(folder);
    let output = command.output().expect("the openssl command is there");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {error}");
}

#[tokio::test]
async fn a_client_opens_its_key_with_a_password_from_a_file_a_variable_or_a_credential() {
    let place = Place::new().await;
    let credentials = place.folder.path().to_str().unwrap();
    let ways: [(&[&str], Variables<'_>); 5] = [
        (&["--key-password-file", "password"], &[]),
        (&[], &[("KES_CLIENT_KEY_PASSWORD", "secret")]),
        (&[], &[("MINIO_KMS_KES_KEY_PASSWORD", "secret")]),
        (
            &["--key-password-file=password"],
            &[
                ("CREDENTIALS_DIRECTORY", credentials),
                ("KES_CLIENT_KEY_PASSWORD", "wrong"),
            ],
        ),
        (
            &[],
            &[
                ("KES_CLIENT_KEY_PASSWORD", "secret"),
                ("MINIO_KMS_KES_KEY_PASSWORD", "wrong"),
            ],
        ),
    ];
    for key in ["old.key", "new.key", "scrypt.key"] {
        for (arguments, env) in ways {
            let output = place.listed(key, arguments, env);
            assert_eq!(output.stdout, b"[]\n", "{key} {arguments:?}: {output:?}");
            assert!(output.stderr.is_empty(), "{output:?}");
        }
    }
    // A key in clear asks for nothing, and is not disturbed by a password.
    let output = place.listed("clear.key", &[], &[("KES_CLIENT_KEY_PASSWORD", "x")]);
    assert_eq!(output.stdout, b"[]\n", "{output:?}");
}

#[tokio::test]
async fn a_password_that_is_wrong_or_missing_is_told_once_and_shown_never() {
    let place = Place::new().await;
    for (key, arguments, env, expected) in [
        (
            "old.key",
            &[][..],
            &[("KES_CLIENT_KEY_PASSWORD", "Pa55word")][..],
            "private key cannot be decrypted: the password is wrong, or the file is damaged\nHint: check --key-password-file or KES_CLIENT_KEY_PASSWORD",
        ),
        (
            "new.key",
            &["--key-password-file", "wrong"],
            &[],
            "private key cannot be decrypted: the password is wrong, or the file is damaged\nHint: check --key-password-file or KES_CLIENT_KEY_PASSWORD",
        ),
        (
            "old.key",
            &["--key-password-file", "empty"],
            &[],
            "Error: there is no password in the first line of 'empty'",
        ),
        (
            "old.key",
            &["--key-password-file", "none"],
            &[],
            "Error: cannot read 'none': No such file",
        ),
        (
            "old.key",
            &[],
            &[],
            "Error: the private key 'old.key' is encrypted, and there is no terminal to ask for its password",
        ),
    ] {
        let output = place.run(key, arguments, env);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            output.stdout.is_empty() && error.contains(expected),
            "{error}"
        );
        assert!(
            !error.contains("Pa55word") && !error.contains("Secret"),
            "{error}"
        );
        assert_eq!(error.matches("Error: ").count(), 1, "{error}");
    }
}

/// `script` gives the program a terminal, whose other end is ours.
#[tokio::test]
async fn a_person_at_the_terminal_is_asked_whatever_else_is_redirected() {
    let place = Place::new().await;
    let run = format!(
        "'{}' key ls --json -k --server {} --client-cert client.crt --client-key old.key >out 2>err </dev/null",
        env!("CARGO_BIN_EXE_kes"),
        place.server.address
    );
    for (typed, code) in [("secret\n", 0), ("wrong\n", 1), ("\x03", 1)] {
        let mut child = Command::new("script")
            .args(["-qec", &run, "/dev/null"])
            .current_dir(place.folder.path())
            .env_remove("KES_CLIENT_KEY_PASSWORD")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut terminal = child.stdout.take().unwrap();
        let mut shown = Vec::new();
        while !shown.ends_with(b"Password of the private key old.key: ") {
            let mut byte = [0];
            terminal.read_exact(&mut byte).unwrap();
            shown.push(byte[0]);
        }
        let mut keyboard = child.stdin.take().unwrap();
        keyboard.write_all(typed.as_bytes()).unwrap();
        // The question is there a moment before the terminal is that of who asks, and the interrupt key goes by until then. A person
        // hits it again.
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            thread::sleep(Duration::from_millis(50));
            if typed == "\x03" {
                let _ = keyboard.write_all(typed.as_bytes());
            }
        };
        drop(keyboard);
        let read = |name| fs::read_to_string(place.folder.path().join(name)).unwrap();
        assert_eq!(status.code(), Some(code), "{typed:?}: {}", read("err"));
        assert_eq!(read("out"), if code == 0 { "[]\n" } else { "" });
        let told = read("err").contains("the password is wrong");
        assert_eq!(told, typed == "wrong\n", "{}", read("err"));
    }
}

#[tokio::test]
async fn the_servers_password_may_be_a_credential_and_may_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let admin = Cert::client();
    // A certificate and its key, encrypted.
    let pair = |password: &str| {
        openssl(
            path,
            &format!(
                "req -x509 -newkey ed25519 -passout pass:{password} -keyout key -out cert -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
            ),
        );
        let read = |name| fs::read_to_string(path.join(name)).unwrap();
        assert!(read("key").contains("ENCRYPTED"));
        (read("cert"), read("key"))
    };
    let (cert, key) = pair("the_first");
    fs::write(path.join("key-password"), "the_first\n").unwrap();
    let setup = Setup::new(&admin)
        .shows(cert, key)
        .tls("password_file: key-password")
        .env("CREDENTIALS_DIRECTORY", path);
    let mut server = setup.start().await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    // Key and password are replaced, and the certificate with them.
    let (cert, key) = pair("the_second");
    fs::write(path.join("key-password"), "the_second\r\n").unwrap();
    fs::write(server.folder().join("server.key"), key).unwrap();
    fs::write(server.folder().join("server.pem"), &cert).unwrap();
    server.complained(1, " reloaded: serial ").await;
    let stream = client.handshake(Vec::new()).await.unwrap();
    let shown = &stream.get_ref().1.peer_certificates().unwrap()[0];
    assert_eq!(
        *shown,
        CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()
    );
    assert!(!server.errors().iter().any(|line| line.contains("the_")));
}

#[test]
fn a_servers_password_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let cert = Cert::server();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    for (name, expected) in [
        ("none", "none: the file cannot be read: No such file"),
        ("empty", "empty: there is no password in its first line"),
    ] {
        let setup = Setup::new(&Cert::client())
            .shows(cert.pem(), cert.key_pem())
            .tls(&format!("password_file: {name}"))
            .env("CREDENTIALS_DIRECTORY", folder.path());
        let (code, error) = setup.fail();
        assert_eq!(code, Some(1));
        assert!(
            error.contains("Error: failed to read the password of the TLS private key: ")
                && error.contains(expected),
            "{error}"
        );
    }
}
