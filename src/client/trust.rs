//! Which servers the client trusts: the system's roots, certificates of the user's, or anyone (cli.md 3.1).
//!
//! Users put the server's own self-signed certificate into the CA file. So a certificate of that file is trusted as an authority
//! and also as itself, whatever its basic constraints say; its dates and names count either way.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

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

/// The certificate that a server showed and that was refused: an error of the TLS library does not hold it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown(Arc<Mutex<Option<Box<CertificateDer<'static>>>>>);

impl Shown {
    /// The certificate, which is gone then.
    pub(super) fn take(&self) -> Option<Box<CertificateDer<'static>>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, leaf: CertificateDer<'static>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(leaf));
    }
}

/// Judges servers' certificates by a [`Trust`].
#[derive(Debug)]
pub(super) struct Verifier {
    /// The authorities of the user's; `None` if there are none.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// The system's authorities, once they were needed: reading them takes longer than most commands. `None` if not trusted.
    system: Option<OnceLock<Option<Arc<WebPkiServerVerifier>>>>,
    /// Trusted as themselves.
    pinned: Vec<CertificateDer<'static>>,
    anyone: bool,
    provider: Arc<CryptoProvider>,
    shown: Shown,
}

impl Verifier {
    pub(super) fn new(trust: Trust, provider: Arc<CryptoProvider>, shown: Shown) -> Self {
        let (system, pinned, anyone) = match trust {
            Trust::Anyone => (false, Vec::new(), true),
            Trust::Known { system, extra } => (system, extra, false),
        };
        Self {
            chain: verifier(pinned.iter().cloned(), &provider),
            system: system.then(OnceLock::new),
            pinned,
            anyone,
            provider,
            shown,
        }
    }

    /// The verdict of the user's authorities, else of the system's.
    fn verify_chain(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let ask = |chain: &Option<Arc<WebPkiServerVerifier>>| match chain {
            Some(chain) => chain.verify_server_cert(server, intermediates, name, &[], now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let verdict = ask(&self.chain);
        match &self.system {
            Some(system) if verdict.is_err() => {
                let roots = system.get_or_init(|| {
                    // A root that cannot be read makes only its own servers untrusted.
                    let roots = rustls_native_certs::load_native_certs().certs;
                    verifier(roots.into_iter(), &self.provider)
                });
                match ask(roots) {
                    Ok(verified) => Ok(verified),
                    // What the user's own authority says tells more than that the system's are strangers to it.
                    Err(error) if is_stranger(&error) => verdict,
                    error => error,
                }
            }
            _ => verdict,
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
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.anyone {
            return Ok(ServerCertVerified::assertion());
        }
        let verdict = if self.pinned.iter().any(|pinned| pinned == server) {
            Self::verify_pinned(server, name, now)
        } else {
            self.verify_chain(server, intermediates, name, now)
        };
        verdict.map_err(|error| {
            self.shown.put(server.clone().into_owned());
            // An authority has the issuer's name and another kind of key: it is not the issuer.
            if is_stranger(&error) {
                CertificateError::UnknownIssuer.into()
            } else {
                error
            }
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

/// A verifier of these authorities, if there are any.
fn verifier(
    roots: impl Iterator<Item = CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Option<Arc<WebPkiServerVerifier>> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots);
    let builder = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone());
    // Fails only for an empty set of roots.
    builder.build().ok()
}

/// Whether no authority that is trusted made the certificate.
fn is_stranger(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        )
    )
}

#[cfg(test)]
mod tests;
