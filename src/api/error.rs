//! [`Error`]: what a client is told when a request fails, the only place that decides it.
//!
//! Status and text are the wire contract: clients compare some of them byte for byte (api.md 6.2). Why something failed is in
//! [`source`](std::error::Error::source), for the server's own log; it never travels.

use hyper::StatusCode;

use super::forwarded::Refusal;
use crate::{identity::ChainError, keyring, secret::NoRandomness};

/// What a client is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not what the route expects.
    #[error("invalid request body")]
    Body,
    /// A name or pattern in the path breaks the rules of names.
    #[error("{}", .what.text(.resource))]
    Name {
        /// Which kind of name.
        what: Named,
        /// The text as received, decoded.
        resource: String,
    },
    /// The cipher of an import is unknown.
    #[error("algorithm '{0}' is not supported")]
    Cipher(String),
    /// The ciphertext does not decrypt, for whatever reason.
    #[error("decryption failed: ciphertext is not authentic")]
    Decrypt,
    /// The caller may not do this.
    #[error("not authorized: insufficient permissions")]
    Denied,
    /// The key exists already.
    #[error("key already exists")]
    Exists,
    /// What a TLS proxy forwards, or somebody in its place, is not accepted.
    #[error(transparent)]
    Forwarded(#[from] Refusal),
    /// The HMAC key of an import has the wrong length.
    #[error("invalid HMAC key size: expected 32 bytes")]
    HmacKeySize,
    /// The client's certificates give no identity.
    #[error(transparent)]
    Identity(#[from] ChainError),
    /// The body of an import is not JSON of its form.
    #[error("invalid import key request body")]
    ImportBody,
    /// The handler panicked.
    #[error("internal server error")]
    Internal,
    /// The secret of an import has the wrong length.
    #[error("invalid key size for '{0}'")]
    KeySize(String),
    /// The body was announced, and there is nothing in it.
    #[error("request body was lost, send the request again")]
    LostBody,
    /// The path is right, the method is not.
    #[error("received method '{received}' expected '{expected}'")]
    Method {
        /// The method of the request.
        received: String,
        /// The route's.
        expected: &'static str,
    },
    /// The key has no HMAC key.
    #[error("key does not support HMAC")]
    NoHmac,
    /// There is no such key, policy or identity.
    #[error("{} does not exist", .0.noun())]
    NotFound(Named),
    /// The keystore cannot serve.
    #[error("{}", if *unreachable { "key store is not reachable" } else { "key store is unavailable" })]
    NotReady {
        /// Whether it cannot even be reached.
        unreachable: bool,
        /// Why.
        #[source]
        source: keyring::Error,
    },
    /// A path that is no route.
    #[error("not found")]
    NoRoute,
    /// The path has `.` or `..` in it.
    #[error("invalid path: '.' and '..' are not allowed")]
    Path,
    /// The system has no randomness to give.
    #[error("{failed}")]
    Randomness {
        /// What could not be done.
        failed: &'static str,
        /// Why.
        #[source]
        source: NoRandomness,
    },
    /// A route that the predecessor gave up.
    #[error("not implemented")]
    Retired,
    /// The keystore failed, or what it holds cannot be read.
    #[error("failed to {doing}")]
    Store {
        /// What could not be done.
        doing: &'static str,
        /// Why.
        #[source]
        source: keyring::Error,
    },
    /// The route's time limit was hit.
    #[error("request timed out")]
    TimedOut,
    /// A bulk decryption with too many entries.
    #[error("too many ciphertexts")]
    TooMany,
}

/// What a path can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// An identity.
    Identity,
    /// A key.
    Key,
    /// A pattern of a listing.
    Pattern,
    /// A policy.
    Policy,
}

impl Named {
    fn noun(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Key => "key",
            Self::Pattern => "listing pattern",
            Self::Policy => "policy",
        }
    }

    fn text(self, resource: &str) -> String {
        match self {
            Self::Identity => {
                format!("identity '{resource}' is empty, too long or contains invalid characters")
            }
            Self::Key | Self::Policy => format!(
                "{} name '{resource}' is empty, too long or contains invalid characters",
                self.noun()
            ),
            Self::Pattern => {
                format!("listing pattern '{resource}' is empty, too long or is invalid")
            }
        }
    }
}

