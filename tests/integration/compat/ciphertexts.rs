//! Ciphertexts of all forms, and HMACs (crypto.md 3 to 5).

use kes::crypto::{Cipher, Unauthentic};

use super::{Vector, key, vectors};

const CURRENT: &str = include_str!("vectors/current.json");
const LEADING_BYTE: &str = include_str!("vectors/current_leading_byte.json");
const HMAC: &str = include_str!("vectors/hmac.json");
const LEGACY_JSON: &str = include_str!("vectors/legacy_json.json");
const LEGACY_MSGPACK: &str = include_str!("vectors/legacy_msgpack.json");
const NEGATIVE: &str = include_str!("vectors/negative.json");
const REFERENCE: &str = include_str!("vectors/reference.json");

fn must_open(vectors: &[Vector]) {
    for vector in vectors {
        let opened = vector
            .key()
            .open(&vector.bytes("ciphertext"), &vector.bytes("context"));
        let Ok(plaintext) = opened else {
            panic!("{}: refused", vector.name());
        };
        assert_eq!(
            plaintext.expose(),
            vector.bytes("plaintext"),
            "{}",
            vector.name()
        );
    }
}

fn must_not_open(vectors: &[Vector]) {
    for vector in vectors {
        let opened = vector
            .key()
            .open(&vector.bytes("ciphertext"), &vector.bytes("context"));
        assert_eq!(opened.err(), Some(Unauthentic), "{}", vector.name());
    }
}

fn other(cipher: Cipher) -> Cipher {
    match cipher {
        Cipher::Aes256 => Cipher::ChaCha20,
        Cipher::ChaCha20 => Cipher::Aes256,
    }
}

#[test]
fn current_ciphertexts_open() {
    must_open(&vectors(CURRENT, "vectors", 12));
}

#[test]
fn current_ciphertexts_that_look_like_old_ones_open() {
    let vectors = vectors(LEADING_BYTE, "vectors", 4);
    for vector in &vectors {
        assert!(matches!(vector.bytes("ciphertext")[0], b'{' | 0x95));
    }
    must_open(&vectors);
}

#[test]
fn json_ciphertexts_open() {
    must_open(&vectors(LEGACY_JSON, "vectors", 13));
}

#[test]
fn msgpack_ciphertexts_open() {
    must_open(&vectors(LEGACY_MSGPACK, "vectors", 13));
}

#[test]
fn ciphertexts_of_the_references_own_tests_open_or_not_as_there() {
    must_open(&vectors(REFERENCE, "decrypt", 8));
    must_not_open(&vectors(REFERENCE, "refused", 7));
}

/// No entry is at odds with decision 3: "key of the other type" is of the current form, which names no cipher.
#[test]
fn what_must_be_refused_is_refused_with_the_one_error() {
    let vectors = vectors(NEGATIVE, "vectors", 80);
    let of_the_other_type = vectors
        .iter()
        .filter(|vector| vector.name().ends_with("key of the other type"));
    assert_eq!(
        of_the_other_type
            .inspect(|vector| assert!(!matches!(vector.bytes("ciphertext")[0], b'{' | 0x95)))
            .count(),
        2
    );
    must_not_open(&vectors);
}

/// Decision 3. The reference server uses the key's cipher and refuses all of these.
#[test]
fn the_cipher_an_old_ciphertext_names_decides_over_the_keys_type() {
    let json = vectors(LEGACY_JSON, "vectors", 13);
    let msgpack = vectors(LEGACY_MSGPACK, "vectors", 13);
    for vector in json.iter().chain(&msgpack) {
        let key = key(other(vector.cipher()), &vector.bytes("key"));
        let opened = key.open(&vector.bytes("ciphertext"), &vector.bytes("context"));
        let plaintext = opened.ok().map(|plaintext| plaintext.expose().to_vec());
        assert_eq!(
            plaintext,
            Some(vector.bytes("plaintext")),
            "{}",
            vector.name()
        );
    }
}

#[test]
fn a_current_ciphertext_opens_under_its_own_type_only() {
    for vector in vectors(CURRENT, "vectors", 12) {
        let key = key(other(vector.cipher()), &vector.bytes("key"));
        let opened = key.open(&vector.bytes("ciphertext"), &vector.bytes("context"));
        assert_eq!(opened.err(), Some(Unauthentic), "{}", vector.name());
    }
}

/// crypto.md 4.5: keys from before keys had a type own ciphertexts of both ciphers.
#[test]
fn a_record_without_algorithm_opens_old_ciphertexts_of_both_ciphers() {
    let record = br#"{"bytes":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#;
    let key = super::stored_keys::read(record).ok().unwrap();
    assert_eq!(key.cipher(), Cipher::Aes256);
    let mut seen = Vec::new();
    // The first six have the secret of that record; 0 to 4 are of the old forms, 5 is of the current one and by AES.
    for vector in vectors(REFERENCE, "decrypt", 8).iter().take(6) {
        let opened = key.open(&vector.bytes("ciphertext"), b"");
        let plaintext = opened.ok().map(|plaintext| plaintext.expose().to_vec());
        assert_eq!(plaintext, Some(vec![0; 16]), "{}", vector.name());
        seen.push((vector.name().to_owned(), vector.cipher()));
    }
    for name in ["decrypt 1", "decrypt 2"] {
        assert!(seen.contains(&(name.to_owned(), Cipher::ChaCha20)));
    }
    assert!(seen.contains(&("decrypt 0".to_owned(), Cipher::Aes256)));
    let sealed = key.seal(b"data", b"").unwrap();
    let aes = super::key(Cipher::Aes256, &[0; 32]);
    assert_eq!(aes.open(&sealed, b"").ok().unwrap().expose(), b"data");
}

#[test]
fn hmacs_are_those_of_the_vectors() {
    for vector in vectors(HMAC, "vectors", 4) {
        let key = super::stored_keys::with_hmac(&vector.bytes("hmac_key"));
        let sum = key.hmac(&vector.bytes("message")).unwrap();
        assert_eq!(sum.as_slice(), vector.bytes("sum"));
    }
}
