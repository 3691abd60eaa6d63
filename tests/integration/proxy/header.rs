//! The PROXY protocol on the wire: required from listed addresses, byte for byte, and never read from others.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Audit, Event, RELOADED, ask, balanced};
use crate::support::{Cert, Client, Server, Version, server::PATIENCE};

/// The address of the load balancer, and one that is not listed.
const BALANCER: [u8; 4] = [127, 9, 0, 1];
const OTHER: [u8; 4] = [127, 0, 0, 2];
const ERROR: &str = "PROXY protocol error from 127.9.0.1:";

/// A header of version 2 for a connection from 192.0.2.7:4711.
fn v2(command: u8, more: &[u8]) -> Vec<u8> {
    let block = [&[192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0x1c, 0xcd], more].concat();
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [
        b"\r\n\r\n\0\r\nQUIT\n",
        &[command, 0x11][..],
        &length,
        &block,
    ]
    .concat()
}

async fn started(admin: &Cert) -> Server {
    balanced(admin, &["127.9.0.0/16", "2001:db8::/32"])
        .start()
        .await
}

/// One request of `client`, and what the audit log says.
async fn request(client: &Client, audit: &mut Audit) -> Event {
    let mut connection = client.connect(Version::H2).await.unwrap();
    ask(&mut connection, "GET", "/version", &[]).await.json();
    audit.next().await
}

#[tokio::test]
async fn the_audit_log_shows_the_client_that_the_load_balancer_connects() {
    let [admin, app] = std::array::from_fn(|_| Cert::client());
    let mut server = started(&admin).await;
    let mut audit = Audit::open(&server.client(&admin), Version::H1).await;
    let client = server.client(&app).from(BALANCER);
    for (preamble, ip) in [
        (
            b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 7373\r\n".to_vec(),
            "192.0.2.7",
        ),
        (
            b"PROXY TCP6 2001:db8::7 ::1 4711 7373\r\n".to_vec(),
            "2001:db8::7",
        ),
        (
            b"PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 7373\r\n".to_vec(),
            "192.0.2.7",
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.9.0.1"),
        (v2(0x21, b""), "192.0.2.7"),
        (v2(0x21, &[0xea, 0, 3, 1, 2, 3]), "192.0.2.7"),
        (v2(0x20, b""), "127.9.0.1"),
    ] {
        let event = request(&client.saying(preamble.clone()), &mut audit).await;
        assert_eq!(
            event,
            Event::new("/version", ip, &app.identity, 200),
            "{preamble:?}"
        );
    }
    // Lines about the handshake name the client, too.
    let nobody = server.nobody().from(BALANCER).saying(v2(0x21, b""));
    let _ = nobody
        .connect(Version::H1)
        .await
        .map(|connection| connection.driver);
    server
        .complained(1, "http: TLS handshake error from 192.0.2.7:4711: ")
        .await;
}

#[tokio::test]
async fn a_missing_or_broken_header_closes_the_connection_with_a_line_in_the_log() {
    let [admin, app] = std::array::from_fn(|_| Cert::client());
    let mut server = started(&admin).await;
    let client = server.client(&app).from(BALANCER);
    let missing =
        "there is no PROXY protocol header, although this address is in 'proxy_protocol.from'";
    let cases: [(&[u8], &str); 6] = [
        (b"", missing),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", missing),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n", "the line of version 1 is malformed"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 7373 and then something very long that goes on until the limit of a line is reached, and further", "the header is too long"),
        (&v2(0x22, b""), "the header is of an unknown kind"),
        (&v2(0x21, &[3, 0, 4, 0, 0, 0, 0]), "the checksum is wrong"),
    ];
    for (index, (preamble, why)) in cases.into_iter().enumerate() {
        assert!(
            client.saying(preamble).connect(Version::H1).await.is_err(),
            "{why}"
        );
        server.complained(index + 1, ERROR).await;
        server.complained(1, why).await;
    }
    // Two headers: the second is not TLS.
    let twice = [v2(0x21, b""), v2(0x21, b"")].concat();
    assert!(client.saying(twice).connect(Version::H1).await.is_err());
    server
        .complained(1, "http: TLS handshake error from 192.0.2.7:4711: ")
        .await;
}

#[tokio::test]
async fn a_header_from_an_address_that_is_not_listed_is_never_read() {
    let [admin, app] = std::array::from_fn(|_| Cert::client());
    let mut server = started(&admin).await;
    let mut audit = Audit::open(&server.client(&admin), Version::H1).await;
    let client = server.client(&app).from(OTHER);
    for (index, preamble) in [
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 7373\r\n".to_vec(),
        v2(0x21, b""),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(client.saying(preamble).connect(Version::H1).await.is_err());
        let why = "it sent a PROXY protocol header, but is not in 'proxy_protocol.from'";
        let line = server.complained(index + 1, why).await;
        assert!(
            line.contains("http: TLS handshake error from 127.0.0.2:"),
            "{line}"
        );
    }
    let event = request(&client, &mut audit).await;
    assert_eq!(
        event,
        Event::new("/version", "127.0.0.2", &app.identity, 200)
    );
}

/// A TCP connection from the load balancer's address.
async fn tcp(server: &Server) -> io::Result<tokio::net::TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind((BALANCER, 0).into())?;
    socket.connect(server.address).await
}

