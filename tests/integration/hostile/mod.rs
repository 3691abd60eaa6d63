//! Clients that mean harm: they are slow, silent, talkative or many. Others must not notice, and memory must stay bounded.

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::support::{Cert, Client, Payload, Server, Setup, Version, server::PATIENCE};

mod body;
mod flood;
mod frame;
mod head;
mod many;
mod slow;

const MIB: usize = 1 << 20;

/// A server with a key `a`, and a client who may do everything.
async fn server() -> (Server, Client) {
    let admin = Cert::client();
    let server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    (server, client)
}

/// Others are served, on new connections and with both versions of HTTP.
async fn others_are_served(client: &Client) {
    for version in Version::ALL {
        let mut connection = client.connect(version).await.unwrap();
        for _ in 0..20 {
            let reply = connection
                .send("PUT", "/v1/key/generate/a", Payload::None)
                .await;
            assert_eq!(reply.status, 200);
        }
    }
}

/// Everything that comes until the connection ends, which it must.
async fn until_end(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset is an end, too.
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    let _ = end.expect("the connection does not end");
    all
}

/// The most memory that a server takes while something is done to it, beyond the most it took before.
struct Peak<'a> {
    server: &'a Server,
    before: usize,
}

impl<'a> Peak<'a> {
    fn of(server: &'a Server) -> Self {
        Self {
            server,
            before: server.memory("VmHWM"),
        }
    }

    #[track_caller]
    fn stays_within(&self, bytes: usize) {
        let growth = self.server.memory("VmHWM") - self.before;
        assert!(growth <= bytes, "{} KiB more", growth / 1024);
    }
}
