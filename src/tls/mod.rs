//! TLS: certificates, what is asked of clients, and who a client is (api.md 1).

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor},
    server::{ServerSessionMemoryCache, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub mod certs;
mod files;
mod peer;
pub mod proxy;
mod validity;
mod verify;
mod version1;
mod watch;

use files::Files;
pub use peer::Peer;
pub use validity::{Notice, Reminder, Standing, Validity};
use verify::ClientVerifier;
pub use watch::{EVERY, Watch};

use crate::secret::Secret;

/// How many sessions a server remembers for resumption. One session takes about a kilobyte.
const SESSIONS: usize = 1024;

/// What the TLS side of a server is made of.
pub struct Settings {
    /// The certificate chain, PEM, leaf first.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// What the private key is encrypted with.
    pub password: Option<Secret>,
    /// The file whose first line is that, if it is not `password`.
    pub password_file: Option<PathBuf>,
    /// Whether client certificates must chain to a trusted root.
    pub verify_clients: bool,
    /// Roots to trust beside the system's: a PEM file or a directory of them.
    pub ca: Option<PathBuf>,
    /// Whether a client may come without a certificate; it then reaches only what needs none.
    pub optional: bool,
}

impl Settings {
    /// The roots that are needed.
    fn authorities(&self) -> Option<&Path> {
        self.ca.as_deref().filter(|_| self.verify_clients)
    }
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
    /// The file with the private key's password.
    #[error("failed to read the password of the TLS private key: {}", path.display())]
    Password {
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
    /// The TLS library has no use for the private key.
    #[error("TLS private key {} is malformed or of an unsupported kind", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// No root to verify clients against.
    #[error("tls.auth is on, but no root certificate can be trusted")]
    NoRoots(#[source] rustls::server::VerifierBuilderError),
    /// The TLS library refuses the parameters.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

impl Error {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Ca { source, .. }
            | Self::Certificate { source, .. }
            | Self::Key { source, .. }
            | Self::Password { source, .. } => source.hint(),
            Self::Mismatch { .. } => Some(
                "the first certificate of the file must be the one that was made for the private key"
                    .to_owned(),
            ),
            Self::NoSubjectAltName => Some(
                "make one with 'kes identity new --ip ADDRESS --dns NAME --key FILE --cert FILE'"
                    .to_owned(),
            ),
            Self::NoRoots(_) => Some("set 'tls.ca' to the authority of the clients".to_owned()),
            Self::UnknownKey { .. } => Some(
                "use RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519".to_owned(),
            ),
            Self::Setup(_) => None,
        }
    }
}

/// A root, by its hash.
type Root = [u8; 32];

/// TLS as one server configuration has it. Connections made with an older one keep it.
pub struct Tls {
    config: Arc<ServerConfig>,
    verifier: Arc<ClientVerifier>,
    validity: Option<Validity>,
    warning: Option<String>,
    mandatory: bool,
    /// Who may vouch for clients; `None` if nobody has to.
    roots: Option<BTreeSet<Root>>,
    fingerprint: [u8; 32],
}

impl Tls {
    /// A configuration of a certificate chain and a private key, both PEM. A client needs a certificate, and any will do.
    ///
    /// # Errors
    /// [`Error`], naming no file.
    pub fn in_memory(cert: &Secret, key: &Secret) -> Result<Self, Error> {
        let settings = Settings {
            cert: PathBuf::from("in memory"),
            key: PathBuf::from("in memory"),
            password: None,
            password_file: None,
            verify_clients: false,
            ca: None,
            optional: false,
        };
        let content = |text: &Secret| Ok(Zeroizing::new(text.expose().to_vec()));
        let files = Files {
            password: None,
            cert: content(cert),
            key: content(key),
            ca: None,
        };
        Self::build(&settings, files)
    }

    /// Builds the configuration from what the files hold.
    fn build(settings: &Settings, files: Files) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let digest = files.digest();
        let chain = files.cert.and_then(|text| certs::chain(&text));
        let chain = chain.map_err(|source| Error::Certificate {
            path: settings.cert.clone(),
            source,
        })?;
        if !chain.first().is_some_and(certs::names_a_host) {
            return Err(Error::NoSubjectAltName);
        }
        let validity = Validity::of_chain(&chain);
        let password = password(settings, files.password)?;
        let certified = Arc::new(certified(settings, chain, files.key, password.as_ref())?);
        let roots = if settings.verify_clients {
            Some(roots(settings, files.ca)?)
        } else {
            None
        };
        let known: Option<BTreeSet<Root>> = roots
            .as_ref()
            .map(|roots| roots.roots.iter().map(root).collect());
        let mandatory = !settings.optional;
        let verifier = Arc::new(match roots {
            None => ClientVerifier::any(&provider, mandatory),
            Some(roots) => {
                ClientVerifier::verified(&provider, mandatory, roots).map_err(Error::NoRoots)?
            }
        });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(verifier.clone())
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        // Clients in Go resume TLS 1.2 by tickets only. The key is this configuration's own, so the next one voids all tickets.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        let mut fingerprint = Sha256::new().chain_update(digest);
        for root in known.iter().flatten() {
            fingerprint.update(root);
        }
        Ok(Self {
            config: Arc::new(config),
            verifier,
            validity,
            warning: certs::exposure(&settings.key),
            mandatory,
            roots: known,
            fingerprint: fingerprint.finalize().into(),
        })
    }

    /// Equal for two that were built from the same files with equal settings and equal roots of the system.
    fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// When the server's certificate holds.
    pub fn validity(&self) -> Option<&Validity> {
        self.validity.as_ref()
    }

    /// What its owner should know about the private key's file.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Whether a client that came in under `old` might be turned away here: an authority is gone, or certificates are asked for or
    /// verified where they were not (decision 24).
    pub fn is_stricter_than(&self, old: &Self) -> bool {
        let fewer_roots = match (&old.roots, &self.roots) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(old), Some(new)) => !old.is_subset(new),
        };
        fewer_roots || (self.mandatory && !old.mandatory)
    }

    /// The configuration for the next handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// Judges certificates that no handshake shows: those of a resumed session, which may be older than the certificate's end, and
    /// one that a proxy forwards.
    ///
    /// # Errors
    /// If the chain would not pass a full handshake now.
    pub fn check_again(&self, chain: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
        let Some((first, rest)) = chain.split_first() else {
            return Ok(());
        };
        let now = rustls::pki_types::UnixTime::now();
        self.verifier.verify_client_cert(first, rest, now)?;
        Ok(())
    }
}

