//! What stands in front of the server: proxies that forward certificates, load balancers that say whom they connect.

use std::{
    net::SocketAddr,
    pin::pin,
    task::{Context, Poll, Waker},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kes::{
    identity::Identity,
    server::proxy_protocol::{self, Error, Header},
    tls::{Peer, proxy},
};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};

/// A forwarded certificate is what stands in the header, whole and in one piece, and nothing else; its spelling does not matter.
pub fn forwarded(value: &[u8]) {
    let Ok(der) = proxy::certificate(value) else {
        return;
    };
    assert!(!der.is_empty() && value.len() <= proxy::MAX);
    let digits = STANDARD.encode(&der);
    let mut text: Vec<u8> = percent_decode(value).collect();
    text.retain(|byte| !byte.is_ascii_whitespace());
    let mut windows = text.windows(digits.len());
    assert!(windows.any(|window| window == digits.as_bytes()), "made up");
    let pem = format!("-----BEGIN CERTIFICATE-----\n{digits}\n-----END CERTIFICATE-----\n");
    let escaped = percent_encode(pem.as_bytes(), NON_ALPHANUMERIC).to_string();
    let sequence = format!(":{digits}:");
    for spelling in [digits, escaped, sequence] {
        if spelling.len() <= proxy::MAX {
            assert_eq!(proxy::certificate(spelling.as_bytes()).as_ref(), Ok(&der));
        }
    }
    let peer = Peer::forwarded([192, 0, 2, 1].into(), Some(&der));
    assert_eq!(
        peer.identity().ok(),
        Identity::of_chain(&[&der]).as_ref().ok()
    );
}

/// A header is read to its last byte and no further, and reads the same when it is written anew.
pub fn proxy_protocol(data: &[u8]) {
    let (read, taken) = header(data);
    assert!(taken <= proxy_protocol::LONGEST);
    let Ok(Some(found)) = read else {
        return;
    };
    let (again, left) = header(&data[..taken]);
    assert_eq!((again.ok(), left), (Some(Some(found)), taken));
    if let Header::Client(address) = found {
        for spelling in [line(address), binary(address)] {
            let (again, taken) = header(&spelling);
            assert_eq!((again.ok(), taken), (Some(Some(found)), spelling.len()));
        }
    }
}

/// What is read from `data`, and how many bytes were taken.
fn header(data: &[u8]) -> (Result<Option<Header>, Error>, usize) {
    let mut left = data;
    let read = {
        let mut read = pin!(proxy_protocol::read(&mut left));
        match read.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => read,
            Poll::Pending => panic!("bytes at hand never let anybody wait"),
        }
    };
    (read, data.len() - left.len())
}

fn line(address: SocketAddr) -> Vec<u8> {
    let (family, other) = if address.is_ipv4() {
        ("TCP4", "0.0.0.0")
    } else {
        ("TCP6", "::")
    };
    let (ip, port) = (address.ip(), address.port());
    format!("PROXY {family} {ip} {other} {port} 0\r\n").into_bytes()
}

fn binary(address: SocketAddr) -> Vec<u8> {
    let (family, ip) = match address {
        SocketAddr::V4(address) => (0x11, address.ip().octets().to_vec()),
        SocketAddr::V6(address) => (0x21, address.ip().octets().to_vec()),
    };
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    header.extend([family, 0, 2 * ip.len().to_le_bytes()[0] + 4]);
    header.extend(&ip);
    header.resize(header.len() + ip.len(), 0);
    header.extend(address.port().to_be_bytes());
    header.extend([0, 0]);
    header
}
