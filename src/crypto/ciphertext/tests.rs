//! Tests of how the forms of ciphertexts are told apart. Whether they decrypt is tested with the vectors in `compat`.

use super::*;

const IV_TEXT: &str = "AAECAwQFBgcICQoLDA0ODw==";
const NONCE_TEXT: &str = "AAECAwQFBgcICQoL";

fn json(aead: &str, iv: &str, nonce: &str, bytes: &str) -> String {
    format!(r#"{{"aead":"{aead}","id":"x","iv":"{iv}","nonce":"{nonce}","bytes":"{bytes}"}}"#)
}

fn cipher_of(bytes: &[u8]) -> Option<Cipher> {
    Ciphertext::parse(bytes).unwrap().cipher
}

fn msgpack(items: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0x95];
    for item in items {
        bytes.extend_from_slice(item);
    }
    bytes
}

/// The five items of a well-formed array.
fn items() -> [Vec<u8>; 5] {
    let binary = |len: u8| [vec![0xc4, len], (0..len).collect()].concat();
    [
        b"\xa6AES256".to_vec(),
        b"\xa2id".to_vec(),
        binary(16),
        binary(12),
        binary(40),
    ]
}

fn array_with(index: usize, item: &[u8]) -> Vec<u8> {
    let mut items = items();
    items[index] = item.to_vec();
    msgpack(&items.each_ref().map(Vec::as_slice))
}

#[test]
fn the_current_form_is_split_from_its_end() {
    let bytes: Vec<u8> = (0..76).collect();
    let parts = Ciphertext::parse(&bytes).unwrap();
    assert_eq!(parts.cipher, None);
    assert_eq!(&*parts.sealed, &bytes[..48]);
    assert_eq!(parts.iv, bytes[48..64]);
    assert_eq!(parts.nonce, bytes[64..]);
    assert_eq!(OVERHEAD, 44);
}

#[test]
fn what_is_too_short_is_no_ciphertext() {
    for len in 0..28 {
        assert!(Ciphertext::parse(&vec![1; len]).is_none());
    }
    assert!(Ciphertext::parse(&[1; 28]).unwrap().sealed.is_empty());
}

#[test]
fn a_json_ciphertext_names_its_cipher() {
    for (name, cipher) in [
        ("AES-256-GCM-HMAC-SHA-256", Cipher::Aes256),
        ("ChaCha20Poly1305", Cipher::ChaCha20),
    ] {
        let text = json(name, IV_TEXT, NONCE_TEXT, "aGVsbG8=");
        let parts = Ciphertext::parse(text.as_bytes()).unwrap();
        assert_eq!(parts.cipher, Some(cipher));
        assert_eq!(&*parts.sealed, b"hello");
        assert_eq!(
            parts.iv,
            *b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
        );
        assert_eq!(
            parts.nonce,
            *b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"
        );
    }
}

#[test]
fn json_may_be_written_in_many_ways() {
    let text = json("ChaCha20Poly1305", IV_TEXT, NONCE_TEXT, "aGVsbG8=");
    for text in [
        format!("{text} \n"),
        text.replace("\"aead\"", "\"AEAD\"")
            .replace("\"bytes\"", "\"Byte\u{17f}\""),
        text.replace(
            "{\"aead\"",
            "{\"aead\":\"AES-256-GCM-HMAC-SHA-256\",\"aead\"",
        ),
        text.replace("\"id\":\"x\"", "\"id\":null,\"version\":[1,{}]"),
        text.replace("\"id\":\"x\",", ""),
        text.replace("aGVs", "aGVs\\r\\n"),
    ] {
        assert_eq!(cipher_of(text.as_bytes()), Some(Cipher::ChaCha20), "{text}");
    }
}

