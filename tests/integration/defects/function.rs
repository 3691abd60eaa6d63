//! D-3 and D-7 to D-15: what clients and operators are told.

use std::fs;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Stream, create, delete, metric, server, take_all_descriptors, until};
use crate::support::{Cert, Payload, Reply, Setup, Version};

#[tokio::test]
async fn d03_a_log_stream_sends_its_headers_at_once_and_every_event() {
    let (server, client, admin) = server().await;
    // Returns with the headers, before there is any event.
    let mut audit = Stream::open(&client, "/v1/log/audit").await;
    let mut errors = Stream::open(&client, "/v1/log/error").await;
    for number in 0..100 {
        let path = format!("/v1/key/describe/k{number}");
        assert_eq!(client.get(&path).await.status, 404);
        let event = audit.about(&path).await;
        assert_eq!(event["request"]["identity"], admin.identity);
        assert_eq!(event["response"]["code"], 404);
    }
    fs::write(server.keys().join("broken"), "x").unwrap();
    client
        .get("/v1/key/describe/broken")
        .await
        .error(502, "failed to read key");
    let event = errors.next().await;
    let message = event["message"].as_str().unwrap();
    assert!(
        message.contains(" level=ERROR ") && message.contains("broken"),
        "{message}"
    );
}

#[tokio::test]
async fn d07_paging_loses_no_name() {
    let (server, client, _) = server().await;
    // More names of 80 bytes than fit into a megabyte, and some that the prefix leaves out.
    let names: Vec<String> = (0..13_000).map(|n| format!("k{n:0>79}")).collect();
    for name in names.iter().chain(&["a".to_owned(), "z".to_owned()]) {
        fs::write(server.keys().join(name), "x").unwrap();
    }
    let mut seen = Vec::new();
    let mut pattern = "k".to_owned();
    let mut pages = 0;
    while !pattern.is_empty() {
        let path = format!("/v1/key/list/{}", pattern.replace('*', "%2A"));
        let page = client.get(&path).await;
        assert!(page.body.len() < 1 << 20);
        let page = page.json();
        let found = page["names"].as_array().unwrap().iter();
        seen.extend(found.map(|name| name.as_str().unwrap().to_owned()));
        pattern = page["continue_at"].as_str().unwrap_or_default().to_owned();
        pages += 1;
    }
    assert_eq!(pages, 2);
    assert!(seen == names, "{} of {} names", seen.len(), names.len());
}

#[tokio::test]
async fn d08_a_star_at_the_end_of_a_pattern_is_dropped_in_all_listings() {
    let (admin, user) = (Cert::client(), Cert::client());
    let server = Setup::new(&admin)
        .policy("my-policy", &[], &[], &[&user])
        .policy("other", &[], &[], &[])
        .start()
        .await;
    let client = server.client(&admin);
    for name in ["my-a", "my-b", "mya", "other"] {
        create(&client, name).await;
    }
    for (pattern, names) in [
        ("my*", json!(["my-a", "my-b", "mya"])),
        ("my-*", json!(["my-a", "my-b"])),
        ("my-", json!(["my-a", "my-b"])),
        ("*", json!(["my-a", "my-b", "mya", "other"])),
    ] {
        let list = client.get(&format!("/v1/key/list/{pattern}")).await;
        assert_eq!(list.json()["names"], names, "{pattern}");
    }
    let list = client.get("/v1/policy/list/my*").await.json();
    assert_eq!(list["names"], json!(["my-policy"]));
    let start = user.identity.get(..20).unwrap();
    let list = client
        .get(&format!("/v1/identity/list/{start}*"))
        .await
        .json();
    assert_eq!(list["identities"], json!([user.identity]));
}

#[tokio::test]
async fn d09_everybody_can_ask_who_they_are() {
    let (admin, user) = (Cert::client(), Cert::client());
    let server = Setup::new(&admin)
        .policy(
            "app",
            &["/v1/key/generate/a*"],
            &["/v1/key/generate/ab"],
            &[&user],
        )
        .start()
        .await;
    let path = "/v1/identity/self/describe";
    let info = server.client(&user).get(path).await.json();
    assert_eq!(info["identity"], user.identity);
    // Text, as the SDK needs it.
    assert_eq!(info["policy"], "app");
    assert_eq!(info["allow"], json!({"/v1/key/generate/a*": {}}));
    assert_eq!(info["deny"], json!({"/v1/key/generate/ab": {}}));
    assert_eq!(info["created_by"], admin.identity);
    let info = server.client(&admin).get(path).await.json();
    assert_eq!((&info["admin"], info.get("policy")), (&json!(true), None));
    let stranger = server.client(&Cert::client());
    stranger
        .get(path)
        .await
        .error(404, "identity does not exist");
}

/// What the SDK insists on when it reads a status.
fn sdk_takes(status: &Value) -> bool {
    status["keystore_unreachable"] != true || status["keystore_unavailable"] == true
}

#[tokio::test]
async fn d10_the_status_of_a_server_without_keystore_can_be_read() {
    let (server, client, _) = server().await;
    let mut connection = client.connect(Version::H2).await.unwrap();
    fs::remove_dir_all(server.keys()).unwrap();
    // The outcome of a probe is shared for a moment.
    until(&mut connection, "/v1/ready", 504).await;
    let status = connection
        .send("GET", "/v1/status", Payload::None)
        .await
        .json();
    assert!(sdk_takes(&status));
    assert_eq!(status["keystore_unreachable"], true);
    assert_eq!(status["keystore_unavailable"], true);
    assert!(status["uptime"].is_u64() && status.get("keystore_latency").is_none());
    // A store that is there and fails is not called unreachable.
    fs::create_dir(server.keys()).unwrap();
    until(&mut connection, "/v1/ready", 200).await;
    take_all_descriptors(&server);
    until(&mut connection, "/v1/ready", 502).await;
    let status = connection
        .send("GET", "/v1/status", Payload::None)
        .await
        .json();
    assert!(sdk_takes(&status));
    assert_eq!(status.get("keystore_unreachable"), None);
    assert_eq!(status["keystore_unavailable"], true);
}

