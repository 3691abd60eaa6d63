//! The header of an encrypted file: [`Draft`] while the data key is missing, [`Header`] when it is read.

use std::fmt;

use subtle::ConstantTimeEq as _;

use super::{Damaged, ID, Keys, MAC, Opener, Place, Sealer};
use crate::{
    crypto::cipher::Cipher,
    name::{self, KeyName},
    secret::{self, NoRandomness, Secret},
};

/// A byte that is no text, so that a transfer of texts is noticed; the name; line ends that such a transfer changes; and the end of a
/// file for who prints it. The idea is PNG's.
const MAGIC: [u8; 8] = *b"\x89KESF\r\n\x1a";
const VERSION: u8 = 1;
/// Binary logarithms of lengths of chunks that are read, and the one that is written: 64 KiB.
const CHUNK_LOGS: std::ops::RangeInclusive<u8> = 10..=20;
const CHUNK_LOG: u8 = 16;
/// Longest wrapped data key in bytes. Servers make 76; older ones, in JSON, about 200.
const MAX_WRAPPED: usize = 4096;
/// Bytes before the key's name: magic, version, cipher, chunk, id and the name's length.
const BEFORE_NAME: usize = MAGIC.len() + 3 + ID + 1;
/// Longest header in bytes.
pub const MAX_HEADER: usize = BEFORE_NAME + name::MAX_LEN + 2 + MAX_WRAPPED + MAC;

/// The bytes are no header of an encrypted file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The length of chunks is not one that is ever written: this power of two.
    #[error("the header names chunks of 2^{0} bytes, which this program does not read")]
    Chunk(u8),
    /// The cipher is unknown.
    #[error("the header names the cipher {0}, which this program does not know")]
    Cipher(u8),
    /// It ends too early.
    #[error("it ends within its header")]
    Cut,
    /// The name of the key is none.
    #[error("the header names no valid key")]
    Name,
    /// It does not begin as such files do.
    #[error("it is no file that 'kes key encrypt-file' made")]
    Other,
    /// The format is of another version.
    #[error("it is of version {0} of the format, which this program does not know")]
    Version(u8),
    /// The wrapped data key is empty or too long.
    #[error("the header holds no data key")]
    Wrapped,
}

/// A header without its data key.
pub struct Draft {
    /// What stands before the data key.
    bytes: Vec<u8>,
    id: [u8; ID],
    cipher: Cipher,
    chunk_log: u8,
}

impl Draft {
    /// The header of a new file, for a data key of the key `name`.
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has none to give.
    pub fn new(name: &KeyName, cipher: Cipher) -> Result<Self, NoRandomness> {
        let mut id = [0; ID];
        secret::random(&mut id)?;
        Ok(Self::with(name, cipher, CHUNK_LOG, id))
    }

    pub(super) fn with(name: &KeyName, cipher: Cipher, chunk_log: u8, id: [u8; ID]) -> Self {
        let number = match cipher {
            Cipher::Aes256 => 1,
            Cipher::ChaCha20 => 2,
        };
        let name = name.as_str().as_bytes();
        // A name has 80 bytes at most.
        let name_len = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let mut bytes = Vec::with_capacity(MAX_HEADER);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, number, chunk_log]);
        bytes.extend_from_slice(&id);
        bytes.push(name_len);
        bytes.extend_from_slice(name);
        Self {
            bytes,
            id,
            cipher,
            chunk_log,
        }
    }

    /// The context that the data key has to be made with: the header so far.
    pub fn context(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole header, and what seals the chunks after it.
    ///
    /// # Errors
    /// [`Damaged`] if the server's answer is not a data key of 32 bytes, wrapped in 1 to 4096.
    pub fn finish(self, data_key: Secret, wrapped: &[u8]) -> Result<(Vec<u8>, Sealer), Damaged> {
        let len = u16::try_from(wrapped.len()).ok();
        let len = len.filter(|_| (1..=MAX_WRAPPED).contains(&wrapped.len()));
        let len = len.ok_or(Damaged::WrappedLength(wrapped.len()))?;
        let keys = Keys::derive(data_key, &self.id)?;
        let mut bytes = self.bytes;
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(wrapped);
        let mac = keys.mac(&bytes);
        bytes.extend_from_slice(&mac);
        let place = place(self.cipher, self.chunk_log, keys);
        Ok((bytes, Sealer(place)))
    }
}

