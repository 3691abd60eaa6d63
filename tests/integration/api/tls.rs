//! TLS: versions, protocols, certificates of all kinds, and who a client is by them (api.md 1, 2, D-1).

use rcgen::RsaKeySize;
use rustls::{
    AlertDescription, HandshakeKind, NamedGroup, ProtocolVersion, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    Cert, Client, Payload, Reply, Server, Setup, Version, client::Connection, server::PATIENCE,
};

const BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Does a handshake and reads, without a word: the alert that ends it.
async fn alert(client: &Client) -> Option<AlertDescription> {
    let failed = match client.handshake(Vec::new()).await {
        Err(error) => error,
        Ok(mut stream) => {
            // A server that has nothing to object to sees the end, and ends as well.
            let _ = stream.shutdown().await;
            let mut byte = [0];
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut byte)).await;
            match read.expect("neither an alert nor an end") {
                Err(error) => error,
                Ok(_) => return None,
            }
        }
    };
    match failed.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        other => panic!("{other:?}"),
    }
}

/// Whom the server takes the client for: the creator of a key that it makes, or the error.
async fn identity(client: &Client, name: &str) -> Result<String, Reply> {
    let created = client
        .put(&format!("/v1/key/create/{name}"), Payload::None)
        .await;
    if created.status != 200 {
        return Err(created);
    }
    let info = client.get(&format!("/v1/key/describe/{name}")).await.json();
    Ok(info["created_by"].as_str().unwrap().to_owned())
}

/// A server on which each of `certs` may do everything.
async fn server_for(certs: &[&Cert]) -> Server {
    Setup::new(&Cert::client())
        .policy("all", &["*"], &[], certs)
        .start()
        .await
}

#[tokio::test]
async fn both_tls_versions_speak_what_alpn_says() {
    let cert = Cert::client();
    let server = server_for(&[&cert]).await;
    for tls in BOTH {
        let client = Client::with_versions(server.address, Some(&cert), &[tls]);
        for (offered, chosen) in [
            (vec![], None),
            (vec!["http/1.1"], Some("http/1.1")),
            (vec!["h2"], Some("h2")),
            (vec!["http/1.1", "h2"], Some("h2")),
        ] {
            let offered: Vec<Vec<u8>> = offered
                .into_iter()
                .map(|name| name.as_bytes().to_vec())
                .collect();
            let stream = client.handshake(offered).await.unwrap();
            let session = stream.get_ref().1;
            let version = if *tls == TLS12 {
                ProtocolVersion::TLSv1_2
            } else {
                ProtocolVersion::TLSv1_3
            };
            assert_eq!(session.protocol_version(), Some(version));
            assert_eq!(session.alpn_protocol(), chosen.map(str::as_bytes));
            let mut connection = Connection::over(stream, server.address).await.unwrap();
            connection
                .send("GET", "/v1/status", Payload::None)
                .await
                .json();
        }
        let none = client.handshake(vec![b"spdy/3".to_vec()]).await;
        assert!(none.is_err(), "a protocol that nobody speaks");
    }
}

#[tokio::test]
async fn sessions_are_resumed_with_their_identity() {
    let cert = Cert::client();
    let server = server_for(&[&cert]).await;
    for tls in BOTH {
        let client = Client::with_versions(server.address, Some(&cert), &[tls]).resuming();
        for (round, kind) in [
            HandshakeKind::Full,
            HandshakeKind::Resumed,
            HandshakeKind::Resumed,
        ]
        .into_iter()
        .enumerate()
        {
            let mut connection = client.connect(Version::ALL[round % 2]).await.unwrap();
            assert_eq!(connection.kind, kind);
            let me = connection
                .send("GET", "/v1/identity/self/describe", Payload::None)
                .await;
            assert_eq!(me.json()["identity"], cert.identity);
        }
    }
}

