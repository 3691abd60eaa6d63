//! Encrypted private keys, made by the `openssl` command.

use std::{fs, path::Path, process::Command};

use rustls::version::{TLS12, TLS13};

use crate::support::{Cert, Client, Setup};

const PASSWORD: &str = "not a \"secret\"";

/// Runs `openssl` in `folder`; arguments are split at spaces.
fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    let command = command.args(arguments.split(' ')).current_dir(folder);
    let output = command.output().expect("the openssl command is there");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {error}");
}

/// A certificate of a key of this kind, and the key as `form` encrypts it.
fn pair(kind: &str, form: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("password"), PASSWORD).unwrap();
    openssl(
        path,
        &format!(
            "req -x509 -newkey {kind} -noenc -keyout clear -out cert -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
        ),
    );
    openssl(
        path,
        &format!("{form} -in clear -out key -passout file:password"),
    );
    let read = |name| fs::read_to_string(path.join(name)).unwrap();
    let key = read("key");
    assert!(key.contains("ENCRYPTED"), "{key}");
    (read("cert"), key)
}

#[tokio::test]
async fn a_server_with_an_encrypted_key_proves_that_it_holds_it() {
    let curve = |name| format!("ec -pkeyopt ec_paramgen_curve:{name}");
    let pairs = [
        ("rsa:2048".to_owned(), "pkcs8 -topk8 -scrypt"),
        ("rsa:2048".to_owned(), "pkey -traditional -des3"),
        (curve("P-256"), "pkcs8 -topk8 -v2 aes-256-cbc"),
        (curve("P-384"), "ec -aes256"),
        (curve("P-521"), "pkcs8 -topk8 -v2 des3 -v2prf hmacWithSHA1"),
        ("ed25519".to_owned(), "pkcs8 -topk8 -v2 aes-128-cbc"),
    ];
    for (kind, form) in pairs {
        let (cert, key) = pair(&kind, form);
        let admin = Cert::client();
        let setup = Setup::new(&admin).shows(cert, key).key_password(PASSWORD);
        let server = setup.start().await;
        for version in [&TLS12, &TLS13] {
            let client = Client::with_versions(server.address, Some(&admin), &[version]);
            assert_eq!(client.get("/version").await.status, 200, "{kind} {form}");
        }
        assert!(server.errors().iter().all(|line| !line.contains("secret")));
    }
}

#[test]
fn without_its_password_a_server_does_not_start_and_says_what_to_do() {
    let (cert, key) = pair("ed25519", "pkcs8 -topk8");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("cert"), cert).unwrap();
    fs::write(path.join("key"), key).unwrap();
    let start = |password: &str| {
        let tls = format!("tls:\n  key: key\n  cert: cert\n{password}");
        let text = format!("address: 127.0.0.1:0\nadmin:\n  identity: disabled\n{tls}");
        fs::write(path.join("kes.yml"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kes"));
        let command = command.args(["server", "--config", "kes.yml"]);
        let output = command.current_dir(path).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = start("");
    assert!(
        said.contains("Error: failed to read TLS private key: key: https: private key is encrypted: password required\nHint: set 'tls.password'"),
        "{said}"
    );
    let said = start("  password: another\n");
    assert!(said.contains("the password is wrong"), "{said}");
    assert!(said.contains("Hint: check 'tls.password'"), "{said}");
    assert!(!said.contains("another"), "{said}");
}