/// What a file says of itself before its data key is known: nothing of it is authentic until [`Header::open`].
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    key: KeyName,
    cipher: Cipher,
    chunk_log: u8,
    id: [u8; ID],
    context: Vec<u8>,
    wrapped: Vec<u8>,
    mac: [u8; MAC],
}

impl Header {
    /// Reads the header at the beginning of `bytes`. Returns how long it is, too.
    ///
    /// # Errors
    /// [`Malformed`] if there is none. With [`MAX_HEADER`] bytes [`Malformed::Cut`] means a cut file, not one that goes on.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), Malformed> {
        let mut rest = bytes;
        let known = MAGIC.len().min(rest.len());
        if rest.get(..known) != MAGIC.get(..known) {
            return Err(Malformed::Other);
        }
        take(&mut rest, MAGIC.len())?;
        let [version] = array(&mut rest)?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let [cipher, chunk_log] = array(&mut rest)?;
        let cipher = match cipher {
            1 => Cipher::Aes256,
            2 => Cipher::ChaCha20,
            other => return Err(Malformed::Cipher(other)),
        };
        if !CHUNK_LOGS.contains(&chunk_log) {
            return Err(Malformed::Chunk(chunk_log));
        }
        let id = array(&mut rest)?;
        let [name_len] = array(&mut rest)?;
        if usize::from(name_len) > name::MAX_LEN {
            return Err(Malformed::Name);
        }
        let name = take(&mut rest, usize::from(name_len))?;
        let name = std::str::from_utf8(name).map_err(|_| Malformed::Name)?;
        let key = KeyName::parse_old(name).map_err(|_| Malformed::Name)?;
        let context = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
        let wrapped_len = usize::from(u16::from_be_bytes(array(&mut rest)?));
        if !(1..=MAX_WRAPPED).contains(&wrapped_len) {
            return Err(Malformed::Wrapped);
        }
        let wrapped = take(&mut rest, wrapped_len)?;
        let mac = array(&mut rest)?;
        let header = Self {
            key,
            cipher,
            chunk_log,
            id,
            context: context.to_vec(),
            wrapped: wrapped.to_vec(),
            mac,
        };
        Ok((header, bytes.len() - rest.len()))
    }

    /// The key that wraps the data key.
    pub fn key(&self) -> &KeyName {
        &self.key
    }

    /// The cipher of the chunks.
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// The wrapped data key.
    pub fn wrapped(&self) -> &[u8] {
        &self.wrapped
    }

    /// The context that the data key is bound to.
    pub fn context(&self) -> &[u8] {
        &self.context
    }

    /// What opens the chunks after this header.
    ///
    /// # Errors
    /// [`Damaged`] if this is not the header that was written with this data key.
    pub fn open(&self, data_key: Secret) -> Result<Opener, Damaged> {
        let keys = Keys::derive(data_key, &self.id)?;
        let mut bytes = self.context.clone();
        // It was read from two bytes.
        let len = u16::try_from(self.wrapped.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&self.wrapped);
        if !bool::from(keys.mac(&bytes).ct_eq(&self.mac)) {
            return Err(Damaged::Header);
        }
        Ok(Opener(place(self.cipher, self.chunk_log, keys)))
    }
}

/// What it says of itself, without the bytes.
impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("key", &self.key)
            .field("cipher", &self.cipher)
            .finish_non_exhaustive()
    }
}

/// The first chunk's place.
fn place(cipher: Cipher, chunk_log: u8, keys: Keys) -> Place {
    Place {
        cipher,
        key: keys.chunks,
        number: 0,
        chunk_len: 1 << chunk_log,
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], Malformed> {
    let (taken, after) = rest.split_at_checked(len).ok_or(Malformed::Cut)?;
    *rest = after;
    Ok(taken)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (taken, after) = rest.split_first_chunk().ok_or(Malformed::Cut)?;
    *rest = after;
    Ok(*taken)
}