#[tokio::test]
async fn the_hybrid_key_exchange_is_preferred_when_offered() {
    let cert = Cert::client();
    let server = server_for(&[&cert]).await;
    let client = Client::with_versions(server.address, Some(&cert), &[&TLS13]);
    let stream = client.handshake(Vec::new()).await.unwrap();
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
    let classic = Client::with_versions(server.address, Some(&cert), &[&TLS12]);
    let stream = classic.handshake(Vec::new()).await.unwrap();
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap();
    assert_ne!(group.name(), NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn keys_of_all_kinds_identify_their_clients() {
    let certs = [
        Cert::client(),
        Cert::client_with(&rcgen::PKCS_ECDSA_P256_SHA256),
        Cert::client_with(&rcgen::PKCS_ECDSA_P384_SHA384),
        Cert::client_with_rsa(RsaKeySize::_2048),
        Cert::client_with_rsa(RsaKeySize::_4096),
        Cert::expired_client(),
    ];
    let server = server_for(&certs.each_ref()).await;
    for (i, cert) in certs.iter().enumerate() {
        for tls in BOTH {
            let client = Client::with_versions(server.address, Some(cert), &[tls]);
            let found = identity(&client, &format!("k{i}-{}", *tls == TLS12))
                .await
                .unwrap();
            assert_eq!(found, cert.identity, "certificate {i}");
        }
    }
}

/// One value of DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut value = vec![tag];
    match u16::try_from(content.len()).unwrap() {
        short @ 0..128 => value.push(u8::try_from(short).unwrap()),
        long => {
            value.push(0x82);
            value.extend_from_slice(&long.to_be_bytes());
        }
    }
    value.extend_from_slice(&content);
    value
}

/// A certificate of version 1 for the key of `cert`, signed by `issuer`, as plain `openssl x509 -req` makes them.
fn version_1(cert: &Cert, issuer: &Cert) -> Vec<u8> {
    // SEQUENCE { OID 1.2.840.10045.4.3.2 }: ECDSA with SHA-256.
    let oid = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let algorithm = der(0x30, &[&der(6, &[&oid])]);
    // SEQUENCE { SET { SEQUENCE { OID 2.5.4.3, UTF8String } } }: a common name.
    let name = |text: &str| {
        let attribute = der(
            0x30,
            &[&der(6, &[&[0x55, 4, 3]]), &der(12, &[text.as_bytes()])],
        );
        der(0x30, &[&der(0x31, &[&attribute])])
    };
    let times = [der(23, &[b"190101000000Z"]), der(23, &[b"491231000000Z"])];
    let validity = der(0x30, &[&times[0], &times[1]]);
    let (from, to) = (name("authority"), name("old"));
    let serial = der(2, &[&[1]]);
    let key = cert.public_key();
    let body = der(0x30, &[&serial, &algorithm, &from, &validity, &to, &key]);
    let signature = issuer.sign_bytes(&body);
    der(0x30, &[&body, &algorithm, &der(3, &[&[0], &signature])])
}

#[tokio::test]
async fn a_version_1_certificate_identifies_its_client() {
    let cert = Cert::client();
    let server = server_for(&[&cert]).await;
    let old = version_1(&cert, &Cert::authority());
    let cert = cert.with_certificate(old);
    for tls in BOTH {
        let client = Client::with_versions(server.address, Some(&cert), &[tls]);
        let found = identity(&client, &format!("k-{}", *tls == TLS12))
            .await
            .unwrap();
        assert_eq!(found, cert.identity);
    }
}

#[tokio::test]
async fn only_the_first_certificate_tells_who_a_client_is() {
    let (admin, authority) = (Cert::client(), Cert::authority());
    let attacker = Cert::client();
    let server = Setup::new(&admin)
        .policy("all", &["*"], &[], &[&attacker])
        .start()
        .await;
    let missing = "tls: client certificate is required";
    let ambiguous = "tls: received more than one client certificate";
    let cases = [
        (Cert::authority(), 400, missing),
        // Certificates are public: anybody can send the admin's behind one of its own.
        (Cert::authority().followed_by(&admin), 400, missing),
        (Cert::authority().followed_by(&authority), 400, missing),
        (Cert::client().followed_by(&admin), 400, ambiguous),
        (
            Cert::client().followed_by(&authority).followed_by(&admin),
            400,
            ambiguous,
        ),
        (
            Cert::client().followed_by(&authority),
            403,
            "not authorized: insufficient permissions",
        ),
    ];
    for (cert, status, message) in cases {
        for version in Version::ALL {
            let client = server.client(&cert).resuming();
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let mut connection = client.connect(version).await.unwrap();
                assert_eq!(connection.kind, kind);
                let reply = connection.send("GET", "/v1/status", Payload::None).await;
                reply.error(status, message);
            }
        }
    }
    let allowed = attacker.followed_by(&authority);
    let found = identity(&server.client(&allowed), "k").await.unwrap();
    assert_eq!(found, allowed.identity);
}

