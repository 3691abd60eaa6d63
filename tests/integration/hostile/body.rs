//! Bodies of 100 MB, wanted or not (api.md 5.4, D-2).

use bytes::Bytes;

use super::{MIB, Peak, others_are_served, server};
use crate::support::{Cert, Payload, Setup, Version, raw::Raw};

const PIECE: usize = 64 << 10;
const PIECES: usize = 100 * MIB / PIECE;

/// Routes that read a body, that read none, and that do not exist.
const PATHS: [&str; 3] = ["/v1/key/hmac/a", "/v1/key/create/b", "/v1/nothing"];

/// Sends a request whose body comes in pieces, as far as somebody reads it. Returns how many pieces that were.
async fn send(raw: &mut Raw, head: String, piece: &[u8]) -> usize {
    raw.write(head).await;
    for sent in 0..PIECES {
        if raw.try_write(piece).await.is_err() {
            return sent;
        }
    }
    PIECES
}

#[tokio::test]
async fn a_hundred_megabytes_over_http1_cost_next_to_nothing() {
    let (server, client) = server().await;
    let stranger = server.client(&Cert::client());
    let peak = Peak::of(&server);
    let piece = vec![b' '; PIECE];
    let mut chunk = format!("{PIECE:x}\r\n").into_bytes();
    chunk.extend_from_slice(&piece);
    chunk.extend_from_slice(b"\r\n");
    for (client, path) in PATHS
        .map(|path| (&client, path))
        .into_iter()
        .chain([(&stranger, PATHS[0])])
    {
        for (framing, piece) in [
            (format!("Content-Length: {}", 100 * MIB), &piece),
            ("Transfer-Encoding: chunked".to_owned(), &chunk),
        ] {
            let mut raw = Raw::connect(client).await;
            let head = format!("PUT {path} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n");
            let sent = send(&mut raw, head, piece).await;
            assert!(sent < PIECES / 2, "{path}, {framing}: all was read");
            raw.rest().await;
        }
    }
    peak.stays_within(16 * MIB);
    others_are_served(&client).await;
}

#[tokio::test]
async fn a_hundred_megabytes_over_http2_cost_next_to_nothing() {
    let admin = Cert::client();
    let server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    let stranger = server.client(&Cert::client());
    others_are_served(&client).await;
    let peak = Peak::of(&server);
    let piece = Bytes::from(vec![b' '; PIECE]);
    for (client, path, status) in [
        (&client, PATHS[0], 400),
        (&client, PATHS[1], 200),
        (&client, PATHS[2], 404),
        (&stranger, PATHS[0], 403),
    ] {
        let mut connection = client.connect(Version::H2).await.unwrap();
        let payload = Payload::Chunked(vec![piece.clone(); PIECES]);
        assert_eq!(connection.send("PUT", path, payload).await.status, status);
        let after = connection.send("GET", "/version", Payload::None).await;
        assert_eq!(after.status, 200);
    }
    peak.stays_within(16 * MIB);
    others_are_served(&client).await;
}
