//! What others wrote and what others read: vectors here, clients of old releases in `switch`.
//!
//! Known answers: what other implementations wrote must be read, and what must be refused is refused.
//!
//! The files in `vectors/` are data; each test walks every entry of a list and holds the number of entries, so that a list that
//! lost some fails. Binary fields are base64 unless their names say otherwise.

use base64::{Engine, engine::general_purpose::STANDARD};
use kes::{
    crypto::{Cipher, KeyVersion},
    secret::Secret,
};
use serde_json::Value;
use time::macros::datetime;

mod ciphertexts;
mod oracle;
mod stored_keys;
mod switch;

/// One entry of a list of vectors.
struct Vector(Value);

impl Vector {
    /// Text, or nothing where the vector says `null`.
    fn text(&self, field: &str) -> Option<&str> {
        match self.0.get(field) {
            Some(Value::String(text)) => Some(text),
            Some(Value::Null) => None,
            other => panic!("{}: {field} is {other:?}", self.name()),
        }
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        let text = self.text(field).expect("the field is there");
        STANDARD.decode(text).expect("the field is base64")
    }

    fn name(&self) -> &str {
        self.0["name"].as_str().unwrap_or("unnamed")
    }

    fn cipher(&self) -> Cipher {
        Cipher::parse(self.text("cipher").expect("a cipher")).expect("a known cipher")
    }

    /// The key of this vector.
    fn key(&self) -> KeyVersion {
        key(self.cipher(), &self.bytes("key"))
    }
}

/// The entries of the list `list` of the file with this `text`. There must be `count`.
fn vectors(text: &str, list: &str, count: usize) -> Vec<Vector> {
    let mut file: Value = serde_json::from_str(text).expect("vectors are JSON");
    let Value::Array(entries) = file[list].take() else {
        panic!("{list} is no list");
    };
    assert_eq!(entries.len(), count, "entries of {list}");
    entries.into_iter().map(Vector).collect()
}

/// A key of given secret, with a random HMAC key.
fn key(cipher: Cipher, secret: &[u8]) -> KeyVersion {
    let now = datetime!(2024-01-01 0:00 UTC);
    KeyVersion::import(cipher, Secret::copy_from(secret), None, "", now).expect("32 bytes")
}
