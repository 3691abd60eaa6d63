//! Private keys as the `openssl` command writes them.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use super::*;
use crate::{apikey::ApiKey, pem};

const PASSWORD: &str = "not a secret";

fn password() -> Secret {
    Secret::copy_from(PASSWORD.as_bytes())
}

/// What `openssl` writes for these arguments; they are split at spaces.
fn openssl(arguments: &str, input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the openssl command is there");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn read(text: &str, password: Option<&Secret>) -> Result<Vec<u8>, KeyError> {
    let blocks = pem::decode(text.as_bytes()).unwrap();
    assert_eq!(blocks.len(), 1, "{text}");
    blocks[0].private_key(password).map(|der| der.to_vec())
}

/// The password wraps as a file, since `openssl` takes it from its arguments, where spaces would split it.
fn encrypted(arguments: &str, clear: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), PASSWORD).unwrap();
    let path = file.path().display();
    openssl(&format!("{arguments} -passout file:{path}"), clear)
}

#[test]
fn the_published_sample_opens() {
    // cli.md 21; its key is that of the published seed, and protects nothing.
    let text = "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,8c7e96991ff72f6e03bc0de8a749f8c1\n\nLNvoBNiH3O5X6EgfLzpvg5u+Sb5GlZf2sgpdAg89Y32Ld9pviuv5mnouU/IX0XnD\ngoPrGjuYRiErLLfsZW/7NQ==\n-----END PRIVATE KEY-----\n";
    let key = ApiKey::parse("kes:v1:AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f").unwrap();
    let secret = Secret::copy_from(b"secret");
    assert_eq!(read(text, Some(&secret)).unwrap(), key.pkcs8().expose());
    assert_eq!(read(text, None), Err(KeyError::PasswordRequired));
    let empty = Secret::copy_from(b"");
    assert_eq!(read(text, Some(&empty)), Err(KeyError::PasswordRequired));
    assert_eq!(read(text, Some(&password())), Err(KeyError::WrongPassword));
}

#[test]
fn every_cipher_of_rfc_1423_opens() {
    let clear = openssl("genrsa -traditional 2048", "");
    let der = read(&clear, None).unwrap();
    // The first is of the time when DES was broken already; openssl 3 hides it in the legacy provider.
    for cipher in ["des", "des3", "aes128", "aes192", "aes256"] {
        let legacy = if cipher == "des" {
            "-provider legacy -provider default"
        } else {
            ""
        };
        let text = encrypted(&format!("rsa -traditional -{cipher} {legacy}"), &clear);
        assert!(text.contains("DEK-Info: "), "{text}");
        assert_eq!(read(&text, Some(&password())).unwrap(), der, "{cipher}");
        assert_eq!(read(&text, None), Err(KeyError::PasswordRequired));
    }
}

#[test]
fn every_form_of_pbes2_opens() {
    let clear = openssl("genpkey -algorithm ed25519", "");
    let der = read(&clear, None).unwrap();
    let forms = [
        "-v2 aes-128-cbc -v2prf hmacWithSHA1",
        "-v2 aes-192-cbc -v2prf hmacWithSHA256",
        "-v2 aes-256-cbc -v2prf hmacWithSHA256",
        "-v2 aes-256-cbc -v2prf hmacWithSHA512 -iter 20000",
        "-v2 des3 -v2prf hmacWithSHA1",
        "-v2 des3 -v2prf hmacWithSHA256",
        "-v2 aes-256-cbc -scrypt",
        "-v2 aes-128-cbc -scrypt -scrypt_N 1024 -scrypt_r 8 -scrypt_p 4",
    ];
    for form in forms {
        let text = encrypted(&format!("pkcs8 -topk8 {form}"), &clear);
        assert!(text.contains("BEGIN ENCRYPTED PRIVATE KEY"), "{text}");
        assert_eq!(read(&text, Some(&password())).unwrap(), der, "{form}");
        let other = Secret::copy_from(b"another");
        assert_eq!(read(&text, Some(&other)), Err(KeyError::WrongPassword));
        assert_eq!(read(&text, None), Err(KeyError::PasswordRequired));
    }
}

#[test]
fn a_wrong_password_is_told_also_where_the_padding_fits_by_chance() {
    let clear = openssl("ecparam -name prime256v1 -genkey -noout", "");
    let text = encrypted("ec -aes128", &clear);
    for number in 0_u32..1000 {
        let wrong = Secret::copy_from(&number.to_le_bytes());
        assert_eq!(read(&text, Some(&wrong)), Err(KeyError::WrongPassword));
    }
}

#[test]
fn unsupported_encryption_is_named() {
    let clear = openssl("genpkey -algorithm ed25519", "");
    for form in ["-v1 PBE-SHA1-3DES", "-v2 camellia-256-cbc"] {
        let text = encrypted(&format!("pkcs8 -topk8 {form}"), &clear);
        let error = read(&text, Some(&password()));
        assert!(matches!(error, Err(KeyError::Unsupported(_))), "{error:?}");
    }
    let text = encrypted("pkcs8 -topk8 -v2 aes-256-cbc -iter 10000001", &clear);
    let error = read(&text, Some(&password()));
    assert!(matches!(error, Err(KeyError::Unsupported(_))), "{error:?}");
    let text = encrypted(
        "pkey -camellia128 -traditional",
        &openssl("genrsa 2048", ""),
    );
    let error = read(&text, Some(&password()));
    assert_eq!(error, Err(KeyError::Unsupported("CAMELLIA-128-CBC".into())));
}

#[test]
fn a_password_for_a_clear_key_is_ignored() {
    let clear = openssl("genpkey -algorithm ed25519", "");
    assert_eq!(read(&clear, Some(&password())), read(&clear, None));
}

#[test]
fn damaged_blocks_are_malformed() {
    let texts = [
        "-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAEC\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAEC\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nDEK-Info: AES-256-CBC\n\nAAEC\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nDEK-Info: AES-256-CBC,00\n\nAAEC\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nDEK-Info: DES-CBC,000000000000000x\n\nAAEC\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nDEK-Info: DES-CBC,0000000000000000\n\nAAEC\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nDEK-Info: DES-CBC,0000000000000000\n\n-----END PRIVATE KEY-----\n",
    ];
    for text in texts {
        assert_eq!(
            read(text, Some(&password())),
            Err(KeyError::Malformed),
            "{text}"
        );
    }
}
