//! The same cryptography by another library: each side opens what the other sealed. Only `HChaCha20`, which that library lacks, is
//! computed here, and held against the vector of its specification.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use kes::crypto::{Cipher, KeyVersion};
use proptest::{collection::vec, prelude::*};

use super::{key, stored_keys::with_hmac, vectors};

/// `HChaCha20` as draft-irtf-cfrg-xchacha-03, section 2.2 has it.
fn hchacha20(key: &[u8], input: &[u8]) -> Vec<u8> {
    fn quarter(state: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
        let turns = [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)];
        for (sum, add, mix, turn) in turns {
            state[sum] = state[sum].wrapping_add(state[add]);
            state[mix] = (state[mix] ^ state[sum]).rotate_left(turn);
        }
    }
    let mut state = [0; 16];
    let bytes = [b"expand 32-byte k", key, input].concat();
    for (word, chunk) in state.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes(chunk.try_into().unwrap());
    }
    for _ in 0..10 {
        for column in 0..4 {
            quarter(&mut state, [0, 4, 8, 12].map(|row| row + column));
        }
        for diagonal in 0..4 {
            quarter(&mut state, [0, 1, 2, 3].map(|i| 4 * i + (diagonal + i) % 4));
        }
    }
    let ends = state[..4].iter().chain(&state[12..]);
    ends.flat_map(|word| word.to_le_bytes()).collect()
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, message).as_ref().to_vec()
}

fn one_time_key(cipher: Cipher, secret: &[u8], iv: &[u8]) -> Vec<u8> {
    match cipher {
        Cipher::Aes256 => hmac_sha256(secret, iv),
        Cipher::ChaCha20 => hchacha20(secret, iv),
    }
}

fn aead(cipher: Cipher, key: &[u8]) -> LessSafeKey {
    let algorithm = match cipher {
        Cipher::Aes256 => &AES_256_GCM,
        Cipher::ChaCha20 => &CHACHA20_POLY1305,
    };
    LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap())
}

/// A ciphertext of the current form by the other library.
fn seal(
    cipher: Cipher,
    secret: &[u8],
    iv: [u8; 16],
    nonce: [u8; 12],
    text: &[u8],
    context: &[u8],
) -> Vec<u8> {
    let mut sealed = text.to_vec();
    aead(cipher, &one_time_key(cipher, secret, &iv))
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context),
            &mut sealed,
        )
        .unwrap();
    [&sealed[..], &iv, &nonce].concat()
}

/// What the other library makes of a ciphertext of the current form.
fn open(cipher: Cipher, secret: &[u8], ciphertext: &[u8], context: &[u8]) -> Option<Vec<u8>> {
    let (rest, nonce) = ciphertext.split_last_chunk::<12>()?;
    let (sealed, iv) = rest.split_last_chunk::<16>()?;
    let mut sealed = sealed.to_vec();
    aead(cipher, &one_time_key(cipher, secret, iv))
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(context),
            &mut sealed,
        )
        .ok()
        .map(|plaintext| plaintext.to_vec())
}

fn opened(key: &KeyVersion, ciphertext: &[u8], context: &[u8]) -> Option<Vec<u8>> {
    let plaintext = key.open(ciphertext, context).ok()?;
    Some(plaintext.expose().to_vec())
}

fn cipher() -> impl Strategy<Value = Cipher> {
    prop_oneof![Just(Cipher::Aes256), Just(Cipher::ChaCha20)]
}

/// The vector of draft-irtf-cfrg-xchacha-03, section 2.2.1.
#[test]
fn hchacha20_is_that_of_its_specification() {
    let key: Vec<u8> = (0..32).collect();
    let input = b"\x00\x00\x00\x09\x00\x00\x00\x4a\x00\x00\x00\x00\x31\x41\x59\x27";
    let subkey = b"\x82\x41\x3b\x42\x27\xb2\x7b\xfe\xd3\x0e\x42\x50\x8a\x87\x7d\x73\
                   \xa0\xf9\xe4\xd5\x8a\x74\xa8\x53\xc1\x2e\xc4\x13\x26\xd3\xec\xdc";
    assert_eq!(hchacha20(&key, input), subkey);
}

#[test]
fn one_time_keys_are_those_of_the_vectors() {
    for vector in vectors(include_str!("vectors/current.json"), "vectors", 12) {
        let derived = one_time_key(vector.cipher(), &vector.bytes("key"), &vector.bytes("iv"));
        assert_eq!(derived, vector.bytes("derived_key"), "{}", vector.name());
    }
}

proptest! {
    #[test]
    fn either_library_opens_what_the_other_sealed(
        cipher in cipher(),
        secret in any::<[u8; 32]>(),
        iv in any::<[u8; 16]>(),
        nonce in any::<[u8; 12]>(),
        text in vec(any::<u8>(), 0..600),
        context in vec(any::<u8>(), 0..100),
    ) {
        let key = key(cipher, &secret);
        let theirs = seal(cipher, &secret, iv, nonce, &text, &context);
        prop_assert_eq!(opened(&key, &theirs, &context), Some(text.clone()));
        let ours = key.seal(&text, &context).unwrap();
        prop_assert_eq!(open(cipher, &secret, &ours, &context), Some(text));
    }

    #[test]
    fn both_libraries_refuse_the_same(
        cipher in cipher(),
        secret in any::<[u8; 32]>(),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let key = key(cipher, &secret);
        let mut sealed = key.seal(b"thirty-two bytes of a data key..", b"context").unwrap();
        *at.get_mut(&mut sealed) ^= 1 << bit;
        prop_assert_eq!(opened(&key, &sealed, b"context"), None);
        prop_assert_eq!(open(cipher, &secret, &sealed, b"context"), None);
    }

    #[test]
    fn both_libraries_compute_the_same_hmac(
        hmac_key in any::<[u8; 32]>(),
        message in vec(any::<u8>(), 0..300),
    ) {
        let ours = with_hmac(&hmac_key).hmac(&message).unwrap();
        prop_assert_eq!(ours.to_vec(), hmac_sha256(&hmac_key, &message));
    }
}
