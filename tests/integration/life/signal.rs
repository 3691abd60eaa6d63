//! Signals that change what is logged, and signals while the server stops.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Cert, Server, Setup, Version, client::Payload, raw::Raw};

/// What a request for a key that is not there logs, and only at DEBUG.
const DETAIL: &str = "level=DEBUG";

/// Makes the server say something in detail, if it does, and then something that it says in any case.
async fn provoke(server: &mut Server, admin: &Cert, reloads: usize) -> usize {
    let reply = server.client(admin).get("/v1/key/describe/nothing").await;
    assert_eq!(reply.status, 404);
    server.hang_up();
    server.complained(reloads, "SIGHUP signal received").await;
    let lines = server.errors();
    lines.iter().filter(|line| line.contains(DETAIL)).count()
}

#[tokio::test]
async fn details_are_logged_from_one_signal_to_the_next() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).start().await;
    assert_eq!(provoke(&mut server, &admin, 1).await, 0);

    server.signal(Signal::USR1);
    server.complained(1, "Logging from level DEBUG on").await;
    let shown = {
        let reply = server.client(&admin).get("/v1/key/describe/nothing").await;
        assert_eq!(reply.status, 404);
        server.complained(1, DETAIL).await
    };
    assert!(shown.contains("/v1/key/describe/nothing"), "{shown}");

    // The second of the same kind takes it back.
    server.signal(Signal::USR1);
    server
        .complained(1, "Logging from level INFO on again, as configured")
        .await;
    let before = count(&server);
    assert_eq!(provoke(&mut server, &admin, 2).await, before);

    server.signal(Signal::USR1);
    server.complained(2, "Logging from level DEBUG on").await;
    server.signal(Signal::USR2);
    server
        .complained(2, "Logging from level INFO on again, as configured")
        .await;
    assert_eq!(provoke(&mut server, &admin, 3).await, before);

    // So does a reload.
    server.signal(Signal::USR1);
    server.complained(3, "Logging from level DEBUG on").await;
    server.hang_up();
    server
        .said(
            4,
            "=> Reloading configuration after SIGHUP signal completed.",
        )
        .await;
    let before = count(&server);
    assert_eq!(provoke(&mut server, &admin, 5).await, before);
}

fn count(server: &Server) -> usize {
    let lines = server.errors();
    lines.iter().filter(|line| line.contains(DETAIL)).count()
}

#[tokio::test]
async fn a_signal_that_nothing_is_to_be_done_about_says_nothing() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).start().await;
    server.signal(Signal::USR2);
    assert_eq!(provoke(&mut server, &admin, 1).await, 0);
    assert!(!server.errors().iter().any(|line| line.contains("again")));
}

/// `timeout` and others send two signals at once: they are one, and a request has its second.
#[tokio::test]
async fn two_signals_at_once_are_one() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    let mut raw = Raw::connect(&client).await;
    raw.write("PUT /v1/key/hmac/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .await;
    assert_eq!(raw.reply().await.status(), 100);
    let mut idle = client.connect(Version::H2).await.unwrap();
    idle.send("GET", "/version", Payload::None).await.json();
    server.terminate();
    let _ = idle.driver.await;
    server.signal(Signal::INT);
    server.signal(Signal::TERM);
    raw.write("{}").await;
    assert_eq!(raw.reply().await.status(), 200);
    assert_eq!(server.end().await.code(), Some(0));
    assert!(!server.errors().iter().any(|line| line.contains("second")));
}

/// The second signal does not wait for a request that takes its time.
#[tokio::test]
async fn a_second_signal_to_stop_ends_the_wait() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin)
        .with("shutdown:\n  drain: 10m")
        .timeout("/v1/key/hmac/", "20m")
        .start()
        .await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    let mut raw = Raw::connect(&client).await;
    raw.write("PUT /v1/key/hmac/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .await;
    assert_eq!(raw.reply().await.status(), 100);
    let mut idle = client.connect(Version::H2).await.unwrap();
    idle.send("GET", "/version", Payload::None).await.json();
    server.terminate();
    // The stop is under way when an idle connection has ended.
    let _ = idle.driver.await;
    // One that comes together with the first is not meant; one that comes later is.
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    while !server
        .errors()
        .iter()
        .any(|line| line.contains("a second signal to stop"))
    {
        pace.tick().await;
        server.signal(Signal::INT);
    }
    server.said(1, "=> Stopping server... Goodbye.").await;
    assert_eq!(server.end().await.code(), Some(0));
    assert_eq!(raw.rest().await, b"");
}
