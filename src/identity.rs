//! [`Identity`]: who a client is, as the hash of its certificate's public key (api.md 2).
//!
//! The identity comes from the **first** certificate of the chain a client sends and from nothing else: only for that one did
//! the handshake prove possession of the private key.

use std::{fmt, sync::Arc};

use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};

/// Why a chain of certificates gives no identity. The texts are part of the wire contract (api.md 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// More than the first certificate could stand for the client.
    #[error("tls: received more than one client certificate")]
    Ambiguous,
    /// A certificate is not X.509.
    #[error("tls: client certificate is malformed")]
    Malformed,
    /// There is no certificate, or the first one is a certificate authority's.
    #[error("tls: client certificate is required")]
    Missing,
}

/// A client's identity: 64 lower-case hexadecimal digits, or any text that a configuration puts in an identity's place (which
/// then matches no client). Compared byte for byte. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(Arc<str>);

impl Identity {
    /// The identity that a configuration names. `None` if `text` is empty.
    pub fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The identity of a public key, given as DER `SubjectPublicKeyInfo` exactly as it stands in the certificate.
    pub fn of_public_key(spki_der: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(spki_der) {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from(
                    DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'),
                ));
            }
        }
        Self(text.into())
    }

    /// The identity of one DER certificate, whatever its version, validity or extensions.
    ///
    /// # Errors
    /// [`ChainError::Malformed`] if it is not an X.509 certificate.
    pub fn of_certificate(der: &[u8]) -> Result<Self, ChainError> {
        let cert = parse(der)?;
        Ok(Self::of_public_key(cert.tbs_certificate.subject_pki.raw))
    }

    /// The identity of the client that sent `chain`, DER certificates in the order of the handshake.
    ///
    /// # Errors
    /// [`ChainError`] if the first certificate is absent or a CA's, or if a later one is not a CA's.
    pub fn of_chain<C: AsRef<[u8]>>(chain: &[C]) -> Result<Self, ChainError> {
        let (first, rest) = chain.split_first().ok_or(ChainError::Missing)?;
        let first = parse(first.as_ref())?;
        if is_ca(&first) {
            return Err(ChainError::Missing);
        }
        for cert in rest {
            if !is_ca(&parse(cert.as_ref())?) {
                return Err(ChainError::Ambiguous);
            }
        }
        Ok(Self::of_public_key(first.tbs_certificate.subject_pki.raw))
    }

    /// The identity as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this can be the identity of a certificate: 64 lower-case hexadecimal digits.
    pub fn is_hash(&self) -> bool {
        self.0.len() == 64
            && self
                .0
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }
}

impl std::borrow::Borrow<str> for Identity {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, ChainError> {
    let Ok(([], cert)) = X509Certificate::from_der(der) else {
        return Err(ChainError::Malformed);
    };
    // The parser passes over what follows the key within its sequence, and then cuts that rest off `raw`: no value any more.
    match SubjectPublicKeyInfo::from_der(cert.tbs_certificate.subject_pki.raw) {
        Ok(([], _)) => Ok(cert),
        _ => Err(ChainError::Malformed),
    }
}

/// Whether the Basic Constraints extension says CA. A certificate without that extension is not a CA's.
fn is_ca(cert: &X509Certificate<'_>) -> bool {
    matches!(cert.basic_constraints(), Ok(Some(constraints)) if constraints.value.ca)
}
