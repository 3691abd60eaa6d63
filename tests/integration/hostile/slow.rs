//! Clients that let the server wait (api.md 1.1, 1.4, D-6).

use std::time::Duration;

use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{Instant, interval},
};

use super::{others_are_served, server, until_end};
use crate::support::{Cert, Payload, Setup, Version, raw::Raw};

/// What the limits of api.md are, less what clocks may differ by.
const LIMIT: Duration = Duration::from_millis(4900);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn who_connects_and_says_nothing_is_left_after_five_seconds() {
    let (server, client) = server().await;
    let start = Instant::now();
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut shaken = client.handshake(vec![b"http/1.1".to_vec()]).await.unwrap();
    let mut shaken_h2 = client.handshake(vec![b"h2".to_vec()]).await.unwrap();
    others_are_served(&client).await;
    let (one, two, _) = tokio::join!(
        until_end(&mut silent),
        until_end(&mut shaken),
        until_end(&mut shaken_h2)
    );
    assert_eq!((one, two), (Vec::new(), Vec::new()));
    assert!(start.elapsed() >= LIMIT);
}

#[tokio::test]
async fn a_handshake_cut_in_the_middle_is_over_after_five_seconds() {
    let (mut server, client) = server().await;
    let start = Instant::now();
    let mut tcp = TcpStream::connect(server.address).await.unwrap();
    // The first bytes of a hello of 512 bytes.
    tcp.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3])
        .await
        .unwrap();
    assert_eq!(until_end(&mut tcp).await, b"");
    assert!(start.elapsed() >= LIMIT);
    server.complained(1, "not complete after 5 s").await;
    let mut tcp = TcpStream::connect(server.address).await.unwrap();
    tcp.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    tcp.shutdown().await.unwrap();
    until_end(&mut tcp).await;
    others_are_served(&client).await;
}

/// Sends a head byte by byte, one a second, and ends before a connection that says nothing from the fourth second on.
async fn slow_head_ends_first(mut raw: Raw, client: &crate::support::Client) {
    let mut seconds = interval(SECOND);
    let mut sent = 0;
    for byte in b"GET " {
        seconds.tick().await;
        raw.write([*byte]).await;
        sent += 1;
    }
    let mut later = client.handshake(vec![b"http/1.1".to_vec()]).await.unwrap();
    let slow = async {
        for byte in b"/version HTTP/1.1\r\n" {
            seconds.tick().await;
            if raw.try_write([*byte]).await.is_err() {
                break;
            }
            sent += 1;
        }
        assert_eq!(raw.rest().await, b"", "closed without a response");
        sent
    };
    tokio::select! {
        biased;
        sent = slow => assert!(sent >= 5, "{sent} bytes"),
        _ = until_end(&mut later) => panic!("a head may take longer than five seconds"),
    }
}

#[tokio::test]
async fn a_slow_head_is_cut_after_five_seconds_on_a_new_connection() {
    let (_server, client) = server().await;
    let raw = Raw::connect(&client).await;
    slow_head_ends_first(raw, &client).await;
    others_are_served(&client).await;
}

#[tokio::test]
async fn a_slow_head_is_cut_five_seconds_after_its_first_byte_on_a_kept_connection() {
    let (_server, client) = server().await;
    let mut raw = Raw::connect(&client).await;
    raw.write("GET /version HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(raw.reply().await.status(), 200);
    slow_head_ends_first(raw, &client).await;
}

#[tokio::test]
async fn a_slow_body_is_answered_with_504_without_waiting_for_its_rest() {
    let admin = Cert::client();
    let server = Setup::new(&admin)
        .timeout("/v1/key/hmac/", "300ms")
        .timeout("/v1/key/encrypt/", "1s")
        .start()
        .await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    let mut raw = Raw::connect(&client).await;
    raw.write(
        "PUT /v1/key/hmac/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"message\":",
    )
    .await;
    let reply = raw.reply().await;
    assert_eq!(reply.status(), 504);
    assert_eq!(reply.header("connection"), "close");
    assert_eq!(raw.rest().await, b"");
    // This one's time is over 700 ms later, and its rest is not waited for in any case.
    let mut later = Raw::connect(&client).await;
    let mut raw = Raw::connect(&client).await;
    later
        .write("PUT /v1/key/encrypt/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        .await;
    // The same with chunks, which never end.
    raw.write(
        "PUT /v1/key/hmac/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    )
    .await;
    tokio::select! {
        biased;
        reply = raw.reply() => assert_eq!(reply.status(), 504),
        () = last_reply(&mut later) => panic!("the rest of the body was waited for"),
    }
    assert_eq!(raw.rest().await, b"");
    // With HTTP/2 other streams go on.
    let mut connection = client.connect(Version::H2).await.unwrap();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    sender.send("{".into()).unwrap();
    let reply = connection
        .send("PUT", "/v1/key/hmac/a", Payload::Open(receiver))
        .await;
    assert_eq!(reply.status, 504);
    let reply = connection.send("GET", "/version", Payload::None).await;
    assert_eq!(reply.status, 200);
    drop(sender);
}

/// Waits for the reply after "100 Continue".
async fn last_reply(raw: &mut Raw) {
    while raw.reply().await.status() == 100 {}
}
