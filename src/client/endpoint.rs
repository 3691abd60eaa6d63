//! [`Endpoint`]: where a server listens, as users write it (cli.md 2.2).

use std::fmt;

use rustls_pki_types::ServerName;

/// Port of an entry that names none, as for any HTTPS address.
const DEFAULT_PORT: u16 = 443;
/// Most endpoints that one list may expand to.
const MAX_ENDPOINTS: usize = 1024;

/// An entry of a list of endpoints cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{entry}' is not a server's address: {reason}")]
pub struct InvalidEndpoint {
    /// The entry as written.
    pub entry: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    name: ServerName<'static>,
}

impl Endpoint {
    /// Reads a comma separated list of `[http://|https://]HOST[:PORT][/]`; `{1...3}` in an entry stands for several. Empty entries
    /// are ignored, so that an empty text gives no endpoints.
    ///
    /// # Errors
    /// [`InvalidEndpoint`] names the first entry with a path, a query, a user or no valid host and port.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, InvalidEndpoint> {
        let mut endpoints = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            for single in expand(entry)? {
                endpoints.push(Self::parse(&single)?);
            }
            if endpoints.len() > MAX_ENDPOINTS {
                return Err(invalid(entry, "it stands for too many servers"));
            }
        }
        Ok(endpoints)
    }

    fn parse(entry: &str) -> Result<Self, InvalidEndpoint> {
        let rest = entry
            .strip_prefix("https://")
            .or_else(|| entry.strip_prefix("http://"))
            .unwrap_or(entry);
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@', '\\']) {
            let reason = "only a host and a port are allowed, no path, query or user";
            return Err(invalid(entry, reason));
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let closed = rest.split_once(']');
                let (host, port) = closed.ok_or_else(|| invalid(entry, "']' is missing"))?;
                if host.parse::<std::net::Ipv6Addr>().is_err() {
                    return Err(invalid(
                        entry,
                        "no IPv6 address stands between the brackets",
                    ));
                }
                match port.strip_prefix(':') {
                    None if port.is_empty() => (host, None),
                    None => return Err(invalid(entry, "only a port may follow ']'")),
                    port => (host, port),
                }
            }
            None => match authority.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err(invalid(
                        entry,
                        "an IPv6 address needs brackets, as [::1]:7373",
                    ));
                }
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| invalid(entry, "the port is no number from 1 to 65535"))?,
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| invalid(entry, "the host is no name and no IP address"))?;
        Ok(Self {
            host: host.to_owned(),
            port,
            name,
        })
    }

    /// Host name or IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the server's certificate must be valid for.
    pub fn server_name(&self) -> ServerName<'static> {
        self.name.clone()
    }
}

/// `HOST:PORT`, with brackets around an IPv6 address.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn invalid(entry: &str, reason: &'static str) -> InvalidEndpoint {
    InvalidEndpoint {
        entry: entry.to_owned(),
        reason,
    }
}

/// The entries that `{FIRST...LAST}` in an entry stands for. Leading zeroes give every number the same width.
fn expand(entry: &str) -> Result<Vec<String>, InvalidEndpoint> {
    let Some((head, rest)) = entry.split_once('{') else {
        return Ok(vec![entry.to_owned()]);
    };
    let range = rest.split_once('}').and_then(|(range, tail)| {
        let (first, last) = range.split_once("...")?;
        let width = if first.starts_with('0') {
            first.len()
        } else {
            0
        };
        Some((first.parse().ok()?, last.parse().ok()?, width, tail))
    });
    let Some((first, last, width, tail)): Option<(usize, usize, usize, &str)> = range else {
        return Err(invalid(entry, "a range is written as {1...3}"));
    };
    if first > last || last - first >= MAX_ENDPOINTS {
        return Err(invalid(entry, "the range is empty or too large"));
    }
    let tails = expand(tail)?;
    if tails.len() * (last - first + 1) > MAX_ENDPOINTS {
        return Err(invalid(entry, "it stands for too many servers"));
    }
    let numbers = first..=last;
    Ok(numbers
        .flat_map(|n| {
            tails
                .iter()
                .map(move |tail| format!("{head}{n:0width$}{tail}"))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        let endpoints = Endpoint::parse_list(text).unwrap();
        endpoints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_documented_spelling_is_read() {
        assert_eq!(list("127.0.0.1:7373"), ["127.0.0.1:7373"]);
        assert_eq!(list("https://127.0.0.1:7373/"), ["127.0.0.1:7373"]);
        assert_eq!(list("http://kes:7373"), ["kes:7373"]);
        assert_eq!(list("kes.example.org"), ["kes.example.org:443"]);
        assert_eq!(
            list("[::1]:7373,https://[::1]"),
            ["[::1]:7373", "[::1]:443"]
        );
        assert_eq!(list(" a:1 , b:2,, "), ["a:1", "b:2"]);
        assert!(list("").is_empty() && list(" , ").is_empty());
    }

    #[test]
    fn ranges_stand_for_several_servers() {
        assert_eq!(
            list("https://kes-{1...3}.example:7373"),
            [
                "kes-1.example:7373",
                "kes-2.example:7373",
                "kes-3.example:7373"
            ]
        );
        assert_eq!(
            list("r{1...2}n{09...10}:1"),
            ["r1n09:1", "r1n10:1", "r2n09:1", "r2n10:1"]
        );
    }

    #[test]
    fn an_invalid_entry_is_named() {
        for bad in [
            "a:7373/path",
            "a?x",
            "user@a",
            "a:0",
            "a:65536",
            "a:",
            "::1",
            "[::1",
            "[a]:1",
            "[::1]1",
            ":7373",
            "a b",
            "ftp://a",
            "a{3...1}",
            "a{1...}",
            "a{1..3}",
            "a{0...9}{0...9}{0...9}{0...9}",
        ] {
            let error = Endpoint::parse_list(&format!("ok:1, {bad}")).unwrap_err();
            assert_eq!(error.entry, bad.trim());
        }
    }
}
