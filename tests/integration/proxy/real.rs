//! Real nginx and real `HAProxy` in front of the server, on the files that `deploy/` ships.

use rustls::{
    HandshakeKind,
    version::{TLS12, TLS13},
};
use serde_json::json;

use super::{
    Answer, Audit, DENIED, Event, Front, HEADER, Kind, RELOADED, ask, balanced, behind, whoami,
};
use crate::support::{Cert, Client, Payload, Server, Version, client::Connection};

/// Where the clients of these tests come from: not where the proxies do.
const CLIENT: [u8; 4] = [127, 0, 0, 5];
const IP: &str = "127.0.0.5";

/// All programs that are there, with each version of HTTP between the client and them.
fn all() -> Vec<(Kind, Version)> {
    let there = Kind::ALL.into_iter().filter(|kind| kind.is_there());
    there
        .flat_map(|kind| Version::ALL.map(|version| (kind, version)))
        .collect()
}

/// Who takes part.
struct Cast {
    admin: Cert,
    proxy: Cert,
    app: Cert,
    /// Has run for longer than its certificate is valid, as clients with API keys do.
    old: Cert,
}

impl Cast {
    fn new() -> Self {
        let [admin, proxy, app] = std::array::from_fn(|_| Cert::client());
        let old = Cert::expired_client();
        Self {
            admin,
            proxy,
            app,
            old,
        }
    }

    /// The server behind a proxy.
    async fn server(&self) -> Server {
        let shown = Cert::server();
        let allowed = [
            "/v1/key/create/app-*",
            "/v1/key/generate/app-*",
            "/v1/key/decrypt/app-*",
            "/v1/metrics",
            "/v1/log/audit",
        ];
        behind(&self.admin, &[&self.proxy])
            .shows(shown.pem(), shown.key_pem())
            .policy("app", &allowed, &[], &[&self.app, &self.old])
            .open_to_all("/v1/ready")
            .start()
            .await
    }

    fn front(&self, kind: Kind, server: &Server) -> Front {
        Front::tls(kind, server.address, &self.proxy, &shown(server))
    }
}

/// The certificate that `server` shows.
fn shown(server: &Server) -> String {
    std::fs::read_to_string(server.folder().join("server.pem")).unwrap()
}

async fn post(connection: &mut Connection, path: &str, body: serde_json::Value) -> Answer {
    let response = connection.open("POST", path, &[], body).await;
    Answer::of(response.unwrap()).await
}

/// Creates a key, has a data key made and decrypts it, which also works with bodies of undeclared length, as clients send them.
async fn use_a_key(connection: &mut Connection, name: &str) {
    let created = ask(connection, "POST", &format!("/v1/key/create/{name}"), &[]).await;
    assert_eq!((created.status, created.body.len()), (200, 0));
    let generate = format!("/v1/key/generate/{name}");
    let pair = post(connection, &generate, json!({"context": "AQI="}))
        .await
        .json();
    let body = json!({"ciphertext": pair["ciphertext"], "context": "AQI="}).to_string();
    let pieces = body
        .as_bytes()
        .chunks(20)
        .map(bytes::Bytes::copy_from_slice);
    let chunked = Payload::Chunked(pieces.collect());
    let decrypt = format!("/v1/key/decrypt/{name}");
    let response = connection.open("POST", &decrypt, &[], chunked).await;
    let plain = Answer::of(response.unwrap()).await.json();
    assert_eq!(plain["plaintext"], pair["plaintext"]);
}

