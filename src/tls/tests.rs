//! Keys of all kinds in all encodings, made by the `openssl` command.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::*;

/// All kinds of keys that a server may have, as `openssl req` names them.
const KINDS: [&str; 6] = [
    "rsa:2048",
    "rsa:3072",
    "ec -pkeyopt ec_paramgen_curve:P-256",
    "ec -pkeyopt ec_paramgen_curve:P-384",
    "ec -pkeyopt ec_paramgen_curve:P-521",
    "ed25519",
];
const PASSWORD: &str = "not-a-secret";

/// Runs `openssl` in `folder`; arguments are split at spaces.
fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    let command = command.args(arguments.split(' ')).current_dir(folder);
    let output = command.output().expect("the openssl command is there");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {error}");
}

/// A folder with `cert`, and its key in clear in `clear`.
fn pair(kind: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    openssl(
        folder.path(),
        &format!(
            "req -x509 -newkey {kind} -noenc -keyout clear -out cert -days 2 -subj /CN=test -addext subjectAltName=DNS:localhost"
        ),
    );
    folder
}

fn load(folder: &Path, key: &str, password: Option<&str>) -> Result<Tls, Error> {
    let settings = Settings {
        cert: folder.join("cert"),
        key: folder.join(key),
        password: password.map(|text| Secret::copy_from(text.as_bytes())),
        password_file: None,
        verify_clients: false,
        ca: None,
        optional: false,
    };
    Watch::start(settings, Duration::ZERO).map(|(_, tls)| tls)
}

/// The error with all its causes.
fn failure(result: Result<Tls, Error>) -> String {
    let error = result.err().expect("an error");
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[track_caller]
fn loads(folder: &Path, key: &str, password: Option<&str>) {
    if let Err(error) = load(folder, key, password) {
        panic!("{key}: {error:?}");
    }
}

/// Writes `files` one behind the other.
fn join(folder: &Path, files: [&str; 2], to: &str) {
    let text = files.map(|file| fs::read_to_string(folder.join(file)).unwrap());
    fs::write(folder.join(to), text.concat()).unwrap();
}

#[test]
fn every_encoding_of_every_kind_of_key_is_read() {
    for kind in KINDS {
        let folder = pair(kind);
        let folder = folder.path();
        let pass = format!("-passout pass:{PASSWORD}");
        loads(folder, "clear", None);
        loads(folder, "clear", Some("needless"));
        openssl(
            folder,
            &format!("pkcs8 -topk8 -in clear -out pkcs8 -v2 aes-256-cbc {pass}"),
        );
        loads(folder, "pkcs8", Some(PASSWORD));
        join(folder, ["cert", "pkcs8"], "both");
        loads(folder, "both", Some(PASSWORD));
        join(folder, ["clear", "cert"], "after");
        loads(folder, "after", None);
        if kind == "ed25519" {
            continue;
        }
        // PKCS#1 and SEC1; Ed25519 has no such form.
        openssl(folder, "pkey -in clear -out old -traditional");
        let text = fs::read_to_string(folder.join("old")).unwrap();
        assert!(text.contains("RSA PRIVATE KEY") || text.contains("EC PRIVATE KEY"));
        loads(folder, "old", None);
        join(folder, ["cert", "old"], "both");
        loads(folder, "both", None);
        openssl(
            folder,
            &format!("pkey -in clear -out rfc1423 -traditional -aes256 {pass}"),
        );
        loads(folder, "rfc1423", Some(PASSWORD));
    }
}

#[test]
fn a_key_without_its_public_half_is_read() {
    let folder = pair(KINDS[2]);
    openssl(folder.path(), "ec -in clear -out bare -no_public");
    loads(folder.path(), "bare", None);
}

#[test]
fn both_versions_of_pkcs8_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    // With the public key behind the private one, which makes it version 2 (RFC 5958).
    assert_eq!(key.serialize_der().get(4), Some(&1));
    let params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
    let cert = params.self_signed(&key).unwrap();
    fs::write(folder.path().join("cert"), cert.pem()).unwrap();
    fs::write(folder.path().join("v2"), key.serialize_pem()).unwrap();
    loads(folder.path(), "v2", None);
}