#[tokio::test]
async fn a_certificate_that_is_none_ends_the_handshake() {
    let cert = Cert::client();
    let server = server_for(&[&cert]).await;
    let mut broken = Cert::client();
    broken.chain[0] = vec![0x30, 3, 2, 1, 1].into();
    let mut second = Cert::client();
    second.chain.push(vec![0x30, 3, 2, 1, 1].into());
    for cert in [&broken, &second] {
        for tls in BOTH {
            let client = Client::with_versions(server.address, Some(cert), &[tls]);
            assert_eq!(alert(&client).await, Some(AlertDescription::BadCertificate));
        }
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_ends_the_handshake() {
    let admin = Cert::client();
    let server = Setup::new(&admin).start().await;
    let thief = Cert::client().with_certificate(admin.chain[0].to_vec());
    for tls in BOTH {
        let client = Client::with_versions(server.address, Some(&thief), &[tls]);
        assert_eq!(alert(&client).await, Some(AlertDescription::DecryptError));
    }
}

#[tokio::test]
async fn a_client_without_certificate_is_told_what_is_missing() {
    let server = server_for(&[&Cert::client()]).await;
    for tls in BOTH {
        let client = Client::with_versions(server.address, None, &[tls]);
        let alert = alert(&client).await;
        // The predecessor's library has another alert for TLS 1.2; no client looks at it.
        assert_eq!(
            alert,
            Some(AlertDescription::CertificateRequired),
            "{tls:?}"
        );
    }
}

#[tokio::test]
async fn trusted_roots_are_not_named_while_clients_are_not_verified() {
    // The client of these tests refuses to see names.
    let (cert, authority) = (Cert::client(), Cert::authority());
    let folder = tempfile::tempdir().unwrap();
    let server = Setup::new(&cert)
        .trust(&authority, folder.path())
        .start()
        .await;
    for tls in BOTH {
        let client = Client::with_versions(server.address, Some(&cert), &[tls]);
        client.get("/v1/status").await.json();
    }
}

#[tokio::test]
async fn verified_clients_come_from_a_trusted_authority() {
    let (authority, other) = (Cert::authority(), Cert::authority());
    let trusted = authority.sign_client();
    let folder = tempfile::tempdir().unwrap();
    let server = Setup::new(&trusted)
        .verify_clients(&authority, folder.path())
        .start()
        .await;
    let refused = [
        (Cert::client(), AlertDescription::UnknownCA),
        (other.sign_client(), AlertDescription::UnknownCA),
        (
            other.sign_client().followed_by(&other),
            AlertDescription::UnknownCA,
        ),
        (
            authority.sign_expired_client(),
            AlertDescription::CertificateExpired,
        ),
        (
            authority.sign_server_only(),
            AlertDescription::BadCertificate,
        ),
    ];
    for tls in BOTH {
        let client = |cert| Client::with_versions(server.address, Some(cert), &[tls]);
        client(&trusted).get("/v1/status").await.json();
        for (i, (cert, expected)) in refused.iter().enumerate() {
            assert_eq!(
                alert(&client(cert)).await,
                Some(*expected),
                "certificate {i} {tls:?}"
            );
        }
        let nobody = Client::with_versions(server.address, None, &[tls]);
        assert!(alert(&nobody).await.is_some());
    }
}

#[tokio::test]
async fn a_version_1_certificate_of_a_trusted_authority_is_as_good_as_any() {
    let (authority, cert) = (Cert::authority(), Cert::client());
    let folder = tempfile::tempdir().unwrap();
    let server = Setup::new(&cert)
        .verify_clients(&authority, folder.path())
        .start()
        .await;
    let old = version_1(&cert, &authority);
    let cert = cert.with_certificate(old);
    for tls in BOTH {
        let client = Client::with_versions(server.address, Some(&cert), &[tls]);
        assert_eq!(alert(&client).await, None, "{tls:?}");
    }
}

#[tokio::test]
async fn with_an_open_route_a_certificate_may_be_missing_but_not_wrong() {
    let authority = Cert::authority();
    let trusted = authority.sign_client();
    let folder = tempfile::tempdir().unwrap();
    let server = Setup::new(&trusted)
        .verify_clients(&authority, folder.path())
        .open_to_all("/v1/ready")
        .start()
        .await;
    server.nobody().get("/v1/ready").await.empty();
    server
        .nobody()
        .get("/v1/status")
        .await
        .error(400, "tls: client certificate is required");
    server.client(&trusted).get("/v1/status").await.json();
    let stranger = server.client(&Cert::client());
    assert_eq!(alert(&stranger).await, Some(AlertDescription::UnknownCA));
}

#[tokio::test]
async fn clear_text_is_answered_in_clear_text_and_closed() {
    let cert = Cert::client();
    let server = server_for(&[&cert]).await;
    for request in [
        "GET /version HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.0\r\n\r\n",
    ] {
        let mut tcp = TcpStream::connect(server.address).await.unwrap();
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(PATIENCE, tcp.read_to_string(&mut answer)).await;
        let read = read.expect("the connection stays open");
        assert!(read.is_ok(), "{read:?} after {answer:?}");
        let expected =
            "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
        assert_eq!(answer, expected);
    }
    let status = server.client(&cert).get("/v1/status").await.json();
    assert_ne!(status, json!({}));
}
