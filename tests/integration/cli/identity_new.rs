//! `kes identity new` (cli.md 9.2).

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use serde_json::Value;
use x509_parser::prelude::{FromDer as _, X509Certificate, parse_x509_pem};

use super::{API_KEY, IDENTITY, Kes, kes};

const FILES: [&str; 4] = ["--key", "k", "--cert", "c"];

fn new<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["identity", "new"], more].concat()
}

fn with_files<'a>(more: &[&'a str]) -> Vec<&'a str> {
    new(&[&FILES[..], more].concat())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("the file").permissions().mode() & 0o777
}

fn certificate(path: &Path) -> Vec<u8> {
    let text = fs::read(path).expect("the file");
    let (rest, pem) = parse_x509_pem(&text).expect("PEM");
    assert!(rest.is_empty());
    pem.contents
}

#[test]
fn without_files_key_and_identity_are_shown_once() {
    let text = kes(&new(&[])).quietly();
    let line = |label: &str| {
        let mut lines = text.lines().skip_while(|line| *line != label);
        lines.nth(2).expect("a line").trim_start().to_owned()
    };
    let (key, identity) = (line("Your API key:"), line("Your Identity:"));
    assert_eq!(
        kes(&["identity", "of", &key]).quietly().trim_end(),
        identity
    );
    assert!(
        text.ends_with(&format!("   kes identity of {key}\n")),
        "{text}"
    );

    let key = kes(&new(&["-q"])).quietly();
    assert_eq!(key.len(), 52);
    let json: Value = serde_json::from_str(&kes(&new(&["--json"])).quietly()).expect("JSON");
    let key = json["api_key"].as_str().expect("a key");
    let identity = kes(&["identity", key]).quietly();
    assert_eq!(json["identity"], identity.trim_end());
}

#[test]
fn files_get_their_content_and_modes_and_the_key_is_not_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = Kes::new(dir.path())
        .run(&with_files(&["--from-api-key", API_KEY]))
        .quietly();
    assert!(
        text.contains(IDENTITY) && !text.contains("kes:v1:"),
        "{text}"
    );
    let (key, cert) = (dir.path().join("k"), dir.path().join("c"));
    assert_eq!((mode(&key), mode(&cert) & 0o700), (0o600, 0o600));
    let pem = fs::read_to_string(&key).expect("text");
    let expected = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n";
    assert_eq!(pem, expected);
    let der = certificate(&cert);
    let (_, x509) = X509Certificate::from_der(&der).expect("X.509");
    assert_eq!(x509.subject().to_string(), format!("CN={IDENTITY}"));
    assert!(x509.subject_alternative_name().expect("readable").is_none());
    let life = x509.validity().not_after.timestamp() - x509.validity().not_before.timestamp();
    assert_eq!(life, 720 * 3600 + 300);
    let names: Vec<_> = fs::read_dir(dir.path()).expect("the folder").collect();
    assert_eq!(names.len(), 2, "nothing else is left behind");

    let shown = Kes::new(dir.path());
    let shown = shown.run(&with_files(&[
        "-f",
        "--show-api-key",
        "--from-api-key",
        API_KEY,
    ]));
    assert!(shown.quietly().contains(API_KEY));
}

#[test]
fn names_usage_and_life_time_are_as_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = [
        "--ip",
        "\"127.0.0.1\",::1",
        "--dns",
        "localhost,a.example",
        "--dns",
        "b.example",
        "--expiry",
        "52w",
        "--server",
        "localhost",
    ];
    Kes::new(dir.path()).run(&with_files(&options)).quietly();
    let der = certificate(&dir.path().join("c"));
    let (_, x509) = X509Certificate::from_der(&der).expect("X.509");
    assert_eq!(x509.subject().to_string(), "CN=localhost");
    let names = x509
        .subject_alternative_name()
        .expect("readable")
        .expect("present");
    let names: Vec<_> = names
        .value
        .general_names
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names.len(), 5, "{names:?}");
    let purposes = x509
        .extended_key_usage()
        .expect("readable")
        .expect("present");
    assert!(purposes.value.server_auth && !purposes.value.client_auth);
    let life = x509.validity().not_after.timestamp() - x509.validity().not_before.timestamp();
    assert_eq!(life, 364 * 24 * 3600 + 300);
}

#[test]
fn the_tutorials_line_writes_the_default_files_and_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = Kes::new(dir.path()).run(&new(&["--ip", "127.0.0.1", "localhost"]));
    assert!(
        run.err.contains("./private.key and ./public.crt"),
        "{}",
        run.err
    );
    assert!(
        run.err.contains("Warning: ") && run.err.contains("expires"),
        "{}",
        run.err
    );
    run.well();
    assert_eq!(mode(&dir.path().join("private.key")), 0o600);
    let error = Kes::new(dir.path())
        .run(&new(&["--ip", "127.0.0.1", "localhost"]))
        .failed(1);
    assert!(
        error.contains("private.key' exists") && error.contains("--force"),
        "{error}"
    );
}

