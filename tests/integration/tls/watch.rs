//! Files that are replaced under a server at work. It looks at them every two seconds.

use std::{fs, os::unix::fs::symlink, path::Path};

use crate::{
    support::{Cert, Payload, Setup, Version},
    tls::shown,
};

fn replace(folder: &Path, cert: &Cert) {
    fs::write(folder.join("server.pem"), cert.pem()).unwrap();
    fs::write(folder.join("server.key"), cert.key_pem()).unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_taken_over_and_no_connection_is_dropped() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    let mut connections = Vec::new();
    for version in Version::ALL {
        let mut connection = client.connect(version).await.unwrap();
        let reply = connection.send("GET", "/v1/status", Payload::None);
        reply.await.json();
        connections.push(connection);
    }
    // Nothing of the configuration is needed for it.
    fs::write(server.folder().join("kes.yml"), "nonsense: [").unwrap();
    let new = Cert::server();
    assert_ne!(shown(&client).await, new.chain[0]);
    replace(server.folder(), &new);
    server.complained(1, "server.pem reloaded: serial ").await;
    assert_eq!(shown(&client).await, new.chain[0]);
    for mut connection in connections {
        let path = "/v1/status";
        assert_eq!(
            connection.send("GET", path, Payload::None).await.status,
            200
        );
        assert!(!connection.driver.is_finished());
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_said_once_and_changes_nothing() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    let old = shown(&client).await;
    let (half, whole) = (Cert::server(), Cert::server());
    let text = half.pem();
    fs::write(server.folder().join("server.pem"), &text[..text.len() / 2]).unwrap();
    let failed = "Failed to reload TLS configuration: failed to read TLS certificate: ";
    server.complained(1, failed).await;
    assert_eq!(shown(&client).await, old);
    // The certificate is whole now, but not that of the key.
    fs::write(server.folder().join("server.pem"), text).unwrap();
    server.complained(1, "cannot be used together").await;
    assert_eq!(shown(&client).await, old);
    replace(server.folder(), &whole);
    server.complained(1, "server.pem reloaded: serial ").await;
    assert_eq!(shown(&client).await, whole.chain[0]);
    let lines = server.errors();
    let failures = lines
        .iter()
        .filter(|line| line.contains("Failed to reload"));
    assert_eq!(failures.count(), 2, "{lines:?}");
}

#[tokio::test]
async fn a_directory_that_kubernetes_swaps_is_noticed() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    let folder = server.folder().to_owned();
    let versions = [Cert::server(), Cert::server()];
    for (cert, name) in versions.iter().zip(["..1", "..2"]) {
        fs::create_dir(folder.join(name)).unwrap();
        replace(&folder.join(name), cert);
    }
    let swap = |version: &str| {
        symlink(version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    swap("..1");
    for file in ["server.pem", "server.key"] {
        fs::remove_file(folder.join(file)).unwrap();
        symlink(format!("..data/{file}"), folder.join(file)).unwrap();
    }
    server.complained(1, "server.pem reloaded: serial ").await;
    assert_eq!(shown(&client).await, versions[0].chain[0]);
    swap("..2");
    fs::remove_dir_all(folder.join("..1")).unwrap();
    server.complained(2, "server.pem reloaded: serial ").await;
    assert_eq!(shown(&client).await, versions[1].chain[0]);
}

#[tokio::test]
async fn an_expired_certificate_is_complained_about_and_serves() {
    let admin = Cert::client();
    let expired = Cert::expired_server();
    let setup = Setup::new(&admin).shows(expired.pem(), expired.key_pem());
    let mut server = setup.start().await;
    server
        .complained(1, " expired on 2020-01-01T00:00:00Z")
        .await;
    assert_eq!(server.client(&admin).get("/v1/status").await.status, 200);
    replace(server.folder(), &Cert::server());
    server.complained(1, "server.pem reloaded: serial ").await;
    let lines = server.errors();
    let complaints = lines.iter().filter(|line| line.contains("expired on"));
    assert_eq!(complaints.count(), 1, "{lines:?}");
}

#[tokio::test]
async fn clients_of_an_authority_that_is_taken_out_have_to_go() {
    let (keeps, goes) = (Cert::authority(), Cert::authority());
    let (admin, guest) = (keeps.sign_client(), goes.sign_client());
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca");
    let setup = Setup::new(&admin)
        .policy("guests", &["/v1/identity/*"], &[], &[&guest])
        .verify_clients(&keeps, folder.path());
    // A directory in place of the file that was written.
    fs::create_dir(&ca).unwrap();
    fs::rename(folder.path().join("ca.pem"), ca.join("keeps.pem")).unwrap();
    symlink("ca", folder.path().join("ca.pem")).unwrap();
    fs::write(ca.join("goes.pem"), goes.pem()).unwrap();
    let mut server = setup.start().await;
    let client = server.client(&guest);
    let path = "/v1/identity/self/describe";
    let mut connections = Vec::new();
    for version in Version::ALL {
        let mut connection = client.connect(version).await.unwrap();
        assert_eq!(
            connection.send("GET", path, Payload::None).await.status,
            200
        );
        connections.push(connection);
    }
    fs::remove_file(ca.join("goes.pem")).unwrap();
    server.complained(1, "more strictly").await;
    for connection in connections {
        connection.driver.await.unwrap().unwrap();
    }
    let refused = match client.connect(Version::H1).await {
        Err(_) => true,
        Ok(mut connection) => connection
            .try_send("GET", path, Payload::None)
            .await
            .is_err(),
    };
    assert!(refused);
    assert_eq!(server.client(&admin).get(path).await.status, 200);
}
