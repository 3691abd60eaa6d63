//! Certificates and keys of the real program, and how it takes over new ones, and new configurations, at work.

use rustls::pki_types::CertificateDer;

use crate::support::Client;

mod key;
mod reload;
mod watch;

/// What standard output says when a configuration has been taken over.
const RELOADED: &str = "=> Reloading configuration after SIGHUP signal completed.";

/// The certificate that the server shows.
async fn shown(client: &Client) -> CertificateDer<'static> {
    let stream = client.handshake(Vec::new()).await.unwrap();
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].clone()
}
