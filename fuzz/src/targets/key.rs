//! Stored keys and ciphertexts.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use kes::{
    crypto::{Cipher, KeyVersion, NoHmacKey},
    secret::Secret,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

const MESSAGE: &[u8] = b"message";
const CONTEXT: &[u8] = b"context";
/// Lengths of the parts that end a ciphertext.
const IV: usize = 16;
const NONCE: usize = 12;

/// The keys that the seeds of `ciphertext` are made with: 32 zero bytes, for either cipher.
static KEYS: LazyLock<[KeyVersion; 2]> =
    LazyLock::new(|| [Cipher::Aes256, Cipher::ChaCha20].map(zero_key));

fn zero_key(cipher: Cipher) -> KeyVersion {
    let (secret, hmac) = (Secret::copy_from(&[0; 32]), Secret::copy_from(&[1; 32]));
    KeyVersion::import(cipher, secret, Some(hmac), "", OffsetDateTime::UNIX_EPOCH)
        .expect("32 bytes each")
}

/// What is read works as a key, and is the same key after it was written and read once more.
pub fn stored_key(data: &[u8]) {
    let Ok(key) = KeyVersion::from_stored(&Secret::copy_from(data)) else {
        return;
    };
    assert!(key.created_at().format(&Rfc3339).is_ok());
    let sealed = key.seal(MESSAGE, CONTEXT).expect("randomness");
    let stored = match key.to_stored() {
        Ok(stored) => stored,
        Err(NoHmacKey) => return assert!(!key.has_hmac()),
    };
    let again = KeyVersion::from_stored(&stored).expect("what was written can be read");
    let opened = again.open(&sealed, CONTEXT).expect("the same key");
    assert_eq!(opened.expose(), MESSAGE);
    assert_eq!(again.cipher(), key.cipher());
    assert_eq!(again.created_at(), key.created_at());
    assert_eq!(again.created_by(), key.created_by());
    assert_eq!(again.hmac(MESSAGE), key.hmac(MESSAGE));
    let twice = again.to_stored().expect("it has an HMAC key");
    assert_eq!(twice.expose(), stored.expose());
}

/// Nothing opens but what was sealed: all seeds hold 16 zero bytes, without a context.
pub fn ciphertext(data: &[u8]) {
    for key in &*KEYS {
        if let Ok(plaintext) = key.open(data, b"") {
            assert_eq!(plaintext.expose(), [0; 16], "a forged ciphertext");
        }
        assert!(key.open(data, CONTEXT).is_err(), "the context is not bound");
    }
}

/// Plaintexts come back from each form of ciphertext, and from none that was changed. The first two bytes of `data` say where and how
/// it is changed; the rest is the plaintext.
pub fn sealed(data: &[u8]) {
    let Some((&[place, change], plaintext)) = data.split_first_chunk() else {
        return;
    };
    for key in &*KEYS {
        let current = key.seal(plaintext, CONTEXT).expect("randomness");
        for form in [current.clone(), json(key, &current), msgpack(key, &current)] {
            let opened = key.open(&form, CONTEXT).expect("what was sealed opens");
            assert_eq!(opened.expose(), plaintext);
            assert!(key.open(&form, MESSAGE).is_err(), "another context");
        }
        let mut changed = current;
        let place = usize::from(place) % changed.len();
        changed[place] ^= change;
        assert_eq!(key.open(&changed, CONTEXT).is_ok(), change == 0);
    }
}

/// Sealed bytes, iv and nonce of a ciphertext of the current form.
fn parts(current: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (rest, nonce) = current.split_at(current.len() - NONCE);
    let (sealed, iv) = rest.split_at(rest.len() - IV);
    (sealed, iv, nonce)
}

/// The same in the form of releases up to v0.19.1 (crypto.md 4.1).
fn json(key: &KeyVersion, current: &[u8]) -> Vec<u8> {
    let (sealed, iv, nonce) = parts(current);
    let aead = match key.cipher() {
        Cipher::Aes256 => "AES-256-GCM-HMAC-SHA-256",
        Cipher::ChaCha20 => "ChaCha20Poly1305",
    };
    let [iv, nonce, bytes] = [iv, nonce, sealed].map(|part| STANDARD.encode(part));
    serde_json::json!({ "aead": aead, "id": "", "iv": iv, "nonce": nonce, "bytes": bytes })
        .to_string()
        .into_bytes()
}

/// The same in the form of releases up to 2024-01-11 (crypto.md 4.2).
fn msgpack(key: &KeyVersion, current: &[u8]) -> Vec<u8> {
    let (sealed, iv, nonce) = parts(current);
    let cipher = match key.cipher() {
        Cipher::Aes256 => "AES256-GCM_SHA256",
        Cipher::ChaCha20 => "XCHACHA20-POLY1305",
    };
    let mut out = vec![0x95, 0xd9, byte(cipher.len())];
    out.extend(cipher.bytes());
    out.push(0xa0);
    for part in [iv, nonce] {
        out.extend([0xc4, byte(part.len())]);
        out.extend(part);
    }
    out.push(0xc6);
    out.extend(
        u32::try_from(sealed.len())
            .expect("a short text")
            .to_be_bytes(),
    );
    out.extend(sealed);
    out
}

fn byte(len: usize) -> u8 {
    u8::try_from(len).expect("a short part")
}
