//! Clients whose certificates have to be verified. More is in `api/tls.rs`.

use crate::support::{Cert, Payload, Setup, Version};

#[tokio::test]
async fn a_self_signed_certificate_that_is_trusted_itself_gets_in() {
    // As `openssl req -x509` makes them: an authority that shows itself.
    let (client, stranger) = (Cert::authority(), Cert::authority());
    let folder = tempfile::tempdir().unwrap();
    let server = Setup::new(&client)
        .verify_clients(&client, folder.path())
        .start()
        .await;
    for version in Version::ALL {
        let reply = server
            .client(&client)
            .send(version, "GET", "/v1/status", Payload::None);
        reply.await.json();
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
