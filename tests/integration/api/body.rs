//! Bodies: how much is read of them, and what becomes of the rest (api.md 5.4, D-2, D-6, D-11).

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::{Cert, Client, Payload, Reply, Server, Setup, Version, raw::Raw};

const LIMIT: usize = 1_000_000;

async fn server() -> (Server, Client) {
    let admin = Cert::client();
    let server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    (server, client)
}

/// A body of `length` bytes, all of which are its one value.
fn exactly(length: usize) -> Bytes {
    let frame = "{\"message\":\"\",\"x\":\"\"}".len();
    let filler = "x".repeat(length - frame);
    Bytes::from(format!("{{\"message\":\"\",\"x\":\"{filler}\"}}"))
}

fn pieces(body: &Bytes) -> Vec<Bytes> {
    body.chunks(10_000).map(Bytes::copy_from_slice).collect()
}

#[tokio::test]
async fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
    let (_server, client) = server().await;
    for version in Version::ALL {
        let hmac = async |payload| client.send(version, "PUT", "/v1/key/hmac/a", payload).await;
        let full = exactly(LIMIT);
        hmac(Payload::Sized(full.clone())).await.json();
        hmac(Payload::Chunked(pieces(&full))).await.json();
        let over = exactly(LIMIT + 1);
        for payload in [
            Payload::Sized(over.clone()),
            Payload::Chunked(pieces(&over)),
        ] {
            let reply: Reply = hmac(payload).await;
            reply.error(400, "invalid request body");
        }
    }
}

