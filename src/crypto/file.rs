//! Encrypted files of any size: a header with the data key, wrapped by a server, and then chunks, each sealed with its place in the
//! file (`docs/file-format.md` has every byte).
//!
//! The construction of the chunks is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its
//! Nonce-Reuse Misuse-Resistance", 2015): a nonce is the number of the chunk, and whether it is the last one. So a file that was cut,
//! extended, reordered or altered does not open, at the first chunk where it shows. What was opened before is genuine.
//!
//! | what is altered | is found by |
//! | --- | --- |
//! | header before the data key | the server: it is the context of the data key; and by the header's MAC |
//! | data key | the server; a key that it never made, by the header's MAC |
//! | chunks | their tags |
//!
//! What is not promised: who made the file. Whoever may use the key can make files.

mod header;

pub use header::{Draft, Header, MAX_HEADER, Malformed};

use super::{
    cipher::{Cipher, KEY, NONCE, TAG as TAG_LEN, hmac_sha256},
    key::Key,
};
use crate::secret::Secret;

/// Length of the tag after each chunk, in bytes.
pub const TAG: usize = TAG_LEN;
/// Length of a file's id in bytes.
const ID: usize = 16;
/// Length of the header's MAC in bytes.
const MAC: usize = 32;

/// What the key of the header's MAC is derived for.
const FOR_HEADER: &[u8] = b"kes file 1 header";
/// What the key of the chunks is derived for.
const FOR_CHUNKS: &[u8] = b"kes file 1 chunks";

/// The file is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// Something else stands where this chunk should, counted from 0.
    #[error(
        "chunk {0} is not what was written there: the file was cut, extended, reordered or altered"
    )]
    Chunk(u64),
    /// The header is not the one that was written with this data key.
    #[error("the header was altered")]
    Header,
    /// The data key has another length than 32 bytes: this one.
    #[error("a data key has 32 bytes, not {0}")]
    KeyLength(usize),
    /// The wrapped data key has another length than 1 to 4096 bytes: this one.
    #[error("a wrapped data key has 1 to 4096 bytes, not {0}")]
    WrappedLength(usize),
}

/// The two keys of a file: for its header and for its chunks.
struct Keys {
    header: Key,
    chunks: Key,
}

impl Keys {
    /// HKDF-SHA-256 (RFC 5869) of the data key, with the file's id as salt.
    fn derive(data_key: Secret, id: &[u8; ID]) -> Result<Self, Damaged> {
        let data_key = Key::new(data_key).map_err(Damaged::KeyLength)?;
        let pseudorandom = hmac(id, data_key.bytes())?;
        Ok(Self {
            header: expand(&pseudorandom, FOR_HEADER)?,
            chunks: expand(&pseudorandom, FOR_CHUNKS)?,
        })
    }

    /// What authenticates the header.
    fn mac(&self, header: &[u8]) -> [u8; MAC] {
        let mut mac = [0; MAC];
        hmac_sha256(self.header.bytes(), header, &mut mac);
        mac
    }
}

/// The first 32 bytes that HKDF expands to.
fn expand(pseudorandom: &Key, info: &[u8]) -> Result<Key, Damaged> {
    hmac(pseudorandom.bytes(), &[info, &[1]].concat())
}

/// An HMAC as a key, which it never leaves.
fn hmac(key: &[u8], message: &[u8]) -> Result<Key, Damaged> {
    let sum = Secret::with(KEY, |out| {
        if let Some(out) = out.as_mut_array() {
            hmac_sha256(key, message, out);
        }
    });
    Key::new(sum).map_err(Damaged::KeyLength)
}

/// Where in the file the next chunk stands, and what it is sealed with.
struct Place {
    cipher: Cipher,
    key: Key,
    number: u64,
    chunk_len: usize,
}

impl Place {
    /// Eleven bytes of number, one that says whether the file ends here.
    fn nonce(&self, last: bool) -> [u8; NONCE] {
        let number = self.number.to_be_bytes();
        let mut nonce = [0; NONCE];
        let end = nonce.iter_mut().skip(NONCE - number.len() - 1);
        for (to, from) in end.zip(number.into_iter().chain([u8::from(last)])) {
            *to = from;
        }
        nonce
    }

    fn seal(&mut self, chunk: &mut [u8], last: bool) -> [u8; TAG] {
        let tag = self
            .cipher
            .seal_with(self.key.bytes(), &self.nonce(last), chunk);
        self.number = self.number.saturating_add(1);
        tag
    }

    fn open<'a>(&mut self, chunk: &'a mut [u8], last: bool) -> Result<&'a mut [u8], Damaged> {
        let damaged = Damaged::Chunk(self.number);
        let nonce = self.nonce(last);
        let (plaintext, tag) = chunk.split_last_chunk_mut().ok_or(damaged)?;
        let right_length = if last {
            // Only an empty file ends in an empty chunk.
            plaintext.len() <= self.chunk_len && (self.number == 0 || !plaintext.is_empty())
        } else {
            plaintext.len() == self.chunk_len
        };
        if !right_length {
            return Err(damaged);
        }
        let opened = self
            .cipher
            .open_with(self.key.bytes(), &nonce, plaintext, tag);
        opened.map_err(|_| damaged)?;
        self.number = self.number.saturating_add(1);
        Ok(plaintext)
    }
}

/// Seals the chunks of one file, in their order.
pub struct Sealer(Place);

impl Sealer {
    /// Length of each chunk but the last, which is not longer and is empty only in an empty file.
    pub fn chunk_len(&self) -> usize {
        self.0.chunk_len
    }

    /// Encrypts the next chunk in place, which is not the last one and [`Self::chunk_len`] long. Returns what follows it in the file.
    pub fn seal(&mut self, chunk: &mut [u8]) -> [u8; TAG] {
        debug_assert_eq!(chunk.len(), self.chunk_len());
        self.0.seal(chunk, false)
    }

    /// Encrypts the last chunk in place. Returns what follows it in the file, where it ends.
    pub fn seal_last(mut self, chunk: &mut [u8]) -> [u8; TAG] {
        debug_assert!(chunk.len() <= self.chunk_len());
        self.0.seal(chunk, true)
    }
}

/// Opens the chunks of one file, in their order.
pub struct Opener(Place);

impl Opener {
    /// Length of each chunk in the file but the last, with its tag.
    pub fn sealed_len(&self) -> usize {
        self.0.chunk_len + TAG
    }

    /// Decrypts the next chunk in place, which is not the last one. Returns the plaintext.
    ///
    /// # Errors
    /// [`Damaged::Chunk`]; the chunk is left as it was.
    pub fn open<'a>(&mut self, sealed: &'a mut [u8]) -> Result<&'a mut [u8], Damaged> {
        self.0.open(sealed, false)
    }

    /// Decrypts the last chunk in place, after which nothing follows. Returns the plaintext.
    ///
    /// # Errors
    /// [`Damaged::Chunk`]; the chunk is left as it was.
    pub fn open_last(mut self, sealed: &mut [u8]) -> Result<&mut [u8], Damaged> {
        self.0.open(sealed, true)
    }
}

#[cfg(test)]
mod tests;
