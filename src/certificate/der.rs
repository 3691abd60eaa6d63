//! DER, as much as a certificate needs: each function gives one complete value (X.690 section 10).

use std::net::IpAddr;

use time::{OffsetDateTime, UtcOffset, macros::format_description};

/// A value: tag, length, content.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let zeroes = length.iter().take_while(|byte| **byte == 0).count();
    let length = length.iter().skip(zeroes);
    if content.len() > 0x7f {
        out.push(0x80 | length.len().to_le_bytes()[0]);
    }
    if content.is_empty() {
        out.push(0);
    }
    out.extend(length);
    out.extend(content);
    out
}

pub(super) fn sequence(values: &[Vec<u8>]) -> Vec<u8> {
    value(0x30, &values.concat())
}

/// A set of one value.
pub(super) fn set(only: &[u8]) -> Vec<u8> {
    value(0x31, only)
}

/// An explicitly tagged value, `[number]`.
pub(super) fn tagged(number: u8, inner: &[u8]) -> Vec<u8> {
    value(0xa0 | number, inner)
}

/// A positive integer from its big-endian bytes.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeroes = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut content: Vec<u8> = bytes.iter().skip(zeroes).copied().collect();
    // The first bit is the sign, and zero has one byte.
    if content.first().is_none_or(|byte| byte & 0x80 != 0) {
        content.insert(0, 0);
    }
    value(0x02, &content)
}

/// An object identifier in its encoded form.
pub(super) fn object(encoded: &[u8]) -> Vec<u8> {
    value(0x06, encoded)
}

pub(super) fn utf8(text: &str) -> Vec<u8> {
    value(0x0c, text.as_bytes())
}

/// A bit string of whole bytes.
pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    value(0x03, &[&[0], bytes].concat())
}

/// `Time`: two-digit years up to 2049, four digits from then on (RFC 5280 section 4.1.2.5). Fractions of seconds are cut off.
pub(super) fn time(at: OffsetDateTime) -> Vec<u8> {
    let at = at.to_offset(UtcOffset::UTC);
    let short = (1950..2050).contains(&at.year());
    let text = if short {
        at.format(format_description!(
            "[year repr:last_two][month][day][hour][minute][second]Z"
        ))
    } else {
        at.format(format_description!(
            "[year][month][day][hour][minute][second]Z"
        ))
    };
    // Formatting fails only for a component that the value lacks; a date and time lacks none.
    value(
        if short { 0x17 } else { 0x18 },
        text.unwrap_or_default().as_bytes(),
    )
}

/// `Extension` (RFC 5280 section 4.1): `content` is DER in itself.
pub(super) fn extension(oid: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let mut parts = vec![object(oid)];
    if critical {
        parts.push(value(0x01, &[0xff]));
    }
    parts.push(value(0x04, content));
    sequence(&parts)
}

/// `GeneralName` of a DNS name.
pub(super) fn dns_name(name: &str) -> Vec<u8> {
    value(0x82, name.as_bytes())
}

/// `GeneralName` of an IP address.
pub(super) fn ip_address(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => value(0x87, &ip.octets()),
        IpAddr::V6(ip) => value(0x87, &ip.octets()),
    }
}