#[tokio::test]
async fn a_header_that_drips_has_the_time_of_a_handshake_and_no_more() {
    let admin = Cert::client();
    let mut server = started(&admin).await;
    let mut dripping = Vec::new();
    for start in [
        &b"P"[..],
        b"PROXY TCP4 192.0.2.7",
        &v2(0x21, b"")[..20],
        b"PROXY UNKNOWN\r\n",
    ] {
        let mut stream = tcp(&server).await.unwrap();
        stream.write_all(start).await.unwrap();
        dripping.push(stream);
    }
    for stream in &mut dripping {
        let end = tokio::time::timeout(PATIENCE, stream.read(&mut [0])).await;
        assert!(matches!(end.expect("still open"), Ok(0) | Err(_)));
    }
    server
        .complained(3, "PROXY protocol error from 127.9.0.1:")
        .await;
    // The last one had its header, and then no TLS.
    server
        .complained(1, "http: TLS handshake error from 127.9.0.1:")
        .await;
    server.complained(4, "not complete after 5 s").await;
}

#[tokio::test]
async fn a_load_balancers_port_checks_leave_no_line() {
    let admin = Cert::client();
    let mut server = started(&admin).await;
    for preamble in [&b""[..], &v2(0x20, b"")] {
        let mut stream = tcp(&server).await.unwrap();
        stream.write_all(preamble).await.unwrap();
        stream.shutdown().await.unwrap();
        // Its end shows that the server has seen ours.
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    }
    // A line that comes for certain, and after those that must not.
    let _ = server
        .client(&admin)
        .from(BALANCER)
        .connect(Version::H1)
        .await
        .map(|connection| connection.driver);
    server.complained(1, ERROR).await;
    let lines = server.errors();
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("error from 127.9.0.1"))
        .collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[tokio::test]
async fn a_reload_changes_from_whom_headers_are_required() {
    let admin = Cert::client();
    let mut server = balanced(&admin, &[]).start().await;
    let client = server.client(&admin).from(BALANCER);
    let header = v2(0x21, b"");
    client.get("/version").await.json();
    server.reload(&balanced(&admin, &["127.9.0.1"]));
    server.said(1, RELOADED).await;
    assert!(client.connect(Version::H1).await.is_err());
    client.saying(header.clone()).get("/version").await.json();
    server.reload(&balanced(&admin, &[]));
    server.said(2, RELOADED).await;
    client.get("/version").await.json();
    assert!(client.saying(header).connect(Version::H1).await.is_err());
}
