//! [`Caller`]: whom a request is judged and recorded as, where TLS proxies stand between clients and this server (api.md 13).
//!
//! Decided once, before anything else looks at a request. Behind this file nobody knows of proxies: the door and the records see a
//! [`Peer`] that is either at the other end of the connection or, if that is a listed proxy, the client whose certificate it forwards.
//!
//! - A listed proxy speaks for clients and never for itself, for another proxy or for the admin.
//! - Who is not listed and sends the header claims to be somebody else: refused.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use http::{HeaderMap, HeaderName};
use hyper::StatusCode;
use rustls::pki_types::CertificateDer;

use crate::{
    identity::ChainError,
    state::{Proxies, State},
    telemetry::Level,
    tls::{Peer, proxy},
};

/// Judges a certificate as if who holds it had connected.
pub type Judge<'a> = dyn Fn(&CertificateDer<'_>) -> Result<(), rustls::Error> + Send + Sync + 'a;

/// The header with the client's address.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Why a request is refused before it comes to the door. What Display shows is told to the client (api.md 13).
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// The admin's certificate came through a proxy.
    #[error("not authorized: insufficient permissions")]
    Admin,
    /// The header came from somebody who is no proxy.
    #[error("not authorized: insufficient permissions")]
    Forged,
    /// The header does not hold a certificate.
    #[error("invalid client certificate")]
    Malformed(#[source] proxy::Malformed),
    /// The client has shown the proxy no certificate.
    #[error("no client certificate is present")]
    Missing,
    /// A proxy's certificate came through a proxy.
    #[error("not authorized: insufficient permissions")]
    Proxy,
    /// The header is there more than once.
    #[error("too many client certificates are present")]
    Several,
    /// `tls.auth` is on, and the certificate would not have passed a handshake. The empty text is the contract.
    #[error("")]
    Unverified(#[source] rustls::Error),
}

impl Refusal {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::Missing | Self::Several => StatusCode::BAD_REQUEST,
            Self::Admin | Self::Forged | Self::Proxy | Self::Unverified(_) => StatusCode::FORBIDDEN,
        }
    }

    /// Whether the client is told what whoever lacks a permission is told.
    pub fn is_denial(&self) -> bool {
        matches!(self, Self::Admin | Self::Forged | Self::Proxy)
    }

    /// What the server's own logs say.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Admin => "the admin's certificate was forwarded by a TLS proxy: the admin connects directly".to_owned(),
            Self::Forged => "a client that is not in 'tls.proxy.identities' sent the header that only TLS proxies may send".to_owned(),
            Self::Proxy => "a TLS proxy's certificate was forwarded by a TLS proxy: proxies speak for clients only".to_owned(),
            Self::Malformed(why) => format!("{self}: {why}"),
            Self::Unverified(why) => format!("the forwarded client certificate cannot be trusted: {why}"),
            Self::Missing | Self::Several => self.to_string(),
        }
    }

    /// How loud they say it: what shows an attack, or a proxy that is set up wrongly, must not be overlooked.
    pub(super) fn level(&self) -> Level {
        match self {
            Self::Missing | Self::Unverified(_) => Level::DEBUG,
            Self::Admin | Self::Forged | Self::Malformed(_) | Self::Proxy | Self::Several => {
                Level::WARN
            }
        }
    }
}

/// Whom a request is judged and recorded as.
pub(super) struct Caller<'a> {
    peer: Speaker<'a>,
    /// The proxy that speaks for it.
    via: Option<&'a Peer>,
    refusal: Option<Refusal>,
}

/// The peer that counts.
enum Speaker<'a> {
    Connected(&'a Peer),
    Forwarded(Peer),
}

impl<'a> Caller<'a> {
    /// Whom a request with these headers, on a connection of `connected`, counts as from. `judge` is asked about a forwarded certificate.
    pub(super) fn of(
        state: &State,
        connected: &'a Peer,
        headers: &HeaderMap,
        judge: &Judge<'_>,
    ) -> Self {
        match &state.proxies {
            None => Self::connected(connected, None),
            Some(proxies) if !is_listed(proxies, connected) => {
                let forged = headers.contains_key(&proxies.header);
                Self::connected(connected, forged.then_some(Refusal::Forged))
            }
            Some(proxies) => {
                let ip = client_ip(headers).unwrap_or_else(|| connected.ip());
                let (peer, refusal) = forwarded(state, proxies, headers, judge, ip);
                Self {
                    peer: Speaker::Forwarded(peer),
                    via: Some(connected),
                    refusal,
                }
            }
        }
    }

    fn connected(peer: &'a Peer, refusal: Option<Refusal>) -> Self {
        Self {
            peer: Speaker::Connected(peer),
            via: None,
            refusal,
        }
    }

    /// Whom the records show. Not for the door: the request may be refused.
    pub(super) fn recorded(&self) -> &Peer {
        match &self.peer {
            Speaker::Connected(peer) => peer,
            Speaker::Forwarded(peer) => peer,
        }
    }

