//! Tests of keys by themselves: round trips, refusals, and arbitrary input.

use ::base64::{Engine, engine::general_purpose::STANDARD};
use proptest::{collection::vec, prelude::*, sample::select};
use time::macros::datetime;

use super::*;

const CIPHERS: [Cipher; 2] = [Cipher::Aes256, Cipher::ChaCha20];
const NOW: OffsetDateTime = datetime!(2024-01-12 10:39:20.886816 UTC);

fn key(cipher: Cipher) -> KeyVersion {
    KeyVersion::generate(cipher, "creator", NOW).unwrap()
}

fn cipher() -> impl Strategy<Value = Cipher> {
    prop_oneof![Just(Cipher::Aes256), Just(Cipher::ChaCha20)]
}

#[test]
fn a_new_key_says_what_it_is() {
    for cipher in CIPHERS {
        let key = key(cipher);
        assert_eq!(key.cipher(), cipher);
        assert_eq!(key.created_at(), NOW);
        assert_eq!(key.created_by(), "creator");
        assert!(key.has_hmac());
        assert_ne!(key.secret.bytes(), &[0; KEY]);
        assert_ne!(Some(key.secret.bytes()), key.hmac.as_ref().map(Key::bytes));
    }
}

#[test]
fn imported_material_is_used_as_given() {
    let secret = || Secret::with(KEY, |out| out.fill(1));
    let hmac = Some(Secret::with(KEY, |out| out.fill(2)));
    let key = KeyVersion::import(Cipher::Aes256, secret(), hmac, "", NOW).unwrap();
    assert_eq!(key.secret.bytes(), &[1; KEY]);
    assert_eq!(key.hmac.as_ref().unwrap().bytes(), &[2; KEY]);

    let one = KeyVersion::import(Cipher::ChaCha20, secret(), None, "", NOW).unwrap();
    let other = KeyVersion::import(Cipher::ChaCha20, secret(), None, "", NOW).unwrap();
    assert_ne!(one.hmac(b"").unwrap(), other.hmac(b"").unwrap());
    let sealed = one.seal(b"data", b"").unwrap();
    assert_eq!(other.open(&sealed, b"").ok().unwrap().expose(), b"data");
}

#[test]
fn material_of_another_length_is_refused() {
    for len in [0, 16, 31, 33, 64] {
        let wrong = || Secret::with(len, |_| ());
        let right = || Secret::with(KEY, |_| ());
        let secret = KeyVersion::import(Cipher::Aes256, wrong(), None, "", NOW);
        assert!(matches!(secret.err(), Some(ImportError::SecretLength(n)) if n == len));
        let hmac = KeyVersion::import(Cipher::Aes256, right(), Some(wrong()), "", NOW);
        assert!(matches!(hmac.err(), Some(ImportError::HmacLength(n)) if n == len));
    }
}

#[test]
fn each_encryption_is_different() {
    for cipher in CIPHERS {
        let key = key(cipher);
        let (one, other) = (key.seal(b"x", b"").unwrap(), key.seal(b"x", b"").unwrap());
        assert_eq!(one.len(), 1 + OVERHEAD);
        assert_ne!(one, other);
        assert_ne!(one[17..33], other[17..33], "iv");
        assert_ne!(one[33..], other[33..], "nonce");
    }
}

#[test]
fn sealing_gives_the_bytes_of_the_vectors() {
    let vectors = include_str!("../../../tests/integration/compat/vectors/current.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 12);
    for vector in vectors {
        let field = |name: &str| STANDARD.decode(vector[name].as_str().unwrap()).unwrap();
        let cipher = Cipher::parse(vector["cipher"].as_str().unwrap()).unwrap();
        let secret = Secret::copy_from(&field("key"));
        let key = KeyVersion::import(cipher, secret, None, "", NOW).unwrap();
        let fresh = Fresh([field("iv"), field("nonce")].concat().try_into().unwrap());
        let sealed = key.seal_with(&fresh, &field("plaintext"), &field("context"));
        assert_eq!(sealed, field("ciphertext"), "{}", vector["name"]);
    }
}

#[test]
fn a_damaged_or_shortened_ciphertext_is_refused() {
    for cipher in CIPHERS {
        let key = key(cipher);
        let sealed = key
            .seal(b"thirty-two bytes of a data key..", b"context")
            .unwrap();
        assert!(key.open(&sealed, b"context").is_ok());
        for len in 0..sealed.len() {
            assert!(key.open(&sealed[..len], b"context").is_err(), "{len}");
        }
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(&flipped, b"context").is_err(), "{bit}");
        }
        let longer = [&sealed[..], &[0]].concat();
        assert!(key.open(&longer, b"context").is_err());
        assert!(key.open(&sealed, b"contexT").is_err());
        assert!(key.open(&sealed, b"").is_err());
    }
}

#[test]
fn the_key_is_needed_and_no_other_will_do() {
    for cipher in CIPHERS {
        let sealed = key(cipher).seal(b"data", b"").unwrap();
        assert_eq!(key(cipher).open(&sealed, b"").err(), Some(Unauthentic));
    }
    let [aes, chacha] = CIPHERS.map(|cipher| {
        let secret = Secret::with(KEY, |_| ());
        KeyVersion::import(cipher, secret, None, "", NOW).unwrap()
    });
    let sealed = aes.seal(b"data", b"").unwrap();
    assert!(chacha.open(&sealed, b"").is_err());
}

#[test]
fn hmacs_are_the_same_each_time_and_differ_by_message_and_key() {
    let one = key(Cipher::Aes256);
    assert_eq!(one.hmac(b"message"), one.hmac(b"message"));
    assert_ne!(one.hmac(b"message"), one.hmac(b""));
    assert_ne!(one.hmac(b"message"), key(Cipher::Aes256).hmac(b"message"));
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        cipher in cipher(),
        plaintext in vec(any::<u8>(), 0..2000),
        context in vec(any::<u8>(), 0..200),
    ) {
        let key = key(cipher);
        let sealed = key.seal(&plaintext, &context).unwrap();
        prop_assert_eq!(sealed.len(), plaintext.len() + OVERHEAD);
        let opened = key.open(&sealed, &context).ok().unwrap();
        prop_assert_eq!(opened.expose(), &plaintext);
    }

    #[test]
    fn any_change_is_refused(
        cipher in cipher(),
        plaintext in vec(any::<u8>(), 0..200),
        bit in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let key = key(cipher);
        let mut sealed = key.seal(&plaintext, b"context").unwrap();
        prop_assert!(key.open(&sealed[..cut.index(sealed.len())], b"context").is_err());
        let bit = bit.index(sealed.len() * 8);
        sealed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(key.open(&sealed, b"context").is_err());
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_panic(
        head in select(vec![&b""[..], b"{", b"{\"aead\":", b"\x95", b"\x95\xa6AES256"]),
        tail in vec(any::<u8>(), 0..300),
    ) {
        let bytes = [head, &tail].concat();
        prop_assert!(key(Cipher::Aes256).open(&bytes, b"").is_err());
    }
}
