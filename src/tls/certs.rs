//! Certificate and key files (api.md 1.3, config.md 11.1 and 11.2).

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rustls::{RootCertStore, pki_types::CertificateDer};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};
use zeroize::Zeroizing;

use crate::{
    pem::{self, KeyError},
    secret::Secret,
};

/// Largest file that is read as PEM.
const MAX_FILE: u64 = 1 << 20;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
    /// The private key cannot be used as it is.
    #[error("https: {0}")]
    Key(KeyError),
    /// The file with a password is empty.
    #[error("there is no password in its first line")]
    NoPassword,
    /// The file has no private key.
    #[error("https: no PEM-encoded private key found")]
    NoKey,
    /// The file has no certificate, or something else than PEM after the last block.
    #[error("https: no valid PEM data")]
    NoPem(#[source] Option<pem::Error>),
    /// The file is larger than any certificate file.
    #[error("the file is larger than 1 MiB")]
    TooLarge,
    /// The file has a block that is none of its kind.
    #[error("https: unsupported PEM data block '{0}'")]
    UnsupportedBlock(String),
}

impl Error {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InDirectory { source, .. } => source.hint(),
            Self::Io(error) => of_io(error),
            Self::Key(error) => {
                Some(error.hint("'tls.password' or 'tls.password_file' in the configuration"))
            }
            Self::UnsupportedBlock(label) if label == "EC PARAMETERS" => {
                Some("delete that block: the key says itself which curve it is of".to_owned())
            }
            _ => None,
        }
    }
}

/// Reads a certificate chain, leaf first.
///
/// # Errors
/// [`Error`] if there is no certificate, or anything else than certificates.
pub fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let mut chain = Vec::new();
    for block in pem::blocks(text) {
        let block = block.map_err(|error| Error::NoPem(Some(error)))?;
        if !block.is_certificate() {
            return Err(Error::UnsupportedBlock(block.label().to_owned()));
        }
        chain.push(CertificateDer::from(block.der().to_vec()));
    }
    if chain.is_empty() || !ends_with_block(text) {
        return Err(Error::NoPem(None));
    }
    Ok(chain)
}

/// Reads the first private key, as DER of any of the three forms; certificates before it are passed over, what stands behind it is not
/// looked at. A password that is configured for a clear key is not needed and thus ignored (api.md 1.3).
///
/// # Errors
/// [`Error`] if there is none, or if it cannot be decrypted.
pub fn key(text: &[u8], password: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>, Error> {
    for block in pem::blocks(text) {
        let block = block.map_err(|error| Error::NoPem(Some(error)))?;
        if block.is_private_key() {
            return block.private_key(password).map_err(Error::Key);
        }
        if !block.is_certificate() {
            return Err(Error::UnsupportedBlock(block.label().to_owned()));
        }
    }
    Err(Error::NoKey)
}

/// The password in the first line of a file.
///
/// # Errors
/// [`Error::NoPassword`] if there is nothing in it.
pub fn password(text: &[u8]) -> Result<Secret, Error> {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(Error::NoPassword);
    }
    Ok(Secret::copy_from(line))
}

/// Whether others than its owner and its group may read or change a private key's file: then what the operator should be told.
pub fn exposure(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    let what = match (mode & 0o004 != 0, mode & 0o002 != 0) {
        (true, _) => "read",
        (false, true) => "replaced",
        (false, false) => return None,
    };
    let path = path.display();
    Some(format!(
        "the private key {path} can be {what} by every user of this machine (mode {mode:04o}): chmod 600 {path}"
    ))
}

/// What to do about a file that cannot be read.
fn of_io(error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Some(
            "the user that the server runs as must be able to read the file and to enter all folders above it"
                .to_owned(),
        ),
        io::ErrorKind::IsADirectory => Some("name the file in that folder".to_owned()),
        io::ErrorKind::NotFound => Some(
            "relative paths start at the folder that the server is started in; an absolute one is safer".to_owned(),
        ),
        _ => None,
    }
}

/// The files that `path` stands for: itself, or the files of the directory that it is, sorted.
///
/// # Errors
/// [`Error::Io`] if it cannot be looked at.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // Kubernetes mounts a volume as links into a directory `..data`: neither is a certificate.
        if entry.file_name().as_encoded_bytes().starts_with(b"..") {
            continue;
        }
        let path = entry.path();
        // A link that leads nowhere is a file that cannot be read, and is to be told.
        if !fs::metadata(&path).is_ok_and(|file| file.is_dir()) {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Reads a file, wiped when dropped.
///
/// # Errors
/// [`Error::Io`] and [`Error::TooLarge`].
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
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

fn ends_with_block(text: &[u8]) -> bool {
    let last = text.trim_ascii().rsplit(|b| *b == b'\n').next();
    last.is_some_and(|line| line.trim_ascii().starts_with(b"-----END "))
}
