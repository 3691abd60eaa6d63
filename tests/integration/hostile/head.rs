//! What is no TLS, no HTTP, or too much of it; and who shows no certificate (api.md 1.1, 1.2, 1.4).

use std::fmt::Write as _;

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{MIB, Peak, others_are_served, server, until_end};
use crate::support::raw::Raw;

#[tokio::test]
async fn plain_http_is_told_so_in_these_bytes() {
    let (server, client) = server().await;
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "P",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut tcp = TcpStream::connect(server.address).await.unwrap();
        tcp.write_all(request.as_bytes()).await.unwrap();
        let expected =
            "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
        assert_eq!(
            String::from_utf8_lossy(&until_end(&mut tcp).await),
            expected
        );
    }
    others_are_served(&client).await;
}

#[tokio::test]
async fn garbage_ends_the_handshake() {
    let (server, client) = server().await;
    let peak = Peak::of(&server);
    let mut long = vec![22, 3, 1, 255, 255];
    long.resize(MIB, 7);
    let huge_hello = [22, 3, 1, 0, 9, 1, 255, 255, 255, 3, 3, 0, 0, 0];
    for garbage in [
        &[0_u8; 1000][..],
        &[22, 3, 1, 0, 0][..],
        &[23, 3, 3, 0, 1, 0][..],
        &[21, 3, 3, 0, 2, 2, 80][..],
        &vec![255; 70_000][..],
        &huge_hello[..],
        &long[..],
    ] {
        let mut tcp = TcpStream::connect(server.address).await.unwrap();
        // The server may have closed before all was written.
        let _ = tcp.write_all(garbage).await;
        let _ = tcp.shutdown().await;
        let answer = until_end(&mut tcp).await;
        assert!(answer.is_empty() || answer[0] == 21, "no alert: {answer:?}");
    }
    peak.stays_within(4 * MIB);
    others_are_served(&client).await;
}

#[tokio::test]
async fn ten_thousand_headers_and_ten_megabytes_of_them_are_refused() {
    let (server, client) = server().await;
    let peak = Peak::of(&server);
    let mut many = String::from("GET /version HTTP/1.1\r\nHost: x\r\n");
    for number in 0..10_000 {
        let _ = write!(many, "x-{number}: 1\r\n");
    }
    many.push_str("\r\n");
    let long = format!(
        "GET /version HTTP/1.1\r\nHost: x\r\nx: {}\r\n\r\n",
        "x".repeat(10 * MIB)
    );
    let path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(10 * MIB));
    for (head, statuses) in [(many, [431, 431]), (long, [431, 431]), (path, [431, 414])] {
        let mut raw = Raw::connect(&client).await;
        let _ = raw.try_write(head).await;
        let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
        // Who is still writing when the connection is closed may not see the answer.
        let refused = statuses
            .iter()
            .any(|status| answer.starts_with(&format!("HTTP/1.1 {status} ")));
        assert!(answer.is_empty() || refused, "{answer}");
        others_are_served(&client).await;
    }
    peak.stays_within(12 * MIB);
}

#[tokio::test]
async fn who_has_no_certificate_ends_in_the_handshake_and_is_counted_nowhere() {
    let (server, client) = server().await;
    let requests = async || {
        let body = client.get("/v1/metrics").await.body;
        let text = String::from_utf8_lossy(&body).into_owned();
        let counted = |line: &&str| {
            line.starts_with("kes_http_request_success")
                || line.starts_with("kes_http_request_error")
                || line.starts_with("kes_http_request_failure")
        };
        let lines: Vec<String> = text.lines().filter(counted).map(str::to_owned).collect();
        assert!(!lines.is_empty(), "{text}");
        lines
    };
    let before = requests().await;
    for _ in 0..100 {
        // With TLS 1.3 the client's side of the handshake ends before the server has refused it.
        if let Ok(mut stream) = server.nobody().handshake(Vec::new()).await {
            let _ = stream
                .write_all(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
                .await;
            let _ = stream.flush().await;
            assert_eq!(until_end(&mut stream).await, b"");
        }
    }
    assert_eq!(requests().await, before);
}
