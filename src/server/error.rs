//! [`Error`]: why a server cannot start, or a configuration cannot be taken over.

use std::{fmt::Write as _, io, path::PathBuf};

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
    /// No certificate can be made for development mode.
    #[error("failed to make a certificate")]
    Certificate(#[source] rcgen::Error),
    /// The configuration is wrong. The text has a line for each problem.
    #[error("{0}")]
    Config(config::Errors),
    /// The file for the certificate of development mode cannot be written.
    #[error("failed to write the certificate to '{}'", path.display())]
    DevCertificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process may open too few files to serve anybody.
    #[error("no more than {limit} files may be open, and {needed} are needed to begin with")]
    FewFiles {
        /// How many may be.
        limit: u64,
        /// How many have to be.
        needed: u64,
    },
    /// A socket that a service manager has passed cannot be used.
    #[error("socket {number} of those that the service manager has passed cannot be used")]
    Inherited {
        /// Which one, from 1.
        number: usize,
        /// Why.
        #[source]
        source: io::Error,
    },
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
    #[error("failed to make a key")]
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
            Self::Bind { address, source } => of_bind(address, source),
            Self::FewFiles { .. } => Some(
                "raise the limit of open files (LimitNOFILE= of the unit, or 'ulimit -n')".to_owned(),
            ),
            Self::Inherited { .. } => Some(
                "the unit of the sockets must have 'ListenStream=PORT' or 'ListenStream=IP:PORT', and 'Accept=no'"
                    .to_owned(),
            ),
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

/// What to do about an address that cannot be listened on.
fn of_bind(address: &str, error: &io::Error) -> Option<String> {
    let port = address.rsplit_once(':').map_or(address, |(_, port)| port);
    match error.kind() {
        io::ErrorKind::AddrInUse => Some(format!(
            "another process listens there, 'ss -ltnp sport = :{port}' shows which: stop it, or choose another address with --addr"
        )),
        io::ErrorKind::AddrNotAvailable => Some(
            "no interface of this machine has that address, 'ip address' shows which there are; ':PORT' listens on all of them"
                .to_owned(),
        ),
        io::ErrorKind::PermissionDenied => {
            Some("ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one".to_owned())
        }
        _ => None,
    }
}
