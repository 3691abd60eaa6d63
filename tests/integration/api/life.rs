//! Signals: a stop that drops no request, and reloads that nobody notices but those they are for (api.md 12, decision 24).

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::{Cert, Payload, Reply, Setup, Version, raw::Raw};

const RELOADED: &str = "=> Reloading configuration after SIGHUP signal completed.";
const DENIED: (u16, &str) = (403, "not authorized: insufficient permissions");

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_server_stops() {
    for version in Version::ALL {
        let admin = Cert::client();
        let mut server = Setup::new(&admin).start().await;
        let client = server.client(&admin);
        client.put("/v1/key/create/a", Payload::None).await.empty();
        // The server asks for the body, and so has begun with the request.
        let mut raw = Raw::connect(&client).await;
        raw.write(
            "PUT /v1/key/hmac/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        )
        .await;
        assert_eq!(raw.reply().await.status(), 100);
        let mut idle = client.connect(version).await.unwrap();
        idle.send("GET", "/version", Payload::None).await.json();
        server.terminate();
        // An idle connection ends, and then the stop is under way.
        let _ = idle.driver.await;
        raw.write("{}").await;
        let reply = raw.reply().await;
        assert_eq!(reply.status(), 200);
        assert_eq!(raw.rest().await, b"");
        server.said(1, "=> Stopping server... Goodbye.").await;
        assert_eq!(server.end().await.code(), Some(0));
        assert!(
            client.handshake(Vec::new()).await.is_err(),
            "it still listens"
        );
    }
}

#[tokio::test]
async fn over_http2_as_well_what_was_begun_is_finished() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    let mut audit = client.connect(Version::H1).await.unwrap();
    let mut connection = client.connect(Version::H2).await.unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    sender.send(Bytes::from("{\"message\":")).unwrap();
    let asked = tokio::spawn(async move {
        let payload = Payload::Open(receiver);
        let response = connection
            .open("PUT", "/v1/key/hmac/a", &[], payload)
            .await
            .unwrap();
        Reply::read(response).await.unwrap()
    });
    // That it is under way shows in the number of active requests.
    loop {
        let page = audit.send("GET", "/v1/metrics", Payload::None).await;
        if page.text().contains("\nkes_http_request_active 1\n") {
            break;
        }
    }
    server.terminate();
    let _ = audit.driver.await;
    sender.send(Bytes::from("\"\"}")).unwrap();
    drop(sender);
    assert_eq!(asked.await.unwrap().status, 200);
    assert_eq!(server.end().await.code(), Some(0));
}

#[tokio::test]
async fn a_request_that_does_not_end_does_not_keep_the_server() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    let mut raw = Raw::connect(&client).await;
    raw.write("PUT /v1/key/hmac/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .await;
    assert_eq!(raw.reply().await.status(), 100);
    server.terminate();
    server.said(1, "=> Stopping server... Goodbye.").await;
    assert_eq!(server.end().await.code(), Some(0));
    assert_eq!(raw.rest().await, b"");
}

