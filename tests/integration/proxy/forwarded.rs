//! Forwarded certificates, spelled by the tests: a listed proxy is believed and nobody else, and it cannot speak for everybody.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kes::api::ROUTES;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Audit, DENIED, Event, HEADER, RELOADED, ask, behind, whoami};
use crate::support::{Cert, Setup, Version, raw::Raw};

const FOR: &str = "x-forwarded-for";
const MISSING: &str = "no client certificate is present";
const INVALID: &str = "invalid client certificate";

/// A certificate as nginx writes it.
fn escaped(cert: &Cert) -> String {
    utf8_percent_encode(&cert.pem(), NON_ALPHANUMERIC).to_string()
}

/// A certificate as `HAProxy` writes it.
fn base64(cert: &Cert) -> String {
    STANDARD.encode(&cert.chain[0])
}

#[tokio::test]
async fn a_listed_proxy_speaks_for_the_client_whose_certificate_it_forwards() {
    let [admin, proxy, other, app] = std::array::from_fn(|_| Cert::client());
    let server = behind(&admin, &[&other, &proxy])
        .policy(
            "app",
            &["/v1/key/create/app-*", "/v1/key/describe/*"],
            &[],
            &[&app],
        )
        .start()
        .await;
    let mut audit = Audit::open(&server.client(&admin), Version::H1).await;
    let address = |ip: &'static str| (FOR, ip);
    for (version, value) in [
        (Version::H1, escaped(&app)),
        (Version::H2, escaped(&app)),
        (Version::H1, base64(&app)),
        (Version::H2, format!(":{}:", base64(&app))),
    ] {
        let headers = [
            (HEADER, value.as_str()),
            address(" [2001:db8::7]:4711 , 10.0.0.1"),
        ];
        let mut connection = server.client(&proxy).connect(version).await.unwrap();
        let me = ask(
            &mut connection,
            "GET",
            "/v1/identity/self/describe",
            &headers,
        )
        .await;
        assert_eq!(me.json()["identity"], app.identity.as_str());
        let event = audit.next().await;
        assert_eq!(
            event,
            Event::new(
                "/v1/identity/self/describe",
                "2001:db8::7",
                &app.identity,
                200
            )
        );
        // Its policy holds, and not the proxy's power.
        let denied = ask(&mut connection, "PUT", "/v1/key/create/other", &headers).await;
        denied.error(403, DENIED);
        let event = audit.next().await;
        assert_eq!(
            event,
            Event::new("/v1/key/create/other", "2001:db8::7", &app.identity, 403)
        );
        // The same connection speaks for another client at once.
        let stranger = Cert::client();
        let headers = [(HEADER, base64(&stranger)), (FOR, "192.0.2.3".to_owned())];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let denied = ask(&mut connection, "GET", "/v1/key/describe/app-1", &headers).await;
        denied.error(403, DENIED);
        let event = audit.next().await;
        assert_eq!(
            event,
            Event::new(
                "/v1/key/describe/app-1",
                "192.0.2.3",
                &stranger.identity,
                403
            )
        );
    }
    // Without an address, or with none that is one, the proxy's own stands.
    for ip in ["unknown", "localhost", ""] {
        let mut connection = server
            .client(&proxy)
            .from([127, 0, 0, 9])
            .connect(Version::H1)
            .await
            .unwrap();
        let headers = [(HEADER, &*base64(&app)), (FOR, ip)];
        ask(&mut connection, "GET", "/version", &headers)
            .await
            .json();
        assert_eq!(
            audit.next().await,
            Event::new("/version", "127.0.0.9", &app.identity, 200)
        );
    }
}

#[tokio::test]
async fn keys_belong_to_the_client_and_not_to_its_proxy() {
    let [admin, proxy, app] = std::array::from_fn(|_| Cert::client());
    let server = behind(&admin, &[&proxy])
        .policy("app", &["/v1/key/*"], &[], &[&app])
        .start()
        .await;
    let value = escaped(&app);
    let mut connection = server.client(&proxy).connect(Version::H2).await.unwrap();
    let headers = [(HEADER, value.as_str())];
    let created = ask(&mut connection, "PUT", "/v1/key/create/k", &headers).await;
    assert_eq!((created.status, created.body.len()), (200, 0));
    let described = ask(&mut connection, "GET", "/v1/key/describe/k", &headers).await;
    assert_eq!(described.json()["created_by"], app.identity.as_str());
}

