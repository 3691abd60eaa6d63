//! [`Peer`]: who is at the other end of a connection, or of the one that a proxy forwards.

use std::net::{IpAddr, SocketAddr};

use rustls::pki_types::CertificateDer;

use crate::identity::{ChainError, Identity};

/// Who is at the other end. Made once a connection, and requests share it; what a proxy forwards is made once a request.
#[derive(Debug)]
pub struct Peer {
    ip: IpAddr,
    identity: Result<Identity, ChainError>,
}

impl Peer {
    /// The peer at `address` that sent `chain` in its handshake, also when that was the handshake of a session it resumes.
    pub fn new(address: SocketAddr, chain: Option<&[CertificateDer<'_>]>) -> Self {
        Self {
            // A dual-stack listener shows IPv4 clients as mapped addresses.
            ip: address.ip().to_canonical(),
            identity: Identity::of_chain(chain.unwrap_or_default()),
        }
    }

    /// The peer at `ip` that has shown `cert` to a proxy, if it has shown one.
    pub fn forwarded(ip: IpAddr, cert: Option<&CertificateDer<'_>>) -> Self {
        Self {
            ip: ip.to_canonical(),
            identity: Identity::of_chain(cert.map_or(&[], std::slice::from_ref)),
        }
    }

    /// The address, IPv4-mapped ones as IPv4.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The identity, or why there is none.
    pub fn identity(&self) -> Result<&Identity, ChainError> {
        self.identity.as_ref().map_err(|error| *error)
    }
}
