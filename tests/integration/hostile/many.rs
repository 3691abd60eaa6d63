//! Clients that come in thousands.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{net::TcpStream, time::interval};

use super::{MIB, others_are_served, server, until_end};
use crate::support::{Cert, Payload, Setup, Version, raw::Raw, server::PATIENCE};

const MANY: usize = 5_000;

/// Lets this process open as many files as the system allows.
fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    assert!(
        maximum.is_none_or(|files| files > MANY as u64 + 1000),
        "this test needs {MANY} descriptors"
    );
}

#[tokio::test]
async fn five_thousand_idle_connections_disturb_nobody_and_their_memory_comes_back() {
    raise_limit();
    let (server, client) = server().await;
    others_are_served(&client).await;
    let before = server.memory("VmRSS");
    let resuming = client.resuming();
    let mut idle = Vec::with_capacity(MANY);
    for number in 0..MANY {
        let mut raw = Raw::connect(&resuming).await;
        raw.write("GET /version HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(raw.reply().await.status(), 200);
        idle.push(raw);
        // Refused ones come in between.
        if number % 50 == 0
            && let Ok(mut stream) = server.nobody().handshake(Vec::new()).await
        {
            until_end(&mut stream).await;
        }
    }
    let full = server.memory("VmRSS");
    let mut connection = client.connect(Version::H2).await.unwrap();
    for _ in 0..200 {
        let reply = connection
            .send("PUT", "/v1/key/generate/a", Payload::None)
            .await;
        assert_eq!(reply.status, 200);
    }
    drop(idle);
    let bound = before + (full - before) / 5 + 2 * MIB;
    let mut ticks = interval(Duration::from_millis(200));
    let back = async {
        while server.memory("VmRSS") > bound {
            ticks.tick().await;
        }
    };
    let back = tokio::time::timeout(PATIENCE, back).await;
    let now = server.memory("VmRSS");
    assert!(back.is_ok(), "{before} bytes became {full}, then {now}");
    others_are_served(&client).await;
}

#[tokio::test]
async fn beyond_the_limit_new_connections_are_closed_and_old_ones_go_on() {
    let admin = Cert::client();
    // 128 of these are for other purposes.
    let mut server = Setup::new(&admin).files(256).start().await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    let mut old = client.connect(Version::H1).await.unwrap();
    assert_eq!(old.send("GET", "/version", Payload::None).await.status, 200);
    let mut silent = Vec::new();
    for _ in 1..128 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    for _ in 0..50 {
        let mut refused = TcpStream::connect(server.address).await.unwrap();
        assert_eq!(until_end(&mut refused).await, b"");
    }
    assert_eq!(old.send("GET", "/version", Payload::None).await.status, 200);
    server.complained(1, "more than 128 connections").await;
    drop(silent);
    let mut ticks = interval(Duration::from_millis(50));
    let recovered = async {
        while client.connect(Version::H2).await.is_err() {
            ticks.tick().await;
        }
    };
    let recovered = tokio::time::timeout(PATIENCE, recovered).await;
    recovered.expect("new connections are still refused");
    others_are_served(&client).await;
    let lines = server.errors();
    let complaints = lines.iter().filter(|line| line.contains("connections:"));
    assert_eq!(complaints.count(), 1, "{lines:?}");
}