#[tokio::test]
async fn the_name_of_the_header_has_no_case() {
    let [admin, proxy, app] = std::array::from_fn(|_| Cert::client());
    let server = behind(&admin, &[&proxy])
        .policy("app", &["/v1/status"], &[], &[&app])
        .start()
        .await;
    for name in [
        "X-Tls-Client-Cert",
        "x-tls-client-cert",
        "X-TLS-CLIENT-CERT",
    ] {
        let mut raw = Raw::connect(&server.client(&proxy)).await;
        raw.write(format!(
            "GET /v1/status HTTP/1.1\r\nHost: kes\r\n{name}: {}\r\n\r\n",
            base64(&app)
        ))
        .await;
        assert_eq!(raw.reply().await.status(), 200, "{name}");
    }
}

#[tokio::test]
async fn a_forged_header_is_refused_on_every_route_and_audited_with_who_sent_it() {
    let [admin, proxy, app, victim] = std::array::from_fn(|_| Cert::client());
    let mut server = behind(&admin, &[&proxy])
        .policy("all", &["/v1/*"], &[], &[&app, &victim])
        .open_to_all("/v1/ready")
        .start()
        .await;
    let mut audit = Audit::open(&server.client(&admin), Version::H1).await;
    let reason = "a client that is not in 'tls.proxy.identities' sent the header that only TLS proxies may send";
    for version in Version::ALL {
        let mut connection = server.client(&app).connect(version).await.unwrap();
        for route in ROUTES {
            let path = format!(
                "{}{}",
                route.path,
                if route.path.ends_with('/') { "x" } else { "" }
            );
            for value in [
                escaped(&victim),
                escaped(&admin),
                "junk".to_owned(),
                String::new(),
            ] {
                let headers = [(HEADER, value.as_str()), (FOR, "192.0.2.1")];
                let answer = ask(&mut connection, route.method.as_str(), &path, &headers).await;
                answer.error(403, DENIED);
                if route.audited {
                    assert_eq!(
                        audit.next().await,
                        Event::new(&path, "127.0.0.1", &app.identity, 403)
                    );
                }
            }
        }
        // Nor from those who show nothing at all.
        let mut nobody = server.nobody().connect(version).await.unwrap();
        let answer = ask(
            &mut nobody,
            "GET",
            "/v1/ready",
            &[(HEADER, &escaped(&victim))],
        )
        .await;
        answer.error(403, DENIED);
        assert_eq!(
            audit.next().await,
            Event::new("/v1/ready", "127.0.0.1", "", 403)
        );
        // An address alone is nothing but an unknown header.
        ask(&mut nobody, "GET", "/v1/ready", &[(FOR, "192.0.2.1")]).await;
        assert_eq!(
            audit.next().await,
            Event::new("/v1/ready", "127.0.0.1", "", 200)
        );
    }
    let line = server.complained(1, reason).await;
    assert!(
        line.contains("level=WARN") && line.contains(&app.identity),
        "{line}"
    );
}

#[tokio::test]
async fn a_proxy_never_speaks_as_the_admin_or_as_a_proxy() {
    let [admin, proxy, other] = std::array::from_fn(|_| Cert::client());
    let mut server = behind(&admin, &[&proxy, &other])
        .open_to_all("/v1/ready")
        .start()
        .await;
    let mut audit = Audit::open(&server.client(&admin), Version::H1).await;
    let mut connection = server.client(&proxy).connect(Version::H2).await.unwrap();
    for route in ROUTES {
        let path = format!(
            "{}{}",
            route.path,
            if route.path.ends_with('/') { "x" } else { "" }
        );
        for who in [&admin, &proxy, &other] {
            let headers = [(HEADER, &*escaped(who)), (FOR, "192.0.2.1")];
            let answer = ask(&mut connection, route.method.as_str(), &path, &headers).await;
            answer.error(403, DENIED);
            if route.audited {
                assert_eq!(
                    audit.next().await,
                    Event::new(&path, "192.0.2.1", &who.identity, 403)
                );
            }
        }
    }
    for reason in [
        "the admin's certificate was forwarded",
        "a TLS proxy's certificate was forwarded",
    ] {
        let line = server.complained(1, reason).await;
        assert!(line.contains("level=WARN"), "{line}");
        let via = format!("(TLS proxy {} at 127.0.0.1)", proxy.identity);
        assert!(line.contains(&via), "{line}");
    }
}

