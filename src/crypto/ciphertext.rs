//! The forms of ciphertexts, and how they are told apart (crypto.md 3.3, 4.1 to 4.3).
//!
//! | first byte | form | written by releases |
//! | --- | --- | --- |
//! | `{` | JSON object | v0.6.1 to v0.19.1 |
//! | `0x95` | `MessagePack` array of five | v0.19.2 to 2024-01-11 |
//! | any | encrypted bytes, tag, iv, nonce | since 2024-02-29 |
//!
//! One in 128 ciphertexts of the current form starts with one of the two bytes: what does not parse as an old form is taken as it
//! is. The old forms name a cipher; it decides, whatever the type of the key (a key without a type may own ciphertexts of both).

use std::borrow::Cow;

use super::{
    base64,
    cipher::{Cipher, IV, NONCE, TAG},
    json,
};

/// How many bytes longer than its plaintext a ciphertext of the current form is.
pub(super) const OVERHEAD: usize = TAG + IV + NONCE;

/// A ciphertext taken apart.
pub(super) struct Ciphertext<'a> {
    /// The cipher it names; the current form names none.
    pub(super) cipher: Option<Cipher>,
    /// Encrypted plaintext followed by the tag, if it is long enough for one.
    pub(super) sealed: Cow<'a, [u8]>,
    pub(super) iv: [u8; IV],
    pub(super) nonce: [u8; NONCE],
}

impl<'a> Ciphertext<'a> {
    /// Recognises the form of `bytes`. `None` if they are too short for any.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let old = match bytes.first() {
            Some(b'{') => Self::from_json(bytes),
            Some(0x95) => Self::from_msgpack(bytes),
            _ => None,
        };
        old.or_else(|| Self::from_current(bytes))
    }

    fn from_current(bytes: &'a [u8]) -> Option<Self> {
        let (rest, nonce) = bytes.split_last_chunk()?;
        let (sealed, iv) = rest.split_last_chunk()?;
        Some(Self {
            cipher: None,
            sealed: sealed.into(),
            iv: *iv,
            nonce: *nonce,
        })
    }

    /// `{"aead": name, "id": ignored, "iv": base64, "nonce": base64, "bytes": base64}`
    fn from_json(bytes: &'a [u8]) -> Option<Self> {
        let [aead, _, iv, nonce, sealed] =
            json::members(bytes, ["aead", "id", "iv", "nonce", "bytes"])?;
        let cipher = match aead?.as_str() {
            "AES-256-GCM-HMAC-SHA-256" => Cipher::Aes256,
            "ChaCha20Poly1305" => Cipher::ChaCha20,
            _ => return None,
        };
        let text = sealed?;
        let text = text.as_str().as_bytes();
        let mut sealed = vec![0; base64::decoded_len(text.len())];
        let len = base64::decode(text, &mut sealed)?;
        sealed.truncate(len);
        Some(Self {
            cipher: Some(cipher),
            sealed: sealed.into(),
            iv: base64::decode_array(iv?.as_str())?,
            nonce: base64::decode_array(nonce?.as_str())?,
        })
    }

    /// `[name, id (ignored), iv, nonce, bytes]`
    fn from_msgpack(bytes: &'a [u8]) -> Option<Self> {
        let mut items = Items(bytes.strip_prefix(&[0x95])?);
        let cipher = Cipher::parse(str::from_utf8(items.text()?).ok()?)?;
        items.text()?;
        let iv = items.binary()?.try_into().ok()?;
        let nonce = items.binary()?.try_into().ok()?;
        let sealed = items.binary()?;
        items.0.is_empty().then_some(Self {
            cipher: Some(cipher),
            sealed: sealed.into(),
            iv,
            nonce,
        })
    }
}

/// Items of a `MessagePack` array. Source: <https://github.com/msgpack/msgpack/blob/master/spec.md>.
struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    /// A string, in any of the forms of its length.
    fn text(&mut self) -> Option<&'a [u8]> {
        let len = match self.take(1)? {
            [head @ 0xa0..=0xbf] => usize::from(head & 0x1f),
            [0xd9] => self.len(1)?,
            [0xda] => self.len(2)?,
            [0xdb] => self.len(4)?,
            _ => return None,
        };
        self.take(len)
    }

    /// Bytes, in any of the forms of their length.
    fn binary(&mut self) -> Option<&'a [u8]> {
        let len = match self.take(1)? {
            [0xc4] => self.len(1)?,
            [0xc5] => self.len(2)?,
            [0xc6] => self.len(4)?,
            _ => return None,
        };
        self.take(len)
    }

    /// A length of `width` bytes, big-endian.
    fn len(&mut self, width: usize) -> Option<usize> {
        let bytes = self.take(width)?;
        Some(bytes.iter().fold(0, |len, b| len << 8 | usize::from(*b)))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests;
