//! Addresses to listen on (config.md 5.2).

use std::net::{Ipv4Addr, Ipv6Addr};

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// The host is neither an IP address nor a name.
    #[error("the host is neither an IP address nor a name")]
    Host,
    /// There is no port.
    #[error("the port is missing")]
    NoPort,
    /// The port is no number below 65536, nor the name of a service.
    #[error("the port is neither a number up to 65535 nor a known service")]
    Port,
    /// An IPv6 address is not in brackets.
    #[error("too many colons; an IPv6 address needs brackets, like [::1]:7373")]
    TooManyColons,
}

/// Checks an address, `HOST:PORT`, and returns it with a numeric port. The host is empty (all interfaces, IPv4 and IPv6), an IPv4
/// address, an IPv6 address in brackets, or a name.
///
/// # Errors
/// [`InvalidAddress`] if `text` is none of these.
pub fn parse(text: &str) -> Result<String, InvalidAddress> {
    let (host, port) = text.rsplit_once(':').ok_or(InvalidAddress::NoPort)?;
    let valid = match host.strip_prefix('[') {
        Some(host) => {
            let host = host.strip_suffix(']').ok_or(InvalidAddress::NoPort)?;
            host.parse::<Ipv6Addr>().is_ok()
        }
        None if host.contains(':') => return Err(InvalidAddress::TooManyColons),
        None => host.is_empty() || host.parse::<Ipv4Addr>().is_ok() || is_name(host),
    };
    if !valid {
        return Err(InvalidAddress::Host);
    }
    let number: u16 = match port {
        "http" => 80,
        "https" => 443,
        port if port.bytes().all(|b| b.is_ascii_digit()) => {
            port.parse().map_err(|_| InvalidAddress::Port)?
        }
        _ => return Err(InvalidAddress::Port),
    };
    Ok(format!("{host}:{number}"))
}

/// Whether `host` can be the name of a host: labels of letters, digits and hyphens, not all of them numbers.
fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253
        && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
        && host.bytes().any(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_with_a_numeric_port() {
        for (text, address) in [
            (":7373", ":7373"),
            ("0.0.0.0:7373", "0.0.0.0:7373"),
            ("[::]:7373", "[::]:7373"),
            ("127.0.0.1:https", "127.0.0.1:443"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("localhost:7373", "localhost:7373"),
            ("kes.example.net.:07373", "kes.example.net.:7373"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(address), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        use InvalidAddress::{Host, NoPort, Port, TooManyColons};
        for (text, reason) in [
            ("", NoPort),
            ("127.0.0.1", NoPort),
            ("[::1]", NoPort),
            ("[::1", NoPort),
            ("::1:7373", TooManyColons),
            ("127.0.0.1:", Port),
            (":65536", Port),
            (":-1", Port),
            (":kes!", Port),
            ("256.0.0.1:1", Host),
            ("[127.0.0.1]:1", Host),
            ("[::1%lo]:1", Host),
            ("a b:1", Host),
            ("https://h:1", TooManyColons),
            ("-.:1", Host),
        ] {
            assert_eq!(parse(text), Err(reason), "{text}");
        }
    }
}
