//! Connections through an HTTP proxy (cli.md 2.3): `HTTPS_PROXY` and `NO_PROXY`, by CONNECT. Hosts of this computer are never
//! proxied.

use std::{io, net::IpAddr, sync::Arc};

use hyper_util::client::proxy::matcher::Matcher;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::endpoint::Endpoint;

/// Longest answer of a proxy; it is a few lines.
const HEAD_LIMIT: usize = 8 << 10;

/// Which servers are reached through which proxy.
#[derive(Clone, Debug)]
pub struct Proxies(Arc<Matcher>);

impl Proxies {
    /// From the values of `HTTPS_PROXY` and `NO_PROXY`.
    pub fn new(proxy: &str, exceptions: &str) -> Self {
        Self(Arc::new(
            Matcher::builder().https(proxy).no(exceptions).build(),
        ))
    }

    /// Connects to `endpoint` through its proxy; `None` if it has none.
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Option<io::Result<TcpStream>> {
        if is_local(endpoint.host()) {
            return None;
        }
        let target = format!("https://{endpoint}/").parse().ok()?;
        let proxy = self.0.intercept(&target)?;
        Some(
            async {
                let uri = proxy.uri();
                let host = uri.host().unwrap_or_default();
                if uri.scheme_str() != Some("http") {
                    let text = format!(
                        "the proxy {host} is not to be reached by http://, which alone is supported"
                    );
                    return Err(io::Error::new(io::ErrorKind::Unsupported, text));
                }
                let mut tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
                let credential = proxy.basic_auth().and_then(|value| value.to_str().ok());
                let credential = credential.map_or(String::new(), |value| {
                    format!("Proxy-Authorization: {value}\r\n")
                });
                let request =
                    format!("CONNECT {endpoint} HTTP/1.1\r\nHost: {endpoint}\r\n{credential}\r\n");
                tcp.write_all(request.as_bytes()).await?;
                let status = answer(&mut tcp).await?;
                if status.split(' ').nth(1) != Some("200") {
                    let text = format!("the proxy {host} answered '{status}'");
                    return Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
                }
                Ok(tcp)
            }
            .await,
        )
    }
}

/// Reads the head of an answer and no byte more; its first line.
async fn answer(tcp: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    // The server behind it speaks only after us, so that nothing follows the head; byte by byte is slow, and once per connection.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_LIMIT {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the proxy's answer is too long",
            ));
        }
        head.push(tcp.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let line = head.lines().next().unwrap_or_default();
    Ok(line.chars().filter(|c| !c.is_control()).collect())
}

/// Whether a host is this computer.
pub(super) fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A proxy that says `answer`; the head of the request that it got.
    async fn asked(
        answer: &'static str,
        exceptions: &str,
        target: &str,
    ) -> (Option<io::Result<()>>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxies = Proxies::new(&format!("http://user:pass@{address}"), exceptions);
        let endpoint = Endpoint::parse_list(target).unwrap().remove(0);
        let proxy = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tcp.read_u8().await.unwrap());
            }
            tcp.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(head).unwrap()
        });
        let outcome = proxies
            .connect(&endpoint)
            .await
            .map(|outcome| outcome.map(drop));
        if outcome.is_none() {
            proxy.abort();
            return (None, String::new());
        }
        (outcome, proxy.await.unwrap())
    }

    #[tokio::test]
    async fn a_server_elsewhere_is_reached_by_connect() {
        let (outcome, head) = asked("HTTP/1.1 200 OK\r\n\r\n", "", "kes.example.org:7373").await;
        assert!(outcome.unwrap().is_ok());
        assert!(
            head.starts_with("CONNECT kes.example.org:7373 HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            head.contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"),
            "{head}"
        );
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_proxys_words() {
        let (outcome, _) = asked("HTTP/1.1 407 Who are you?\r\n\r\n", "", "kes.example.org").await;
        let error = outcome.unwrap().unwrap_err().to_string();
        assert!(error.contains("407 Who are you?"), "{error}");
    }

    #[tokio::test]
    async fn this_computer_and_exceptions_need_no_proxy() {
        for (exceptions, target) in [
            ("", "127.0.0.1:1"),
            ("", "localhost:1"),
            ("", "[::1]:1"),
            (".example.org", "kes.example.org"),
            ("10.0.0.0/8", "10.1.2.3:7373"),
        ] {
            assert!(asked("", exceptions, target).await.0.is_none(), "{target}");
        }
    }
}
