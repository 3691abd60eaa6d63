//! Keystores: durable bytes by name (keystores.md 1).
//!
//! [`Keystore`] is what every store implements; the conformance suite in `tests/integration/keystore/` holds each to it. Values
//! are opaque text to a store: it stores and returns exactly the bytes it was given. Parsing and caching are the keyring's, time
//! limits are the caller's.
//!
//! A store is a file of this folder with its `Settings` (typed, checked) and a `connect`; [`open`] is the only place that knows
//! which stores there are. What a store has to tell an operator at start-up travels as [`Opened::warnings`]; nothing here logs.

use std::{fmt::Display, sync::Arc, time::Duration};

use async_trait::async_trait;

pub use self::page::{Page, Selection};
use crate::{name::KeyName, secret::Secret};

pub mod fs;
pub mod mem;
mod page;
pub mod settings;

/// Largest value in bytes that a store takes or returns. A service may be narrower; a stored key has a few hundred bytes.
pub const MAX_VALUE: usize = 1 << 20;

/// Why something failed, as far as it is known: the `source` of an [`Error`].
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong, in the classes that callers act on (keystores.md 1.2). The texts name the store, the key and, where there is
/// one, the remedy; they never hold a value or a credential. `source` says why.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is taken. Nothing was changed.
    #[error("key already exists")]
    Exists,
    /// What was to be stored, or what the store answered, cannot be a value: too large, empty, not a regular file, not what its
    /// format says. Trying again does not help.
    #[error("{0}")]
    Malformed(String),
    /// There is no such name.
    #[error("key does not exist")]
    NotFound,
    /// The store is there but refuses: permission, quota, full, read-only, sealed. Someone has to do something.
    #[error("{what}")]
    Refused {
        /// What was refused by which store, and what helps.
        what: String,
        /// Why.
        #[source]
        source: Option<Cause>,
    },
    /// The store cannot be reached: network, TLS, time-out, missing directory. Trying again later may help.
    #[error("keystore unreachable: {what}")]
    Unreachable {
        /// What was tried on which store.
        what: String,
        /// Why it failed.
        #[source]
        source: Option<Cause>,
    },
}

impl Error {
    /// An [`Error::Refused`] with its cause.
    pub fn refused(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Refused {
            what: what.into(),
            source: Some(source.into()),
        }
    }

    /// An [`Error::Unreachable`] with its cause.
    pub fn unreachable(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Unreachable {
            what: what.into(),
            source: Some(source.into()),
        }
    }
}

/// Durable bytes by name.
///
/// Its `Display` is the store's row of the start-up banner (config.md 9.1). Handles are shared as `Arc<dyn Keystore>`; dropping the
/// last one ends what the store runs in the background.
///
/// Any number of processes may use the same data at once, the predecessor among them. A store therefore keeps nothing in memory that
/// another process could change.
///
/// Cancelling (dropping a future before it is done) never leaves a half-made entry: a cancelled `create` or `delete` happens completely
/// or not at all, possibly after the drop. Callers that must know which run it to its end in a task of its own.
///
/// There is no way to change an entry. Should one come, it is a sixth method `replace(name, old, new)` that compares and sets, answers
/// [`Error::NotFound`] or a new `Error::Changed`, and never creates; `docs/decisions/0003-keystore-trait.md` sketches how each store would do it.
#[async_trait]
pub trait Keystore: Display + Send + Sync + 'static {
    /// Asks the store how it is; returns how long the answer took.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if it cannot be reached, any other if it is there but cannot serve.
    async fn status(&self) -> Result<Duration, Error>;

    /// Stores `value` under a new name; durable when it returns. Never overwrites, also not when several processes create the same name.
    ///
    /// An implementation calls [`check_value`] before anything else.
    ///
    /// # Errors
    /// [`Error::Exists`] if the name is taken, durably; [`Error::Malformed`] if `value` is not storable. After any other error the name
    /// may be taken or free, and never blocked.
    async fn create(&self, name: &KeyName, value: &Secret) -> Result<(), Error>;

    /// Returns exactly the bytes that were created. An entry that is being created is seen completely or not at all.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such name; [`Error::Malformed`] if there is something else than a value.
    async fn get(&self, name: &KeyName) -> Result<Secret, Error>;

    /// Removes a name; durable when it returns.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such name (a store that cannot tell returns Ok).
    async fn delete(&self, name: &KeyName) -> Result<(), Error>;

    /// The names that start with `prefix` and are not before `from`, at most `limit` of them, sorted by bytes. Names that are no valid
    /// [`KeyName`], not even an old one, (foreign entries, temporary files) are left out. `prefix` and `from` may be any text.
    ///
    /// A name that exists during the whole call is in the answer; one that is created or deleted meanwhile may be.
    async fn list(&self, prefix: &str, from: Option<&str>, limit: usize) -> Result<Page, Error>;
}

/// Checks that `value` may be written: 1 to [`MAX_VALUE`] bytes of printable ASCII, because some services carry text only and the next
/// reader may be another one (keystores.md 1.1). On reading, anything is taken.
///
/// # Errors
/// [`Error::Malformed`] if it may not.
pub fn check_value(value: &Secret) -> Result<(), Error> {
    let bytes = value.expose();
    let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if printable && (1..=MAX_VALUE).contains(&bytes.len()) {
        Ok(())
    } else {
        Err(Error::Malformed(format!(
            "value to be stored is not printable ASCII of 1 to {MAX_VALUE} bytes"
        )))
    }
}

/// Which store to open, and how. Equal settings lead to the same data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    /// Keys in files, in the plain layout of the predecessor (`keystore.fs`).
    Fs(fs::Settings),
    /// Keys in memory, lost when the process ends. A reload from `Mem` to `Mem` keeps the open store instead of opening a new one.
    Mem,
}

/// A store that is ready, and what its operator should know.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Keystore>,
    /// One sentence each, for the log at start-up and for `doctor`; without capital and full stop.
    pub warnings: Vec<String>,
}

/// Opens the store that `settings` name. The only match over kinds of stores.
///
/// # Errors
/// What the store says when it cannot be opened.
pub async fn open(settings: &Settings) -> Result<Opened, Error> {
    Ok(match settings {
        Settings::Fs(settings) => {
            let (store, warnings) = fs::connect(settings).await?;
            Opened {
                store: Arc::new(store),
                warnings,
            }
        }
        Settings::Mem => Opened {
            store: Arc::new(mem::MemStore::default()),
            warnings: vec![
                "keys are kept in memory only: all of them are lost when the server ends"
                    .to_owned(),
            ],
        },
    })
}

/// Opens the store that `settings` name to read keys and nothing else: nothing in it is changed, and creating and deleting are refused.
///
/// # Errors
/// What the store says when it cannot be opened. Keys in memory are [`Error::Refused`]: they end with the process that has them.
pub async fn open_to_read(settings: &Settings) -> Result<Opened, Error> {
    match settings {
        Settings::Fs(settings) => {
            let (store, warnings) = fs::connect_to_read(settings).await?;
            Ok(Opened {
                store: Arc::new(store),
                warnings,
            })
        }
        Settings::Mem => Err(Error::Refused {
            what: "keys in memory cannot be read from outside: they end with the process that has them"
                .to_owned(),
            source: None,
        }),
    }
}
