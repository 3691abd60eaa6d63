//! Keys in files, one each, in the plain layout of the predecessor (keystores.md 4).
//!
//! One directory; a key is a regular file of mode 0600, named as the key, that holds the value and nothing else. Beside the keys there
//! are, for moments, files that start with a dot: keys that are being created (`fs/directory.rs` says how).
//!
//! Promises: a create or delete that returned is on the disk, file and directory both; a key is never seen, and never stays behind,
//! half-written; any number of processes may work on one directory, over a network file system too, because nothing is remembered between
//! two operations. Keys lie in plain text: whoever reads the disk has them. A deleted file's blocks are not overwritten.
//!
//! Each operation runs from begin to end on a thread for blocking work, so cancelling one never stops it half-way.

use std::{
    fmt, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::{sync::Semaphore, task::spawn_blocking};

use self::directory::{Directory, Flushes};
use super::{Error, Keystore, Page, check_value};
use crate::{name::KeyName, secret::Secret};

mod directory;
mod fault;
mod start;
mod temporary;

/// Most operations at once. Each takes a thread and up to three descriptors; a file system that hangs must not take all there are.
/// Enough for many creates to share one flush of the file system's journal.
const MAX_PARALLEL: usize = 64;

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The directory. Made when it is missing; a relative path is relative to the working directory.
    pub path: PathBuf,
}

/// Keys in files.
pub struct FsStore {
    path: Arc<Path>,
    slots: Arc<Semaphore>,
    flushes: Flushes,
}

impl Settings {
    /// Whether the other directory is this one or lies in it, whatever the paths say: links, bind mounts and `..` are seen through. One
    /// that is not there lies where it would be made, and contains nothing.
    ///
    /// # Errors
    /// What the file system says when one of them cannot be looked at.
    pub fn contains(&self, other: &Self) -> io::Result<bool> {
        let own = match self.path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            own => own?,
        };
        let mut path = std::path::absolute(&other.path)?;
        // The part that is there, where links lead.
        let there = loop {
            match path.canonicalize() {
                Ok(there) => break there,
                Err(error) if error.kind() == io::ErrorKind::NotFound && path.pop() => {}
                Err(error) => return Err(error),
            }
        };
        for above in there.ancestors() {
            let above = above.metadata()?;
            if (above.dev(), above.ino()) == (own.dev(), own.ino()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Opens the directory, making it first when it is missing, and clears away what crashes have left behind. Returns the store and what its
/// operator should know, one sentence each.
///
/// # Errors
/// [`Error::Unreachable`] if the path is not a directory or lies in a place that does not exist, [`Error::Refused`] if it may not be
/// entered or made. A directory that can be read but not written is a warning.
pub async fn connect(settings: &Settings) -> Result<(FsStore, Vec<String>), Error> {
    let path: Arc<Path> = Arc::from(settings.path.as_path());
    let start = {
        let path = Arc::clone(&path);
        on_blocking_thread(move || start::start(&path)).await?
    };
    let store = FsStore {
        path,
        slots: Arc::new(Semaphore::new(MAX_PARALLEL)),
        flushes: Flushes::with(start.hard_links),
    };
    Ok((store, start.warnings))
}

/// Opens the directory to read keys and nothing else: nothing in it or about it is changed, made or cleared away, and creating and deleting
/// are refused. Returns the store and what its reader should know, one sentence each.
///
/// # Errors
/// As [`connect`]; a directory that is missing is [`Error::Unreachable`].
pub async fn connect_to_read(settings: &Settings) -> Result<(FsStore, Vec<String>), Error> {
    let path: Arc<Path> = Arc::from(settings.path.as_path());
    let warnings = {
        let path = Arc::clone(&path);
        on_blocking_thread(move || start::look(&path)).await?
    };
    let store = FsStore {
        path,
        slots: Arc::new(Semaphore::new(MAX_PARALLEL)),
        flushes: Flushes::Never,
    };
    Ok((store, warnings))
}

impl FsStore {
    /// Opens the directory and works in it, on a thread for blocking work; from the moment that begins, it also ends.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|source| Error::unreachable("fs: the store is closed", source))?;
        let path = Arc::clone(&self.path);
        let flushes = self.flushes;
        on_blocking_thread(move || {
            // Given back when the work ends, not when the caller goes away.
            let _slot = slot;
            work(&Directory::open(&path, flushes)?)
        })
        .await
    }
}

impl FsStore {
    /// Refuses if the store was opened to read.
    fn check_purpose(&self, what: &str) -> Result<(), Error> {
        if self.flushes == Flushes::Never {
            return Err(Error::Refused {
                what: format!(
                    "fs: cannot {what}: '{}' was opened to be read",
                    self.path.display()
                ),
                source: None,
            });
        }
        Ok(())
    }
}

/// Runs `work` on a thread for blocking work.
async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|source| Err(Error::unreachable("fs: the operation was given up", source)))
}

impl fmt::Display for FsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filesystem: {}", self.path.display())
    }
}

#[async_trait]
impl Keystore for FsStore {
    async fn status(&self) -> Result<Duration, Error> {
        let start = Instant::now();
        self.run(Directory::check_writable).await?;
        Ok(start.elapsed())
    }

    async fn create(&self, name: &KeyName, value: &Secret) -> Result<(), Error> {
        check_value(value)?;
        self.check_purpose("create keys")?;
        let name = name.clone();
        let value = Secret::copy_from(value.expose());
        self.run(move |directory| directory.create(&name, &value))
            .await
    }

    async fn get(&self, name: &KeyName) -> Result<Secret, Error> {
        let name = name.clone();
        self.run(move |directory| directory.get(&name)).await
    }

    async fn delete(&self, name: &KeyName) -> Result<(), Error> {
        self.check_purpose("delete keys")?;
        let name = name.clone();
        self.run(move |directory| directory.delete(&name)).await
    }

    async fn list(&self, prefix: &str, from: Option<&str>, limit: usize) -> Result<Page, Error> {
        let prefix = prefix.to_owned();
        let from = from.map(str::to_owned);
        self.run(move |directory| directory.list(&prefix, from.as_deref(), limit))
            .await
    }
}

#[cfg(test)]
mod tests;