#[test]
fn existing_files_stay_unless_forced_and_forcing_repairs_the_mode() {
    let dir = tempfile::tempdir().expect("a folder");
    let (key, cert) = (dir.path().join("k"), dir.path().join("c"));
    fs::write(&cert, "mine").expect("written");
    Kes::new(dir.path()).run(&with_files(&[])).failed(1);
    assert!(!key.exists());
    assert_eq!(fs::read(&cert).expect("the file"), b"mine");

    fs::write(&key, "mine").expect("written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o666)).expect("set");
    let identity = Kes::new(dir.path())
        .run(&with_files(&["--force", "-q"]))
        .quietly();
    assert_eq!(mode(&key), 0o600);
    for name in ["k", "c"] {
        let again = Kes::new(dir.path())
            .run(&["identity", "of", name])
            .quietly();
        assert_eq!(again, identity);
    }
}

#[test]
fn json_names_files_and_dates() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = ["--json", "--expiry", "1h", "--from-api-key", "-"];
    let input = format!("{API_KEY}\n");
    let kes = Kes::new(dir.path()).input(input.as_bytes());
    let json: Value =
        serde_json::from_str(&kes.run(&with_files(&options)).quietly()).expect("JSON");
    assert_eq!(
        (&json["identity"], &json["key_file"], &json["cert_file"]),
        (&IDENTITY.into(), &"k".into(), &"c".into())
    );
    assert!(json["not_before"].as_str() < json["not_after"].as_str());
    assert!(json.get("api_key").is_none());
    let options = [&options[..], &["-f", "--show-api-key"]].concat();
    let json: Value =
        serde_json::from_str(&kes.run(&with_files(&options)).quietly()).expect("JSON");
    assert_eq!(json["api_key"], API_KEY);
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("folder")).expect("made");
    for (options, code) in [
        (&["--key", "k"][..], 2),
        (&["--cert", "c"], 2),
        (&["--key", "k", "--cert", "./k"], 2),
        (&["--key", "k", "--cert", "c", "--expiry", "0"], 2),
        (&["--key", "k", "--cert", "c", "--expiry", "-1h"], 2),
        (&["--key", "k", "--cert", "c", "--expiry", "9999999w"], 2),
        (&["--key", "k", "--cert", "c", "--ip", "localhost"], 2),
        (&["--key", "k", "--cert", "c", "--dns", "a b"], 2),
        (&["--key", "k", "--cert", "c", "--server", "--client"], 2),
        (&["--key", "k", "--cert", "c", "one", "two"], 2),
        (&["--key", "folder", "--cert", "c", "-f"], 1),
        (&["--key", "k", "--cert", "folder", "-f"], 1),
        (&["--key", "none/k", "--cert", "c"], 1),
        (
            &["--key", "k", "--cert", "c", "--from-api-key", "kes:v1:AAAA"],
            1,
        ),
    ] {
        let error = Kes::new(dir.path()).run(&new(options)).failed(code);
        assert!(error.starts_with("Error: "), "{options:?}: {error}");
        let left = fs::read_dir(dir.path()).expect("the folder").count();
        assert_eq!(left, 1, "{options:?}");
    }
}

#[test]
fn a_subject_that_has_no_effect_is_warned_of() {
    let run = kes(&new(&["localhost"]));
    assert!(run.err.starts_with("Warning: "), "{}", run.err);
    assert!(run.well().contains("Your API key:"));
    let dir = tempfile::tempdir().expect("a folder");
    let run = Kes::new(dir.path()).run(&with_files(&["localhost"]));
    assert!(run.err.contains("names no host"), "{}", run.err);
    run.well();
}

#[test]
fn openssl_reads_key_and_certificate() {
    let Ok(version) = Command::new("openssl").arg("version").output() else {
        println!("skipped: no openssl");
        return;
    };
    assert!(version.status.success());
    let dir = tempfile::tempdir().expect("a folder");
    let options = with_files(&["--san-localhost", "--expiry", "60d", "localhost"]);
    Kes::new(dir.path()).run(&options).quietly();
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(dir.path())
            .output()
            .expect("openssl runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments}: {error}");
        String::from_utf8(output.stdout).expect("text")
    };
    let public = openssl("pkey -in k -pubout");
    assert_eq!(public, openssl("x509 -in c -noout -pubkey"));
    assert!(openssl("verify -CAfile c c").contains("OK"));
    let text =
        openssl("x509 -in c -noout -ext keyUsage,extendedKeyUsage,basicConstraints,subjectAltName");
    for expected in [
        "Key Usage: critical",
        "Digital Signature",
        "TLS Web Client Authentication, TLS Web Server Authentication",
        "Basic Constraints: critical",
        "CA:FALSE",
        "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}
