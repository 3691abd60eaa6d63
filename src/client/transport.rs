//! Connections: TLS, HTTP/1.1 or HTTP/2 as the server likes, several attempts, several servers (cli.md 3.2).

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::CertificateDer;
use tokio::{net::TcpStream, sync::Mutex, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

use super::{
    Exchange, Retry, Watch,
    endpoint::Endpoint,
    error::{Cause, Error},
    order::Order,
    proxy::Proxies,
    stream::{LastWords, Stream},
    trust::Shown,
};
use crate::secret;

const CONNECT_LIMIT: Duration = Duration::from_secs(30);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// A request, ready to be sent as often as needed.
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) path: String,
    /// JSON, in memory that is wiped; `None` for no body.
    pub(super) body: Option<Bytes>,
    /// Bytes of response body to read at most.
    pub(super) limit: usize,
}

/// An answer with any status.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// Method and address of the request.
    pub(super) request: String,
    /// Value of `Content-Type`, empty if absent or no text.
    pub(super) content_type: String,
    pub(super) body: Zeroizing<Vec<u8>>,
    /// Who answered.
    pub(super) endpoint: Endpoint,
    /// From opening the connection, if there was none, to the last byte.
    pub(super) took: Duration,
    /// An earlier attempt may have arrived, although its answer did not.
    pub(super) repeated: bool,
}

/// An answer whose body is still under way.
pub(super) struct Followed {
    pub(super) response: Response<Incoming>,
    pub(super) connection: Connection,
    /// Method and address of the request.
    pub(super) request: String,
    /// Who answered.
    pub(super) endpoint: Endpoint,
}

/// Sends calls to the first endpoint that answers.
pub(super) struct Transport {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) order: Order,
    pub(super) proxies: Option<Proxies>,
    pub(super) tls: Arc<rustls::ClientConfig>,
    /// The certificates that were refused last.
    pub(super) shown: Shown,
    pub(super) retry: Retry,
    pub(super) watch: Option<Watch>,
    /// The connection that was used last, and the index of its endpoint.
    pub(super) open: Mutex<Option<(usize, Connection)>>,
}

impl Transport {
    /// Sends `call`, again after a network error or a 503.
    pub(super) async fn send(&self, call: &Call) -> Result<Reply, Error> {
        let mut repeated = false;
        let mut left = self.retry.attempts;
        loop {
            left = left.saturating_sub(1);
            let outcome = self.walk(call, &mut repeated).await;
            let again = match &outcome {
                Ok(reply) => reply.status == StatusCode::SERVICE_UNAVAILABLE,
                Err(Error::Connection { source, .. }) => source.is_transient(),
                Err(_) => false,
            };
            if !again || left == 0 {
                return outcome.map(|reply| Reply { repeated, ..reply });
            }
            tokio::time::sleep(self.retry.pause + random_up_to(self.retry.jitter)).await;
        }
    }

    /// Tries every endpoint once, in order, until one answers otherwise than with a failure of its own.
    async fn walk(&self, call: &Call, repeated: &mut bool) -> Result<Reply, Error> {
        let mut failure = None;
        for (index, endpoint) in self.in_order() {
            match self.watched(index, endpoint, call).await {
                Ok(reply) => {
                    let status = reply.status;
                    let failed = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
                    self.order.note(index, failed);
                    if !failed {
                        return Ok(reply);
                    }
                    failure = Some(Ok(reply));
                }
                Err(error) => {
                    self.order.note(index, true);
                    if let Error::Connection { source, .. } = &error {
                        *repeated |= source.may_have_arrived();
                    }
                    // What a server said tells more than that another one is gone.
                    if !matches!(failure, Some(Ok(_))) {
                        failure = Some(Err(error));
                    }
                }
            }
        }
        failure.unwrap_or_else(|| Err(nobody(call)))
    }

    /// The endpoints and their indices, in the order in which they are asked now.
    fn in_order(&self) -> Vec<(usize, &Endpoint)> {
        let indices = self.order.now().into_iter();
        indices
            .filter_map(|index| Some((index, self.endpoints.get(index)?)))
            .collect()
    }

    /// One request and its response, told to who watches.
    async fn watched(
        &self,
        index: usize,
        endpoint: &Endpoint,
        call: &Call,
    ) -> Result<Reply, Error> {
        let started = Instant::now();
        let mut protocol = String::new();
        let outcome = self.exchange(index, endpoint, call, &mut protocol).await;
        if let Some(Watch(watch)) = &self.watch {
            watch(&Exchange {
                request: &format!("{} https://{endpoint}{}", call.method, call.path),
                protocol: &protocol,
                outcome: match &outcome {
                    Ok(reply) => reply.status.to_string(),
                    Err(Error::Connection { source, .. }) => source.to_string(),
                    Err(error) => error.to_string(),
                },
                took: started.elapsed(),
            });
        }
        outcome
    }