#[tokio::test]
async fn a_proxy_without_a_clients_certificate_is_nobody_and_never_itself() {
    let [admin, proxy] = std::array::from_fn(|_| Cert::client());
    let server = behind(&admin, &[&proxy])
        .open_to_all("/v1/ready")
        .start()
        .await;
    let mut audit = Audit::open(&server.client(&admin), Version::H1).await;
    let mut connection = server.client(&proxy).connect(Version::H1).await.unwrap();
    // HAProxy may send an empty one.
    let cases: [&[(&str, &str)]; 3] = [&[], &[(HEADER, "")], &[(HEADER, " ")]];
    for headers in cases {
        for route in ROUTES {
            let path = format!(
                "{}{}",
                route.path,
                if route.path.ends_with('/') { "x" } else { "" }
            );
            let answer = ask(&mut connection, route.method.as_str(), &path, headers).await;
            if path == "/v1/ready" {
                // Its own health checks: everybody may, so nobody in particular may, too.
                assert_eq!(answer.status, 200);
            } else {
                answer.error(400, MISSING);
            }
            if route.audited {
                let status = u64::from(answer.status);
                assert_eq!(
                    audit.next().await,
                    Event::new(&path, "127.0.0.1", "", status)
                );
            }
        }
    }
    // What is no route is not audited and tells nothing, with or without a header.
    let answer = ask(
        &mut connection,
        "GET",
        "/nope",
        &[(HEADER, &escaped(&admin))],
    )
    .await;
    answer.error(404, "not found");
}

#[tokio::test]
async fn what_is_not_exactly_one_certificate_is_refused() {
    let [admin, proxy, app] = std::array::from_fn(|_| Cert::client());
    let server = behind(&admin, &[&proxy])
        .policy("app", &["/v1/status"], &[], &[&app])
        .open_to_all("/v1/ready")
        .start()
        .await;
    let mut audit = Audit::open(&server.client(&admin), Version::H1).await;
    let good = escaped(&app);
    let broken = STANDARD.encode(&app.chain[0][..100]);
    let longer = STANDARD.encode([&app.chain[0][..], &[0]].concat());
    let long = format!("{good}{}", "%20".repeat(30_000));
    let [joined, listed] = ["", ","].map(|between| format!("{good}{between}{good}"));
    let other = good.replace("CERTIFICATE", "CRL");
    for version in Version::ALL {
        let mut connection = server.client(&proxy).connect(version).await.unwrap();
        for value in [
            "junk",
            "%",
            "null",
            "-----BEGIN%20CERTIFICATE-----",
            "AAAA",
            &broken,
            &longer,
            &long,
            &joined,
            &listed,
            &other,
        ] {
            for path in ["/v1/status", "/version", "/v1/ready"] {
                let answer = ask(&mut connection, "GET", path, &[(HEADER, value)]).await;
                answer.error(400, INVALID);
                assert_eq!(audit.next().await, Event::new(path, "127.0.0.1", "", 400));
            }
        }
        let twice = [(HEADER, good.as_str()), (HEADER, good.as_str())];
        for path in ["/v1/status", "/version", "/v1/ready"] {
            let answer = ask(&mut connection, "GET", path, &twice).await;
            answer.error(400, "too many client certificates are present");
            assert_eq!(audit.next().await, Event::new(path, "127.0.0.1", "", 400));
        }
        // An authority's gives no identity, as it gives none on a connection of its own.
        let authority = escaped(&Cert::authority());
        let answer = ask(
            &mut connection,
            "GET",
            "/v1/status",
            &[(HEADER, &authority)],
        )
        .await;
        answer.error(400, "tls: client certificate is required");
        audit.next().await;
        let answer = ask(&mut connection, "GET", "/v1/status", &[(HEADER, &good)]).await;
        assert_eq!(answer.status, 200, "the connection goes on");
        audit.next().await;
    }
}

