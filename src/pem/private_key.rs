//! Private keys out of PEM blocks: clear, or encrypted in either of two ways (config.md 11.1).

use pkcs8::{
    EncryptedPrivateKeyInfoRef,
    der::{self, Decode as _, ErrorKind, Reader as _, SliceReader, asn1::AnyRef},
    pkcs5::{self, EncryptionScheme, pbes2},
    spki::AlgorithmIdentifierRef,
};
use rustls_pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

use super::{Block, ENCRYPTED_PKCS8, rfc1423};
use crate::secret::Secret;

/// Most rounds of PBKDF2 that are computed, some seconds' worth. Tools write between 2,000 and a million.
const MAX_ROUNDS: u32 = 10_000_000;
/// Most memory that scrypt may take, in bytes. OpenSSL's default needs 16 MiB, and it reads nothing above 32.
const MAX_SCRYPT: u64 = 256 << 20;

/// Why a PEM block gives no private key. The texts hold nothing of the key or the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It, or what tells how it is encrypted, is not of the form that it claims.
    #[error("private key is malformed")]
    Malformed,
    /// It is encrypted, and there is no password.
    #[error("private key is encrypted: password required")]
    PasswordRequired,
    /// It is encrypted in a way that is not supported.
    #[error("private key is encrypted in an unsupported way: {0}")]
    Unsupported(String),
    /// It does not open with this password.
    #[error("private key cannot be decrypted: the password is wrong, or the file is damaged")]
    WrongPassword,
}

impl KeyError {
    /// What its owner can do about it, given what sets the password.
    pub fn hint(&self, password: &str) -> String {
        match self {
            Self::Malformed => {
                "compare with what 'openssl pkey -in KEY -noout' says about it".to_owned()
            }
            Self::PasswordRequired => {
                format!("set {password}, or decrypt the key with 'openssl pkey -in KEY -out NEW'")
            }
            Self::Unsupported(_) => {
                "encrypt the key anew with 'openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW'"
                    .to_owned()
            }
            Self::WrongPassword => {
                format!("check {password} with 'openssl pkey -in KEY -noout', which asks for it")
            }
        }
    }
}

impl Block {
    /// The private key that this block holds, as DER in clear: PKCS#8, PKCS#1 or SEC1, whatever the label says. Wiped when dropped.
    ///
    /// An empty password is none. One for a key that is not encrypted is not needed and thus ignored (api.md 1.3). Takes as long as
    /// the key's encryption was made to take, up to some seconds.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn private_key(&self, password: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if !self.is_encrypted() {
            return checked(Zeroizing::new(self.der.to_vec())).ok_or(KeyError::Malformed);
        }
        let password = password
            .filter(|password| !password.is_empty())
            .ok_or(KeyError::PasswordRequired)?;
        let clear = if self.label == ENCRYPTED_PKCS8 {
            pkcs8(&self.der, password)?
        } else {
            let info = self.dek_info.as_deref().ok_or(KeyError::Malformed)?;
            rfc1423::decrypt(info, &self.der, password)?
        };
        // One wrong password in 256 leaves bytes that look padded.
        checked(clear).ok_or(KeyError::WrongPassword)
    }
}

/// The key, if it is one by its outline.
fn checked(der: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
    let is_key = PrivateKeyDer::try_from(der.as_slice()).is_ok();
    is_key.then_some(der)
}

/// Decrypts an `EncryptedPrivateKeyInfo` (RFC 5958 section 3) of PBES2 (RFC 8018).
fn pkcs8(der: &[u8], password: &Secret) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let info = EncryptedPrivateKeyInfoRef::from_der(der).map_err(|error| unreadable(der, error))?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(KeyError::Unsupported("PBES1".to_owned()));
    };
    let affordable = match &parameters.kdf {
        pbes2::Kdf::Pbkdf2(kdf) => kdf.iteration_count <= MAX_ROUNDS,
        pbes2::Kdf::Scrypt(kdf) => {
            let memory = u64::from(kdf.block_size) * 128;
            let memory = memory.saturating_mul(kdf.cost_parameter);
            // The work is that of one pass over the memory for each lane.
            memory.saturating_mul(u64::from(kdf.parallelization)) <= MAX_SCRYPT
        }
        _ => false,
    };
    if !affordable {
        let reason = "the password takes too long to check, or too much memory";
        return Err(KeyError::Unsupported(reason.to_owned()));
    }
    let mut buffer = Zeroizing::new(info.encrypted_data.as_bytes().to_vec());
    let clear = parameters
        .decrypt_in_place(password.expose(), &mut buffer)
        .map_err(|error| match error {
            pkcs5::Error::UnsupportedAlgorithm { oid } => {
                KeyError::Unsupported(format!("algorithm {oid}"))
            }
            pkcs5::Error::AlgorithmParametersInvalid { .. } => KeyError::Malformed,
            _ => KeyError::WrongPassword,
        })?
        .len();
    buffer.truncate(clear);
    Ok(buffer)
}

/// Whether what cannot be read is malformed, or well formed and unknown.
fn unreadable(der: &[u8], error: der::Error) -> KeyError {
    if let ErrorKind::OidUnknown { oid } = error.kind() {
        return KeyError::Unsupported(format!("algorithm {oid}"));
    }
    let outline = SliceReader::new(der).and_then(|mut reader| {
        reader.sequence(|reader| -> der::Result<_> {
            let algorithm = AlgorithmIdentifierRef::decode(reader)?;
            AnyRef::decode(reader)?;
            Ok(algorithm.oid)
        })
    });
    outline.map_or(KeyError::Malformed, |oid| {
        KeyError::Unsupported(format!("algorithm {oid}"))
    })
}

#[cfg(test)]
mod tests;
