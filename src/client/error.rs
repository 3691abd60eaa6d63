//! What a call can end with instead of a result, and how much of it the caller can act on.

use std::{error, io, time::Duration};

use rustls_pki_types::CertificateDer;

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server answered, and it was no success.
    #[error(transparent)]
    Answer(#[from] Answer),
    /// No answer arrived.
    #[error("kes: connection error: {request}")]
    Connection {
        /// Method and address of the request.
        request: String,
        /// What happened to the connection.
        source: Cause,
    },
    /// The text cannot be an identity. Nothing was sent.
    #[error("identity '{0}' is empty, too long or contains invalid characters")]
    InvalidIdentity(String),
    /// The name cannot be a key's. Nothing was sent.
    #[error("key name '{0}' is empty, too long or contains invalid characters")]
    InvalidName(String),
    /// The text cannot be a listing's prefix. Nothing was sent.
    #[error("listing pattern '{0}' is empty, too long or is invalid")]
    InvalidPattern(String),
    /// The name cannot be a policy's. Nothing was sent.
    #[error("policy name '{0}' is empty, too long or contains invalid characters")]
    InvalidPolicyName(String),
    /// The answer is not what the API promises. Says where, never what: it may hold a secret.
    #[error("the answer to {request} is not understood: {detail}")]
    Malformed {
        /// Method and address of the request.
        request: String,
        /// Where reading it failed.
        detail: String,
    },
    /// The TLS library refuses the client's own settings.
    #[error("the TLS settings cannot be used")]
    Setup(#[source] rustls::Error),
    /// The answer is longer than any the API gives.
    #[error("the answer to {request} is longer than {limit} bytes")]
    TooLarge {
        /// Method and address of the request.
        request: String,
        /// Bytes that would have been read.
        limit: usize,
    },
}

/// An answer other than success. Displays as the server's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The server's message, in its current wording; empty if it sent none.
    pub message: String,
    /// Method of the request.
    pub method: &'static str,
    /// Path of the request.
    pub path: String,
    /// The request had been sent before on a connection that was lost: the first attempt may have succeeded.
    pub repeated: bool,
}

impl error::Error for Answer {}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.message.is_empty() {
            write!(f, "the server answered with status {}", self.status)
        } else {
            f.write_str(&self.message)
        }
    }
}

/// What happened to a connection.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// Nobody accepted it.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// It broke while the request was on its way.
    #[error("the connection broke")]
    Http(#[source] hyper::Error),
    /// It broke during the TLS handshake.
    #[error("the TLS handshake broke off")]
    Handshake(#[source] io::Error),
    /// The host's name has no address.
    #[error("cannot resolve the host name")]
    Resolve(#[source] io::Error),
    /// Either side refused the other.
    #[error("{error}")]
    Tls {
        /// The TLS library's word.
        error: Box<rustls::Error>,
        /// The server's certificate, if it was this that was refused.
        shown: Option<Box<CertificateDer<'static>>>,
    },
    /// It took too long.
    #[error("no {step} within {} s", .limit.as_secs_f64())]
    Timeout {
        /// What did not happen.
        step: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
}

impl Cause {
    /// Whether the next attempt may end otherwise. A refused certificate stays refused.
    pub(super) fn is_transient(&self) -> bool {
        !matches!(self, Self::Tls { .. })
    }

    /// Whether the server may have acted on the request.
    pub(super) fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Http(_))
    }

    /// A failure of the handshake: the TLS library's own word if it has one.
    pub(super) fn of_handshake(
        error: io::Error,
        shown: Option<Box<CertificateDer<'static>>>,
    ) -> Self {
        match tls_error(&error) {
            Some(error) => Self::Tls {
                error: Box::new(error),
                shown,
            },
            None => Self::Handshake(error),
        }
    }
}

/// The TLS library's error among the causes of `error`.
pub(super) fn tls_error(error: &(dyn error::Error + 'static)) -> Option<rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls.clone());
        }
        // An I/O error hides what it wraps from `source`.
        next = match error.downcast_ref::<io::Error>() {
            Some(io) => io
                .get_ref()
                .map(|inner| inner as &(dyn error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}
