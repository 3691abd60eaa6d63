//! What the files of a TLS configuration hold at one moment, and whether they have been touched since.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Settings, certs};

/// How often the files are read anew when they change while they are read.
const ATTEMPTS: usize = 3;

/// A file's bytes, or why there are none.
pub(super) type Content = Result<Zeroizing<Vec<u8>>, certs::Error>;

/// What the files hold.
pub(super) struct Files {
    /// What the key is encrypted with, from its file; `None` if there is none.
    pub(super) password: Option<Content>,
    pub(super) cert: Content,
    pub(super) key: Content,
    /// The files of the authorities; `None` if none are configured, or clients are not verified.
    pub(super) ca: Option<Result<Vec<(PathBuf, Content)>, certs::Error>>,
}

impl Files {
    /// Reads all files; tries to catch them at a moment when nobody writes.
    pub(super) fn read(settings: &Settings) -> Self {
        let mut stamps = Stamps::of(settings);
        let mut files = Self::read_once(settings);
        for _ in 1..ATTEMPTS {
            let after = Stamps::of(settings);
            if after == stamps || !after.can_be_read_again() {
                break;
            }
            stamps = after;
            files = Self::read_once(settings);
        }
        files
    }

    fn read_once(settings: &Settings) -> Self {
        let ca = settings.authorities().map(|path| {
            let files = certs::files(path)?.into_iter();
            let read = |path: PathBuf| {
                let content = certs::read(&path);
                (path, content)
            };
            Ok(files.map(read).collect())
        });
        let password = settings.password_file.as_deref();
        Self {
            password: password.map(certs::read),
            cert: certs::read(&settings.cert),
            key: certs::read(&settings.key),
            ca,
        }
    }

    /// Equal for files that hold the same, or cannot be read for the same reason.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        add(&mut hash, &self.cert);
        add(&mut hash, &self.key);
        if let Some(password) = &self.password {
            add(&mut hash, password);
        }
        match &self.ca {
            None => {}
            Some(Err(error)) => add_error(&mut hash, error),
            Some(Ok(files)) => {
                for (path, content) in files {
                    add_bytes(&mut hash, path.as_os_str().as_encoded_bytes());
                    add(&mut hash, content);
                }
            }
        }
        hash.finalize().into()
    }
}

fn add(hash: &mut Sha256, content: &Content) {
    match content {
        Ok(bytes) => add_bytes(hash, bytes),
        Err(error) => add_error(hash, error),
    }
}

fn add_error(hash: &mut Sha256, error: &certs::Error) {
    // No file is that long.
    hash.update(u64::MAX.to_le_bytes());
    add_bytes(hash, format!("{error:?}").as_bytes());
}

fn add_bytes(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// What tells that a file is another one, or was written to, without reading it. Links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    regular: bool,
}

/// The stamps of all files. Equal as long as nobody touches them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamps(Vec<(PathBuf, Option<Stamp>)>);

impl Stamps {
    /// As the files are now.
    pub(super) fn of(settings: &Settings) -> Self {
        let mut paths = vec![settings.cert.clone(), settings.key.clone()];
        paths.extend(settings.password_file.clone());
        if let Some(ca) = settings.authorities() {
            match certs::files(ca) {
                Ok(files) => paths.extend(files),
                // Stands for itself, as a file that is not there.
                Err(_) => paths.push(ca.to_owned()),
            }
        }
        let stamped = |path: PathBuf| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        };
        Self(paths.into_iter().map(stamped).collect())
    }

    /// Whether all are plain files, which can be read again. A pipe gives its bytes once, and a reader may wait for them for ever.
    pub(super) fn can_be_read_again(&self) -> bool {
        self.0
            .iter()
            .all(|(_, stamp)| stamp.is_none_or(|stamp| stamp.regular))
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            regular: file.is_file(),
        })
    }
}
