//! Keystores: durable bytes by name (keystores.md 1).
//!
//! [`Keystore`] is what every store implements; the conformance suite in `tests/integration/keystore/` holds each to it. Values
//! are opaque text to a store: it stores and returns exactly the bytes it was given. Parsing and caching are the keyring's.

use std::{fmt::Display, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{name::KeyName, secret::Secret};

pub mod fs;
pub mod mem;

/// Largest value in bytes that a store takes or returns.
pub const MAX_VALUE: usize = 1 << 20;

/// What can go wrong, in the classes that callers act on. Each names the store in its text; `source` says why.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is taken. Nothing was changed.
    #[error("key already exists")]
    Exists,
    /// The store answered something that cannot be a value: too large, not a regular file, not what its format says.
    #[error("{0}")]
    Malformed(String),
    /// There is no such name.
    #[error("key does not exist")]
    NotFound,
    /// The store is there but refuses: permission, quota, read-only, sealed.
    #[error("{what}")]
    Refused {
        /// What was refused, and by which store.
        what: String,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The store cannot be reached: network, TLS, time-out, missing directory.
    #[error("keystore unreachable: {what}")]
    Unreachable {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// One page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Names in ascending byte order.
    pub names: Vec<KeyName>,
    /// The first name that did not fit, when there are more.
    pub next: Option<KeyName>,
}

/// Durable bytes by name.
///
/// Every method is safe to cancel in the sense that a cancelled `create` or `delete` has either happened or not; callers that must
/// know run it to its end in a task of its own.
#[async_trait]
pub trait Keystore: Display + Send + Sync + 'static {
    /// Asks the store how it is; returns how long that took.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if it cannot be reached, any other if it is there but cannot serve.
    async fn status(&self) -> Result<Duration, Error>;

    /// Stores `value` under a new name; durable when it returns. Never overwrites, also not when several processes create the same name.
    ///
    /// # Errors
    /// [`Error::Exists`] if the name is taken; [`Error::Malformed`] if `value` is not printable ASCII of at most [`MAX_VALUE`] bytes.
    async fn create(&self, name: &KeyName, value: &Secret) -> Result<(), Error>;

    /// Returns exactly the bytes that were created.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such name.
    async fn get(&self, name: &KeyName) -> Result<Secret, Error>;

    /// Removes a name; durable when it returns.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such name (a store that cannot tell returns Ok).
    async fn delete(&self, name: &KeyName) -> Result<(), Error>;

    /// The names that start with `prefix` and are not before `from`, at most `limit` of them, sorted by bytes. Names that are no valid
    /// [`KeyName`] (foreign entries, temporary files) are left out.
    async fn list(&self, prefix: &str, from: Option<&str>, limit: usize) -> Result<Page, Error>;
}

/// Which store to open, and how.
#[derive(Clone, Debug)]
pub enum Settings {
    /// Keys in files, in the plain layout of the predecessor (`keystore.fs`).
    Fs(fs::Settings),
    /// Keys in memory, lost when the process ends.
    Mem,
}

/// Opens the store that `settings` name. The only match over kinds of stores.
///
/// # Errors
/// What the store says when it cannot be opened.
pub async fn open(settings: &Settings) -> Result<Arc<dyn Keystore>, Error> {
    match settings {
        Settings::Fs(_) => Err(Error::NotFound),
        Settings::Mem => Ok(Arc::new(mem::MemStore::default())),
    }
}
