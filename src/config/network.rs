//! IP networks (`proxy_protocol.from`): `10.0.0.0/8`, or one address.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{report::Report, view::View};

/// The networks of a list; each once, without bits behind its prefix.
pub(super) fn networks(list: &View<'_>, report: &mut Report) -> Vec<IpNet> {
    let mut networks: Vec<IpNet> = Vec::new();
    for item in list.items() {
        let Some(text) = item.text() else {
            // Templates have a list of one empty text.
            if item.is_from_env() {
                let reason = format!("the network {} is empty", item.shown());
                report.error(item.line, &item.path, reason);
            }
            continue;
        };
        let Some(network) = parse(&text.text) else {
            let reason = format!("invalid network {}", text.shown());
            let hint = "write an IP address, or a network like 10.0.0.0/8 or fd00::/8";
            report.error_with_hint(item.line, &item.path, reason, hint);
            continue;
        };
        if network.prefix_len() == 0 {
            report.warn(
                item.line,
                &item.path,
                "is every address: whoever reaches the server can claim any client address",
                Some("name the load balancers".to_owned()),
            );
        }
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    networks
}

/// Reads an address or a network. An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) is that IPv4 address.
fn parse(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical().into()),
        Err(_) => text.parse::<IpNet>().ok().map(|network| network.trunc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read() {
        for (text, network) in [
            ("10.0.0.1", "10.0.0.1/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("fd00:1::2/16", "fd00::/16"),
        ] {
            let parsed = parse(text).map(|network| network.to_string());
            assert_eq!(parsed.as_deref(), Some(network), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_networks() {
        for text in [
            "",
            "10.0.0.1/33",
            "10.0.0/8",
            "lb.example.net",
            "10.0.0.1:80",
            "/8",
            "[::1]",
            "fe80::1%eth0",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