/// What the private key is encrypted with: the password itself, or the first line of its file.
fn password(settings: &Settings, file: Option<files::Content>) -> Result<Option<Secret>, Error> {
    let (Some(path), Some(content)) = (&settings.password_file, file) else {
        return Ok(settings
            .password
            .as_ref()
            .map(|password| Secret::copy_from(password.expose())));
    };
    let password = content.and_then(|text| certs::password(&text));
    let password = password.map_err(|source| Error::Password {
        path: path.clone(),
        source,
    });
    password.map(Some)
}

/// The chain with its private key, if they belong together.
fn certified(
    settings: &Settings,
    chain: Vec<CertificateDer<'static>>,
    key: files::Content,
    password: Option<&Secret>,
) -> Result<CertifiedKey, Error> {
    let key = key.and_then(|text| certs::key(&text, password));
    let key = key.map_err(|source| Error::Key {
        path: settings.key.clone(),
        source,
    })?;
    let unknown = |source| Error::UnknownKey {
        path: settings.key.clone(),
        source,
    };
    // Borrowed, so that the clear key exists once, in a buffer that is wiped.
    let der = PrivateKeyDer::try_from(key.as_slice())
        .map_err(|text| unknown(rustls::Error::General(text.to_owned())))?;
    let signer = aws_lc_rs::sign::any_supported_type(&der).map_err(unknown)?;
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        // All kinds of keys that the library knows tell their public key.
        Ok(()) => Ok(certified),
        Err(source) => Err(Error::Mismatch {
            cert: settings.cert.clone(),
            key: settings.key.clone(),
            source,
        }),
    }
}

/// What makes a root this one: its name, its key, and what it may vouch for.
fn root(anchor: &TrustAnchor<'_>) -> Root {
    let constraints = anchor.name_constraints.as_ref();
    let mut hash = Sha256::new();
    for part in [
        Some(&anchor.subject),
        Some(&anchor.subject_public_key_info),
        constraints,
    ] {
        let bytes = part.map_or(&[][..], |der| der.as_ref());
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    hash.finalize().into()
}

/// The system's roots and those of the files.
fn roots(
    settings: &Settings,
    files: Option<Result<Vec<(PathBuf, files::Content)>, certs::Error>>,
) -> Result<RootCertStore, Error> {
    let mut roots = certs::system_roots();
    let (Some(path), Some(files)) = (settings.authorities(), files) else {
        return Ok(roots);
    };
    let wrong = |source| Error::Ca {
        path: path.to_owned(),
        source,
    };
    for (file, content) in files.map_err(wrong)? {
        let chain = content.and_then(|text| certs::chain(&text));
        let chain = chain.map_err(|source| {
            wrong(if file == path {
                source
            } else {
                certs::Error::InDirectory {
                    path: file,
                    source: Box::new(source),
                }
            })
        })?;
        for cert in chain {
            roots.add(cert)?;
        }
    }
    Ok(roots)
}

#[cfg(test)]
mod tests;
