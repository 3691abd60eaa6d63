//! What the server tells about itself (api.md 7.1 to 7.3).

use std::fs;

use serde_json::Value;

use crate::support::{Cert, Payload, Setup, Version};

#[tokio::test]
async fn the_version_is_the_programs() {
    let admin = Cert::client();
    let server = Setup::new(&admin).open_to_all("/v1/ready").start().await;
    for version in Version::ALL {
        let reply = server
            .nobody()
            .send(version, "GET", "/version", Payload::None)
            .await;
        let expected = format!(
            "{{\"version\":\"{}\",\"commit\":\"{}\"}}\n",
            kes::VERSION,
            kes::COMMIT.replace('<', "\\u003c").replace('>', "\\u003e")
        );
        assert!(
            reply.text() == expected || reply.json()["commit"] == kes::COMMIT,
            "{}",
            reply.text()
        );
        assert_eq!(reply.json()["version"], kes::VERSION);
        assert!(reply.body.len() < 1024);
    }
}

#[tokio::test]
async fn a_healthy_server_is_ready_and_says_how_it_is() {
    let admin = Cert::client();
    let server = Setup::new(&admin)
        .keys_in_files()
        .open_to_all("/v1/ready")
        .start()
        .await;
    for version in Version::ALL {
        server
            .nobody()
            .send(version, "GET", "/v1/ready", Payload::None)
            .await
            .empty();
    }
    let reply = server.client(&admin).get("/v1/status").await;
    let status = reply.json();
    let Value::Object(fields) = &status else {
        panic!("{status}");
    };
    for (name, value) in fields {
        if ["version", "os", "arch"].contains(&name.as_str()) {
            assert!(value.is_string(), "{name}");
        } else {
            let least = u64::from(name != "uptime");
            assert!(
                value.as_u64().is_some_and(|n| n >= least),
                "{name}: {value}"
            );
        }
    }
    assert_eq!(status["os"], "linux");
    assert!(["amd64", "arm64", "ppc64le", "s390x"].contains(&status["arch"].as_str().unwrap()));
    let mut at = 0;
    for name in [
        "version",
        "os",
        "arch",
        "uptime",
        "num_cpu",
        "num_cpu_used",
        "mem_heap_used",
        "mem_stack_used",
        "keystore_latency",
    ] {
        let found = reply.text().find(&format!("\"{name}\":")).unwrap();
        assert!(found > at || at == 0, "{name} is out of order");
        at = found;
    }
    assert_eq!(fields.len(), 9, "{status}");
}

#[tokio::test]
async fn a_server_without_its_keystore_says_so_but_keeps_its_status() {
    let admin = Cert::client();
    let server = Setup::new(&admin).keys_in_files().start().await;
    let client = server.client(&admin);
    fs::remove_dir_all(server.keys()).unwrap();
    let ready = client.get("/v1/ready").await;
    let status = client.get("/v1/status").await.json();
    assert_eq!(status["keystore_unavailable"], true, "{status}");
    assert!(status.get("keystore_latency").is_none(), "{status}");
    match ready.status {
        504 => {
            ready.error(504, "key store is not reachable");
            assert_eq!(status["keystore_unreachable"], true, "{status}");
        }
        _ => {
            ready.error(502, "key store is unavailable");
            assert!(status.get("keystore_unreachable").is_none(), "{status}");
        }
    }
    client
        .get("/v1/key/describe/a")
        .await
        .error(502, "failed to read key");
    client
        .get("/v1/key/list")
        .await
        .error(502, "failed to list keys");
    client
        .put("/v1/key/create/a", Payload::None)
        .await
        .error(502, "failed to create key");
    let delete = client
        .send(Version::H1, "DELETE", "/v1/key/delete/a", Payload::None)
        .await;
    delete.error(502, "failed to delete key");
}