#[tokio::test]
async fn what_follows_a_complete_value_is_ignored_also_beyond_the_limit() {
    let (_server, client) = server().await;
    for version in Version::ALL {
        let hmac = async |payload| client.send(version, "PUT", "/v1/key/hmac/a", payload).await;
        let expected = hmac("{}".into()).await.json();
        let mut long = b"{} ".to_vec();
        long.resize(LIMIT + 30_000, b'}');
        let long = Bytes::from(long);
        assert_eq!(hmac(Payload::Chunked(pieces(&long))).await.json(), expected);
        assert_eq!(hmac(Payload::Sized(long)).await.json(), expected);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_closes_the_connection_or_leaves_it_clean() {
    let (_server, client) = server().await;
    let body = exactly(LIMIT + 2_000_000);
    let mut raw = Raw::connect(&client).await;
    raw.write(format!(
        "PUT /v1/key/hmac/a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ))
    .await;
    // Only as much as has to be read before the answer: the rest would be in the way of it.
    raw.write(&body[..LIMIT]).await;
    let _ = raw.try_write(&body[LIMIT..LIMIT + 100_000]).await;
    let reply = raw.reply().await;
    assert_eq!(reply.status(), 400);
    assert_eq!(reply.header("connection"), "close");
    assert_eq!(raw.rest().await, b"");
}

/// A body of `size` bytes nobody asked for, with a request hidden in it, and a request behind it.
async fn smuggle(client: &Client, size: usize, before: &str) -> (u16, String, String) {
    let hidden = "DELETE /v1/key/delete/a HTTP/1.1\r\nHost: x\r\n\r\n";
    let body = hidden.repeat(size / hidden.len());
    let mut raw = Raw::connect(client).await;
    let head = format!("{before}Host: x\r\nContent-Length: {}\r\n\r\n", body.len());
    raw.write(head).await;
    let _ = raw.try_write(body).await;
    let _ = raw
        .try_write("GET /v1/key/list/ HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    let first = raw.reply().await;
    let connection = first.header("connection").to_owned();
    let rest = String::from_utf8(raw_rest(raw, &connection).await).unwrap();
    (first.status(), connection, rest)
}

async fn raw_rest(mut raw: Raw, connection: &str) -> Vec<u8> {
    if connection == "close" {
        return raw.rest().await;
    }
    let reply = raw.reply().await;
    [reply.head.into_bytes(), reply.body].concat()
}

#[tokio::test]
async fn a_request_hidden_in_an_unread_body_is_never_served() {
    let (_server, client) = server().await;
    for (request, status) in [
        ("GET /version HTTP/1.1\r\n", 200),
        ("GET /v1/key/list/ HTTP/1.1\r\n", 200),
        ("PUT /v1/key/create/a HTTP/1.1\r\n", 400),
        ("GET /nope HTTP/1.1\r\n", 404),
        ("PATCH /version HTTP/1.1\r\n", 405),
        ("PUT /v1/key/hmac/a.b HTTP/1.1\r\n", 400),
    ] {
        for size in [100, 60_000, 300_000, 900_000, 3_000_000] {
            let (first, connection, rest) = smuggle(&client, size, request).await;
            assert_eq!(first, status, "{request} {size}");
            if connection == "close" {
                assert_eq!(rest, "", "{request} {size}");
            } else {
                assert!(
                    rest.ends_with("{\"names\":[\"a\"]}\n"),
                    "{request} {size}: {rest}"
                );
            }
            if size <= 900_000 {
                assert_eq!(connection, "", "{request} {size}: the connection is lost");
            }
        }
    }
    let names = client.get("/v1/key/list/").await.json();
    assert_eq!(names, json!({"names": ["a"]}));
}

#[tokio::test]
async fn over_http2_an_unread_body_costs_neither_the_response_nor_the_connection() {
    let (_server, client) = server().await;
    let mut connection = client.connect(Version::H2).await.unwrap();
    let body = Bytes::from(vec![b'x'; 600_000]);
    for round in 0..8 {
        let path = format!("/v1/key/create/k{round}");
        let reply = connection
            .send("PUT", &path, Payload::Chunked(pieces(&body)))
            .await;
        reply.empty();
    }
    let names = connection
        .send("GET", "/v1/key/list/k", Payload::None)
        .await
        .json();
    assert_eq!(names["names"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn who_is_refused_learns_why_even_if_the_body_was_not_read() {
    let (server, client) = server().await;
    let stranger = server.client(&Cert::client());
    let body = exactly(LIMIT);
    for version in Version::ALL {
        for payload in [
            Payload::Sized(body.clone()),
            Payload::Chunked(pieces(&body)),
        ] {
            let denied = stranger
                .send(version, "PUT", "/v1/key/hmac/a", payload)
                .await;
            denied.error(403, "not authorized: insufficient permissions");
        }
        let payload = Payload::Sized(body.clone());
        let absent = client.send(version, "PUT", "/nope", payload).await;
        absent.error(404, "not found");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_meets_the_time_limit() {
    let admin = Cert::client();
    let server = Setup::new(&admin)
        .timeout("/v1/key/hmac/", "300ms")
        .timeout("/v1/key/encrypt/", "300ms")
        .start()
        .await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    for version in Version::ALL {
        for route in ["hmac", "encrypt"] {
            let mut connection = client.connect(version).await.unwrap();
            let (sender, receiver) = mpsc::unbounded_channel();
            sender.send(Bytes::from("{\"message\":\"")).unwrap();
            let path = format!("/v1/key/{route}/a");
            let payload = Payload::Open(receiver);
            let response = connection.open("PUT", &path, &[], payload).await.unwrap();
            assert_eq!(response.status(), 504);
            if version == Version::H1 {
                assert_eq!(response.headers()["connection"], "close");
            }
            drop(sender);
            Reply::read(response)
                .await
                .unwrap()
                .error(504, "request timed out");
        }
    }
    // Others have their own limits.
    client.put("/v1/key/generate/a", "{}").await.json();
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused_or_nobody_is_there_to_see() {
    let (_server, client) = server().await;
    let mut raw = Raw::connect(&client).await;
    raw.write("PUT /v1/key/hmac/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    raw.write("2\r\n{\"\r\nrubbish\r\n").await;
    assert_eq!(raw.reply().await.status(), 400);
    assert_eq!(raw.rest().await, b"");
    client.get("/version").await.json();
}

#[tokio::test]
async fn a_request_of_two_lengths_is_refused() {
    let (_server, client) = server().await;
    for headers in [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: x\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: rubbish\r\n",
    ] {
        let mut raw = Raw::connect(&client).await;
        let request = format!("PUT /v1/key/hmac/a HTTP/1.1\r\nHost: x\r\n{headers}\r\n{{}}");
        raw.write(request).await;
        assert_eq!(raw.reply().await.status(), 400, "{headers}");
        raw.rest().await;
    }
    // Both: the chunks count, and whatever is behind them must not be taken for a request.
    let mut raw = Raw::connect(&client).await;
    raw.write(
        "PUT /v1/key/hmac/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
         DELETE /v1/key/delete/a HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    .await;
    let first = raw.reply().await;
    // A body of undeclared length with nothing in it.
    assert_eq!(first.status(), 503);
    client.get("/v1/key/describe/a").await.json();
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked_only_if_it_is_wanted() {
    let (_server, client) = server().await;
    let ask = async |request: &str, path: &str| {
        let mut raw = Raw::connect(&client).await;
        let head = format!(
            "{request} {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        );
        raw.write(head).await;
        raw
    };
    let mut raw = ask("PUT", "/v1/key/hmac/a").await;
    assert_eq!(raw.reply().await.head, "HTTP/1.1 100 Continue\r\n\r\n");
    raw.write("{}").await;
    assert_eq!(raw.reply().await.status(), 200);
    for (method, path, status) in [
        ("PUT", "/v1/key/hmac/a.b", 400),
        ("PUT", "/v1/key/create/a", 400),
        ("GET", "/version", 200),
        ("PATCH", "/version", 405),
        ("PUT", "/nope", 404),
    ] {
        let mut raw = ask(method, path).await;
        let reply = raw.reply().await;
        assert_eq!(reply.status(), status, "{method} {path}");
        assert_eq!(reply.header("connection"), "close", "{method} {path}");
        assert_eq!(raw.rest().await, b"", "{method} {path}");
    }
}

#[tokio::test]
async fn two_requests_at_once_are_answered_in_their_order() {
    let (_server, client) = server().await;
    let mut raw = Raw::connect(&client).await;
    raw.write(
        "GET /v1/key/list/ HTTP/1.1\r\nHost: x\r\n\r\nGET /nope HTTP/1.1\r\nHost: x\r\n\r\n\
         PUT /v1/key/hmac/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    )
    .await;
    assert_eq!(raw.reply().await.body, b"{\"names\":[\"a\"]}\n");
    assert_eq!(raw.reply().await.status(), 404);
    assert_eq!(raw.reply().await.status(), 200);
}
