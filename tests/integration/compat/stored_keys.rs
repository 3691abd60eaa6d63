//! Stored keys in both forms (crypto.md 2).

use kes::{
    crypto::{Cipher, KeyVersion, MalformedRecord, NoHmacKey},
    secret::Secret,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};

use super::{Vector, key, vectors};

const STORED_KEYS: &str = include_str!("vectors/stored_keys.json");
const REFERENCE: &str = include_str!("vectors/reference.json");

/// What a message is sent through when the point is that two keys agree.
const MESSAGE: &[u8] = b"the same for both";

/// The key of a keystore's value.
pub(super) fn read(text: &[u8]) -> Result<KeyVersion, MalformedRecord> {
    KeyVersion::from_stored(&Secret::copy_from(text))
}

/// A key with this HMAC key.
pub(super) fn with_hmac(hmac: &[u8]) -> KeyVersion {
    full(
        Cipher::Aes256,
        &[1; 32],
        hmac,
        "",
        OffsetDateTime::UNIX_EPOCH,
    )
}

fn full(
    cipher: Cipher,
    secret: &[u8],
    hmac: &[u8],
    created_by: &str,
    created_at: OffsetDateTime,
) -> KeyVersion {
    let (secret, hmac) = (Secret::copy_from(secret), Secret::copy_from(hmac));
    KeyVersion::import(cipher, secret, Some(hmac), created_by, created_at).expect("32 bytes each")
}

fn text(vector: &Vector) -> &[u8] {
    vector.text("raw_text").expect("a record").as_bytes()
}

/// Reads a record and holds it against every field of its vector.
fn check(vector: &Vector) -> KeyVersion {
    let name = vector.name();
    let read = read(text(vector)).unwrap_or_else(|err| panic!("{name}: {err}"));
    assert_eq!(read.cipher(), vector.cipher(), "{name}");
    assert_eq!(
        read.created_by(),
        vector.text("created_by").expect("a creator"),
        "{name}"
    );
    let created_at = read
        .created_at()
        .format(&Rfc3339)
        .expect("a time of RFC 3339");
    assert_eq!(
        Some(created_at.as_str()),
        vector.text("created_at"),
        "{name}"
    );
    // The secret is not to be had, but a key that opens what another sealed has the same.
    for (one, other) in [(&read, &vector.key()), (&vector.key(), &read)] {
        let sealed = one.seal(MESSAGE, b"context").expect("randomness");
        let opened = other.open(&sealed, b"context");
        assert!(
            opened.is_ok_and(|plaintext| plaintext.expose() == MESSAGE),
            "{name}"
        );
    }
    let expected = match vector.text("hmac_key") {
        None => Err(NoHmacKey),
        Some(_) => with_hmac(&vector.bytes("hmac_key")).hmac(MESSAGE),
    };
    assert_eq!(read.hmac(MESSAGE), expected, "{name}");
    assert_eq!(read.has_hmac(), expected.is_ok(), "{name}");
    read
}

#[test]
fn records_mean_what_the_vectors_say() {
    for vector in vectors(STORED_KEYS, "vectors", 14) {
        check(&vector);
    }
    for vector in vectors(REFERENCE, "stored_keys", 6) {
        check(&vector);
    }
}

#[test]
fn canonical_records_are_encoded_as_they_were() {
    let mut canonical = 0;
    for vector in vectors(STORED_KEYS, "vectors", 14) {
        if vector.0["canonical"] == true {
            let stored = check(&vector).to_stored().unwrap();
            assert_eq!(stored.expose(), text(&vector), "{}", vector.name());
            canonical += 1;
        }
    }
    assert_eq!(canonical, 4);
}

#[test]
fn a_record_is_encoded_as_in_the_references_own_test() {
    for vector in vectors(REFERENCE, "stored_keys_encode", 1) {
        let number = |field: &str| vector.0[field].as_i64().unwrap();
        let created_at = OffsetDateTime::from_unix_timestamp(number("seconds")).unwrap()
            + time::Duration::nanoseconds(number("nanos"));
        let key = full(
            vector.cipher(),
            &vector.bytes("key"),
            &vector.bytes("hmac_key"),
            vector.text("created_by").unwrap(),
            created_at,
        );
        assert_eq!(key.to_stored().unwrap().expose(), text(&vector));
    }
}

#[test]
fn every_record_with_an_hmac_key_is_encoded_to_one_that_means_the_same() {
    let mut encoded = 0;
    for vector in vectors(STORED_KEYS, "vectors", 14) {
        let key = check(&vector);
        match key.to_stored() {
            Err(NoHmacKey) => assert!(!key.has_hmac(), "{}", vector.name()),
            Ok(stored) => {
                let again = read(stored.expose()).unwrap_or_else(|err| panic!("{err}"));
                assert_eq!(again.hmac(MESSAGE), key.hmac(MESSAGE));
                assert_eq!(again.created_at(), key.created_at());
                let sealed = key.seal(MESSAGE, b"").unwrap();
                assert!(again.open(&sealed, b"").is_ok(), "{}", vector.name());
                encoded += 1;
            }
        }
    }
    assert_eq!(encoded, 7);
}

#[test]
fn malformed_records_are_refused_for_their_reason() {
    use MalformedRecord as M;
    let reasons = [
        ("empty", M::NoSecret),
        ("JSON, no bytes", M::NoSecret),
        ("JSON, number", M::Protobuf),
        ("JSON, 31-byte key", M::SecretLength),
        ("JSON, unknown algorithm", M::Type),
        ("JSON, cut short", M::Json),
        ("base64, URL alphabet", M::Base64),
        ("base64, no padding", M::Base64),
        ("protobuf, cut short", M::Protobuf),
        ("protobuf, no secret key", M::NoSecret),
        ("protobuf, 31-byte key", M::SecretLength),
        ("protobuf, type 0", M::Type),
        ("protobuf, type 3", M::Type),
        ("protobuf, creator is not UTF-8", M::CreatedBy),
        ("protobuf, HMAC hash 2", M::Hash),
        ("protobuf, 31-byte HMAC key", M::HmacLength),
    ];
    for (vector, (name, reason)) in vectors(STORED_KEYS, "refused", 16).iter().zip(reasons) {
        assert_eq!(vector.name(), name);
        assert_eq!(read(text(vector)).err(), Some(reason), "{name}");
    }
    for vector in vectors(REFERENCE, "stored_keys_refused", 4) {
        assert!(read(text(&vector)).is_err(), "{}", vector.name());
    }
}

#[test]
fn a_generated_key_survives_the_keystore() {
    for cipher in [Cipher::Aes256, Cipher::ChaCha20] {
        let now = datetime!(2026-02-03 4:05:06.789 UTC);
        let made = KeyVersion::generate(cipher, "creator", now).unwrap();
        let read = read(made.to_stored().unwrap().expose()).ok().unwrap();
        let sealed = made.seal(MESSAGE, b"context").unwrap();
        let opened = read.open(&sealed, b"context").ok().unwrap();
        assert_eq!(opened.expose(), MESSAGE);
        assert_eq!(read.hmac(MESSAGE), made.hmac(MESSAGE));
        assert!(key(cipher, &[0; 32]).open(&sealed, b"context").is_err());
    }
}
