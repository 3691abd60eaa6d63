//! What a person wants to know of a certificate that a server showed.

use std::net::IpAddr;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::cli::error::Error;

/// A certificate in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Shown {
    pub(in crate::cli) subject: String,
    pub(in crate::cli) issuer: String,
    /// DNS names and IP addresses it is valid for.
    pub(in crate::cli) names: Vec<String>,
    pub(in crate::cli) not_before: String,
    pub(in crate::cli) not_after: String,
    /// SHA-256 of the DER, as `AA:BB:…`: what other tools show, too.
    pub(in crate::cli) fingerprint: String,
    /// The certificate is its own issuer.
    pub(in crate::cli) self_signed: bool,
}

impl Shown {
    /// Reads a certificate in DER.
    pub(in crate::cli) fn of(der: &[u8]) -> Result<Self, Error> {
        let malformed = |_| Error::Invalid("the certificate is malformed".to_owned());
        let (_, x509) = X509Certificate::from_der(der).map_err(malformed)?;
        let names = match x509.subject_alternative_name() {
            Ok(Some(extension)) => extension
                .value
                .general_names
                .iter()
                .filter_map(name)
                .collect(),
            _ => Vec::new(),
        };
        let digest = Sha256::digest(der);
        let pairs: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        let validity = x509.validity();
        Ok(Self {
            subject: printable(&x509.subject().to_string()),
            issuer: printable(&x509.issuer().to_string()),
            names,
            not_before: day(validity.not_before.timestamp()),
            not_after: day(validity.not_after.timestamp()),
            fingerprint: pairs.join(":"),
            self_signed: x509.subject() == x509.issuer(),
        })
    }

    /// Labels and values for people.
    pub(in crate::cli) fn fields(&self) -> Vec<(&'static str, String)> {
        let names = match self.names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        vec![
            ("Subject", self.subject.clone()),
            (
                "Issuer",
                if self.self_signed {
                    format!("{} (itself)", self.issuer)
                } else {
                    self.issuer.clone()
                },
            ),
            ("Names", names),
            (
                "Valid",
                format!("{} to {}", self.not_before, self.not_after),
            ),
            ("SHA-256", self.fingerprint.clone()),
        ]
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(printable(name)),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = address.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn day(timestamp: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(timestamp);
    at.ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// A stranger wrote it, and it ends up on a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
