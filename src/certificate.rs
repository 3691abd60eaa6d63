//! Self-signed Ed25519 certificates, as `kes identity new` and API keys make them (cli.md 9.2, api.md 14.5).
//!
//! A certificate holds exactly the fields of that table, in its order: X.509 version 3, subject = issuer = one common name,
//! and the extensions key usage, extended key usage, basic constraints and, if asked for, alternative names. No key identifiers.

use std::net::IpAddr;

use time::OffsetDateTime;

use crate::{
    apikey::ApiKey,
    secret::{self, NoRandomness},
};

mod der;

/// Which ends of a TLS connection a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Either end.
    Both,
    /// The client's end only.
    Client,
    /// The server's end only.
    Server,
}

/// What a new certificate says.
#[derive(Clone, Debug)]
pub struct SelfSigned {
    /// Common name of subject and issuer; the key's identity if absent.
    pub subject: Option<String>,
    /// DNS names the certificate is valid for: ASCII.
    pub dns: Vec<String>,
    /// IP addresses the certificate is valid for.
    pub ip: Vec<IpAddr>,
    /// Which ends it is for.
    pub usage: Usage,
    /// First second of its life.
    pub not_before: OffsetDateTime,
    /// Last second of its life.
    pub not_after: OffsetDateTime,
}

impl SelfSigned {
    /// A client's certificate as API keys use it: named by the identity, valid from `now` for 90 days.
    pub fn for_client(now: OffsetDateTime) -> Self {
        Self {
            subject: None,
            dns: Vec::new(),
            ip: Vec::new(),
            usage: Usage::Client,
            not_before: now,
            not_after: now + time::Duration::days(90),
        }
    }

    /// The certificate of `key`, in DER, with a random serial number.
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has none to give.
    pub fn sign(&self, key: &ApiKey) -> Result<Vec<u8>, NoRandomness> {
        let mut serial = [0; 16];
        secret::random(&mut serial)?;
        let tbs = self.to_be_signed(key, &serial);
        let signature = der::bit_string(&key.sign(&tbs));
        Ok(der::sequence(&[tbs, ed25519(), signature]))
    }

    /// `TBSCertificate` (RFC 5280 section 4.1.2).
    fn to_be_signed(&self, key: &ApiKey, serial: &[u8]) -> Vec<u8> {
        let identity = key.identity();
        let name = common_name(self.subject.as_deref().unwrap_or(identity.as_str()));
        let validity = der::sequence(&[der::time(self.not_before), der::time(self.not_after)]);
        der::sequence(&[
            der::tagged(0, &der::integer(&[2])),
            der::integer(serial),
            ed25519(),
            name.clone(),
            validity,
            name,
            key.spki(),
            der::tagged(3, &der::sequence(&self.extensions())),
        ])
    }

    fn extensions(&self) -> Vec<Vec<u8>> {
        const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
        const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
        const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
        const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
        // Bit 0 of a named bit list (RFC 5280 section 4.2.1.3), 7 unused bits.
        const DIGITAL_SIGNATURE: &[u8] = &[0x03, 2, 7, 0x80];

        let mut extensions = vec![
            der::extension(KEY_USAGE, true, DIGITAL_SIGNATURE),
            der::extension(EXTENDED_KEY_USAGE, false, &self.purposes()),
            // CA:FALSE is the default, and defaults are left out in DER.
            der::extension(BASIC_CONSTRAINTS, true, &der::sequence(&[])),
        ];
        let dns = self.dns.iter().map(|name| der::dns_name(name));
        let ip = self.ip.iter().map(|ip| der::ip_address(*ip));
        let names: Vec<_> = dns.chain(ip).collect();
        if !names.is_empty() {
            extensions.push(der::extension(
                ALTERNATIVE_NAMES,
                false,
                &der::sequence(&names),
            ));
        }
        extensions
    }

    /// `ExtKeyUsageSyntax` (RFC 5280 section 4.2.1.12).
    fn purposes(&self) -> Vec<u8> {
        let client = der::object(&[0x2b, 6, 1, 5, 5, 7, 3, 2]);
        let server = der::object(&[0x2b, 6, 1, 5, 5, 7, 3, 1]);
        der::sequence(&match self.usage {
            Usage::Both => vec![client, server],
            Usage::Client => vec![client],
            Usage::Server => vec![server],
        })
    }
}

/// `AlgorithmIdentifier` of Ed25519 (RFC 8410 section 3).
fn ed25519() -> Vec<u8> {
    der::sequence(&[der::object(&[0x2b, 0x65, 0x70])])
}

/// `Name` with one attribute, the common name.
fn common_name(text: &str) -> Vec<u8> {
    let attribute = der::sequence(&[der::object(&[0x55, 4, 3]), der::utf8(text)]);
    der::sequence(&[der::set(&attribute)])
}

#[cfg(test)]
mod tests;
