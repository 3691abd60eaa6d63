//! `kes identity` and `kes identity of` (cli.md 9.1 and 9.3).

use std::fs;

use super::{API_KEY, IDENTITY, Kes, kes};

/// A P-256 private key, its public key and a certificate: PEM texts made by another implementation.
fn foreign() -> (String, String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["a".into()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    (key.serialize_pem(), key.public_key_pem(), certificate.pem())
}

#[test]
fn an_api_key_gives_its_identity_in_every_form() {
    let bare = API_KEY.trim_start_matches("kes:v1:");
    let line = format!("{IDENTITY}\n");
    for arguments in [
        &["identity", API_KEY][..],
        &["identity", bare],
        &["identity", "of", API_KEY],
        &["identity", "of", bare],
        &["identity", "of", "--hash", "SHA-256", API_KEY],
    ] {
        assert_eq!(kes(arguments).quietly(), line, "{arguments:?}");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let input = format!("{API_KEY}\n");
    let piped = Kes::new(dir.path()).input(input.as_bytes());
    assert_eq!(piped.run(&["identity", "of", "-"]).quietly(), line);
    fs::write(dir.path().join("key"), &input).expect("written");
    assert_eq!(
        Kes::new(dir.path())
            .run(&["identity", "of", "key"])
            .quietly(),
        line
    );
}

#[test]
fn certificate_private_and_public_key_have_one_identity() {
    let dir = tempfile::tempdir().expect("a folder");
    let (key, public, certificate) = foreign();
    for (name, text) in [
        ("key", &key),
        ("public", &public),
        ("certificate", &certificate),
        ("both", &format!("{key}{certificate}")),
    ] {
        fs::write(dir.path().join(name), text).expect("written");
    }
    let run = |arguments: &[&str]| Kes::new(dir.path()).run(arguments).quietly();
    let identity = run(&["identity", "of", "certificate"]);
    assert_eq!(identity.trim_end().len(), 64);
    for name in ["key", "public", "both"] {
        assert_eq!(run(&["identity", "of", name]), identity, "{name}");
    }
    assert_eq!(run(&["identity", "certificate"]), identity);
    let three = run(&["identity", "of", "key", "public", "certificate"]);
    assert_eq!(three, identity.repeat(3));
    let json = run(&["identity", "of", "--json", "key", API_KEY]);
    let identity = identity.trim_end();
    let expected = [
        format!("{{\"name\":\"key\",\"identity\":\"{identity}\"}}"),
        format!("{{\"name\":\"API key\",\"identity\":\"{IDENTITY}\"}}"),
    ];
    assert_eq!(json.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_gives_no_identity_is_an_error_and_no_secret_is_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let (key, ..) = foreign();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let files = [
        ("empty", String::new()),
        ("text", "no PEM".to_owned()),
        ("open", key.replace("-----END", "")),
        ("encrypted", encrypted),
        (
            "broken",
            "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n".to_owned(),
        ),
    ];
    for (name, text) in &files {
        fs::write(dir.path().join(name), text).expect("written");
        let run = Kes::new(dir.path()).run(&["identity", "of", name]);
        let error = run.failed(1);
        assert!(
            error.starts_with("Error: ") && error.contains(name),
            "{error}"
        );
    }
    let slip = API_KEY.replace("AAAB", "AQAB");
    let error = kes(&["identity", "of", &slip]).failed(1);
    assert!(!error.contains("AQAB"), "{error}");
    let error = kes(&["identity", "of", "no-such-file"]).failed(1);
    assert!(error.contains("no-such-file"), "{error}");
}

#[test]
fn without_argument_a_key_is_made() {
    let first = kes(&["identity"]).quietly();
    assert!(
        first.starts_with("kes:v1:A") && first.len() == 52,
        "{first}"
    );
    assert_ne!(kes(&["identity"]).quietly(), first);
    let identity = kes(&["identity", "of", first.trim_end()]).quietly();
    assert_eq!(kes(&["identity", first.trim_end()]).quietly(), identity);
}

#[test]
fn only_an_ed25519_key_is_an_api_key() {
    let dir = tempfile::tempdir().expect("a folder");
    let (key, ..) = foreign();
    fs::write(dir.path().join("p256"), key).expect("written");
    let error = Kes::new(dir.path()).run(&["identity", "p256"]).failed(1);
    assert!(error.contains("Ed25519"), "{error}");
    let made = [
        "identity",
        "new",
        "--key",
        "k",
        "--cert",
        "c",
        "--from-api-key",
        API_KEY,
    ];
    Kes::new(dir.path()).run(&made).quietly();
    let text = Kes::new(dir.path()).run(&["identity", "k"]).quietly();
    assert_eq!(text, format!("{API_KEY}\n"));
}

#[test]
fn a_misspelt_subcommand_is_told_apart_from_a_file() {
    let error = kes(&["identity", "nev"]).failed(1);
    assert!(
        error.contains("'nev'") && error.contains("'new'"),
        "{error}"
    );
}