#[tokio::test]
async fn d11_a_timeout_is_an_answer_and_costs_no_connection() {
    let admin = Cert::client();
    let server = Setup::new(&admin)
        .timeout("/v1/key/decrypt/", "100ms")
        .start()
        .await;
    create(&server.client(&admin), "a").await;
    let mut connection = server.client(&admin).connect(Version::H2).await.unwrap();
    for _ in 0..3 {
        let (_sender, body) = mpsc::unbounded_channel::<Bytes>();
        let late = connection
            .send("PUT", "/v1/key/decrypt/a", Payload::Open(body))
            .await;
        late.error(504, "request timed out");
        let next = connection
            .send("PUT", "/v1/key/generate/a", Payload::None)
            .await;
        next.json();
    }
}

#[tokio::test]
async fn d12_a_proxy_speaks_for_its_clients_and_not_for_itself() {
    let [admin, proxy, app] = std::array::from_fn(|_| Cert::client());
    let setup = Setup::new(&admin).tls(&format!(
        "proxy:\n    identities: [ {} ]\n    header:\n      cert: X-Tls-Client-Cert",
        proxy.identity
    ));
    let server = setup
        .policy("app", &["/v1/status"], &[], &[&app])
        .start()
        .await;
    let mut connection = server.client(&proxy).connect(Version::H1).await.unwrap();
    let value = app.pem().replace('\n', "%0A");
    let path = "/v1/identity/self/describe";
    let headers = [("x-tls-client-cert", value.as_str())];
    let sent = connection.open("GET", path, &headers, Payload::None).await;
    let reply = Reply::read(sent.unwrap()).await.unwrap();
    assert_eq!(reply.json()["identity"], app.identity.as_str());
    let reply = connection.send("GET", path, Payload::None).await;
    reply.error(400, "no client certificate is present");
    // Templates have the section with nothing in it.
    let setup = Setup::new(&admin).tls("proxy:\n    identities: []\n    header:\n      cert: X");
    setup.start().await;
}

#[tokio::test]
async fn d13_a_status_counts_milliseconds_and_an_audit_event_nanoseconds() {
    let admin = Cert::client();
    let server = Setup::new(&admin)
        .timeout("/v1/key/decrypt/", "100ms")
        .start()
        .await;
    let client = server.client(&admin);
    let status = client.get("/v1/status").await.json();
    // What a store in memory says: a millisecond.
    assert_eq!(status["keystore_latency"], 1);
    let mut audit = Stream::open(&client, "/v1/log/audit").await;
    let (_sender, body) = mpsc::unbounded_channel::<Bytes>();
    let late = client.put("/v1/key/decrypt/a", Payload::Open(body)).await;
    assert_eq!(late.status, 504);
    let event = audit.about("/v1/key/decrypt/a").await;
    // It took the time limit at least.
    assert!(
        event["response"]["time"].as_u64().unwrap() >= 100_000_000,
        "{event}"
    );
}

#[tokio::test]
async fn d14_every_request_is_audited_also_one_that_fails() {
    let (server, client, _) = server().await;
    let mut audit = Stream::open(&client, "/v1/log/audit").await;
    audit.about("/v1/log/audit").await;
    client.get("/v1/metrics").await;
    create(&client, "a").await;
    client.put("/v1/key/encrypt/a", "rubbish").await;
    let stranger = server.client(&Cert::client());
    stranger.put("/v1/key/generate/a", Payload::None).await;
    client.get("/v1/ready").await;
    delete(&client, "a").await.empty();
    delete(&client, "a").await;
    for (path, status) in [
        // Not `/v1/metrics`: those who scrape would fill the log.
        ("/v1/key/create/a", 200),
        ("/v1/key/encrypt/a", 400),
        ("/v1/key/generate/a", 403),
        ("/v1/ready", 200),
        ("/v1/key/delete/a", 200),
        ("/v1/key/delete/a", 404),
    ] {
        let event = audit.next().await;
        assert_eq!(event["request"]["path"], path);
        assert_eq!(event["response"]["code"], status, "{path}");
    }
}

#[tokio::test]
async fn d15_events_are_counted_once_whoever_listens() {
    let (server, client, _) = server().await;
    fs::write(server.keys().join("broken"), "x").unwrap();
    let counts = async || {
        (
            metric(&client, "kes_log_audit_events").await,
            metric(&client, "kes_log_error_events").await,
        )
    };
    let fail = async || {
        client
            .get("/v1/key/describe/broken")
            .await
            .error(502, "failed to read key");
    };
    let before = counts().await;
    fail().await;
    let after = counts().await;
    assert_eq!(after, (before.0 + 1, before.1 + 1));
    let mut readers = Vec::new();
    for path in [
        "/v1/log/audit",
        "/v1/log/error",
        "/v1/log/audit",
        "/v1/log/error",
    ] {
        readers.push(Stream::open(&client, path).await);
    }
    let before = counts().await;
    fail().await;
    let after = counts().await;
    assert_eq!(after, (before.0 + 1, before.1 + 1));
}
