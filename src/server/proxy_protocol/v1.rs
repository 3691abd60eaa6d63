//! Version 1: a line of text (`proxy-protocol.txt` section 2.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Error, Header};

/// What a line starts with.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// Bytes of the longest line with its end.
const LONGEST: usize = 107;

/// Reads the rest of a line that starts with `start`: byte by byte, because only its end tells its length.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    start: &[u8],
) -> Result<Header, Error> {
    let mut line = Vec::with_capacity(LONGEST);
    line.extend_from_slice(start);
    while line.last() != Some(&b'\n') {
        if line.len() == LONGEST {
            return Err(Error::TooLong);
        }
        line.push(stream.read_u8().await?);
    }
    parse(&line).ok_or(Error::Line)
}

/// The line with its end.
fn parse(line: &[u8]) -> Option<Header> {
    let line = line.strip_prefix(SIGNATURE)?.strip_suffix(b"\r\n")?;
    // What follows the word is to be ignored.
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Some(Header::Itself);
    }
    let line = std::str::from_utf8(line).ok()?;
    let mut parts = line.split(' ');
    let family = parts.next()?;
    let address = |text: &str| match family {
        "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
        "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        _ => None,
    };
    let source = address(parts.next()?)?;
    address(parts.next()?)?;
    let from = port(parts.next()?)?;
    port(parts.next()?)?;
    parts
        .next()
        .is_none()
        .then_some(Header::Client(SocketAddr::new(source, from)))
}

/// A decimal number without zeroes before it.
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}
