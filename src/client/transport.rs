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
use tokio::{net::TcpStream, sync::Mutex, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

use super::{
    Retry,
    endpoint::Endpoint,
    error::{Cause, Error},
    stream::{LastWords, Stream},
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

/// Sends calls to the first endpoint that answers.
pub(super) struct Transport {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) tls: Arc<rustls::ClientConfig>,
    pub(super) retry: Retry,
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
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            match self.exchange(index, endpoint, call).await {
                Ok(reply) => {
                    let status = reply.status;
                    if !status.is_server_error() || status == StatusCode::NOT_IMPLEMENTED {
                        return Ok(reply);
                    }
                    failure = Some(Ok(reply));
                }
                Err(error) => {
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
        failure.unwrap_or_else(|| {
            let none = io::Error::new(io::ErrorKind::NotFound, "there is no server to ask");
            Err(Error::Connection {
                request: format!("{} {}", call.method, call.path),
                source: Cause::Connect(none),
            })
        })
    }

    /// One request and its response.
    async fn exchange(
        &self,
        index: usize,
        endpoint: &Endpoint,
        call: &Call,
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
        *open = Some((index, connection));
        let content_type = head.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        Ok(Reply {
            status: head.status,
            request,
            content_type: content_type.unwrap_or_default().to_owned(),
            body,
            endpoint: endpoint.clone(),
            took: started.elapsed(),
            repeated: false,
        })
    }

    /// The connection that was used last, if it is to this endpoint and still open.
    async fn kept(index: usize, open: Option<(usize, Connection)>) -> Option<Connection> {
        let (to, mut connection) = open?;
        (to == index && connection.is_ready().await).then_some(connection)
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, Cause> {
        let address = (endpoint.host(), endpoint.port());
        let late = |step, limit| move |_| Cause::Timeout { step, limit };
        let tcp = async {
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
        let tls = timeout(HANDSHAKE_LIMIT, tls)
            .await
            .map_err(late("TLS handshake", HANDSHAKE_LIMIT))?
            .map_err(Cause::of_handshake)?;
        Connection::start(tls).await.map_err(Cause::Http)
    }
}

/// An open connection, closed when dropped.
pub(super) struct Connection {
    sender: Sender,
    last_words: LastWords,
    _driver: AbortOnDropHandle<Result<(), hyper::Error>>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    async fn start(tls: TlsStream<TcpStream>) -> Result<Self, hyper::Error> {
        let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
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
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    async fn is_ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    async fn send(&mut self, to: &Endpoint, call: &Call) -> Result<Response<Incoming>, Cause> {
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
    fn cause(&self, error: hyper::Error) -> Cause {
        match self.last_words.get() {
            Some(tls) => Cause::Tls(tls.clone()),
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