    /// Adds to a line of the error log which proxy speaks for the peer, if one does.
    pub(super) fn push_proxy(&self, line: &mut String) {
        if let Some(proxy) = self.via
            && let Ok(identity) = proxy.identity()
        {
            // Writing to a text cannot fail.
            let _ = write!(line, " (TLS proxy {identity} at {})", proxy.ip());
        }
    }

    /// Who comes to the door. Whoever has shown a proxy no certificate may still call what is `open` to everybody, as nobody: health checks of
    /// the proxy itself are such requests.
    ///
    /// # Errors
    /// [`Refusal`] if nobody may.
    pub(super) fn admitted(&self, open: bool) -> Result<&Peer, Refusal> {
        match &self.refusal {
            None => Ok(self.recorded()),
            Some(Refusal::Missing) if open => Ok(self.recorded()),
            Some(refusal) => Err(refusal.clone()),
        }
    }
}

fn is_listed(proxies: &Proxies, peer: &Peer) -> bool {
    peer.identity()
        .is_ok_and(|identity| proxies.identities.contains(identity))
}

/// The client that a proxy speaks for, as far as it is known, and why it may not.
fn forwarded(
    state: &State,
    proxies: &Proxies,
    headers: &HeaderMap,
    judge: &Judge<'_>,
    ip: IpAddr,
) -> (Peer, Option<Refusal>) {
    let cert = match certificate(headers, &proxies.header) {
        Ok(cert) => cert,
        Err(refusal) => return (Peer::forwarded(ip, None), Some(refusal)),
    };
    let peer = Peer::forwarded(ip, Some(&cert));
    let refusal = match peer.identity() {
        Err(ChainError::Malformed) => Some(Refusal::Malformed(proxy::Malformed::Certificate)),
        Ok(identity) if *identity == state.admin => Some(Refusal::Admin),
        Ok(identity) if proxies.identities.contains(identity) => Some(Refusal::Proxy),
        // An authority's certificate gives no identity: the door says so where one is needed.
        Ok(_) | Err(_) => judge(&cert).err().map(Refusal::Unverified),
    };
    (peer, refusal)
}

/// The only certificate in `header`.
fn certificate(
    headers: &HeaderMap,
    header: &HeaderName,
) -> Result<CertificateDer<'static>, Refusal> {
    let mut values = headers.get_all(header).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Several);
    }
    // What HAProxy sends for a client without a certificate.
    if value.as_bytes().trim_ascii().is_empty() {
        return Err(Refusal::Missing);
    }
    proxy::certificate(value.as_bytes()).map_err(Refusal::Malformed)
}

/// The client's address as a proxy tells it: the first of `X-Forwarded-For`, if that is one.
fn client_ip(headers: &HeaderMap) -> Option<IpAddr> {
    let value = headers.get(FORWARDED_FOR)?.to_str().ok()?;
    let first = value.split(',').next()?.trim();
    if let Ok(address) = first.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let bare = first
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    bare.unwrap_or(first).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip_of(value: &[u8]) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_FOR, value.try_into().unwrap());
        client_ip(&headers).map(|ip| ip.to_string())
    }

    #[test]
    fn the_first_address_of_the_list_is_the_clients() {
        for (value, ip) in [
            ("192.0.2.1", "192.0.2.1"),
            ("  192.0.2.1 ,10.0.0.1", "192.0.2.1"),
            ("192.0.2.1:443", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443, 10.0.0.1", "2001:db8::1"),
        ] {
            assert_eq!(ip_of(value.as_bytes()).as_deref(), Some(ip), "{value}");
        }
    }

    #[test]
    fn what_is_no_address_says_nothing() {
        for value in [
            &b"unknown"[..],
            b"",
            b",192.0.2.1",
            b"client.example.com",
            b"192.0.2.1.5",
            b"192.0.2.1:99999",
            b"[192.0.2.1]x",
            b"fe80::1%eth0",
            b"\xff",
            b"192.0.2.1 10.0.0.1",
        ] {
            assert_eq!(ip_of(value), None, "{value:?}");
        }
        assert_eq!(client_ip(&HeaderMap::new()), None);
    }

    #[test]
    fn the_wire_contract_stands() {
        let denied = "not authorized: insufficient permissions";
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        for (refusal, status, text) in [
            (Refusal::Admin, 403, denied),
            (Refusal::Forged, 403, denied),
            (
                Refusal::Malformed(proxy::Malformed::Pem),
                400,
                "invalid client certificate",
            ),
            (Refusal::Missing, 400, "no client certificate is present"),
            (Refusal::Proxy, 403, denied),
            (
                Refusal::Several,
                400,
                "too many client certificates are present",
            ),
            (Refusal::Unverified(expired), 403, ""),
        ] {
            assert_eq!(refusal.status().as_u16(), status, "{refusal:?}");
            assert_eq!(refusal.to_string(), text);
            assert!(!refusal.reason().is_empty());
        }
    }
}
