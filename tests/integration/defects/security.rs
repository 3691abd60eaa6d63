//! D-1, D-2 and D-4 to D-6: who is let in, and what a client can do to others.

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use super::{create, server};
use crate::support::{Cert, Payload, Setup, Version, raw::Raw};

#[tokio::test]
async fn d01_the_first_certificate_alone_tells_who_a_client_is() {
    let admin = Cert::client();
    let server = Setup::new(&admin).start().await;
    let required = "tls: client certificate is required";
    let ambiguous = "tls: received more than one client certificate";
    let (authority, other) = (Cert::authority(), Cert::client());
    let first_is_an_authority = Cert::authority().followed_by(&admin);
    let second_is_no_authority = Cert::client().followed_by(&other);
    for version in Version::ALL {
        // A resumed session has the identity of its first handshake, whatever came with it.
        for (cert, message) in [
            (&authority, required),
            (&first_is_an_authority, required),
            (&second_is_no_authority, ambiguous),
        ] {
            let client = server.client(cert).resuming();
            for _ in 0..3 {
                let reply = client
                    .send(version, "GET", "/v1/status", Payload::None)
                    .await;
                reply.error(400, message);
            }
        }
        let followed = Cert::client().followed_by(&authority);
        let client = server.client(&followed);
        let reply = client
            .send(version, "GET", "/v1/status", Payload::None)
            .await;
        reply.error(403, "not authorized: insufficient permissions");
        let client = server.client(&admin);
        let reply = client
            .send(version, "GET", "/v1/status", Payload::None)
            .await;
        assert_eq!(reply.status, 200);
    }
}

#[tokio::test]
async fn d02_an_unread_body_is_never_taken_for_a_request() {
    let (server, client, _) = server().await;
    // A request of which the first answer must say that the connection ends, or the next answer is for the next request.
    for (number, size) in [300_000_usize, 3_000_000].into_iter().enumerate() {
        let hidden = format!(
            "PUT /v1/key/create/hidden{number} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
        );
        let mut body = "x".repeat(size);
        body.push_str(&hidden);
        let mut raw = Raw::connect(&client).await;
        let head = format!(
            "PUT /v1/key/create/seen{number} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        raw.write(head).await;
        // Whoever closes need not read all of it.
        let _ = raw.try_write(body).await;
        let reply = raw.reply().await;
        assert_eq!(reply.status(), 200);
        if reply.header("connection") == "close" {
            assert!(raw.rest().await.is_empty());
        } else {
            raw.write("GET /version HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let next = raw.reply().await;
            assert!(next.body.starts_with(b"{\"version\":"), "{next:?}");
        }
    }
    // Over HTTP/2 the response arrives, and the connection goes on.
    let mut connection = client.connect(Version::H2).await.unwrap();
    let body = Payload::Sized(Bytes::from(vec![b'x'; 3_000_000]));
    let reply = connection.send("PUT", "/v1/key/create/seen2", body).await;
    reply.empty();
    let names = connection.send("GET", "/v1/key/list/", Payload::None).await;
    assert_eq!(names.json()["names"], json!(["seen0", "seen1", "seen2"]));
    drop(server);
}

#[tokio::test]
async fn d04_rules_with_stars_inside_mean_what_they_say_and_are_warned_about() {
    let (admin, user) = (Cert::client(), Cert::client());
    let mut server = Setup::new(&admin)
        .policy(
            "user",
            &["/v1/key/*/app?", "/v1/key/generate/*"],
            &["/v1/key/*/*-secret"],
            &[&user],
        )
        .start()
        .await;
    let admin = server.client(&admin);
    for name in ["app1", "app12", "my-secret"] {
        create(&admin, name).await;
    }
    let user = server.client(&user);
    for (path, status) in [
        ("/v1/key/describe/app1", 200),
        ("/v1/key/describe/app12", 403),
        ("/v1/key/describe/my-secret", 403),
    ] {
        assert_eq!(user.get(path).await.status, status, "{path}");
    }
    for (name, status) in [("app12", 200), ("my-secret", 403)] {
        let path = format!("/v1/key/generate/{name}");
        assert_eq!(
            user.put(&path, Payload::None).await.status,
            status,
            "{name}"
        );
    }
    server.complained(1, "policy.user.allow[0]").await;
    server.complained(1, "policy.user.deny[0]").await;
    let errors = server.errors().join("\n");
    assert!(!errors.contains("policy.user.allow[1]"), "{errors}");
}

#[tokio::test]
async fn d05_a_denied_request_is_logged_with_four_attributes() {
    let (admin, stranger) = (Cert::client(), Cert::client());
    let setup = Setup::new(&admin).with("log:\n  error: debug");
    let mut server = setup.start().await;
    let mut connection = server.client(&stranger).connect(Version::H1).await.unwrap();
    let headers = [("x-secret", "hunter2"), ("authorization", "Bearer hunter2")];
    let path = "/v1/key/describe/a?token=hunter2";
    let response = connection.open("GET", path, &headers, Payload::None).await;
    assert_eq!(response.unwrap().status(), 403);
    server.complained(1, "not authorized").await;
    let errors = server.errors();
    let line = errors
        .iter()
        .find(|line| line.contains("not authorized"))
        .unwrap();
    let (_, attributes) = line.split_once(" req.").unwrap();
    assert_eq!(
        attributes,
        format!(
            "method=GET req.path=/v1/key/describe/a req.ip=127.0.0.1 req.identity={}",
            stranger.identity
        )
    );
    assert!(line.contains(" level=DEBUG "), "{line}");
    assert!(!errors.join("\n").contains("hunter2"));
}

#[tokio::test]
async fn d06_a_body_that_does_not_come_meets_the_routes_time_limit() {
    let (admin, stranger) = (Cert::client(), Cert::client());
    let server = Setup::new(&admin)
        .timeout("/v1/key/encrypt/", "200ms")
        .start()
        .await;
    create(&server.client(&admin), "a").await;
    for version in Version::ALL {
        let (sender, body) = mpsc::unbounded_channel();
        sender
            .send(Bytes::from_static(b"{\"plaintext\":\""))
            .unwrap();
        let client = server.client(&admin);
        let reply = client
            .send(version, "PUT", "/v1/key/encrypt/a", Payload::Open(body))
            .await;
        reply.error(504, "request timed out");
        // Who is refused is refused before that, and is not waited for afterwards.
        let (_sender, body) = mpsc::unbounded_channel();
        let client = server.client(&stranger);
        let reply = client
            .send(version, "PUT", "/v1/key/encrypt/a", Payload::Open(body))
            .await;
        reply.error(403, "not authorized: insufficient permissions");
    }
}
