//! The PROXY protocol, versions 1 and 2: what a load balancer that passes TCP through sends before everything else, to tell whom it
//! connects (`HAProxy`'s `proxy-protocol.txt`).
//!
//! Whether a header is there is known beforehand: from addresses that are configured it is required, from all others it is never read.
//! Reading takes the header's bytes and not one more, because TLS may follow in the same segment. It takes at most [`LONGEST`] bytes;
//! the time is the caller's to bound.

use std::{io, net::SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

mod v1;
mod v2;

/// Longest header, in bytes. An address has 232 at most; the rest are extensions, of which some carry a certificate.
pub const LONGEST: usize = 16 << 10;

/// Bytes of the shortest header, `PROXY UNKNOWN\r\n`.
const SHORTEST: usize = 15;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The connection is this client's.
    Client(SocketAddr),
    /// The load balancer speaks for itself, as in its health checks, or does not know for whom.
    Itself,
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address block is shorter than its family's.
    #[error("the header is too short for its addresses")]
    Addresses,
    /// The checksum is not that of the header.
    #[error("the checksum is wrong")]
    Checksum,
    /// An extension is longer than the header, or there twice where it may be there once.
    #[error("the extensions are malformed")]
    Extensions,
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line of version 1 that is not as it must be.
    #[error("the line of version 1 is malformed")]
    Line,
    /// No header at all.
    #[error("there is no PROXY protocol header, although this address is in 'proxy_protocol.from'")]
    Missing,
    /// Longer than any header.
    #[error("the header is too long")]
    TooLong,
    /// A version, command, family or protocol that does not exist.
    #[error("the header is of an unknown kind")]
    Unknown,
}

/// Reads a header; `None` if the other end goes away before its first byte, as port checks do.
///
/// # Errors
/// [`Error`]; the connection cannot be used then.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Header>, Error> {
    let mut start = [0; SHORTEST];
    let (first, rest) = start.split_at_mut(1);
    if stream.read(first).await? == 0 {
        return Ok(None);
    }
    // Told at once: with less than a header's bytes nothing more might come.
    if !v1::SIGNATURE.starts_with(first) && !v2::SIGNATURE.starts_with(first) {
        return Err(Error::Missing);
    }
    stream.read_exact(rest).await?;
    if start.starts_with(v1::SIGNATURE) {
        v1::read(stream, &start).await.map(Some)
    } else if start.starts_with(v2::SIGNATURE) {
        v2::read(stream, &start).await.map(Some)
    } else {
        Err(Error::Missing)
    }
}

/// Whether `bytes` are the start of a header: to be told from TLS and HTTP.
pub(super) fn starts_with_header(bytes: &[u8]) -> bool {
    bytes.starts_with(v1::SIGNATURE) || bytes.starts_with(v2::SIGNATURE)
}

#[cfg(test)]
mod tests;
