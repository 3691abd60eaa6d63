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
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::{sync::Semaphore, task::spawn_blocking};

use self::directory::Directory;
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
    hard_links: bool,
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
        hard_links: start.hard_links,
    };
    Ok((store, start.warnings))
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
        let hard_links = self.hard_links;
        on_blocking_thread(move || {
            // Given back when the work ends, not when the caller goes away.
            let _slot = slot;
            work(&Directory::open(&path, hard_links)?)
        })
        .await
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
