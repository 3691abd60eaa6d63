//! Clients whose certificates have to be verified. More is in `api/tls.rs`.

use crate::support::{Cert, Payload, Setup, Version};

#[tokio::test]
async fn a_self_signed_authority_that_is_trusted_itself_passes_the_handshake() {
    // As `openssl req -x509` makes them. An authority is nobody (api.md 2), but that is for HTTP to say.
    let (client, stranger) = (Cert::authority(), Cert::authority());
    let folder = tempfile::tempdir().unwrap();
    let server = Setup::new(&client)
        .verify_clients(&client, folder.path())
        .start()
        .await;
    for version in Version::ALL {
        let trusted = server.client(&client);
        let reply = trusted.send(version, "GET", "/v1/status", Payload::None);
        let reply = reply.await;
        reply.error(400, "tls: client certificate is required");
        let refused = match server.client(&stranger).connect(version).await {
            Err(_) => true,
            Ok(mut connection) => {
                let reply = connection.try_send("GET", "/v1/status", Payload::None);
                reply.await.is_err()
            }
        };
        assert!(refused, "{version:?}");
    }
}
