//! What a command can fail with, its exit code, and the remedy if there is one.

use std::{error, io};

use rustls::CertificateError;
use serde::Serialize;

use super::{connect::Peer, hint, password};
use crate::{
    client::{
        credential::InvalidCredential,
        endpoint::InvalidEndpoint,
        error::{Answer, Cause, Error as Call},
        trust::InvalidTrust,
    },
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
        source: Call,
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
    /// Others can read or change a file that is the user's alone.
    #[error("'{path}' is not used: {reason}")]
    Exposed { path: String, reason: String },
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
    /// A private key is encrypted, and nobody can be asked for its password.
    #[error(
        "the private key '{key}' is encrypted, and there is no terminal to ask for its password"
    )]
    NoPassword { key: String, source: io::Error },
    /// The credential cannot be used as it was given.
    #[error("{0}")]
    Proof(String),
    /// What the command did before was taken away, and there is another way now.
    #[error("{text}")]
    Retired { text: String, hint: String },
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
    /// A word is nothing that the command knows.
    #[error("{text}")]
    Unknown {
        text: String,
        /// What may be meant.
        near: Option<String>,
    },
    /// A migration did not do all that it was to do.
    #[error("{text}")]
    Unmigrated {
        /// What is missing.
        text: String,
        hint: &'static str,
    },
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

    /// The kind of failure, for programs (cli.md 19.2).
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Call { source, .. } => code_of_call(source),
            Self::Credential { .. } | Self::NoPassword { .. } | Self::Proof(_) | Self::Stranger => {
                "credentials"
            }
            Self::Configuration(_)
            | Self::Endpoint { .. }
            | Self::Exposed { .. }
            | Self::Setup(_) => "config",
            Self::Exists(_) => "exists",
            Self::Server(_) | Self::Unhealthy(_) => "server",
            Self::Usage(_) | Self::Retired { .. } => "usage",
            Self::Aborted
            | Self::File { .. }
            | Self::Interrupted
            | Self::Invalid(_)
            | Self::Io { .. }
            | Self::Negative
            | Self::Unknown { .. }
            | Self::Unmigrated { .. } => "invalid",
        }
    }

    /// Whether the server knows no key of that name, as against a route that it does not know.
    pub(super) fn is_missing_key(&self) -> bool {
        matches!(self, Self::Call { source: Call::Answer(answer), .. }
            if answer.status == 404 && answer.message == "key does not exist")
    }

    /// Whether the same question may be answered well a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unhealthy(_) => true,
            Self::Call { source, .. } => match source {
                Call::Answer(answer) => answer.status >= 500,
                Call::Connection { source, .. } => !matches!(source, Cause::Tls { .. }),
                _ => false,
            },
            _ => false,
        }
    }

    /// The failure as programs read it.
    pub(super) fn report(&self) -> Report {
        let mut report = Report {
            code: self.code(),
            message: self.text(),
            hint: self.hint(),
            ..Report::default()
        };
        if let Self::Call { source, peer, .. } = self {
            report.identity = peer.identity.as_ref().map(ToString::to_string);
            if let Call::Answer(answer) = source {
                report.status = Some(answer.status);
                report.method = Some(answer.method);
                report.path = Some(answer.path.clone());
            }
        }
        report
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Call { source, peer, .. } => hint::of_call(source, peer),
            Self::Credential {
                source: InvalidCredential::Key(error),
                ..
            } => Some(error.hint(password::ORIGINS)),
            Self::NoPassword { .. } => Some(format!("set {}", password::ORIGINS)),
            Self::Server(error) => error.hint(),
            Self::Retired { hint, .. } => Some(hint.clone()),
            Self::Unknown { near, .. } => near
                .as_ref()
                .map(|near| format!("'{near}' is a subcommand: is it meant?")),
            Self::Exposed { path, .. } => Some(format!(
                "make it yours alone: chown \"$USER\" '{path}' && chmod 600 '{path}'"
            )),
            Self::Exists(_) => Some("use --force to replace it".to_owned()),
            Self::Unmigrated { hint, .. } => Some((*hint).to_owned()),
            Self::Stranger => Some(
                "set KES_API_KEY, or KES_CLIENT_KEY and KES_CLIENT_CERT, or use --api-key; 'kes identity new' makes one"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

fn code_of_call(error: &Call) -> &'static str {
    match error {
        Call::Answer(answer) => code_of_answer(answer),
        Call::Connection { source, .. } => match source {
            Cause::Timeout { .. } => "timeout",
            Cause::Tls { error, .. } => code_of_tls(error),
            Cause::Connect(_) | Cause::Handshake(_) | Cause::Http(_) | Cause::Resolve(_) => {
                "connection"
            }
        },
        Call::InvalidIdentity(_)
        | Call::InvalidName(_)
        | Call::InvalidPattern(_)
        | Call::InvalidPolicyName(_) => "invalid",
        Call::Malformed { .. } | Call::TooLarge { .. } => "server",
        Call::Setup(_) => "config",
    }
}

fn code_of_answer(answer: &Answer) -> &'static str {
    match (answer.status, answer.message.as_str()) {
        (403, _) => "not_authorized",
        (404, _) => "not_found",
        (400, "key already exists") => "exists",
        (400, message) if message.starts_with("decryption failed") => "decrypt",
        (400..500, _) => "invalid",
        _ => "server",
    }
}

fn code_of_tls(error: &rustls::Error) -> &'static str {
    use CertificateError as Certificate;
    use rustls::Error as Tls;

    match error {
        Tls::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => "tls_name",
        Tls::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => "tls_expired",
        Tls::InvalidCertificate(_) => "tls_untrusted",
        Tls::AlertReceived(_) => "tls_client_rejected",
        _ => "connection",
    }
}

/// A failure as programs read it (cli.md 19.2).
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) code: &'static str,
    /// HTTP status, if a server answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    message: String,
    /// Whom the server takes this client for, computed here.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Report {
    /// What the parser of the command line says, without the usage below it.
    pub(super) fn of_misuse(text: &str) -> Self {
        let text = text.strip_prefix("error: ").unwrap_or(text);
        let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
        let tip = rest
            .lines()
            .find_map(|line| line.trim().strip_prefix("tip: "));
        Self {
            code: "usage",
            message: message.split_whitespace().collect::<Vec<_>>().join(" "),
            hint: tip.map(str::to_owned),
            ..Self::default()
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
