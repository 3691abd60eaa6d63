//! Development mode, as users and the scripts of other projects run it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use rustls::{
    pki_types::{CertificateDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::program;
use crate::support::{Cert, Client, Server};

const UP: &str = "=> Server is up and running...";

/// Starts `kes server --dev` with more arguments, on a port of the kernel's choice.
async fn dev(arguments: &[&str]) -> Server {
    let child = program()
        .args(["server", "--dev", "--addr", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Server::adopt(child);
    server.said(1, UP).await;
    server.find_address();
    server
}

/// Runs a script of the shell on what the server has said so far; its output.
fn shell(server: &Server, folder: &Path, script: &str) -> String {
    let log = folder.join("log");
    fs::write(&log, server.output().join("\n")).unwrap();
    let mut command = Command::new("bash");
    command
        .args(["-ec", script, env!("CARGO_BIN_EXE_kes")])
        .arg(&log)
        .arg(server.address.to_string())
        .env_remove("KES_SERVER")
        .current_dir(folder);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_documented_script_gets_its_api_key_and_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let server = dev(&[]).await;
    // One line has the label, and its third word is the key; a client without a certificate is shown the server's.
    let out = shell(
        &server,
        folder.path(),
        r#"export KES_API_KEY=$(grep "API Key" "$1" | awk '{print $3}')
        for version in -tls1_3 -tls1_2; do
            openssl s_client $version -connect "$2" </dev/null 2>/dev/null | openssl x509 >cert.pem
            export KES_SERVER=$2 KES_CA=cert.pem
            "$0" key create key$version >/dev/null
        done
        "$0" key ls --json; "$0" identity of "$KES_API_KEY"; grep ^Admin "$1" | awk '{print $2}'"#,
    );
    let lines: Vec<&str> = out.lines().collect();
    let [keys, identity, admin] = lines[..] else {
        panic!("{out}")
    };
    assert_eq!(keys, r#"["key-tls1_2","key-tls1_3"]"#);
    assert!(identity.contains(admin) && admin.len() == 64, "{out}");
    // Whoever shows no certificate is shown the server's and nothing else.
    for version in [&TLS12, &TLS13] {
        let nobody = Client::with_versions(server.address, None, &[version]);
        let refused = match nobody.connect(crate::support::Version::H1).await {
            Err(_) => true,
            Ok(mut connection) => connection
                .try_send("GET", "/version", crate::support::Payload::None)
                .await
                .is_err(),
        };
        assert!(refused);
    }
}

#[tokio::test]
async fn what_is_printed_can_be_pasted_and_needs_no_exception() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's the certificate.pem");
    let server = dev(&["--dev-cert-out", path.to_str().unwrap()]).await;
    let out = shell(
        &server,
        folder.path(),
        r#"eval "$(grep ^export "$1")"
        "$0" key create my-key >/dev/null; "$0" key ls --json"#,
    );
    assert_eq!(out, "[\"my-key\"]\n");

    let pem = fs::read(&path).unwrap();
    let der = CertificateDer::from_pem_slice(&pem).unwrap();
    let (_, cert) = X509Certificate::from_der(&der).unwrap();
    let names = cert.subject_alternative_name().unwrap().unwrap();
    let names: Vec<_> = names.value.general_names.iter().collect();
    let v6 = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..];
    for name in [
        GeneralName::DNSName("localhost"),
        GeneralName::IPAddress(&[127, 0, 0, 1]),
        GeneralName::IPAddress(v6),
    ] {
        assert!(names.contains(&&name), "{names:?}");
    }
    assert_eq!(cert.subject().to_string(), "CN=localhost");
    assert_eq!(cert.raw_serial().len(), 16);
    let validity = cert.validity();
    let life = validity.not_after.timestamp() - validity.not_before.timestamp();
    assert_eq!(life, 90 * 86_400 + 300);
    let usage = cert.key_usage().unwrap().unwrap().value;
    assert_eq!(usage.flags, 1, "digitalSignature alone");
    let purposes = cert.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.server_auth && !purposes.client_auth);
}

#[tokio::test]
async fn tests_can_have_their_own_key_and_keys_that_are_there_already() {
    const API_KEY: &str = "kes:v1:AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    let folder = tempfile::tempdir().unwrap();
    let mut server = dev(&["--dev-key=a", "--dev-key", "b", "--dev-api-key", API_KEY]).await;
    let script = format!("export KES_API_KEY={API_KEY} KES_SERVER=$2; \"$0\" key ls -k --json");
    assert_eq!(shell(&server, folder.path(), &script), "[\"a\",\"b\"]\n");
    // What was asked is in the audit log, on standard output.
    server.said(1, "/v1/key/list/").await;
    let rows = server.output();
    for row in [
        "Admin       a050837d85070582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5",
        "KMS         In Memory",
        "            audit=stdout level=INFO",
        "# and add -k to each command, or start with --dev-cert-out FILE",
    ] {
        assert!(rows.iter().any(|line| line == row), "{row}: {rows:?}");
    }
}

#[tokio::test]
async fn a_hang_up_is_no_reason_to_end() {
    let mut server = dev(&[]).await;
    server.hang_up();
    server
        .complained(1, "there is nothing to reload in development mode")
        .await;
    let stranger = server.client(&Cert::client());
    assert_eq!(stranger.get("/version").await.status, 200);
    server.terminate();
    server.said(1, "=> Stopping server... Goodbye.").await;
    assert_eq!(server.end().await.code(), Some(0));
}

#[test]
fn a_certificate_that_cannot_be_written_is_told_before_anything_runs() {
    let output = program()
        .args(["server", "--dev", "--addr", "127.0.0.1:0"])
        .args(["--dev-cert-out", "/nowhere/cert.pem"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with("Error: failed to write the certificate to '/nowhere/cert.pem': "),
        "{error}"
    );
}

#[test]
fn what_has_no_place_in_development_mode_is_refused_rather_than_ignored() {
    let cases: [(&[&str], &str); 9] = [
        (&["--dev", "--config", "c"], "'--config' is not supported"),
        (&["--dev=true", "--key", "k"], "'--key' is not supported"),
        (&["--dev", "--tls-cert", "c"], "'--cert' is not supported"),
        (&["--dev", "--root", "r"], "'--root' is not supported"),
        (&["--dev", "--auth=on"], "'--auth on' is not supported"),
        (&["--dev", "--dev-api-key", "kes:v1:x"], "--dev-api-key: "),
        (&["--dev", "--dev-key", "a/b"], "--dev-key"),
        (
            &["--dev-key", "a", "--config", "c"],
            "'--dev-key' needs '--dev'",
        ),
        (&["--dev=false"], "no configuration"),
    ];
    for (arguments, expected) in cases {
        let output = program().arg("server").args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty());
    }
}