#[tokio::test]
async fn clients_behind_a_tls_proxy_are_themselves() {
    let cast = Cast::new();
    for (kind, version) in all() {
        eprintln!("{kind:?} {version:?}");
        let server = cast.server().await;
        let front = cast.front(kind, &server);
        let mut audit = Audit::open(&server.client(&cast.admin), Version::H1).await;
        let client = front.client(Some(&cast.app), CLIENT);
        assert_eq!(whoami(&client, version, &[]).await, cast.app.identity);
        let own = |path: &str, status| Event::new(path, IP, &cast.app.identity, status);
        audit.expect(&own("/v1/identity/self/describe", 200)).await;
        let mut connection = client.connect(version).await.unwrap();
        use_a_key(&mut connection, "app-1").await;
        for route in ["create", "generate", "decrypt"] {
            audit
                .expect(&own(&format!("/v1/key/{route}/app-1"), 200))
                .await;
        }
        let denied = ask(&mut connection, "POST", "/v1/key/create/other", &[]).await;
        denied.error(403, DENIED);
        audit.expect(&own("/v1/key/create/other", 403)).await;
        let metrics = ask(&mut connection, "GET", "/v1/metrics", &[]).await;
        assert_eq!(metrics.status, 200);
        assert!(
            String::from_utf8(metrics.body)
                .unwrap()
                .contains("kes_http_request_success")
        );
        // A resumed session is its client's still.
        for version_of_tls in [&TLS12, &TLS13] {
            let client = Client::with_versions(front.address, Some(&cast.app), &[version_of_tls]);
            let resuming = client.from(CLIENT).resuming();
            for _ in 0..3 {
                assert_eq!(whoami(&resuming, version, &[]).await, cast.app.identity);
                audit.expect(&own("/v1/identity/self/describe", 200)).await;
            }
            let again = resuming.connect(version).await.unwrap();
            assert_eq!(again.kind, HandshakeKind::Resumed, "{version_of_tls:?}");
        }
        // Largest bodies go through, larger ones do not.
        let plaintext = "A".repeat(900_000);
        let body = json!({"ciphertext": plaintext});
        let answer = post(&mut connection, "/v1/key/decrypt/app-1", body).await;
        answer.error(400, "decryption failed: ciphertext is not authentic");
        audit.expect(&own("/v1/key/decrypt/app-1", 400)).await;
        let mut connection = client.connect(version).await.unwrap();
        let body = json!({"ciphertext": "A".repeat(2 << 20)});
        let sent = connection.open("POST", "/v1/key/decrypt/app-1", &[], body);
        // Some break the request off before they have answered.
        if let Ok(response) = sent.await {
            assert_eq!(response.status(), 413);
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_out_of_date_is_its_clients_behind_a_tls_proxy_too() {
    let cast = Cast::new();
    for (kind, version) in all() {
        eprintln!("{kind:?} {version:?}");
        let server = cast.server().await;
        let front = cast.front(kind, &server);
        let client = front.client(Some(&cast.old), CLIENT);
        assert_eq!(whoami(&client, version, &[]).await, cast.old.identity);
        // A connection each: nginx closes it behind such a request.
        let mut connection = client.connect(version).await.unwrap();
        let created = ask(&mut connection, "POST", "/v1/key/create/app-1", &[]).await;
        assert_eq!(created.status, 200);
        let mut connection = client.connect(version).await.unwrap();
        let body = json!({"context": "A".repeat(200_000)});
        let pair = post(&mut connection, "/v1/key/generate/app-1", body).await;
        assert!(pair.json()["ciphertext"].is_string());
        Audit::open(&client, version).await;
    }
}

#[tokio::test]
async fn a_tls_proxy_overwrites_what_clients_forge_and_forwards_no_admin() {
    let cast = Cast::new();
    for (kind, version) in all() {
        eprintln!("{kind:?} {version:?}");
        let mut server = cast.server().await;
        let front = cast.front(kind, &server);
        let mut audit = Audit::open(&server.client(&cast.admin), Version::H1).await;
        let forged = [
            (HEADER, "-----BEGIN%20CERTIFICATE-----"),
            (HEADER, "MIIB"),
            ("x-forwarded-for", "192.0.2.66"),
        ];
        let client = front.client(Some(&cast.app), CLIENT);
        assert_eq!(whoami(&client, version, &forged).await, cast.app.identity);
        let event = Event::new("/v1/identity/self/describe", IP, &cast.app.identity, 200);
        audit.expect(&event).await;
        // Without a certificate there is nothing to forward, whatever the client says.
        let mut nobody = front.client(None, CLIENT).connect(version).await.unwrap();
        for headers in [&[][..], &forged] {
            let answer = ask(&mut nobody, "GET", "/version", headers).await;
            answer.error(400, "no client certificate is present");
            audit.expect(&Event::new("/version", IP, "", 400)).await;
        }
        let ready = ask(&mut nobody, "GET", "/v1/ready", &forged).await;
        assert_eq!(ready.status, 200, "open to everybody");
        audit.expect(&Event::new("/v1/ready", IP, "", 200)).await;
        for who in [&cast.admin, &cast.proxy] {
            let mut connection = front
                .client(Some(who), CLIENT)
                .connect(version)
                .await
                .unwrap();
            let answer = ask(&mut connection, "GET", "/v1/status", &[]).await;
            answer.error(403, DENIED);
            audit
                .expect(&Event::new("/v1/status", IP, &who.identity, 403))
                .await;
        }
        let via = format!("(TLS proxy {} at 127.0.0.1)", cast.proxy.identity);
        server.complained(2, &via).await;
        // Taken off the list, the proxy is refused at once, on the connections that it has.
        let other = Cert::client();
        let changed = behind(&cast.admin, &[&other])
            .policy("app", &["/v1/*"], &[], &[&cast.app])
            .open_to_all("/v1/ready");
        server.reload(&changed);
        server.said(1, RELOADED).await;
        let mut connection = client.connect(version).await.unwrap();
        let answer = ask(&mut connection, "GET", "/v1/status", &[]).await;
        answer.error(403, DENIED);
        let event = Event::new("/v1/status", "127.0.0.1", &cast.proxy.identity, 403);
        audit.expect(&event).await;
    }
}

#[tokio::test]
async fn log_streams_go_through_a_tls_proxy_event_by_event() {
    let cast = Cast::new();
    for (kind, version) in all() {
        eprintln!("{kind:?} {version:?}");
        let server = cast.server().await;
        let front = cast.front(kind, &server);
        let client = front.client(Some(&cast.app), CLIENT);
        // Returns only once its own opening has come through, and each of these before the next one is made.
        let mut audit = Audit::open(&client, version).await;
        for number in 0..3 {
            let path = format!("/v1/key/create/app-{number}");
            let created = server.client(&cast.app).put(&path, Payload::None).await;
            assert_eq!(created.status, 200);
            let event = Event::new(&path, "127.0.0.1", &cast.app.identity, 200);
            audit.expect(&event).await;
        }
    }
}

#[tokio::test]
async fn certificates_behind_a_tls_proxy_are_verified_with_auth_on() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Cert::authority();
    let [admin, proxy, app] = std::array::from_fn(|_| authority.sign_client());
    let expired = authority.sign_expired_client();
    let stranger = Cert::client();
    for (kind, version) in all() {
        eprintln!("{kind:?} {version:?}");
        let own = Cert::server();
        let server = behind(&admin, &[&proxy])
            .shows(own.pem(), own.key_pem())
            .verify_clients(&authority, folder.path())
            .policy("app", &["/v1/status"], &[], &[&app, &expired, &stranger])
            .open_to_all("/v1/ready")
            .start()
            .await;
        let front = Front::tls(kind, server.address, &proxy, &own.pem());
        for (cert, status) in [(&app, 200), (&expired, 403), (&stranger, 403)] {
            let mut connection = front
                .client(Some(cert), CLIENT)
                .connect(version)
                .await
                .unwrap();
            let answer = ask(&mut connection, "GET", "/v1/status", &[]).await;
            if status == 200 {
                assert_eq!(answer.status, 200, "{answer:?}");
            } else {
                answer.error(status, "");
            }
        }
    }
}

/// The files that pass TCP through, in all their forms.
fn pass_through(kind: Kind, server: &Server, ca: &str) -> Vec<Front> {
    let start = |name, changes: &[(&str, &str)]| Front::start(kind, name, server.address, changes);
    match kind {
        Kind::Nginx => vec![start("tcp-passthrough.conf", &[])],
        Kind::HaProxy => {
            let names = [
                ("/etc/haproxy/kes/kes-ca.crt", ca),
                ("kes.example.com", "localhost"),
            ];
            let [file, name] = names;
            let first = ("send-proxy-v2 proxy-v2-options crc32c", "send-proxy");
            vec![
                start("tcp-passthrough.cfg", &names),
                start("tcp-passthrough.cfg", &[first, file, name]),
            ]
        }
    }
}

#[tokio::test]
async fn behind_a_tcp_load_balancer_clients_have_their_identity_and_address() {
    let [admin, app] = std::array::from_fn(|_| Cert::client());
    for (kind, version) in all() {
        eprintln!("{kind:?} {version:?}");
        let own = Cert::server();
        let server = balanced(&admin, &["127.0.0.1"])
            .shows(own.pem(), own.key_pem())
            .policy("app", &["/v1/key/*", "/v1/log/audit"], &[], &[&app])
            .open_to_all("/v1/ready")
            .start()
            .await;
        let ca = server.folder().join("server.pem").display().to_string();
        // The admin is no load balancer.
        let admin = Client::new(server.address, Some(&admin)).from([127, 0, 0, 3]);
        for (number, front) in pass_through(kind, &server, &ca).iter().enumerate() {
            let mut audit = Audit::open(&admin, Version::H1).await;
            let client = front.client(Some(&app), CLIENT);
            let event = Event::new("/v1/log/audit", IP, &app.identity, 200);
            let mut through = Audit::open(&client, version).await;
            audit.expect(&event).await;
            let mut connection = client.connect(version).await.unwrap();
            let name = format!("app-{number}");
            use_a_key(&mut connection, &name).await;
            for route in ["create", "generate", "decrypt"] {
                let path = format!("/v1/key/{route}/{name}");
                let event = Event::new(&path, IP, &app.identity, 200);
                audit.expect(&event).await;
                through.expect(&event).await;
            }
        }
    }
}

#[tokio::test]
async fn health_checks_of_haproxy_ask_for_readiness() {
    if !Kind::HaProxy.is_there() {
        return;
    }
    let cast = Cast::new();
    let own = Cert::server();
    // Behind the TLS proxy: HAProxy shows its certificate, and is nobody.
    let server = cast.server().await;
    let mut audit = Audit::open(&server.client(&cast.admin), Version::H1).await;
    let _front = cast.front(Kind::HaProxy, &server);
    assert_eq!(
        audit.next().await,
        Event::new("/v1/ready", "127.0.0.1", "", 200)
    );
    // Behind the load balancer: its own connections begin with a header that says so.
    let server = balanced(&cast.admin, &["127.0.0.1"])
        .shows(own.pem(), own.key_pem())
        .open_to_all("/v1/ready")
        .start()
        .await;
    let admin = server.client(&cast.admin).from([127, 0, 0, 3]);
    let mut audit = Audit::open(&admin, Version::H1).await;
    let ca = server.folder().join("server.pem").display().to_string();
    for front in pass_through(Kind::HaProxy, &server, &ca) {
        assert_eq!(
            audit.next().await,
            Event::new("/v1/ready", "127.0.0.1", "", 200)
        );
        drop(front);
    }
}
