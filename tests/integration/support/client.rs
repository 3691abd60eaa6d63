//! [`Client`]: HTTPS over rustls and the HTTP library's bare connections; nothing of ours.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, header::HOST};
use http_body_util::{BodyExt as _, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Body, Frame, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, SignatureScheme,
    SupportedProtocolVersion,
    client::{
        ResolvesClientCert, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Cert, server::PATIENCE};

/// A version of HTTP, as it is negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    H1,
    H2,
}

impl Version {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::H1, Self::H2];

    fn alpn(self) -> Vec<Vec<u8>> {
        match self {
            Self::H1 => vec![b"http/1.1".to_vec()],
            Self::H2 => vec![b"h2".to_vec()],
        }
    }
}

/// What a request carries.
pub(crate) enum Payload {
    /// Nothing: no length on HTTP/1.1, the end of the stream with the headers on HTTP/2.
    None,
    /// Bytes of declared length.
    Sized(Bytes),
    /// Bytes of undeclared length, in these pieces.
    Chunked(Vec<Bytes>),
    /// Undeclared length, sent by the test as it goes.
    Open(mpsc::UnboundedReceiver<Bytes>),
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self::Sized(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<serde_json::Value> for Payload {
    fn from(value: serde_json::Value) -> Self {
        Self::Sized(Bytes::from(value.to_string()))
    }
}

/// Pieces that come from a channel; nothing says how many there will be.
struct Pieces(mpsc::UnboundedReceiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0
            .poll_recv(cx)
            .map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

type Outgoing = UnsyncBoxBody<Bytes, std::convert::Infallible>;

impl Payload {
    fn into_body(self) -> Outgoing {
        match self {
            Self::None => UnsyncBoxBody::new(Empty::new()),
            Self::Sized(bytes) => UnsyncBoxBody::new(Full::new(bytes)),
            Self::Chunked(pieces) => {
                let (sender, receiver) = mpsc::unbounded_channel();
                for piece in pieces {
                    sender.send(piece).unwrap();
                }
                UnsyncBoxBody::new(Pieces(receiver))
            }
            Self::Open(receiver) => UnsyncBoxBody::new(Pieces(receiver)),
        }
    }
}

/// Makes connections, all with the same certificate; remembers sessions if told to.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    /// With this, sessions are resumed.
    config: Arc<ClientConfig>,
    /// Where its connections come from, if that matters.
    source: Option<Ipv4Addr>,
    /// What it sends before TLS.
    preamble: Vec<u8>,
}

impl Client {
    /// A client of `address` that shows `cert`. Each of its connections does a full handshake.
    pub(crate) fn new(address: SocketAddr, cert: Option<&Cert>) -> Self {
        Self {
            address,
            config: Arc::new(config(cert, &[&TLS13, &TLS12])),
            source: None,
            preamble: Vec::new(),
        }
    }

    /// The same with changes to its TLS configuration.
    #[must_use]
    pub(crate) fn tuned(&self, tune: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        tune(&mut config);
        Self {
            config: Arc::new(config),
            ..self.clone()
        }
    }

    /// The same from another address of this machine: all of 127.0.0.0/8 is.
    #[must_use]
    pub(crate) fn from(&self, source: [u8; 4]) -> Self {
        Self {
            source: Some(source.into()),
            ..self.clone()
        }
    }

    /// The same, sending `preamble` before TLS.
    #[must_use]
    pub(crate) fn saying(&self, preamble: impl Into<Vec<u8>>) -> Self {
        Self {
            preamble: preamble.into(),
            ..self.clone()
        }
    }

    /// A client that remembers sessions from now on.
    #[must_use]
    pub(crate) fn resuming(&self) -> Self {
        self.tuned(|config| config.resumption = Resumption::in_memory_sessions(64))
    }

    /// A client that offers these TLS versions only.
    pub(crate) fn with_versions(
        address: SocketAddr,
        cert: Option<&Cert>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        Self {
            config: Arc::new(config(cert, versions)),
            ..Self::new(address, cert)
        }
    }

    /// Does the TCP and TLS handshakes, offering `alpn`.
    pub(crate) async fn handshake(
        &self,
        alpn: Vec<Vec<u8>>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = alpn;
        let socket = TcpSocket::new_v4()?;
        if let Some(source) = self.source {
            socket.bind((source, 0).into())?;
        }
        let mut tcp = socket.connect(self.address).await?;
        tcp.set_nodelay(true)?;
        tcp.write_all(&self.preamble).await?;
        let name = ServerName::from(self.address.ip());
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    }

    /// A connection that speaks `version`.
    pub(crate) async fn connect(&self, version: Version) -> std::io::Result<Connection> {
        let stream = self.handshake(version.alpn()).await?;
        Connection::over(stream, self.address).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(
        &self,
        version: Version,
        method: &str,
        path: &str,
        payload: impl Into<Payload>,
    ) -> Reply {
        let mut connection = self.connect(version).await.unwrap();
        connection.send(method, path, payload).await
    }

    /// One GET on an HTTP/1.1 connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Version::H1, "GET", path, Payload::None).await
    }

    /// One PUT on an HTTP/1.1 connection of its own.
    pub(crate) async fn put(&self, path: &str, payload: impl Into<Payload>) -> Reply {
        self.send(Version::H1, "PUT", path, payload).await
    }
}

enum Sender {
    H1(http1::SendRequest<Outgoing>),
    H2(http2::SendRequest<Outgoing>),
}

/// A connection.
pub(crate) struct Connection {
    address: SocketAddr,
    sender: Sender,
    /// How its handshake went.
    pub(crate) kind: HandshakeKind,
    /// Ends when the connection does.
    pub(crate) driver: tokio::task::JoinHandle<Result<(), hyper::Error>>,
}

impl Connection {
    /// Speaks the HTTP that was negotiated.
    pub(crate) async fn over(
        stream: TlsStream<TcpStream>,
        address: SocketAddr,
    ) -> std::io::Result<Self> {
        let session: &ClientConnection = stream.get_ref().1;
        let kind = session.handshake_kind().unwrap();
        let http2 = session.alpn_protocol() == Some(b"h2");
        let io = TokioIo::new(stream);
        let (sender, driver) = if http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io)
                .await
                .map_err(std::io::Error::other)?;
            (Sender::H2(sender), tokio::spawn(connection))
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(std::io::Error::other)?;
            (Sender::H1(sender), tokio::spawn(connection))
        };
        Ok(Self {
            address,
            sender,
            kind,
            driver,
        })
    }

