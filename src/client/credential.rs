//! [`Credential`]: what the client proves itself with, from an API key or from certificate and key files (cli.md 3.3).

use std::sync::Arc;

use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

use crate::{
    apikey::ApiKey,
    certificate::SelfSigned,
    identity::Identity,
    pem,
    secret::{NoRandomness, Secret},
};

/// Why certificate and key give no credential.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCredential {
    /// The private key cannot be had: it is malformed, or encrypted and the password is missing or wrong.
    #[error(transparent)]
    Key(#[from] pem::KeyError),
    /// The certificate is no X.509.
    #[error("the certificate is malformed")]
    MalformedCertificate,
    /// The certificate is for another key.
    #[error("the certificate does not belong to the private key")]
    Mismatch,
    /// There is no certificate in the certificate file.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// There is no private key in the key file.
    #[error("there is no private key in it")]
    NoKey,
    /// Something else is in the certificate file.
    #[error("there is a PEM block of type '{0}' among the certificates")]
    NotCertificate(String),
    /// It is no PEM.
    #[error(transparent)]
    Pem(#[from] pem::Error),
    /// The private key is of a kind the TLS library does not know.
    #[error("the private key is malformed or of an unknown kind")]
    UnknownKey,
}

/// A certificate chain and its private key.
#[derive(Clone, Debug)]
pub struct Credential {
    pub(super) certified: Arc<CertifiedKey>,
    identity: Identity,
}

impl Credential {
    /// A fresh certificate of an API key, valid from `now` for 90 days.
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has none to give.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "the TLS library reads the PKCS#8 that an API key writes"
    )]
    pub fn from_api_key(key: &ApiKey, now: OffsetDateTime) -> Result<Self, NoRandomness> {
        let certificate = CertificateDer::from(SelfSigned::for_client(now).sign(key)?);
        let pkcs8 = key.pkcs8();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.expose()));
        let signer = aws_lc_rs::sign::any_supported_type(&der).expect("an Ed25519 key");
        Ok(Self {
            certified: Arc::new(CertifiedKey::new(vec![certificate], signer)),
            identity: key.identity(),
        })
    }

    /// Whether the private key that [`Self::from_pem`] would use is encrypted, and so needs a password.
    pub fn needs_password(key: &[u8]) -> bool {
        let first = pem::blocks(key)
            .map_while(Result::ok)
            .find(pem::Block::is_private_key);
        first.is_some_and(|block| block.is_encrypted())
    }

    /// The certificate chain of one file, leaf first, and the first private key of another: PEM. The key may be encrypted with
    /// `password`; a key in clear needs none, and one that is given is ignored.
    ///
    /// # Errors
    /// [`InvalidCredential`] if either cannot be used, or they do not belong together.
    pub fn from_pem(
        certificate: &[u8],
        key: &[u8],
        password: Option<&Secret>,
    ) -> Result<Self, InvalidCredential> {
        let mut chain = Vec::new();
        for block in pem::decode(certificate)? {
            if !block.is_certificate() {
                return Err(InvalidCredential::NotCertificate(block.label().to_owned()));
            }
            chain.push(CertificateDer::from(block.der().to_vec()));
        }
        let leaf = chain.first().ok_or(InvalidCredential::NoCertificate)?;
        let identity =
            Identity::of_certificate(leaf).map_err(|_| InvalidCredential::MalformedCertificate)?;

        let blocks = pem::decode(key)?;
        let block = blocks.iter().find(|block| block.is_private_key());
        let block = block.ok_or(InvalidCredential::NoKey)?;
        let clear = block.private_key(password)?;
        let der =
            PrivateKeyDer::try_from(clear.as_slice()).map_err(|_| InvalidCredential::UnknownKey)?;
        let signer =
            aws_lc_rs::sign::any_supported_type(&der).map_err(|_| InvalidCredential::UnknownKey)?;
        let public = signer.public_key().ok_or(InvalidCredential::UnknownKey)?;
        if Identity::of_public_key(&public) != identity {
            return Err(InvalidCredential::Mismatch);
        }
        Ok(Self {
            certified: Arc::new(CertifiedKey::new(chain, signer)),
            identity,
        })
    }

    /// Whom the server takes this client for.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn pems(key: &ApiKey) -> (String, String) {
        let now = Clock::test().now_utc();
        let certificate = SelfSigned::for_client(now).sign(key).unwrap();
        let text = |label, der: &[u8]| {
            let text = pem::encode(label, der);
            String::from_utf8(text.expose().to_vec()).unwrap()
        };
        (
            text("CERTIFICATE", &certificate),
            text("PRIVATE KEY", key.pkcs8().expose()),
        )
    }

    fn read(certificate: &str, key: &str) -> Result<Identity, InvalidCredential> {
        let credential = Credential::from_pem(certificate.as_bytes(), key.as_bytes(), None)?;
        Ok(credential.identity().clone())
    }

    #[test]
    fn files_and_api_keys_give_the_same_identity() {
        let key = ApiKey::generate().unwrap();
        let (certificate, private) = pems(&key);
        assert_eq!(read(&certificate, &private).unwrap(), key.identity());
        let both = format!("{certificate}{private}");
        assert_eq!(read(&certificate, &both).unwrap(), key.identity());
        let made = Credential::from_api_key(&key, Clock::test().now_utc()).unwrap();
        assert_eq!(*made.identity(), key.identity());
    }

    #[test]
    fn keys_of_other_kinds_are_read() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
        ] {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let params = rcgen::CertificateParams::new(vec!["a".into()]).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let identity = read(&certificate.pem(), &key.serialize_pem()).unwrap();
            assert_eq!(
                identity,
                Identity::of_certificate(certificate.der()).unwrap()
            );
        }
    }

    /// cli.md 21: the form that the predecessor writes.
    #[test]
    fn an_encrypted_key_is_read_with_its_password() {
        let key = ApiKey::parse("kes:v1:AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f").unwrap();
        let (certificate, clear) = pems(&key);
        let encrypted = "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,8c7e96991ff72f6e03bc0de8a749f8c1\n\nLNvoBNiH3O5X6EgfLzpvg5u+Sb5GlZf2sgpdAg89Y32Ld9pviuv5mnouU/IX0XnD\ngoPrGjuYRiErLLfsZW/7NQ==\n-----END PRIVATE KEY-----\n";
        assert!(Credential::needs_password(encrypted.as_bytes()));
        assert!(!Credential::needs_password(clear.as_bytes()));
        let read = |password: &str| {
            let password = Secret::copy_from(password.as_bytes());
            let certificate = certificate.as_bytes();
            Credential::from_pem(certificate, encrypted.as_bytes(), Some(&password))
        };
        assert_eq!(*read("secret").unwrap().identity(), key.identity());
        let error = read("Secret").unwrap_err().to_string();
        assert!(error.contains("the password is wrong"), "{error}");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let (certificate, key) = pems(&ApiKey::generate().unwrap());
        let (_, other) = pems(&ApiKey::generate().unwrap());
        let old = key.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1);
        let broken = "-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----\n";
        let cases = [
            (read(&certificate, &other), "does not belong"),
            (read(&certificate, &old), "password required"),
            (read(&certificate, &certificate), "no private key"),
            (read(&certificate, broken), "malformed"),
            (read("", &key), "no certificate"),
            (read(&key, &key), "type 'PRIVATE KEY'"),
            (
                read(&broken.replace("PRIVATE KEY", "CERTIFICATE"), &key),
                "malformed",
            ),
        ];
        for (outcome, expected) in cases {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
