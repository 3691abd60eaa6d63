//! [`Error`]: why a server cannot start, or a configuration cannot be taken over.

use std::{fmt::Write as _, io};

use crate::{
    config, keyring, keystore, name::KeyName, secret::NoRandomness, telemetry::chain, tls,
};

/// Why a server cannot start. Display says what, [`Error::hint`] what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("failed to listen on {address}")]
    Bind {
        /// The address as configured.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The configuration is wrong. The text has a line for each problem.
    #[error("{0}")]
    Config(config::Errors),
    /// The keystore cannot be opened.
    #[error("failed to open the keystore")]
    Keystore(#[source] keystore::Error),
    /// Keys cannot be locked in memory, and `--mlock` demands it.
    #[error("failed to lock memory: {0}")]
    MemoryLock(String),
    /// A key under `keys` cannot be created.
    #[error("failed to create predefined key '{name}'")]
    PredefinedKey {
        /// The key.
        name: KeyName,
        /// Why.
        #[source]
        source: keyring::Error,
    },
    /// There is no randomness for keys.
    #[error("failed to create a predefined key")]
    Randomness(#[source] NoRandomness),
    /// The system gives no threads, sockets or signals.
    #[error("failed to start")]
    System(#[from] io::Error),
    /// A certificate or key file.
    #[error(transparent)]
    Tls(#[from] tls::Error),
}

impl Error {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Bind { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => Some(
                    "another process listens there: stop it, or choose another address with --addr"
                        .to_owned(),
                ),
                io::ErrorKind::PermissionDenied => {
                    Some("ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one".to_owned())
                }
                _ => None,
            },
            Self::MemoryLock(_) => Some(
                "grant CAP_IPC_LOCK or raise RLIMIT_MEMLOCK (LimitMEMLOCK= of the unit), or leave out --mlock"
                    .to_owned(),
            ),
            Self::Tls(error) => error.hint(),
            _ => None,
        }
    }

    /// The failure, its causes and the remedy, in one line.
    pub(super) fn line(&self) -> String {
        let mut text = chain(self);
        if let Some(hint) = self.hint() {
            let _ = write!(text, "; Hint: {hint}");
        }
        text.replace('\n', "; ")
    }
}
