//! Private keys as encrypted PEM blocks, for who writes them to a file (cli.md 9.5).

use std::fmt::Write as _;

use aes::Aes256;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cbc::{
    Encryptor,
    cipher::{BlockModeEncrypt as _, KeyIvInit as _, block_padding::Pkcs7},
};
use pkcs8::{
    EncryptedPrivateKeyInfoRef,
    der::{Encode as _, asn1::OctetStringRef},
    pkcs5::pbes2,
};
use zeroize::Zeroizing;

use super::{ENCRYPTED_PKCS8, LINE, encode, rfc1423};
use crate::secret::{NoRandomness, Secret, random};

/// Rounds of PBKDF2 with HMAC-SHA-256: what OWASP's Password Storage Cheat Sheet asks for (2023).
const ROUNDS: u32 = 600_000;
/// Bytes of an AES block.
const BLOCK: usize = 16;

/// Why a key cannot be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A cipher or an encoder refuses its input, which is never the user's fault.
    #[error("the private key cannot be encrypted")]
    Cipher,
    /// The system has no randomness to give.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// `pkcs8`, a private key in DER, as a block `ENCRYPTED PRIVATE KEY`: PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC (RFC 8018).
///
/// # Errors
/// [`SealError`].
pub fn seal(pkcs8: &[u8], password: &Secret) -> Result<Secret, SealError> {
    seal_in(ROUNDS, pkcs8, password)
}

fn seal_in(rounds: u32, pkcs8: &[u8], password: &Secret) -> Result<Secret, SealError> {
    let (mut salt, mut iv) = ([0; BLOCK], [0; BLOCK]);
    random(&mut salt)?;
    random(&mut iv)?;
    let parameters = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(rounds, &salt, iv);
    let parameters = parameters.map_err(|_| SealError::Cipher)?;
    let sealed = parameters.encrypt(password.expose(), pkcs8);
    let sealed = sealed.map_err(|_| SealError::Cipher)?;
    let info = EncryptedPrivateKeyInfoRef {
        encryption_algorithm: parameters.into(),
        encrypted_data: OctetStringRef::new(&sealed).map_err(|_| SealError::Cipher)?,
    };
    let der = info.to_der().map_err(|_| SealError::Cipher)?;
    Ok(encode(ENCRYPTED_PKCS8, &der))
}

/// The same in the form of RFC 1423, with AES-256-CBC: weak, and the only one that MinIO reads.
///
/// # Errors
/// [`SealError`].
pub fn seal_as_before(pkcs8: &[u8], password: &Secret) -> Result<String, SealError> {
    let mut iv = [0; BLOCK];
    random(&mut iv)?;
    let key = rfc1423::key_of(password, &iv);
    let cipher = Encryptor::<Aes256>::new_from_slices(&key, &iv).map_err(|_| SealError::Cipher)?;
    // Its final size at once: growing would leave a copy of the key behind.
    let mut buffer = Zeroizing::new(Vec::with_capacity(pkcs8.len() + BLOCK));
    buffer.extend_from_slice(pkcs8);
    buffer.resize(pkcs8.len() + BLOCK, 0);
    let sealed = cipher
        .encrypt_padded::<Pkcs7>(&mut buffer, pkcs8.len())
        .map_err(|_| SealError::Cipher)?;
    let mut text =
        "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,".to_owned();
    for byte in iv {
        let _ = write!(text, "{byte:02x}");
    }
    text.push_str("\n\n");
    let base64 = STANDARD.encode(sealed);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, others) = rest.split_at(rest.len().min(LINE));
        let _ = writeln!(text, "{line}");
        rest = others;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{apikey::ApiKey, pem};

    #[test]
    fn what_is_sealed_opens_with_its_password_alone() {
        let key = ApiKey::generate().unwrap();
        let der = key.pkcs8();
        let password = Secret::copy_from(b"correct horse");
        let other = Secret::copy_from(b"correct horsf");
        // The rounds are many in a file, and these are enough for a test.
        let seal = |password| seal_in(1000, der.expose(), password).unwrap();
        let now = seal(&password);
        let before = seal_as_before(der.expose(), &password).unwrap();
        for text in [now.expose(), before.as_bytes()] {
            let blocks = pem::decode(text).unwrap();
            assert!(blocks[0].is_encrypted());
            let clear = blocks[0].private_key(Some(&password)).unwrap();
            assert_eq!(*clear, der.expose());
            assert!(blocks[0].private_key(Some(&other)).is_err());
            assert!(blocks[0].private_key(None).is_err());
        }
        assert!(seal(&password).expose() != now.expose());
    }
}
