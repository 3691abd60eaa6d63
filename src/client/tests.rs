//! The client against a scripted server on loopback.

use std::sync::Mutex as StdMutex;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{
    error::{Answer, Cause},
    *,
};
use crate::{
    apikey::ApiKey,
    certificate::{SelfSigned, Usage},
    clock::Clock,
};

type Steps = Arc<StdMutex<Vec<Step>>>;

/// What the server does with a request.
#[derive(Clone)]
enum Step {
    Answer(u16, &'static str, String),
    /// Reads the request and closes the connection.
    Close,
}

fn json(status: u16, body: &str) -> Step {
    Step::Answer(status, "application/json", body.to_owned())
}

/// A request as it arrived: HTTP version, method, path, body.
type Seen = Arc<StdMutex<Vec<(String, String, String, String)>>>;

async fn serve(tcp: TcpStream, acceptor: TlsAcceptor, steps: Steps, log: Seen) {
    let Ok(tls) = acceptor.accept(tcp).await else {
        return;
    };
    let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| answer(request, steps.clone(), log.clone()));
    let io = TokioIo::new(tls);
    if http2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        drop(builder.serve_connection(io, service).await);
    } else {
        let builder = hyper::server::conn::http1::Builder::new();
        drop(builder.serve_connection(io, service).await);
    }
}

/// Notes the request and takes the next step. An error makes hyper close the connection.
async fn answer(
    request: Request<Incoming>,
    steps: Steps,
    log: Seen,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    log.lock().unwrap().push((
        format!("{:?}", head.version),
        head.method.to_string(),
        head.uri.path().to_owned(),
        String::from_utf8(body.to_vec()).unwrap(),
    ));
    let step = {
        let mut steps = steps.lock().unwrap();
        if steps.len() > 1 {
            steps.remove(0)
        } else {
            steps[0].clone()
        }
    };
    match step {
        Step::Answer(status, content_type, body) => Ok(Response::builder()
            .status(status)
            .header("content-type", content_type)
            .body(Full::from(body))
            .unwrap()),
        Step::Close => Err("as asked"),
    }
}

struct Server {
    endpoint: Endpoint,
    certificate: CertificateDer<'static>,
    seen: Seen,
    connections: Arc<StdMutex<usize>>,
}

impl Server {
    /// A server that takes `steps` in order and repeats the last one.
    async fn start(alpn: &[&[u8]], steps: Vec<Step>) -> Self {
        Self::start_with(alpn, steps, Arc::new(NoClientAuth)).await
    }

    async fn start_with(
        alpn: &[&[u8]],
        steps: Vec<Step>,
        clients: Arc<dyn ClientCertVerifier>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = ApiKey::generate().unwrap();
        let now = Clock::system().now_utc();
        let certificate = SelfSigned {
            subject: None,
            dns: Vec::new(),
            ip: vec![address.ip()],
            usage: Usage::Server,
            not_before: now - time::Duration::hours(1),
            not_after: now + time::Duration::hours(1),
        };
        let certificate = CertificateDer::from(certificate.sign(&key).unwrap());
        let der = PrivatePkcs8KeyDer::from(key.pkcs8().expose().to_vec());
        let mut config =
            rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_client_cert_verifier(clients)
                .with_single_cert(vec![certificate.clone()], PrivateKeyDer::Pkcs8(der))
                .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let seen = Seen::default();
        let connections = Arc::new(StdMutex::new(0));
        let steps = Arc::new(StdMutex::new(steps));
        let (log, count) = (seen.clone(), connections.clone());
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                *count.lock().unwrap() += 1;
                tokio::spawn(serve(tcp, acceptor.clone(), steps.clone(), log.clone()));
            }
        });
        Self {
            endpoint: Endpoint::parse_list(&address.to_string())
                .unwrap()
                .remove(0),
            certificate,
            seen,
            connections,
        }
    }

    fn paths(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(_, _, path, _)| path.clone()).collect()
    }

    fn client(&self) -> Client {
        self.client_after(Vec::new())
    }

    /// A client that asks `others` first.
    fn client_after(&self, others: Vec<Endpoint>) -> Client {
        let endpoints = others.into_iter().chain([self.endpoint.clone()]);
        Client::new(Settings {
            endpoints: endpoints.collect(),
            credential: None,
            trust: Trust::Known {
                system: false,
                extra: vec![self.certificate.clone()],
            },
            retry: Retry {
                pause: Duration::ZERO,
                jitter: Duration::ZERO,
                ..Retry::default()
            },
            timeout: None,
            proxies: None,
            watch: None,
        })
        .unwrap()
    }
}

