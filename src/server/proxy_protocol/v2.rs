//! Version 2: binary (`proxy-protocol.txt` section 2.2).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Error, Header, LONGEST};

/// What a header starts with.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes up to the length's end: signature, version and command, family and protocol, length.
const FIXED: usize = 16;
/// The type of the extension with the checksum, CRC-32C of the whole header with zeroes in its own place.
const CHECKSUM: u8 = 0x03;

/// Reads the rest of a header that starts with `start`, which is shorter than its fixed part.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    start: &[u8],
) -> Result<Header, Error> {
    let mut header = start.to_vec();
    while header.len() < FIXED {
        header.push(stream.read_u8().await?);
    }
    let [.., version, family, high, low] = header[..] else {
        return Err(Error::Missing);
    };
    let kind = Kind::of(version, family).ok_or(Error::Unknown)?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if FIXED + length > LONGEST {
        return Err(Error::TooLong);
    }
    if length < kind.addresses() {
        return Err(Error::Addresses);
    }
    header.resize(FIXED + length, 0);
    let (_, rest) = header.split_at_mut(FIXED);
    stream.read_exact(rest).await?;
    kind.client(&header)
}

/// What the fixed part announces.
#[derive(Clone, Copy)]
enum Kind {
    /// A connection of the load balancer's own: all that follows is to be ignored.
    Local,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// Addresses of this many bytes that are of no use here.
    Other(usize),
}

impl Kind {
    /// The kind of a header; `None` for what does not exist.
    fn of(version: u8, family: u8) -> Option<Self> {
        let bytes = match family >> 4 {
            0 => 0,
            1 => 12,
            2 => 36,
            3 => 216,
            _ => return None,
        };
        match (version, family) {
            (_, family) if family & 15 > 2 => None,
            (0x20, _) => Some(Self::Local),
            (0x21, 0x11) => Some(Self::Tcp4),
            (0x21, 0x21) => Some(Self::Tcp6),
            (0x21, _) => Some(Self::Other(bytes)),
            _ => None,
        }
    }

    /// Least bytes of the addresses.
    fn addresses(self) -> usize {
        match self {
            Self::Local => 0,
            Self::Tcp4 => 12,
            Self::Tcp6 => 36,
            Self::Other(bytes) => bytes,
        }
    }

    /// Whom the complete `header` is about.
    fn client(self, header: &[u8]) -> Result<Header, Error> {
        if matches!(self, Self::Local) {
            return Ok(Header::Itself);
        }
        check_extensions(header, FIXED + self.addresses())?;
        let addresses = header.get(FIXED..).unwrap_or_default();
        let client = match self {
            Self::Tcp4 => {
                source::<4>(addresses).map(|(ip, port)| (Ipv4Addr::from(ip).into(), port))
            }
            Self::Tcp6 => {
                source::<16>(addresses).map(|(ip, port)| (Ipv6Addr::from(ip).into(), port))
            }
            Self::Local | Self::Other(_) => return Ok(Header::Itself),
        };
        let (ip, port) = client.ok_or(Error::Addresses)?;
        Ok(Header::Client(SocketAddr::new(ip, port)))
    }
}

/// The source of an address block: both addresses of `N` bytes, then both ports.
fn source<const N: usize>(block: &[u8]) -> Option<([u8; N], u16)> {
    let (ip, rest) = block.split_first_chunk()?;
    let (port, _) = rest.get(N..)?.split_first_chunk()?;
    Some((*ip, u16::from_be_bytes(*port)))
}

/// Walks through the extensions, from `at` on, and verifies the checksum if one of them is it.
fn check_extensions(header: &[u8], mut at: usize) -> Result<(), Error> {
    let mut checksum = None;
    while at < header.len() {
        let [kind, high, low, value @ ..] = header.get(at..).unwrap_or_default() else {
            return Err(Error::Extensions);
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let value = value.get(..length).ok_or(Error::Extensions)?;
        at += 3 + length;
        if *kind == CHECKSUM {
            let value = <[u8; 4]>::try_from(value).map_err(|_| Error::Extensions)?;
            if checksum
                .replace((u32::from_be_bytes(value), at - 4))
                .is_some()
            {
                return Err(Error::Extensions);
            }
        }
    }
    match checksum {
        Some((sum, place)) if crc32c(header, place) != sum => Err(Error::Checksum),
        _ => Ok(()),
    }
}

/// CRC-32C (RFC 3720 appendix B.4) of `header`, with zeroes for the four bytes at `place`. Slow and short: a header has some dozens of
/// bytes, and few carry a checksum.
fn crc32c(header: &[u8], place: usize) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let bytes = header.iter().enumerate().map(|(at, byte)| {
        let own = (place..place + 4).contains(&at);
        if own { 0 } else { *byte }
    });
    !bytes.fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            let carry = if sum & 1 == 1 { POLYNOMIAL } else { 0 };
            (sum >> 1) ^ carry
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32c() {
        // RFC 3720 appendix B.4; what lies behind the end counts as nothing.
        assert_eq!(crc32c(&[0; 32], 99), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32], 99), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising, 99), 0x46dd_794e);
        assert_eq!(crc32c(b"123456789", 99), 0xe306_9283);
        assert_eq!(crc32c(&[0, 0, 7, 7, 7, 7, 0], 2), crc32c(&[0; 7], 99));
    }
}