#[test]
fn what_keeps_a_key_from_being_read_is_said_with_its_remedy() {
    let folder = pair(KINDS[2]);
    let folder = folder.path();
    let pass = format!("-passout pass:{PASSWORD}");
    openssl(folder, &format!("pkcs8 -topk8 -in clear -out new {pass}"));
    openssl(folder, &format!("ec -in clear -out old -aes128 {pass}"));
    openssl(folder, "ecparam -name prime256v1 -out parameters");
    join(folder, ["parameters", "clear"], "parameters");
    openssl(
        folder,
        "genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:1024 -out small",
    );
    let foreign = pair(KINDS[2]);
    fs::copy(foreign.path().join("clear"), folder.join("foreign")).unwrap();
    fs::write(folder.join("text"), "no key").unwrap();
    let half = fs::read(folder.join("clear")).unwrap();
    fs::write(folder.join("half"), &half[..half.len() / 2]).unwrap();

    let wrong = "the password is wrong, or the file is damaged";
    let required = "https: private key is encrypted: password required";
    let cases = [
        ("new", None, required, "tls.password"),
        ("new", Some(""), required, "tls.password"),
        ("old", None, required, "tls.password"),
        ("new", Some("other"), wrong, "tls.password"),
        ("old", Some("other"), wrong, "tls.password"),
        (
            "parameters",
            None,
            "unsupported PEM data block 'EC PARAMETERS'",
            "delete",
        ),
        ("small", None, "of an unsupported kind", "RSA of 2048"),
        (
            "foreign",
            None,
            "cannot be used together",
            "first certificate",
        ),
        ("text", None, "https: no PEM-encoded private key found", ""),
        ("cert", None, "https: no PEM-encoded private key found", ""),
        (
            "half",
            None,
            "no valid PEM data: the PEM block that starts at line 1",
            "",
        ),
        ("none", None, "the file cannot be read: No such file", ""),
    ];
    for (key, password, expected, remedy) in cases {
        let hint = load(folder, key, password)
            .err()
            .and_then(|error| error.hint());
        assert!(hint.unwrap_or_default().contains(remedy), "{key}");
        let text = failure(load(folder, key, password));
        assert!(text.contains(expected), "{key}: {text}");
        assert!(
            !text.contains(PASSWORD) && !text.contains("other"),
            "{text}"
        );
    }
}

#[test]
fn a_certificate_file_holds_certificates_only() {
    let folder = pair(KINDS[2]);
    let folder = folder.path();
    let clear = fs::read_to_string(folder.join("clear")).unwrap();
    let cert = fs::read_to_string(folder.join("cert")).unwrap();
    let write = |text: String| fs::write(folder.join("cert"), text).unwrap();
    // Text before a block is tolerated, white space around all.
    write(format!("\n subject: test\n{cert}\n text\n{cert}\n \n"));
    loads(folder, "clear", None);
    let cases = [
        (String::new(), "https: no valid PEM data"),
        (format!("{cert}text\n"), "https: no valid PEM data"),
        (
            format!("{cert}{clear}"),
            "https: unsupported PEM data block 'PRIVATE KEY'",
        ),
        (cert.replace("MII", "!II"), "is not base64"),
        (cert.replace("-----END", "-----FIN"), "has no matching end"),
    ];
    for (text, expected) in cases {
        write(text);
        let text = failure(load(folder, "clear", None));
        assert!(text.contains(expected), "{text}");
    }
    fs::write(folder.join("cert"), vec![b'\n'; 2 << 20]).unwrap();
    assert!(failure(load(folder, "clear", None)).contains("larger than 1 MiB"));
    openssl(
        folder,
        "req -x509 -key clear -out cert -days 2 -subj /CN=localhost",
    );
    assert_eq!(
        failure(load(folder, "clear", None)),
        "invalid TLS certificate: certificate does not contain any DNS or IP address as SAN"
    );
}

#[test]
fn an_expired_certificate_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    fs::write(path("cert"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(path("key"), key.serialize_pem()).unwrap();
    let tls = load(folder.path(), "key", None).unwrap();
    let now = time::macros::datetime!(2024-01-01 0:00 UTC);
    assert_eq!(tls.validity().unwrap().standing(now), Standing::Expired);
}
