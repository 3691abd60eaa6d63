//! TLS: certificates, what is asked of clients, and who a client is (api.md 1).

use std::{io, path::PathBuf, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::CertificateDer,
    server::{ServerSessionMemoryCache, danger::ClientCertVerifier},
};

pub mod certs;
mod peer;
mod verify;
mod version1;

pub use peer::Peer;
use verify::ClientVerifier;

/// How many sessions a server remembers for resumption. One session takes about a kilobyte.
const SESSIONS: usize = 1024;

/// What the TLS side of a server is made of.
pub struct Settings {
    /// The certificate chain, PEM, leaf first.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// Whether client certificates must chain to a trusted root.
    pub verify_clients: bool,
    /// Roots to trust beside the system's: a PEM file or a directory of them.
    pub ca: Option<PathBuf>,
    /// Whether a client may come without a certificate; it then reaches only what needs none.
    pub optional: bool,
}

/// Why TLS cannot be set up. The texts name the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificate file.
    #[error("failed to read TLS certificate: {}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: certs::Error,
    },
    /// The CA file or directory.
    #[error("failed to read TLS CA certificates: {}", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: certs::Error,
    },
    /// The private key file.
    #[error("failed to read TLS private key: {}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: certs::Error,
    },
    /// The certificate and the key do not belong together, or cannot be used.
    #[error("TLS certificate {} and private key {} cannot be used together", cert.display(), key.display())]
    Mismatch {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The certificate names no host.
    #[error("invalid TLS certificate: certificate does not contain any DNS or IP address as SAN")]
    NoSubjectAltName,
    /// No root to verify clients against.
    #[error("tls.auth is on, but no root certificate can be trusted")]
    NoRoots(#[source] rustls::server::VerifierBuilderError),
    /// The TLS library refuses the parameters.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// TLS as one server configuration has it. Connections made with an older one keep it.
pub struct Tls {
    config: Arc<ServerConfig>,
    verifier: Arc<ClientVerifier>,
}

impl Tls {
    /// Reads the files and builds the configuration.
    ///
    /// # Errors
    /// [`Error`], naming the file.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = certs::chain(&settings.cert).map_err(|source| Error::Certificate {
            path: settings.cert.clone(),
            source,
        })?;
        if !chain.first().is_some_and(certs::names_a_host) {
            return Err(Error::NoSubjectAltName);
        }
        let key = certs::key(&settings.key).map_err(|source| Error::Key {
            path: settings.key.clone(),
            source,
        })?;
        let verifier = Arc::new(Self::verifier(settings, &provider)?);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(verifier.clone())
            .with_single_cert(chain, key)
            .map_err(|source| Error::Mismatch {
                cert: settings.cert.clone(),
                key: settings.key.clone(),
                source,
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        // Clients in Go resume TLS 1.2 by tickets only. The key is this configuration's own, so a reload voids all tickets.
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        Ok(Self {
            config: Arc::new(config),
            verifier,
        })
    }

    fn verifier(
        settings: &Settings,
        provider: &Arc<CryptoProvider>,
    ) -> Result<ClientVerifier, Error> {
        let mandatory = !settings.optional;
        if !settings.verify_clients {
            return Ok(ClientVerifier::any(provider, mandatory));
        }
        let mut roots = certs::system_roots();
        if let Some(path) = &settings.ca {
            let extra = certs::authorities(path).map_err(|source| Error::Ca {
                path: path.clone(),
                source,
            })?;
            for cert in extra {
                roots.add(cert)?;
            }
        }
        ClientVerifier::verified(provider, mandatory, roots).map_err(Error::NoRoots)
    }

    /// The configuration for the next handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// Judges a resumed session's certificates again: the session may be older than the certificate's end.
    ///
    /// # Errors
    /// If the chain would not pass a full handshake now.
    pub fn check_again(&self, chain: &[CertificateDer<'_>]) -> io::Result<()> {
        let Some((first, rest)) = chain.split_first() else {
            return Ok(());
        };
        let now = rustls::pki_types::UnixTime::now();
        match self.verifier.verify_client_cert(first, rest, now) {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::new(io::ErrorKind::PermissionDenied, error)),
        }
    }
}