    async fn exchange(
        &self,
        index: usize,
        endpoint: &Endpoint,
        call: &Call,
        protocol: &mut String,
    ) -> Result<Reply, Error> {
        let started = Instant::now();
        let request = format!("{} https://{endpoint}{}", call.method, call.path);
        let failed = |source| Error::Connection {
            request: request.clone(),
            source,
        };
        let mut open = self.open.lock().await;
        let mut connection = match Self::kept(index, open.take()).await {
            Some(connection) => connection,
            None => self.connect(endpoint).await.map_err(failed)?,
        };
        protocol.clone_from(&connection.protocol);
        // Over HTTP/2 others need not wait for this answer.
        let mut alone = Some(open);
        if let Some(shared) = connection.share()
            && let Some(mut open) = alone.take()
        {
            *open = Some((index, shared));
        }
        let response = connection.send(endpoint, call).await.map_err(failed)?;
        let (head, mut incoming) = response.into_parts();
        let expected = usize::try_from(incoming.size_hint().lower()).unwrap_or(call.limit);
        let mut body = Zeroizing::new(Vec::with_capacity(expected.min(call.limit)));
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| failed(connection.cause(error)))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if body.len() + data.len() > call.limit {
                let limit = call.limit;
                return Err(Error::TooLarge { request, limit });
            }
            body.extend_from_slice(&data);
        }
        if let Some(mut open) = alone {
            *open = Some((index, connection));
        }
        Ok(Reply {
            status: head.status,
            request,
            content_type: content_type(&head.headers),
            body,
            endpoint: endpoint.clone(),
            took: started.elapsed(),
            repeated: false,
        })
    }

    /// Sends `call` once, to the first endpoint that takes it, and leaves its body to be read as it comes. The connection is its own.
    pub(super) async fn follow(&self, call: &Call) -> Result<Followed, Error> {
        let mut failure = None;
        for (_, endpoint) in self.in_order() {
            let request = format!("{} https://{endpoint}{}", call.method, call.path);
            let failed = |source| Error::Connection {
                request: request.clone(),
                source,
            };
            let connected = self.connect(endpoint).await;
            let mut connection = match connected {
                Ok(connection) => connection,
                Err(cause) => {
                    failure = Some(failed(cause));
                    continue;
                }
            };
            let response = connection.send(endpoint, call).await.map_err(failed)?;
            return Ok(Followed {
                response,
                connection,
                request,
                endpoint: endpoint.clone(),
            });
        }
        Err(failure.unwrap_or_else(|| nobody(call)))
    }

    /// The certificates that the first endpoint shows which can be reached, whether or not they are trusted.
    pub(super) async fn presented(
        &self,
    ) -> Result<(Endpoint, Vec<CertificateDer<'static>>), Error> {
        let mut failure = None;
        for (_, endpoint) in self.in_order() {
            match self.handshake(endpoint).await {
                Ok(tls) => {
                    let shown = tls.get_ref().1.peer_certificates().unwrap_or_default();
                    let chain = shown.iter().map(|one| one.clone().into_owned()).collect();
                    return Ok((endpoint.clone(), chain));
                }
                Err(source) => {
                    failure = Some(Error::Connection {
                        request: format!("https://{endpoint}"),
                        source,
                    });
                }
            }
        }
        Err(failure.unwrap_or_else(|| nobody(&super::get(String::new()))))
    }

    /// The connection that was used last, if it is to this endpoint and still open.
    async fn kept(index: usize, open: Option<(usize, Connection)>) -> Option<Connection> {
        let (to, mut connection) = open?;
        (to == index && connection.is_ready().await).then_some(connection)
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, Cause> {
        let tls = self.handshake(endpoint).await?;
        Connection::start(tls).await.map_err(Cause::Http)
    }

    async fn handshake(&self, endpoint: &Endpoint) -> Result<TlsStream<TcpStream>, Cause> {
        let address = (endpoint.host(), endpoint.port());
        let late = |step, limit| move |_| Cause::Timeout { step, limit };
        let tcp = async {
            if let Some(proxies) = &self.proxies
                && let Some(tcp) = proxies.connect(endpoint).await
            {
                return tcp.map_err(Cause::Connect);
            }
            let addresses = tokio::net::lookup_host(address)
                .await
                .map_err(Cause::Resolve)?;
            let addresses: Vec<_> = addresses.collect();
            TcpStream::connect(addresses.as_slice())
                .await
                .map_err(Cause::Connect)
        };
        let tcp = timeout(CONNECT_LIMIT, tcp)
            .await
            .map_err(late("connection", CONNECT_LIMIT))??;
        // Requests are single small writes; without it the kernel may hold them back.
        tcp.set_nodelay(true).map_err(Cause::Connect)?;
        let tls = TlsConnector::from(self.tls.clone()).connect(endpoint.server_name(), tcp);
        timeout(HANDSHAKE_LIMIT, tls)
            .await
            .map_err(late("TLS handshake", HANDSHAKE_LIMIT))?
            .map_err(|error| Cause::of_handshake(error, self.shown.take()))
    }
}

