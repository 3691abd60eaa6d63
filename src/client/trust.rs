//! Which servers the client trusts: the system's roots, certificates of the user's, or anyone (cli.md 3.1).
//!
//! Users put the server's own self-signed certificate into the CA file. So a certificate of that file is trusted as an authority
//! and also as itself, whatever its basic constraints say; its dates and names count either way.

use std::{fs, io, path::Path, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::pem;

/// Which servers the client talks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Anyone. The connection is encrypted, but nobody knows to whom.
    Anyone,
    /// Servers with a certificate of these authorities, or with one of these certificates.
    Known {
        /// Also trust the system's authorities.
        system: bool,
        /// Certificates of the user's.
        extra: Vec<CertificateDer<'static>>,
    },
}

/// A file or directory of certificates cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTrust {
    /// There is none in it.
    #[error("there is no certificate in '{0}'")]
    Empty(String),
    /// The file system says no.
    #[error("cannot read '{path}'")]
    File {
        /// The file or directory.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is no PEM.
    #[error("'{path}' is no PEM file")]
    Pem {
        /// The file.
        path: String,
        /// Why.
        source: pem::Error,
    },
}

/// The certificates in a PEM file, or in all files of a directory. Whatever resolves to a directory inside of it is skipped.
///
/// # Errors
/// [`InvalidTrust`] if a file cannot be read or holds no certificate.
pub fn certificates_at(path: &Path) -> Result<Vec<CertificateDer<'static>>, InvalidTrust> {
    let failed = |source| InvalidTrust::File {
        path: path.display().to_string(),
        source,
    };
    let mut certificates = Vec::new();
    if fs::metadata(path).map_err(failed)?.is_dir() {
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if !file.is_dir() {
                files.push(file);
            }
        }
        files.sort();
        for file in files {
            certificates.extend(in_file(&file)?);
        }
    } else {
        certificates = in_file(path)?;
    }
    if certificates.is_empty() {
        return Err(InvalidTrust::Empty(path.display().to_string()));
    }
    Ok(certificates)
}

fn in_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, InvalidTrust> {
    let name = || path.display().to_string();
    let text = fs::read(path).map_err(|source| InvalidTrust::File {
        path: name(),
        source,
    })?;
    let blocks = pem::decode(&text).map_err(|source| InvalidTrust::Pem {
        path: name(),
        source,
    })?;
    let certificates: Vec<_> = blocks
        .iter()
        .filter(|block| block.is_certificate())
        .map(|block| CertificateDer::from(block.der().to_vec()))
        .collect();
    if certificates.is_empty() {
        return Err(InvalidTrust::Empty(name()));
    }
    Ok(certificates)
}

/// Judges servers' certificates by a [`Trust`].
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None` if no authority is trusted.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// Trusted as themselves.
    pinned: Vec<CertificateDer<'static>>,
    anyone: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    pub(super) fn new(trust: Trust, provider: Arc<CryptoProvider>) -> Self {
        let (system, pinned, anyone) = match trust {
            Trust::Anyone => (false, Vec::new(), true),
            Trust::Known { system, extra } => (system, extra, false),
        };
        let mut roots = RootCertStore::empty();
        if system {
            // A root that cannot be read makes only its own servers untrusted.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        roots.add_parsable_certificates(pinned.iter().cloned());
        let chain = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
        Self {
            // Fails only for an empty set of roots.
            chain: chain.build().ok(),
            pinned,
            anyone,
            provider,
        }
    }

    /// Accepts a certificate that the user trusts as itself, if it is for this server and not out of date.
    fn verify_pinned(
        server: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let malformed = |_| CertificateError::BadEncoding;
        let (_, x509) = X509Certificate::from_der(server).map_err(malformed)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < x509.validity().not_before.timestamp() {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > x509.validity().not_after.timestamp() {
            return Err(CertificateError::Expired.into());
        }
        verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.anyone {
            return Ok(ServerCertVerified::assertion());
        }
        let verdict = match &self.chain {
            Some(chain) => chain.verify_server_cert(server, intermediates, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        if verdict.is_err() && self.pinned.iter().any(|pinned| pinned == server) {
            return Self::verify_pinned(server, name, now);
        }
        verdict.map_err(|error| match error {
            // An authority has the issuer's name and another kind of key: it is not the issuer.
            rustls::Error::InvalidCertificate(
                CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
            ) => CertificateError::UnknownIssuer.into(),
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests;