impl Error {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Body
            | Self::Name { .. }
            | Self::Decrypt
            | Self::Exists
            | Self::Identity(_)
            | Self::ImportBody
            | Self::Path
            | Self::TooMany => StatusCode::BAD_REQUEST,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Forwarded(refusal) => refusal.status(),
            Self::NoRoute | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Cipher(_) | Self::HmacKeySize | Self::KeySize(_) => StatusCode::NOT_ACCEPTABLE,
            Self::NoHmac => StatusCode::CONFLICT,
            // SDKs repeat what got this status, and nothing else, and in full (api.md 14.2).
            Self::LostBody => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal | Self::Randomness { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Retired => StatusCode::NOT_IMPLEMENTED,
            Self::Store { .. }
            | Self::NotReady {
                unreachable: false, ..
            } => StatusCode::BAD_GATEWAY,
            Self::NotReady {
                unreachable: true, ..
            }
            | Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// What clients of before 2022-02-28 were told in place of this (minio.md A7.3).
    pub fn old_text(&self) -> Option<&'static str> {
        match self {
            Self::Denied => Some("prohibited by policy"),
            Self::Forwarded(refusal) if refusal.is_denial() => Some("prohibited by policy"),
            Self::Exists => Some("key does already exist"),
            _ => None,
        }
    }

    /// What the keyring's error means to a client who asked to do `doing`.
    pub fn store(doing: &'static str, source: keyring::Error) -> Self {
        match source.kind() {
            keyring::Kind::Exists => Self::Exists,
            keyring::Kind::NotFound => Self::NotFound(Named::Key),
            keyring::Kind::Other | keyring::Kind::Unreachable => Self::Store { doing, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All texts that clients may see: change one only together with a line in the changelog.
    #[test]
    #[expect(clippy::too_many_lines, reason = "one line for each text")]
    fn the_wire_contract_stands() {
        let aborted = || keyring::Error::Aborted("k".into());
        let name = |what| Error::Name {
            what,
            resource: "a b".into(),
        };
        let not_ready = |unreachable| Error::NotReady {
            unreachable,
            source: aborted(),
        };
        let invalid = "is empty, too long or contains invalid characters";
        let golden: [(Error, u16, &str); 28] = [
            (Error::Body, 400, "invalid request body"),
            (name(Named::Key), 400, &format!("key name 'a b' {invalid}")),
            (
                name(Named::Policy),
                400,
                &format!("policy name 'a b' {invalid}"),
            ),
            (
                name(Named::Identity),
                400,
                &format!("identity 'a b' {invalid}"),
            ),
            (
                name(Named::Pattern),
                400,
                "listing pattern 'a b' is empty, too long or is invalid",
            ),
            (
                Error::Cipher("x".into()),
                406,
                "algorithm 'x' is not supported",
            ),
            (
                Error::Decrypt,
                400,
                "decryption failed: ciphertext is not authentic",
            ),
            (
                Error::Denied,
                403,
                "not authorized: insufficient permissions",
            ),
            (Error::Exists, 400, "key already exists"),
            (
                Error::HmacKeySize,
                406,
                "invalid HMAC key size: expected 32 bytes",
            ),
            (
                ChainError::Missing.into(),
                400,
                "tls: client certificate is required",
            ),
            (
                ChainError::Ambiguous.into(),
                400,
                "tls: received more than one client certificate",
            ),
            (Error::ImportBody, 400, "invalid import key request body"),
            (Error::Internal, 500, "internal server error"),
            (
                Error::KeySize("AES256".into()),
                406,
                "invalid key size for 'AES256'",
            ),
            (
                Error::LostBody,
                503,
                "request body was lost, send the request again",
            ),
            (
                Error::Method {
                    received: "HEAD".into(),
                    expected: "GET",
                },
                405,
                "received method 'HEAD' expected 'GET'",
            ),
            (Error::NoHmac, 409, "key does not support HMAC"),
            (Error::NotFound(Named::Key), 404, "key does not exist"),
            (Error::NotFound(Named::Policy), 404, "policy does not exist"),
            (
                Error::NotFound(Named::Identity),
                404,
                "identity does not exist",
            ),
            (not_ready(true), 504, "key store is not reachable"),
            (not_ready(false), 502, "key store is unavailable"),
            (Error::NoRoute, 404, "not found"),
            (
                Error::Path,
                400,
                "invalid path: '.' and '..' are not allowed",
            ),
            (Error::Retired, 501, "not implemented"),
            (
                Error::store("read key", aborted()),
                502,
                "failed to read key",
            ),
            (Error::TimedOut, 504, "request timed out"),
        ];
        for (error, status, text) in golden {
            assert_eq!(error.status().as_u16(), status, "{text}");
            assert_eq!(error.to_string(), text);
        }
        assert_eq!(Error::TooMany.to_string(), "too many ciphertexts");
    }
}
