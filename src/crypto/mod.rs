//! Keys and ciphertexts, as crypto.md describes them bit by bit: pure, no input or output.
//!
//! A [`KeyVersion`] is one master key. It seals and opens data keys, computes HMACs, and turns into the text that a keystore keeps
//! and back. Each encryption uses a one-time key derived from the master key and 16 random bytes, so that the number of
//! encryptions under one master key has no practical limit:
//!
//! | [`Cipher`] | one-time key | sealed with |
//! | --- | --- | --- |
//! | `AES256` | HMAC-SHA-256 | AES-256-GCM |
//! | `ChaCha20` | `HChaCha20` | ChaCha20-Poly1305 (RFC 8439) |
//!
//! What is promised:
//! - everything that releases of the replaced server since v0.6.1 wrote is read; only the current forms are written;
//! - there is one decryption error, [`Unauthentic`], whatever is wrong;
//! - no parser here takes more time or memory than its input justifies, or panics on any input;
//! - master keys lie in locked pages; derived keys, key schedules and decoded copies are wiped after use.
//!
//! Files of any size are encrypted with a data key, chunk by chunk: [`mod@file`].
//!
//! What is not: names of keys, who may use them, and when they expire are decided elsewhere. That the pages of one operation's
//! stack are wiped is a best effort ([`cipher`] says how), since the compiler may keep copies where no program can reach them.

pub mod cipher;
pub mod file;
pub mod key;
pub mod stored;

mod base64;
mod ciphertext;
mod json;
mod protobuf;

pub use cipher::{Cipher, Unauthentic};
pub use key::{ImportError, KeyVersion, NoHmacKey, Plaintext};
pub use stored::MalformedRecord;