/// The value of `Content-Type`, empty if absent or no text.
pub(super) fn content_type(headers: &http::HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// There is no endpoint.
fn nobody(call: &Call) -> Error {
    let none = io::Error::new(io::ErrorKind::NotFound, "there is no server to ask");
    Error::Connection {
        request: format!("{} {}", call.method, call.path),
        source: Cause::Connect(none),
    }
}

/// An open connection, closed when the last of its handles is dropped.
pub(super) struct Connection {
    sender: Sender,
    last_words: LastWords,
    /// Versions of TLS and HTTP, and the cipher suite.
    protocol: String,
    driver: Arc<AbortOnDropHandle<Result<(), hyper::Error>>>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    pub(super) async fn start(tls: TlsStream<TcpStream>) -> Result<Self, hyper::Error> {
        let session = tls.get_ref().1;
        let http2 = session.alpn_protocol() == Some(b"h2");
        let version = session
            .protocol_version()
            .and_then(|version| version.as_str());
        let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
        let protocol = format!(
            "{} {} {}",
            version.unwrap_or("TLS"),
            suite.and_then(|suite| suite.as_str()).unwrap_or_default(),
            if http2 { "HTTP/2" } else { "HTTP/1.1" }
        );
        let (stream, last_words) = Stream::new(tls);
        let io = TokioIo::new(stream);
        let (sender, driver) = if http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            (Sender::Http2(sender), tokio::spawn(connection))
        } else {
            let (sender, connection) = http1::handshake(io).await?;
            (Sender::Http1(sender), tokio::spawn(connection))
        };
        Ok(Self {
            sender,
            last_words,
            protocol,
            driver: Arc::new(AbortOnDropHandle::new(driver)),
        })
    }

    /// Another handle, if the protocol lets requests run side by side.
    fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self {
                sender: Sender::Http2(sender.clone()),
                last_words: self.last_words.clone(),
                protocol: self.protocol.clone(),
                driver: self.driver.clone(),
            }),
        }
    }

    async fn is_ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    pub(super) async fn send(
        &mut self,
        to: &Endpoint,
        call: &Call,
    ) -> Result<Response<Incoming>, Cause> {
        let request = Request::builder().method(call.method).header(
            header::USER_AGENT,
            concat!("kes/", env!("CARGO_PKG_VERSION")),
        );
        let request = match &self.sender {
            Sender::Http1(_) => request.uri(&call.path).header(header::HOST, to.to_string()),
            Sender::Http2(_) => request.uri(format!("https://{to}{}", call.path)),
        };
        let request = match &call.body {
            Some(_) => request.header(header::CONTENT_TYPE, "application/json"),
            None => request,
        };
        let request = request
            .body(Full::new(call.body.clone().unwrap_or_default()))
            .map_err(|error| Cause::Connect(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let response = match &mut self.sender {
            Sender::Http1(sender) => sender.send_request(request).await,
            Sender::Http2(sender) => sender.send_request(request).await,
        };
        response.map_err(|error| self.cause(error))
    }

    /// Why something on this connection failed.
    pub(super) fn cause(&self, error: hyper::Error) -> Cause {
        match self.last_words.get() {
            Some(tls) => Cause::Tls {
                error: Box::new(tls.clone()),
                shown: None,
            },
            None => Cause::Http(error),
        }
    }
}

/// A random part of `limit`, so that clients that failed together do not come back together.
fn random_up_to(limit: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness there is no jitter, which harms nobody.
    if secret::random(&mut byte).is_err() {
        return Duration::ZERO;
    }
    limit * u32::from(byte[0]) / 256
}
