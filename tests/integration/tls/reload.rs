//! Signals to reload, under load and in crowds. More is in `api/life.rs`.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::{
    HandshakeKind,
    client::Resumption,
    version::{TLS12, TLS13},
};
use serde_json::Value;

use crate::{
    support::{Cert, Client, Payload, Setup, Version},
    tls::RELOADED,
};

const SELF: &str = "/v1/identity/self/describe";

/// One of two configurations; what a client sees of one must not be mixed with the other.
fn configuration(admin: &Cert, app: &Cert, second: bool) -> Setup {
    let setup = Setup::new(admin).keys_in_files();
    if second {
        setup.policy(
            "second",
            &[SELF, "/v1/key/generate/a"],
            &["/v1/key/decrypt/b"],
            &[app],
        )
    } else {
        setup.policy("first", &[SELF, "/v1/key/*"], &[], &[app])
    }
}

/// Whether name and rules of a policy belong together.
fn is_whole(description: &Value) -> bool {
    let rules = |key: &str| -> Vec<&str> {
        let rules = description[key].as_object();
        rules
            .into_iter()
            .flatten()
            .map(|(rule, _)| &**rule)
            .collect()
    };
    match description["policy"].as_str() {
        Some("first") => rules("allow") == [SELF, "/v1/key/*"] && rules("deny").is_empty(),
        Some("second") => {
            rules("allow") == [SELF, "/v1/key/generate/a"] && rules("deny") == ["/v1/key/decrypt/b"]
        }
        _ => false,
    }
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_reloads_fail_nothing_and_no_request_sees_half_of_one() {
    const CONNECTIONS: usize = 16;
    const RELOADS: usize = 15;
    let [admin, app] = std::array::from_fn(|_| Cert::client());
    let mut server = configuration(&admin, &app, false).start().await;
    let admins = server.client(&admin);
    admins.put("/v1/key/create/a", Payload::None).await.empty();
    let before = descriptors(server.process());
    let (stop, switches) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let users: Vec<_> = (0..CONNECTIONS)
        .map(|i| {
            let (client, stop) = (server.client(&app), stop.clone());
            let switches = switches.clone();
            tokio::spawn(async move {
                let mut connection = client.connect(Version::ALL[i % 2]).await.unwrap();
                let mut last = Value::Null;
                while !stop.load(Ordering::Relaxed) {
                    let seen = connection.send("GET", SELF, Payload::None).await.json();
                    assert!(is_whole(&seen), "{seen}");
                    if seen["policy"] != last {
                        switches.fetch_add(1, Ordering::Relaxed);
                        last = seen["policy"].clone();
                    }
                    let key = connection.send("PUT", "/v1/key/generate/a", "{}").await;
                    key.json();
                }
            })
        })
        .collect();
    let mut pace = tokio::time::interval(Duration::from_millis(300));
    for round in 1..=RELOADS {
        pace.tick().await;
        server.reload(&configuration(&admin, &app, round % 2 == 1));
        server.said(round, RELOADED).await;
        // Each is in force once it is said to be.
        let seen = server.client(&app).get(SELF).await.json();
        let expected = if round % 2 == 1 { "second" } else { "first" };
        assert_eq!(seen["policy"], expected);
    }
    stop.store(true, Ordering::Relaxed);
    for user in users {
        user.await.unwrap();
    }
    assert!(
        switches.load(Ordering::Relaxed) > CONNECTIONS,
        "nobody noticed"
    );
    drop(admins);
    // Connections of this test end when their last handle is gone; a descriptor a reload would be 15 more.
    let mut after = descriptors(server.process());
    for _ in 0..100 {
        if after <= before {
            break;
        }
        server.client(&admin).get("/version").await.json();
        after = descriptors(server.process());
    }
    assert!(after <= before + 1, "{before} descriptors became {after}");
}

#[tokio::test]
async fn a_crowd_of_signals_is_one_reload_or_few() {
    const SIGNALS: usize = 50;
    let [admin, app] = std::array::from_fn(|_| Cert::client());
    let mut server = configuration(&admin, &app, false).start().await;
    for _ in 1..SIGNALS {
        server.hang_up();
    }
    server.reload(&configuration(&admin, &app, true));
    // The last signal is not lost in the crowd.
    let client = server.client(&app);
    let mut connection = client.connect(Version::H1).await.unwrap();
    let mut completed = 0;
    loop {
        completed += 1;
        server.said(completed, RELOADED).await;
        let seen = connection.send("GET", SELF, Payload::None).await.json();
        if seen["policy"] == "second" {
            break;
        }
    }
    assert!(completed < SIGNALS / 2, "{completed} reloads");
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_in_one_line() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).start().await;
    let good = fs::read_to_string(server.folder().join("kes.yml")).unwrap();
    server.reload_text(&format!(
        "{good}cache:\n  expiry:\n    any: soon\n    unused: later\n"
    ));
    let failed = "Failed to reload server config: ";
    server.complained(1, failed).await;
    let lines = server.errors();
    let line = lines.iter().find(|line| line.contains(failed)).unwrap();
    let any = good.lines().count() + 3;
    for part in [
        format!("kes.yml:{any}: cache.expiry.any: "),
        format!("kes.yml:{}: cache.expiry.unused: ", any + 1),
    ] {
        assert!(line.contains(&part), "no {part} in {line}");
    }
    // The files of TLS are part of a configuration, and so is a remedy of the line.
    fs::copy(
        server.folder().join("server.pem"),
        server.folder().join("server.key"),
    )
    .unwrap();
    server.reload_text(&good);
    server.complained(2, failed).await;
    server
        .complained(1, "server.key: https: no PEM-encoded private key found")
        .await;
    assert_eq!(server.client(&admin).get("/v1/status").await.status, 200);
}

#[tokio::test]
async fn old_tickets_are_void_once_clients_are_verified() {
    let authority = Cert::authority();
    let (trusted, stranger) = (authority.sign_client(), Cert::client());
    let folder = tempfile::tempdir().unwrap();
    let setup = || Setup::new(&trusted).policy("p", &[SELF], &[], &[&stranger]);
    let mut server = setup().start().await;
    let resuming = |cert: &Cert, version| {
        let client = Client::with_versions(server.address, Some(cert), &[version]);
        client.tuned(|config| config.resumption = Resumption::in_memory_sessions(64))
    };
    let clients =
        [&TLS12, &TLS13].map(|version| [resuming(&trusted, version), resuming(&stranger, version)]);
    for client in clients.iter().flatten() {
        // Tickets of TLS 1.3 come after the handshake, before the first response.
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut connection = client.connect(Version::H1).await.unwrap();
            assert_eq!(
                connection.send("GET", SELF, Payload::None).await.status,
                200
            );
            assert_eq!(connection.kind, kind);
        }
    }
    server.reload(&setup().verify_clients(&authority, folder.path()));
    server.said(1, RELOADED).await;
    for [trusted, stranger] in &clients {
        let mut connection = trusted.connect(Version::H1).await.unwrap();
        assert_eq!(
            connection.send("GET", SELF, Payload::None).await.status,
            200
        );
        assert_eq!(connection.kind, HandshakeKind::Full);
        let refused = match stranger.connect(Version::H1).await {
            Err(_) => true,
            Ok(mut connection) => {
                assert_eq!(connection.kind, HandshakeKind::Full);
                connection
                    .try_send("GET", SELF, Payload::None)
                    .await
                    .is_err()
            }
        };
        assert!(refused);
    }
}