#[test]
fn json_that_breaks_a_rule_is_taken_as_it_is() {
    let good = json("ChaCha20Poly1305", IV_TEXT, NONCE_TEXT, "aGVsbG8=");
    assert_eq!(cipher_of(good.as_bytes()), Some(Cipher::ChaCha20));
    for text in [
        json("AES-256-GCM", IV_TEXT, NONCE_TEXT, "aGVsbG8="),
        json("AES256", IV_TEXT, NONCE_TEXT, "aGVsbG8="),
        json("chacha20poly1305", IV_TEXT, NONCE_TEXT, "aGVsbG8="),
        json("ChaCha20Poly1305", NONCE_TEXT, NONCE_TEXT, "aGVsbG8="),
        json("ChaCha20Poly1305", IV_TEXT, IV_TEXT, "aGVsbG8="),
        json("ChaCha20Poly1305", IV_TEXT, NONCE_TEXT, "aGVsbG8"),
        good.replace("\"x\"", "1"),
        good.replace("\"iv\"", "\"vi\""),
        good.replace("\"nonce\"", "\"once\""),
        good.replace("\"bytes\"", "\"byte\""),
        good.replace("\"aead\"", "\"ead\""),
        good.clone() + "x",
        good.clone() + &good,
        good[..good.len() - 1].to_owned(),
    ] {
        let parts = Ciphertext::parse(text.as_bytes()).unwrap();
        assert_eq!(parts.cipher, None, "{text}");
        assert_eq!(&*parts.sealed, &text.as_bytes()[..text.len() - 28]);
    }
}

#[test]
fn a_msgpack_ciphertext_names_its_cipher() {
    for (name, cipher) in [
        (&b"\xa6AES256"[..], Cipher::Aes256),
        (b"\xb1AES256-GCM_SHA256", Cipher::Aes256),
        (b"\xa8ChaCha20", Cipher::ChaCha20),
        (b"\xb2XCHACHA20-POLY1305", Cipher::ChaCha20),
        (b"\xd9\x08ChaCha20", Cipher::ChaCha20),
        (b"\xda\x00\x08ChaCha20", Cipher::ChaCha20),
        (b"\xdb\x00\x00\x00\x08ChaCha20", Cipher::ChaCha20),
    ] {
        assert_eq!(cipher_of(&array_with(0, name)), Some(cipher));
    }
    let long = [&b"\xd9\xff"[..], &[b'x'; 255]].concat();
    for id in [&b"\xa0"[..], &long] {
        assert_eq!(cipher_of(&array_with(1, id)), Some(Cipher::Aes256));
    }
    for bytes in [
        &b"\xc4\x02ab"[..],
        b"\xc5\x00\x02ab",
        b"\xc6\x00\x00\x00\x02ab",
    ] {
        let array = array_with(4, bytes);
        assert_eq!(&*Ciphertext::parse(&array).unwrap().sealed, b"ab");
    }
}

#[test]
fn msgpack_that_breaks_a_rule_is_taken_as_it_is() {
    let good = msgpack(&items().each_ref().map(Vec::as_slice));
    assert_eq!(cipher_of(&good), Some(Cipher::Aes256));
    let mut wide_header = vec![0xdc, 0x00, 0x05];
    wide_header.extend_from_slice(&good[1..]);
    let binary = |len: u8| [vec![0xc4, len], vec![0; len.into()]].concat();
    for array in [
        array_with(0, b"\xa7AES-256"),
        array_with(0, b"\xc4\x06AES256"),
        array_with(0, b"\xd9\xffAES256"),
        array_with(1, b"\xc4\x02id"),
        array_with(1, b"\xc0"),
        array_with(2, &binary(15)),
        array_with(2, &binary(17)),
        array_with(2, &[b"\xb0".to_vec(), vec![0; 16]].concat()),
        array_with(3, &binary(16)),
        array_with(4, b"\xa2ab"),
        array_with(4, b"\xc6\xff\xff\xff\xffab"),
        [good.clone(), vec![0]].concat(),
        good[..good.len() - 1].to_vec(),
        wide_header,
    ] {
        assert_eq!(cipher_of(&array), None, "{array:x?}");
    }
}
