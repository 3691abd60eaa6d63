//! Decryption of private keys as RFC 1423 has it: the form that the predecessor read and wrote (cli.md 9.5).
//!
//! The key comes from the password by rounds of MD5 and is as weak as that sounds. It is written only when it is asked for by name, for
//! MinIO, which reads no other form.

use aes::{Aes128, Aes192, Aes256};
use cbc::{
    Decryptor,
    cipher::{
        BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, KeySizeUser, block_padding::Pkcs7,
    },
};
use des::{Des, TdesEde3};
use md5::{Digest, Md5};
use zeroize::{Zeroize as _, Zeroizing};

use super::KeyError;
use crate::secret::Secret;

/// Bytes of the initialisation vector that serve as salt.
const SALT: usize = 8;
/// Bytes of an MD5 hash.
const HASH: usize = 16;

/// Decrypts `data` as the header `DEK-Info` says: `ALGORITHM,IV`, with the vector in hexadecimal.
pub(super) fn decrypt(
    info: &str,
    data: &[u8],
    password: &Secret,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (algorithm, iv) = info.split_once(',').ok_or(KeyError::Malformed)?;
    let iv = from_hex(iv.trim()).ok_or(KeyError::Malformed)?;
    match algorithm.trim() {
        "DES-CBC" => open::<Des>(&iv, data, password),
        "DES-EDE3-CBC" => open::<TdesEde3>(&iv, data, password),
        "AES-128-CBC" => open::<Aes128>(&iv, data, password),
        "AES-192-CBC" => open::<Aes192>(&iv, data, password),
        "AES-256-CBC" => open::<Aes256>(&iv, data, password),
        other => Err(KeyError::Unsupported(other.to_owned())),
    }
}

fn open<C: BlockCipherDecrypt + KeyInit>(
    iv: &[u8],
    data: &[u8],
    password: &Secret,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if iv.len() != C::block_size() || data.is_empty() || !data.len().is_multiple_of(iv.len()) {
        return Err(KeyError::Malformed);
    }
    let salt = iv.get(..SALT).ok_or(KeyError::Malformed)?;
    let key = derive(password, salt, <C as KeySizeUser>::key_size());
    let cipher = Decryptor::<C>::new_from_slices(&key, iv).map_err(|_| KeyError::Malformed)?;
    let mut buffer = Zeroizing::new(data.to_vec());
    let clear = cipher
        .decrypt_padded::<Pkcs7>(&mut buffer)
        .map_err(|_| KeyError::WrongPassword)?
        .len();
    buffer.truncate(clear);
    Ok(buffer)
}

/// The key of AES-256 for a password and an initialisation vector.
pub(super) fn key_of(password: &Secret, iv: &[u8]) -> Zeroizing<Vec<u8>> {
    derive(password, iv.get(..SALT).unwrap_or(iv), 2 * HASH)
}

/// `len` bytes of D1 ‖ D2 ‖ …, where each D is the MD5 of the D before, the password and the salt (OpenSSL's `EVP_BytesToKey`).
fn derive(password: &Secret, salt: &[u8], len: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(len.next_multiple_of(HASH)));
    let mut last = Zeroizing::new([0; HASH]);
    while key.len() < len {
        let mut hash = Md5::new();
        if !key.is_empty() {
            hash.update(*last);
        }
        hash.update(password.expose());
        hash.update(salt);
        let mut digest = hash.finalize();
        last.copy_from_slice(&digest);
        digest.zeroize();
        key.extend_from_slice(&*last);
    }
    key.truncate(len);
    key
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
            _ => None,
        })
        .collect()
}