    /// Sends a request; the response as far as its headers.
    pub(crate) async fn open(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&'static str, &str)],
        payload: impl Into<Payload>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap());
        request = match &self.sender {
            Sender::H1(_) => request.uri(path).header(HOST, self.address.to_string()),
            Sender::H2(_) => request.uri(format!("https://{}{path}", self.address)),
        };
        for (name, value) in headers {
            request = request.header(HeaderName::from_static(name), *value);
        }
        let request = request.body(payload.into().into_body()).unwrap();
        let response = async {
            match &mut self.sender {
                Sender::H1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
                Sender::H2(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            }
        };
        tokio::time::timeout(PATIENCE, response)
            .await
            .expect("no response")
    }

    /// Sends a request and reads the whole response.
    pub(crate) async fn try_send(
        &mut self,
        method: &str,
        path: &str,
        payload: impl Into<Payload>,
    ) -> Result<Reply, hyper::Error> {
        let response = self.open(method, path, &[], payload).await?;
        Reply::read(response).await
    }

    /// The same, of which nothing may fail.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        payload: impl Into<Payload>,
    ) -> Reply {
        let sent = self.try_send(method, path, payload).await;
        sent.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }
}

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// All headers that a response may have. Whatever else appears is news to clients.
const HEADERS: [&str; 6] = [
    "allow",
    "connection",
    "content-length",
    "content-type",
    "date",
    "transfer-encoding",
];

impl Reply {
    pub(crate) async fn read(response: Response<Incoming>) -> Result<Self, hyper::Error> {
        let (head, body) = response.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect())
            .await
            .expect("no end of the response")?;
        let reply = Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.to_bytes(),
        };
        for name in reply.headers.keys() {
            assert!(
                HEADERS.contains(&name.as_str()),
                "unexpected header {name} in {reply:?}"
            );
        }
        assert!(reply.headers.contains_key("date"), "no date in {reply:?}");
        Ok(reply)
    }

    /// A header's value; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Expects success and an empty body.
    #[track_caller]
    pub(crate) fn empty(&self) {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("content-length"), "0", "{self:?}");
        assert_eq!(self.header("content-type"), "", "{self:?}");
        assert!(self.body.is_empty(), "{self:?}");
    }

    /// Expects success and compact JSON with a newline behind it.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        let text = self
            .text()
            .strip_suffix('\n')
            .expect("a newline at the end");
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let blank = |text: &str| text.chars().filter(char::is_ascii_whitespace).count();
        assert_eq!(
            blank(text),
            blank(&value.to_string()),
            "white space in {text}"
        );
        value
    }

    /// Expects an error with all its bytes (api.md 6.2).
    #[track_caller]
    pub(crate) fn error(&self, status: u16, message: &str) {
        let body = format!("{{\"message\":{}\n}}", serde_json::json!(message));
        assert_eq!(
            (self.status, self.text()),
            (status, body.as_str()),
            "{self:?}"
        );
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        assert_eq!(
            self.header("content-length"),
            body.len().to_string(),
            "{self:?}"
        );
    }

    /// The message of an error.
    pub(crate) fn message(&self) -> String {
        let value: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        value["message"].as_str().unwrap_or_default().to_owned()
    }
}

fn config(cert: Option<&Cert>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider.clone())));
    let mut config = match cert {
        None => builder.with_no_client_auth(),
        Some(cert) => {
            // Not checked: some tests send what the library would not.
            let key = provider
                .key_provider
                .load_private_key(cert.key.clone_key())
                .unwrap();
            let key = CertifiedKey::new(cert.chain.clone(), key);
            builder.with_client_cert_resolver(Arc::new(Always(Arc::new(key))))
        }
    };
    config.resumption = Resumption::disabled();
    config
}

/// Shows the same certificate whatever is asked for.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // Clients that see a list may keep their certificate to themselves (api.md D-18).
        assert!(hints.is_empty(), "the server names authorities");
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Trusts every server.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
