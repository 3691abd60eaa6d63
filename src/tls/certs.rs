//! Certificate and key files (api.md 1.3, config.md 11.1 and 11.2).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{PemObject, SectionKind},
    },
};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};
use zeroize::Zeroizing;

/// Largest file that is read as PEM.
const MAX_FILE: u64 = 1 << 20;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The private key needs a password to be read.
    #[error(
        "https: private key is encrypted: decrypt it with `openssl pkey -in KEY -out NEW`, or make a new one with `kes identity new`"
    )]
    Encrypted,
    /// A file of a directory.
    #[error("{}", path.display())]
    InDirectory {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<Error>,
    },
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// The file has no private key.
    #[error("https: no PEM-encoded private key found")]
    NoKey,
    /// The file has no certificate, or something else than PEM after the last block.
    #[error("https: no valid PEM data")]
    NoPem,
    /// The file is larger than any certificate file.
    #[error("the file is larger than 1 MiB")]
    TooLarge,
    /// The file has a block that is none of its kind.
    #[error("https: unsupported PEM data block '{0}'")]
    UnsupportedBlock(String),
}

/// Reads a certificate chain, leaf first.
///
/// # Errors
/// [`Error`] if there is no certificate, or anything else than certificates.
pub fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    chain_of(&read(path)?)
}

/// The certificate chain in `text`, leaf first.
///
/// # Errors
/// [`Error`] if there is no certificate, or anything else than certificates.
pub fn chain_of(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    if let Some(other) = labels(text).find(|label| *label != "CERTIFICATE") {
        return Err(Error::UnsupportedBlock(other.to_owned()));
    }
    let blocks = <(SectionKind, Vec<u8>)>::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Error::NoPem)?;
    let certs: Vec<_> = blocks
        .into_iter()
        .map(|(_, der)| CertificateDer::from(der))
        .collect();
    if certs.is_empty() || !ends_with_block(text) {
        return Err(Error::NoPem);
    }
    Ok(certs)
}

/// Reads the first private key of a file; certificates in it are passed over. A password that is configured for a clear key is not
/// needed and thus ignored (api.md 1.3).
///
/// # Errors
/// [`Error`] if there is none, or if it is encrypted.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    key_of(&read(path)?)
}

/// The first private key in `text`; certificates are passed over.
///
/// # Errors
/// [`Error`] if there is none, or if it is encrypted.
pub fn key_of(text: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    for label in labels(text) {
        match label {
            "CERTIFICATE" => {}
            "ENCRYPTED PRIVATE KEY" => return Err(Error::Encrypted),
            label if label == "PRIVATE KEY" || label.ends_with(" PRIVATE KEY") => break,
            other => return Err(Error::UnsupportedBlock(other.to_owned())),
        }
    }
    if contains(text, b"Proc-Type: 4,ENCRYPTED") {
        return Err(Error::Encrypted);
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|_| Error::NoKey)
}

/// Reads trusted certificates: a file, or every file of a directory.
///
/// # Errors
/// [`Error`] at the first file that is not made of certificates.
pub fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    if !fs::metadata(path)?.is_dir() {
        return chain(path);
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let path = entry.path();
        // Kubernetes mounts a volume as links into a directory `..data`: neither is a certificate.
        if entry.file_name().as_encoded_bytes().starts_with(b"..") || fs::metadata(&path)?.is_dir()
        {
            continue;
        }
        let certs = chain(&path).map_err(|source| Error::InDirectory {
            path,
            source: Box::new(source),
        })?;
        all.extend(certs);
    }
    Ok(all)
}

/// The system's trusted roots; none if the system has none.
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Whether a certificate has a DNS name or an IP address among its subject alternative names.
pub fn names_a_host(cert: &CertificateDer<'_>) -> bool {
    let Ok((_, cert)) = X509Certificate::from_der(cert) else {
        return false;
    };
    let Ok(Some(names)) = cert.subject_alternative_name() else {
        return false;
    };
    names
        .value
        .general_names
        .iter()
        .any(|name| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_)))
}

/// The types of the PEM blocks, in their order.
fn labels(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|b| *b == b'\n').filter_map(|line| {
        let line = line.trim_ascii().strip_prefix(b"-----BEGIN ")?;
        std::str::from_utf8(line.strip_suffix(b"-----")?).ok()
    })
}

fn ends_with_block(text: &[u8]) -> bool {
    let last = text.trim_ascii().rsplit(|b| *b == b'\n').next();
    last.is_some_and(|line| line.trim_ascii().starts_with(b"-----END "))
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    // A special file has no length: what is not a regular file is read through the same bound.
    let file = fs::File::open(path)?;
    let size = file.metadata()?.len().min(MAX_FILE + 1);
    let capacity = usize::try_from(size).unwrap_or(0) + 1;
    let mut text = Zeroizing::new(Vec::with_capacity(capacity));
    io::Read::read_to_end(&mut io::Read::take(file, MAX_FILE + 1), &mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(Error::TooLarge);
    }
    Ok(text)
}
