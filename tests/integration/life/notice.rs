//! What a service manager is told, read from the socket that it would read. No systemd runs here.

use std::path::Path;

use super::Manager;
use crate::support::{Cert, Setup, client::Payload};

fn status(lines: &[String]) -> &str {
    let status = lines.iter().find_map(|line| line.strip_prefix("STATUS="));
    status.unwrap_or_else(|| panic!("{lines:?}"))
}

fn number(lines: &[String], name: &str) -> u64 {
    let value = lines.iter().find_map(|line| line.strip_prefix(name));
    value
        .unwrap_or_else(|| panic!("{lines:?}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_service_manager_is_told_when_the_server_serves_reloads_and_stops() {
    let manager = Manager::new();
    let admin = Cert::client();
    let setup = || Setup::new(&admin).with("keys:\n- name: made");
    let mut server = manager.told_by(setup()).launch();
    let ready = manager.next();
    assert_eq!(ready[0], "READY=1");
    // At this moment it serves, and the keys of the configuration exist.
    let address = status(&ready)
        .strip_prefix("Serving on ")
        .and_then(|rest| rest.strip_suffix(", keystore: In Memory"));
    server.address = address.unwrap().parse().unwrap();
    let client = server.client(&admin);
    assert_eq!(client.get("/v1/key/describe/made").await.status, 200);

    server.hang_up();
    let reloading = manager.next();
    assert_eq!(reloading[0], "RELOADING=1");
    assert!(number(&reloading, "MONOTONIC_USEC=") > 0);
    assert_eq!(manager.next(), ready);

    server.reload_text("tls: [\n");
    assert_eq!(manager.next()[0], "RELOADING=1");
    let failed = manager.next();
    assert_eq!(failed[0], "READY=1");
    let why = status(&failed);
    assert!(
        why.starts_with("Reload failed, serving as before: ") && why.contains("kes.yml:"),
        "{why}"
    );
    assert_eq!(client.get("/v1/key/describe/made").await.status, 200);

    server.terminate();
    let stopping = manager.next();
    assert_eq!(stopping[0], "STOPPING=1");
    assert!(number(&stopping, "EXTEND_TIMEOUT_USEC=") >= 1_000_000);
    assert_eq!(server.end().await.code(), Some(0));
}

#[tokio::test]
async fn a_server_that_cannot_start_never_said_that_it_had() {
    let manager = Manager::new();
    let admin = Cert::client();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::new(&admin).flag("--addr").flag(address.leak());
    let said = manager.told_by(setup).refused().await;
    assert!(said.contains("failed to listen"), "{said}");
    assert!(manager.is_idle());
}

#[tokio::test]
async fn the_watchdog_is_patted_as_long_as_all_is_well() {
    let manager = Manager::new();
    let admin = Cert::client();
    let setup = Setup::new(&admin).env("WATCHDOG_USEC", "20000");
    let _server = manager.told_by(setup).start().await;
    assert_eq!(manager.next()[0], "READY=1");
    for _ in 0..5 {
        assert_eq!(manager.next(), ["WATCHDOG=1"]);
    }
}

#[tokio::test]
async fn a_watchdog_for_another_process_is_not_patted() {
    let manager = Manager::new();
    let admin = Cert::client();
    let setup = Setup::new(&admin)
        .env("WATCHDOG_USEC", "20000")
        .env("WATCHDOG_PID", "1");
    let mut server = manager.told_by(setup).start().await;
    assert_eq!(manager.next()[0], "READY=1");
    server.terminate();
    assert_eq!(server.end().await.code(), Some(0));
    assert_eq!(manager.next()[0], "STOPPING=1");
    assert!(manager.is_idle());
}

#[tokio::test]
async fn a_service_manager_that_does_not_answer_is_complained_about_and_nothing_else() {
    let admin = Cert::client();
    let nowhere = Path::new("/nowhere/notify");
    let setup = Setup::new(&admin).env("NOTIFY_SOCKET", nowhere);
    let mut server = setup.start().await;
    server
        .complained(1, "the service manager cannot be told")
        .await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
}
