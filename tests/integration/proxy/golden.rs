//! What real nginx and real `HAProxy` put into the header for one certificate, kept byte for byte: vectors for the parser, and seeds for
//! its fuzzing.

use std::sync::Arc;

use kes::{
    identity::Identity,
    tls::{Peer, proxy},
};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{Front, HEADER, Kind};
use crate::support::{Cert, Version, server::PATIENCE};

/// A client's certificate, and its header as nginx and as `HAProxy` write it.
const CERT: &[u8] = include_bytes!("golden/client.crt");
const NGINX: &str = include_str!("golden/nginx.txt");
const HAPROXY: &str = include_str!("golden/haproxy.txt");

fn der() -> CertificateDer<'static> {
    kes::tls::certs::chain(CERT).unwrap().remove(0)
}

#[test]
fn what_real_proxies_send_is_read() {
    let expected = der();
    let identity = Identity::of_certificate(&expected).unwrap();
    // Base64 with both digits that are not letters or figures, or they would prove nothing.
    assert!(HAPROXY.contains('+') && HAPROXY.contains('/'));
    for value in [NGINX, HAPROXY] {
        let read = proxy::certificate(value.trim_end().as_bytes()).unwrap();
        assert_eq!(read, expected);
        let peer = Peer::forwarded([192, 0, 2, 1].into(), Some(&read));
        assert_eq!(peer.identity().unwrap(), &identity);
    }
}

/// The golden certificate with its key, which is no secret.
fn client() -> Cert {
    let pkcs8 = [
        &b"\x30\x2e\x02\x01\0\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..],
        &std::array::from_fn::<u8, 32, _>(|at| u8::try_from(at).unwrap()),
    ]
    .concat();
    let key = PrivateKeyDer::Pkcs8(pkcs8.into());
    let pair = KeyPair::try_from(&key).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "golden");
    Cert::with_pair(pair, params).with_certificate(der().to_vec())
}

/// A server that is asked once, answers with nothing, and says what the header was.
async fn header_of(listener: TcpListener, config: ServerConfig) -> String {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await;
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let value = lines.find(|(name, _)| name.eq_ignore_ascii_case(HEADER));
        // Health checks have none.
        if let Some((_, value)) = value {
            return value.to_owned();
        }
        let _ = stream.shutdown().await;
    }
}

#[tokio::test]
async fn real_proxies_send_what_is_kept_here() {
    for (kind, golden) in [(Kind::Nginx, NGINX), (Kind::HaProxy, HAPROXY)] {
        if !kind.is_there() {
            continue;
        }
        let own = Cert::server();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        // No ALPN: HTTP/1.1 from both.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(own.chain.clone(), own.key.clone_key())
            .unwrap();
        let front = Front::tls(
            kind,
            listener.local_addr().unwrap(),
            &Cert::client(),
            &own.pem(),
        );
        let header = tokio::spawn(header_of(listener, config));
        let client = front.client(Some(&client()), [127, 0, 0, 5]);
        let mut connection = client.connect(Version::H2).await.unwrap();
        let opened = connection.open("GET", "/version", &[], crate::support::Payload::None);
        opened.await.unwrap();
        let header = tokio::time::timeout(PATIENCE, header)
            .await
            .expect("no request");
        assert_eq!(header.unwrap(), golden.trim_end(), "{kind:?}");
    }
}