#[tokio::test]
async fn with_auth_on_a_forwarded_certificate_is_verified_like_a_clients_own() {
    let folder = tempfile::tempdir().unwrap();
    let [authority, foreign] = std::array::from_fn(|_| Cert::authority());
    let admin = authority.sign_client();
    let proxy = authority.sign_client();
    let app = authority.sign_client();
    let expired = authority.sign_expired_client();
    let servers = authority.sign_server_only();
    let stranger = foreign.sign_client();
    let unsigned = Cert::client();
    let all = [&app, &expired, &servers, &stranger, &unsigned];
    let setup = behind(&admin, &[&proxy])
        .verify_clients(&authority, folder.path())
        .policy("app", &["/v1/status"], &[], &all)
        .open_to_all("/v1/ready");
    let mut server = setup.start().await;
    let mut audit = Audit::open(&server.client(&admin), Version::H1).await;
    let mut connection = server.client(&proxy).connect(Version::H2).await.unwrap();
    for (cert, status) in [
        (&app, 200),
        (&expired, 403),
        (&servers, 403),
        (&stranger, 403),
        (&unsigned, 403),
    ] {
        for path in ["/v1/status", "/v1/ready"] {
            let answer = ask(&mut connection, "GET", path, &[(HEADER, &base64(cert))]).await;
            if status == 200 {
                assert_eq!(answer.status, 200);
            } else {
                answer.error(status, "");
            }
            let status = u64::from(status);
            assert_eq!(
                audit.next().await,
                Event::new(path, "127.0.0.1", &cert.identity, status)
            );
        }
    }
    // An authority that is trusted from now on counts on the connections that proxies have, too.
    let trusted = authority.pem() + &foreign.pem();
    std::fs::write(folder.path().join("ca.pem"), trusted).unwrap();
    server.hang_up();
    server.said(1, RELOADED).await;
    let answer = ask(
        &mut connection,
        "GET",
        "/v1/status",
        &[(HEADER, &base64(&stranger))],
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_reload_that_removes_a_proxy_takes_effect_on_its_open_connections() {
    let [admin, proxy, other, app] = std::array::from_fn(|_| Cert::client());
    let setup =
        |proxies: &[&Cert]| behind(&admin, proxies).policy("app", &["/v1/status"], &[], &[&app]);
    let mut server = setup(&[&proxy, &other]).start().await;
    let value = escaped(&app);
    let headers = [(HEADER, value.as_str())];
    let mut connections = Vec::new();
    for version in Version::ALL {
        let mut connection = server.client(&proxy).connect(version).await.unwrap();
        let answer = ask(&mut connection, "GET", "/v1/status", &headers).await;
        assert_eq!(answer.status, 200);
        connections.push(connection);
    }
    server.reload(&setup(&[&other]));
    server.said(1, RELOADED).await;
    for connection in &mut connections {
        let answer = ask(connection, "GET", "/v1/status", &headers).await;
        answer.error(403, DENIED);
    }
    // With no proxy left the header is one that nobody knows, and the connection its owner's.
    server.reload(&setup(&[]));
    server.said(2, RELOADED).await;
    for connection in &mut connections {
        let answer = ask(connection, "GET", "/v1/status", &headers).await;
        answer.error(403, DENIED);
    }
    server.reload(&setup(&[&proxy]));
    server.said(3, RELOADED).await;
    for connection in &mut connections {
        let answer = ask(connection, "GET", "/v1/status", &headers).await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn without_proxies_the_header_is_one_that_nobody_knows() {
    let [admin, app] = std::array::from_fn(|_| Cert::client());
    // As templates have it.
    let setup =
        Setup::new(&admin).tls("proxy: { identities: [ ], header: { cert: X-Tls-Client-Cert } }");
    let server = setup
        .policy("app", &["/v1/status"], &[], &[&app])
        .start()
        .await;
    let headers = [(HEADER, &*escaped(&admin)), (FOR, "192.0.2.1")];
    for version in Version::ALL {
        assert_eq!(
            whoami(&server.client(&app), version, &headers).await,
            app.identity
        );
    }
}

#[tokio::test]
async fn old_clients_behind_a_proxy_are_told_in_their_words() {
    let [admin, proxy] = std::array::from_fn(|_| Cert::client());
    let setup = behind(&admin, &[&proxy]).with("compat: { legacy_errors: true }");
    let server = setup.start().await;
    let mut connection = server.client(&proxy).connect(Version::H1).await.unwrap();
    let headers = [(HEADER, &*escaped(&admin))];
    let answer = ask(&mut connection, "GET", "/v1/status", &headers).await;
    assert_eq!(answer.status, 403);
    let body = String::from_utf8(answer.body).unwrap();
    assert!(body.contains("prohibited by policy"), "{body}");
}
