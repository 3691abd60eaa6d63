//! Every route for every kind of caller: what the route table says of a route's door is what its callers meet.

use kes::api::{Auth, Method, ROUTES, Route};

use crate::support::{Cert, Client, Payload, Reply, Server, Setup, Version, client::Connection};
use rustls::HandshakeKind;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    /// Sends no certificate.
    Nobody,
    /// Has a certificate, but no policy.
    Unknown,
    /// Has a policy that has nothing to do with the path.
    Lacking,
    /// Has a policy that allows everything and denies the path.
    Denied,
    /// Has a policy that allows the path.
    Allowed,
    Admin,
}

struct Cast {
    server: Server,
    certs: [Cert; 5],
}

impl Cast {
    const WITH_CERTIFICATE: [Caller; 5] = [
        Caller::Unknown,
        Caller::Lacking,
        Caller::Denied,
        Caller::Allowed,
        Caller::Admin,
    ];

    async fn start(open: bool) -> Self {
        let certs: [Cert; 5] = std::array::from_fn(|_| Cert::client());
        let [_, lacking, denied, allowed, admin] = &certs;
        let rules: Vec<String> = ROUTES
            .iter()
            .map(|route| {
                format!(
                    "{}{}",
                    route.path,
                    if route.path.ends_with('/') {
                        "walk*"
                    } else {
                        ""
                    }
                )
            })
            .collect();
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let mut setup = Setup::new(admin)
            .policy(
                "lacking",
                &["/v1/key/create/other", "/v1/key/list/other*"],
                &[],
                &[lacking],
            )
            .policy("denied", &["*"], &rules, &[denied])
            .policy("allowed", &rules, &[], &[allowed]);
        if open {
            setup = setup.open_to_all("/v1/ready");
        }
        let server = setup.start().await;
        Self { server, certs }
    }

    fn client(&self, caller: Caller) -> Client {
        match Self::WITH_CERTIFICATE.iter().position(|it| *it == caller) {
            Some(index) => self.server.client(&self.certs[index]),
            None => self.server.nobody(),
        }
    }
}

fn path(route: &Route) -> String {
    let resource = if route.path.ends_with('/') {
        "walk"
    } else {
        ""
    };
    format!("{}{resource}", route.path)
}

fn payload(route: &Route) -> Payload {
    match route.limit {
        0 => Payload::None,
        _ => "{}".into(),
    }
}

/// Sends the request of a row on a connection of its own. Of a stream, only the head is read.
async fn ask(client: &Client, version: Version, route: &Route) -> (HandshakeKind, Reply) {
    let mut connection: Connection = client.connect(version).await.unwrap();
    let response = connection
        .open(route.method.as_str(), &path(route), &[], payload(route))
        .await
        .unwrap_or_else(|error| panic!("{}: {error:?}", route.path));
    let reply = if route.timeout.is_none() && response.status() == 200 {
        Reply {
            status: 200,
            headers: response.headers().clone(),
            body: bytes::Bytes::new(),
        }
    } else {
        Reply::read(response).await.unwrap()
    };
    (connection.kind, reply)
}

fn check(route: &Route, open: bool, caller: Caller, reply: &Reply, what: &str) {
    let refusal = match (route.auth, caller) {
        (Auth::Open | Auth::Identify, _) | (_, Caller::Admin | Caller::Allowed) => None,
        (Auth::Policy, _) if open && route.path == "/v1/ready" => None,
        (Auth::Policy, Caller::Nobody) => Some((400, "tls: client certificate is required")),
        (Auth::Policy, Caller::Unknown | Caller::Lacking | Caller::Denied) => {
            Some((403, "not authorized: insufficient permissions"))
        }
    };
    match refusal {
        Some((status, message)) => {
            assert_eq!(
                (reply.status, reply.message().as_str()),
                (status, message),
                "{what}"
            );
            reply.error(status, message);
        }
        None => {
            let message = reply.message();
            assert_ne!(reply.status, 403, "{what}");
            assert!(!message.starts_with("tls:"), "{what}: {message}");
            // The handler has spoken: what it says is its own, and never a failure of the server.
            assert!(reply.status < 500, "{what}: {reply:?}");
        }
    }
}

async fn walk(version: Version, resumed: bool) {
    let cast = Cast::start(true).await;
    let callers = [Caller::Nobody].into_iter().chain(Cast::WITH_CERTIFICATE);
    for caller in callers {
        let mut client = cast.client(caller);
        let expected = if resumed {
            client = client.resuming();
            // One session to resume.
            let first = client.send(version, "GET", "/version", Payload::None).await;
            assert_eq!(first.status, 200);
            HandshakeKind::Resumed
        } else {
            HandshakeKind::Full
        };
        for route in ROUTES {
            let what = format!("{caller:?} {version:?} {expected:?} {}", route.path);
            let (kind, reply) = ask(&client, version, route).await;
            assert_eq!(kind, expected, "{what}");
            check(route, true, caller, &reply, &what);
        }
    }
}

#[tokio::test]
async fn every_route_asks_for_what_its_row_says_over_http1() {
    walk(Version::H1, false).await;
}

#[tokio::test]
async fn every_route_asks_for_what_its_row_says_over_http2() {
    walk(Version::H2, false).await;
}

#[tokio::test]
async fn a_resumed_session_opens_no_door_over_http1() {
    walk(Version::H1, true).await;
}

#[tokio::test]
async fn a_resumed_session_opens_no_door_over_http2() {
    walk(Version::H2, true).await;
}

#[tokio::test]
async fn without_open_routes_a_client_needs_a_certificate_to_say_anything() {
    let cast = Cast::start(false).await;
    for version in Version::ALL {
        // With TLS 1.3, the client's part of the handshake ends before the server has seen its certificate.
        if let Ok(mut connection) = cast.client(Caller::Nobody).connect(version).await {
            let sent = connection.try_send("GET", "/version", Payload::None).await;
            assert!(sent.is_err(), "served: {sent:?}");
        }
        for caller in Cast::WITH_CERTIFICATE {
            for route in ROUTES.iter().filter(|route| route.method == Method::Get) {
                let (_, reply) = ask(&cast.client(caller), version, route).await;
                let what = format!("{caller:?} {version:?} {}", route.path);
                check(route, false, caller, &reply, &what);
            }
        }
    }
}