#[tokio::test]
async fn a_changed_policy_holds_on_open_connections() {
    let [admin, app, new_admin] = std::array::from_fn(|_| Cert::client());
    let mut server = Setup::new(&admin)
        .policy("p", &["/v1/key/*"], &[], &[&app])
        .start()
        .await;
    let client = server.client(&app);
    let mut connections = Vec::new();
    for version in Version::ALL {
        connections.push(client.connect(version).await.unwrap());
    }
    for connection in &mut connections {
        assert_eq!(
            connection
                .send("GET", "/v1/key/list/", Payload::None)
                .await
                .status,
            200
        );
    }
    let started = server
        .client(&admin)
        .get("/v1/policy/describe/p")
        .await
        .json();
    server
        .client(&admin)
        .put("/v1/key/create/kept", Payload::None)
        .await
        .empty();

    server.reload(&Setup::new(&new_admin).policy(
        "p",
        &["/v1/key/*"],
        &["/v1/key/list/*"],
        &[&app],
    ));
    server.said(1, RELOADED).await;
    for connection in &mut connections {
        let listed = connection.send("GET", "/v1/key/list/", Payload::None).await;
        listed.error(DENIED.0, DENIED.1);
        // Keys that are only in memory are still there.
        assert_eq!(
            connection
                .send("GET", "/v1/key/describe/kept", Payload::None)
                .await
                .status,
            200
        );
    }
    server
        .client(&admin)
        .get("/v1/api")
        .await
        .error(DENIED.0, DENIED.1);
    let after = server
        .client(&new_admin)
        .get("/v1/policy/describe/p")
        .await
        .json();
    assert_eq!(after["created_at"], started["created_at"]);
    assert_eq!(after["created_by"], new_admin.identity.as_str());

    server.reload(&Setup::new(&admin));
    server.said(2, RELOADED).await;
    for connection in &mut connections {
        let described = connection
            .send("GET", "/v1/key/describe/kept", Payload::None)
            .await;
        described.error(DENIED.0, DENIED.1);
    }
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_complained_about() {
    let [admin, app] = std::array::from_fn(|_| Cert::client());
    let mut server = Setup::new(&admin)
        .policy("p", &["/v1/key/*"], &[], &[&app])
        .start()
        .await;
    let client = server.client(&app);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    let key = client.put("/v1/key/generate/a", Payload::None).await.json();
    let mut complaints = 0;
    for text in [
        "",
        "{",
        "adress: 0.0.0.0:1\n",
        "address: 127.0.0.1:0\nadmin:\n  identity: x\ntls:\n  key: /nope\n  cert: /nope\n",
    ] {
        server.reload_text(text);
        complaints += 1;
        server
            .complained(complaints, "Failed to reload server config: ")
            .await;
        let body = json!({"ciphertext": key["ciphertext"]});
        let opened = client.put("/v1/key/decrypt/a", body).await;
        assert_eq!(opened.json()["plaintext"], key["plaintext"], "{text}");
        assert_eq!(
            server.client(&admin).get("/v1/api").await.status,
            200,
            "{text}"
        );
    }
    let complaint = server
        .errors()
        .into_iter()
        .find(|line| line.contains("adress"));
    let complaint = complaint.expect("the wrong key is named");
    assert!(complaint.contains("kes.yml:1: "), "{complaint}");
}

#[tokio::test]
async fn route_settings_and_time_limits_change_with_a_reload() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).start().await;
    let shut = match server.nobody().connect(Version::H1).await {
        Err(_) => true,
        Ok(mut connection) => {
            let sent = connection.try_send("GET", "/v1/ready", Payload::None).await;
            sent.is_err()
        }
    };
    assert!(shut, "served without a certificate");
    server.reload(
        &Setup::new(&admin)
            .open_to_all("/v1/ready")
            .timeout("/v1/key/create/", "90s"),
    );
    server.said(1, RELOADED).await;
    server.nobody().get("/v1/ready").await.empty();
    let routes = server.client(&admin).get("/v1/api").await.json();
    let create = routes
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["path"] == "/v1/key/create/");
    assert_eq!(create.unwrap()["timeout"], 90);
}

#[tokio::test]
async fn stricter_client_verification_sends_old_connections_and_sessions_away() {
    let authority = Cert::authority();
    let (trusted, stranger) = (authority.sign_client(), Cert::client());
    let folder = tempfile::tempdir().unwrap();
    let setup = || Setup::new(&trusted).policy("p", &["/v1/key/*"], &[], &[&stranger]);
    let mut server = setup().start().await;
    let client = server.client(&stranger).resuming();
    let mut connections = Vec::new();
    for version in Version::ALL {
        let mut connection = client.connect(version).await.unwrap();
        assert_eq!(
            connection
                .send("GET", "/v1/key/list/", Payload::None)
                .await
                .status,
            200
        );
        connections.push(connection);
    }
    server.reload(&setup().verify_clients(&authority, folder.path()));
    server.said(1, RELOADED).await;
    for connection in connections {
        // GOAWAY, or a close between two requests.
        let _ = connection.driver.await;
    }
    for version in Version::ALL {
        let answered = match client.connect(version).await {
            Err(_) => false,
            Ok(mut connection) => connection
                .try_send("GET", "/v1/key/list/", Payload::None)
                .await
                .is_ok(),
        };
        assert!(!answered, "{version:?} with an old session");
    }
    assert_eq!(
        server.client(&trusted).get("/v1/key/list/").await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_the_configuration_is_reloaded() {
    const CONNECTIONS: usize = 16;
    const RELOADS: usize = 20;
    let [admin, app] = std::array::from_fn(|_| Cert::client());
    let setup = || {
        Setup::new(&admin)
            .keys_in_files()
            .policy("p", &["/v1/key/*"], &[], &[&app])
    };
    let mut server = setup().start().await;
    let client = server.client(&app);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let users: Vec<_> = (0..CONNECTIONS)
        .map(|i| {
            let (client, stop, count) = (client.clone(), stop.clone(), count.clone());
            tokio::spawn(async move {
                let version = Version::ALL[i % 2];
                let mut connection = client.connect(version).await.unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let key = connection
                        .send("PUT", "/v1/key/generate/a", "{}")
                        .await
                        .json();
                    let body = json!({"ciphertext": key["ciphertext"]});
                    let opened = connection.send("PUT", "/v1/key/decrypt/a", body).await;
                    assert_eq!(opened.json()["plaintext"], key["plaintext"]);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 1..=RELOADS {
        // Each reload meets requests.
        let before = count.load(Ordering::Relaxed);
        while count.load(Ordering::Relaxed) == before
            && users.iter().all(|user| !user.is_finished())
        {
            tokio::task::yield_now().await;
        }
        server.reload(&setup());
        server.said(round, RELOADED).await;
    }
    stop.store(true, Ordering::Relaxed);
    for user in users {
        user.await.unwrap();
    }
}