const H1: &[&[u8]] = &[b"http/1.1"];
const H2: &[&[u8]] = &[b"h2", b"http/1.1"];

fn answer_of(error: Error) -> Answer {
    match error {
        Error::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn cause_of(error: Error) -> Cause {
    match error {
        Error::Connection { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_http_versions_carry_the_same_requests() {
    for (alpn, version) in [(H1, "HTTP/1.1"), (&[], "HTTP/1.1"), (H2, "HTTP/2.0")] {
        let reply = json(200, r#"{"plaintext":"AAEC","ciphertext":"/+8="}"#);
        let server = Server::start(alpn, vec![reply]).await;
        let client = server.client();
        client.create_key("my-key").await.unwrap();
        let generated = client.generate("my-key", b"").await.unwrap();
        assert_eq!(generated.plaintext.expose(), [0, 1, 2]);
        client
            .decrypt("old.key:1+", b"\xff\xef", b"c")
            .await
            .unwrap();
        client.delete_key("my-key").await.unwrap();
        let expected = [
            ("POST", "/v1/key/create/my-key", ""),
            ("POST", "/v1/key/generate/my-key", "{}\n"),
            (
                "POST",
                "/v1/key/decrypt/old.key%3A1%2B",
                "{\"ciphertext\":\"/+8=\",\"context\":\"Yw==\"}\n",
            ),
            ("DELETE", "/v1/key/delete/my-key", ""),
        ]
        .map(|(method, path, body)| {
            (
                version.to_owned(),
                method.to_owned(),
                path.to_owned(),
                body.to_owned(),
            )
        });
        assert_eq!(*server.seen.lock().unwrap(), expected);
        assert_eq!(
            *server.connections.lock().unwrap(),
            1,
            "one connection for all"
        );
    }
}

#[tokio::test]
async fn what_the_server_says_arrives_in_its_current_wording() {
    let cases = [
        (
            403,
            "prohibited by policy",
            "not authorized: insufficient permissions",
        ),
        (400, "key does already exist", "key already exists"),
        (404, "key does not exist", "key does not exist"),
    ];
    for (status, said, heard) in cases {
        let body = format!("{{\"message\":\"{said}\"\n}}");
        let server = Server::start(H2, vec![json(status, &body)]).await;
        let answer = answer_of(server.client().create_key("k").await.unwrap_err());
        assert_eq!(
            (answer.status, answer.to_string()),
            (status, heard.to_owned())
        );
        assert!(!answer.repeated);
        assert_eq!(
            server.paths().len(),
            1,
            "an answer is no reason to ask again"
        );
    }
    let text = Step::Answer(500, "text/plain", "went \u{1b}[31mwrong\n".to_owned());
    let server = Server::start(H1, vec![text]).await;
    let answer = answer_of(server.client().create_key("k").await.unwrap_err());
    assert_eq!(answer.to_string(), "went  [31mwrong");
    let server = Server::start(H1, vec![json(204, "")]).await;
    let answer = answer_of(server.client().create_key("k").await.unwrap_err());
    assert_eq!(answer.to_string(), "the server answered with status 204");
}

#[tokio::test]
async fn a_503_is_asked_again_twice() {
    let busy = || json(503, "{}");
    let server = Server::start(H2, vec![busy(), busy(), json(200, "")]).await;
    server.client().create_key("k").await.unwrap();
    assert_eq!(server.paths().len(), 3);

    let server = Server::start(H2, vec![busy()]).await;
    let answer = answer_of(server.client().create_key("k").await.unwrap_err());
    assert_eq!((answer.status, answer.repeated), (503, false));
    assert_eq!(server.paths().len(), 3);
}

#[tokio::test]
async fn after_a_lost_connection_the_answer_says_that_it_is_the_second() {
    for alpn in [H1, H2] {
        let exists = json(400, r#"{"message":"key already exists"}"#);
        let server = Server::start(alpn, vec![Step::Close, exists]).await;
        let answer = answer_of(server.client().create_key("k").await.unwrap_err());
        assert!(answer.repeated);
        let body = server.client().encrypt("k", b"abc", b"").await;
        assert!(body.is_err());
        let seen = server.seen.lock().unwrap();
        assert_eq!(seen.last().unwrap().3, "{\"plaintext\":\"YWJj\"}\n");
    }
    let server = Server::start(H1, vec![Step::Close]).await;
    let cause = cause_of(server.client().create_key("k").await.unwrap_err());
    assert!(matches!(cause, Cause::Http(_)), "{cause:?}");
    assert_eq!(server.paths().len(), 3);
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_gone_or_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = listener.local_addr().unwrap().to_string();
    drop(listener);
    let gone = Endpoint::parse_list(&gone).unwrap();
    let status = json(200, r#"{"version":"1"}"#);
    let good = Server::start(H2, vec![status]).await;
    let status = good.client_after(gone.clone()).status().await.unwrap();
    assert_eq!(status.status.version, "1");
    assert_eq!(status.endpoint, good.endpoint);

    let bad = Server::start(H2, vec![json(500, r#"{"error":"broken"}"#)]).await;
    let answer = answer_of(bad.client_after(gone).version().await.unwrap_err());
    assert_eq!(answer.to_string(), "broken", "what a server says wins");
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_asked_once_and_nothing_is_sent() {
    let server = Server::start(H2, vec![json(200, "")]).await;
    let settings = |trust| Settings {
        endpoints: vec![server.endpoint.clone()],
        credential: None,
        trust,
        retry: Retry::default(),
        timeout: None,
        proxies: None,
        watch: None,
    };
    let trust = Trust::Known {
        system: false,
        extra: Vec::new(),
    };
    let client = Client::new(settings(trust)).unwrap();
    let cause = cause_of(client.create_key("k").await.unwrap_err());
    assert!(matches!(cause, Cause::Tls { .. }), "{cause:?}");
    assert_eq!(*server.connections.lock().unwrap(), 1);
    assert!(server.paths().is_empty());

    let client = Client::new(settings(Trust::Anyone)).unwrap();
    client.create_key("k").await.unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_the_clients_certificate_is_asked_once() {
    let stranger = ApiKey::generate().unwrap();
    let now = Clock::system().now_utc();
    let authority = SelfSigned::for_client(now).sign(&stranger).unwrap();
    for alpn in [H1, H2] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from(authority.clone())).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        let clients = clients.build().unwrap();
        let server = Server::start_with(alpn, vec![json(200, "")], clients).await;
        for credential in [
            None,
            Some(Credential::from_api_key(&ApiKey::generate().unwrap(), now).unwrap()),
        ] {
            let before = *server.connections.lock().unwrap();
            let client = Client::new(Settings {
                endpoints: vec![server.endpoint.clone()],
                credential,
                trust: Trust::Anyone,
                retry: Retry::default(),
                timeout: None,
                proxies: None,
                watch: None,
            });
            let error = client.unwrap().create_key("k").await.unwrap_err();
            let cause = cause_of(error);
            let alert = matches!(&cause, Cause::Tls { error, .. } if matches!(**error, rustls::Error::AlertReceived(_)));
            assert!(alert, "{cause:?}");
            assert_eq!(*server.connections.lock().unwrap(), before + 1);
        }
        assert!(server.paths().is_empty());
    }
}

#[tokio::test]
async fn the_client_certificate_is_offered_whatever_issuers_the_server_names() {
    let key = ApiKey::generate().unwrap();
    let now = Clock::system().now_utc();
    let own = SelfSigned::for_client(now - time::Duration::minutes(1));
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from(own.sign(&key).unwrap()))
        .unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
        .clear_root_hint_subjects()
        .add_root_hint_subjects([vec![0x30, 0].into()]);
    let clients = clients.build().unwrap();
    let server = Server::start_with(H2, vec![json(200, "")], clients).await;
    let client = Client::new(Settings {
        endpoints: vec![server.endpoint.clone()],
        credential: Some(Credential::from_api_key(&key, now).unwrap()),
        trust: Trust::Anyone,
        retry: Retry::default(),
        timeout: None,
        proxies: None,
        watch: None,
    });
    client.unwrap().create_key("k").await.unwrap();
}

#[tokio::test]
async fn a_listing_follows_its_pages() {
    let server = Server::start(
        H2,
        vec![
            json(200, r#"{"names":["a-b","a-c"],"continue_at":"a-*a-d"}"#),
            json(200, r#"{"names":["a-d"]}"#),
        ],
    )
    .await;
    assert_eq!(
        server.client().list_keys("a-*").await.unwrap(),
        ["a-b", "a-c", "a-d"]
    );
    let pages = ["/v1/key/list/a-", "/v1/key/list/a-%2Aa-d"];
    assert_eq!(server.paths(), pages);

    let server = Server::start(H2, vec![json(200, r#"{"names":["a"],"continue_at":"*"}"#)]).await;
    assert_eq!(server.client().list_keys("").await.unwrap(), ["a"]);
    assert_eq!(server.paths(), ["/v1/key/list/%2A"]);

    let lines = "{\"name\":\"b\"}\n{\"name\":\"a\"}\n".to_owned();
    let old = Step::Answer(200, "application/x-ndjson", lines);
    let server = Server::start(H1, vec![old]).await;
    assert_eq!(server.client().list_keys("").await.unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn invalid_names_are_never_sent() {
    let server = Server::start(H2, vec![json(200, "")]).await;
    let client = server.client();
    for name in ["", ".", "..", "a/b", "a b", "-", "old.key", &"x".repeat(81)] {
        assert!(
            matches!(client.create_key(name).await, Err(Error::InvalidName(_))),
            "{name}"
        );
    }
    for name in ["", ".", "..", "a/b", "a b", "a*"] {
        assert!(
            matches!(client.delete_key(name).await, Err(Error::InvalidName(_))),
            "{name}"
        );
    }
    assert!(matches!(
        client.list_keys("a/").await,
        Err(Error::InvalidPattern(_))
    ));
    assert!(server.paths().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_too_long_or_not_understood_is_refused() {
    let long = json(200, &" ".repeat((1 << 20) + 1));
    let server = Server::start(H1, vec![long, json(200, r#"{"plaintext":"s3cret!"}"#)]).await;
    let client = server.client();
    let error = client.describe_key("k").await.unwrap_err();
    assert!(matches!(
        error,
        Error::TooLarge {
            limit: 1_048_576,
            ..
        }
    ));
    let error = client.decrypt("k", b"c", b"").await.err().unwrap();
    let text = error.to_string();
    assert!(text.contains("/v1/key/decrypt/k is not understood") && !text.contains("s3cret"));
}

#[tokio::test]
async fn old_names_of_ciphers_are_translated() {
    for (said, heard) in [
        ("", "AES256"),
        (r#","algorithm":"AES256-GCM_SHA256""#, "AES256"),
        (r#","algorithm":"XCHACHA20-POLY1305""#, "ChaCha20"),
        (r#","algorithm":"ChaCha20""#, "ChaCha20"),
    ] {
        let server = Server::start(H2, vec![json(200, &format!(r#"{{"name":"k"{said}}}"#))]).await;
        assert_eq!(
            server.client().describe_key("k").await.unwrap().algorithm,
            heard
        );
    }
}
