//! What a command can fail with, its exit code, and the remedy if there is one.

use std::{error, io};

use super::{connect::Peer, hint};
use crate::{
    client::{self, credential::InvalidCredential, endpoint::InvalidEndpoint, trust::InvalidTrust},
    config,
    secret::NoRandomness,
    server,
};

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The user was asked, and said no.
    #[error("not confirmed, nothing was done")]
    Aborted,
    /// A call to the server failed.
    #[error("{doing}")]
    Call {
        /// What was being done; empty if the failure speaks for itself.
        doing: String,
        source: client::error::Error,
        peer: Box<Peer>,
    },
    /// Certificate and key files cannot be used.
    #[error("cannot use the certificate '{certificate}' with the key '{key}'")]
    Credential {
        certificate: String,
        key: String,
        source: InvalidCredential,
    },
    /// A server's address cannot be read.
    #[error("invalid server address in {origin}")]
    Endpoint {
        /// The flag or variable it was given in.
        origin: String,
        source: InvalidEndpoint,
    },
    /// A file that must not exist does.
    #[error("the file '{0}' exists")]
    Exists(String),
    /// The file system says no.
    #[error("cannot {doing} '{path}'")]
    File {
        doing: &'static str,
        path: String,
        source: io::Error,
    },
    /// The user pressed the interrupt key.
    #[error("interrupted")]
    Interrupted,
    /// A configuration file is wrong. The text has a line for each problem.
    #[error("{0}")]
    Configuration(config::Errors),
    /// The input is not what the command works on.
    #[error("{0}")]
    Invalid(String),
    /// Standard output or input broke.
    #[error("cannot {doing}")]
    Io {
        doing: &'static str,
        source: io::Error,
    },
    /// The server cannot run.
    #[error(transparent)]
    Server(Box<server::Error>),
    /// The client cannot be set up.
    #[error("cannot set up the client")]
    Setup(#[source] Box<dyn error::Error + Send + Sync>),
    /// The answer, which was printed, is no.
    #[error("no")]
    Negative,
    /// Nothing proves who the client is.
    #[error("no API key: neither MINIO_KES_API_KEY nor another credential is set")]
    Stranger,
    /// The server works, but its keystore does not.
    #[error("the keystore is {0}")]
    Unhealthy(&'static str),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// Whether it is told at all: who interrupts a command, or closes its output, knows.
    pub(super) fn is_silent(&self) -> bool {
        match self {
            Self::Interrupted | Self::Negative => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }

    /// 1 for what failed, 2 for what was misused.
    pub(super) fn exit_code(&self) -> u8 {
        if matches!(self, Self::Usage(_)) { 2 } else { 1 }
    }

    /// The failure and its causes, in one line.
    pub(super) fn text(&self) -> String {
        let mut text = self.to_string();
        let mut source = error::Error::source(self);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // A transparent error repeats the text of its cause.
            if !text.ends_with(&cause_text) {
                if !text.is_empty() {
                    text.push_str(": ");
                }
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        text
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Call { source, peer, .. } => hint::of_call(source, peer),
            Self::Credential {
                source: InvalidCredential::Encrypted,
                ..
            } => Some("decrypt it with 'openssl pkey -in KEY -out FILE', or use an API key".to_owned()),
            Self::Server(error) => error.hint(),
            Self::Exists(_) => Some("use --force to replace it".to_owned()),
            Self::Stranger => Some(
                "set KES_API_KEY, or KES_CLIENT_KEY and KES_CLIENT_CERT, or use --api-key; 'kes identity new' makes one"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

impl From<NoRandomness> for Error {
    fn from(source: NoRandomness) -> Self {
        Self::Setup(Box::new(source))
    }
}

impl From<InvalidTrust> for Error {
    fn from(source: InvalidTrust) -> Self {
        Self::Setup(Box::new(source))
    }
}
