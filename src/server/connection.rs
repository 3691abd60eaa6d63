//! One connection, from its first byte to its last: handshake, HTTP, limits, farewell.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, OnceLock, atomic::AtomicUsize},
    task::Poll,
    time::Duration,
};

use arc_swap::ArcSwap;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{HandshakeKind, pki_types::CertificateDer};
use socket2::{SockRef, TcpKeepalive};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::Sleep};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{
    activity::{Activity, HEADERS, Sending, Watched},
    proxy_protocol::{self, Header},
    seldom::Seldom,
    wiped::Wiped,
};
use crate::{
    api::{self, Body},
    clock::Clock,
    state::Shared,
    telemetry::{Level, Telemetry},
    tls::{Peer, Tls},
};

/// Longest time for a handshake (api.md 1.1).
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a client that has been told to go may still send requests: it may not have heard yet. One that never listens must not
/// keep for ever what it would not get anew.
const FAREWELL: Duration = Duration::from_secs(5);
/// Longest request line and headers, in bytes (api.md 1.4).
const MAX_HEADERS: u32 = (1 << 20) + (4 << 10);
/// Most streams of one HTTP/2 connection at a time.
const MAX_STREAMS: u32 = 250;
/// When a silent client is asked whether it is still there.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new().with_time(Duration::from_mins(1));
/// What a client that does not speak TLS is told (api.md 1.1).
const NOT_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// What all connections of a server share.
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    /// TLS as the current configuration has it.
    pub(super) generation: ArcSwap<Generation>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) clock: Clock,
    /// How many connections have ended since memory was last given back.
    pub(super) ended: AtomicUsize,
    /// Cancelled when the server stops: connections then finish the requests they have.
    pub(super) stopping: CancellationToken,
}

impl Context {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that loads the generation"
    )]
    fn generation(&self) -> Arc<Generation> {
        self.generation.load_full()
    }
}

/// TLS of one configuration, and the connections made with it.
pub(super) struct Generation {
    tls: Tls,
    /// Cancelled when these connections are to end, because the server stops or became stricter.
    ending: CancellationToken,
    /// When the server became stricter.
    retired: OnceLock<Duration>,
    /// Cancelled at that moment.
    retirement: CancellationToken,
}

impl Generation {
    /// A generation that ends with `stopping`, or when it is retired.
    pub(super) fn new(tls: Tls, stopping: &CancellationToken) -> Self {
        Self {
            tls,
            ending: stopping.child_token(),
            retired: OnceLock::new(),
            retirement: CancellationToken::new(),
        }
    }

    /// Whether clients that came in under `old` might be turned away under this one.
    pub(super) fn is_stricter_than(&self, old: &Self) -> bool {
        self.tls.is_stricter_than(&old.tls)
    }

    /// Lets its connections finish what they do, and no more.
    pub(super) fn retire(&self, clock: &Clock) {
        let _ = self.retired.set(clock.elapsed());
        self.retirement.cancel();
        self.ending.cancel();
    }

    /// Whether the server became stricter.
    fn is_retired(&self) -> bool {
        self.retired.get().is_some()
    }

    /// Whether its clients have long been told to go.
    fn is_over(&self, clock: &Clock) -> bool {
        self.retired
            .get()
            .is_some_and(|retired| clock.elapsed().saturating_sub(*retired) > FAREWELL)
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(context: Arc<Context>, stream: TcpStream, address: SocketAddr) {
    // Without this a response would wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    // A client that vanished without a word is found out also while it only listens, as readers of log streams do.
    let _ = SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE);
    let generation = context.generation();
    let tls = &generation.tls;
    let mut arrival = Arrival {
        context: &context,
        address,
        what: "http: TLS handshake error",
    };
    let arrived = tokio::select! {
        biased;
        // When the server stops, who has got this far may still ask once: a restart turns nobody away.
        () = generation.retirement.cancelled() => return,
        arrived = tokio::time::timeout(HANDSHAKE, arrival.of(tls, stream)) => arrived,
    };
    let failure = match arrived {
        Ok(Ok(Some((stream, peer)))) => return talk(&context, &generation, stream, peer).await,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => explain(&error),
        Err(_) => format!("not complete after {} s", HANDSHAKE.as_secs()),
    };
    let log = &context.telemetry.log;
    if log.wants(Level::INFO) {
        let line = format!("{} from {}: {failure}", arrival.what, arrival.address);
        log.log(Level::INFO, &line, None);
    }
}

/// A connection on its way to its first request.
struct Arrival<'a> {
    context: &'a Context,
    /// The other end, until a load balancer has said whom it connects.
    address: SocketAddr,
    /// What the log calls a failure.
    what: &'static str,
}

impl Arrival<'_> {
    /// Reads what a load balancer sends and does the handshake; `None` if the other end went away without a word, as port checks do.
    async fn of(
        &mut self,
        tls: &Tls,
        mut stream: TcpStream,
    ) -> io::Result<Option<(TlsStream<Wiped<TcpStream>>, Peer)>> {
        let is_balancer = self.context.shared.current().is_balancer(self.address.ip());
        if is_balancer {
            let what = std::mem::replace(&mut self.what, "PROXY protocol error");
            match proxy_protocol::read(&mut stream).await {
                Ok(None) => return Ok(None),
                Ok(Some(Header::Itself)) => {}
                Ok(Some(Header::Client(client))) => self.address = client,
                Err(error) => return Err(io::Error::other(error)),
            }
            self.what = what;
        }
        handshake(tls, stream, self.address).await
    }
}

/// Why a handshake failed, in words for the operator.
fn explain(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding)) => {
            "the client's certificate is malformed, or its extended key usage is not for clients"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

/// Does the handshake and finds out who the client is; `None` if it went away without a word, as port checks do.
async fn handshake(
    tls: &Tls,
    mut stream: TcpStream,
    address: SocketAddr,
) -> io::Result<Option<(TlsStream<Wiped<TcpStream>>, Peer)>> {
    let mut start = [0; 12];
    let length = stream.peek(&mut start).await?;
    let start = start.get(..length).unwrap_or_default();
    let Some(first) = start.first() else {
        return Ok(None);
    };
    if proxy_protocol::starts_with_header(start) {
        return Err(io::Error::other(
            "it sent a PROXY protocol header, but is not in 'proxy_protocol.from'",
        ));
    }
    // A TLS record starts with a number below 32, an HTTP method with a letter.
    if first.is_ascii_alphabetic() {
        stream.write_all(NOT_TLS).await?;
        stream.shutdown().await?;
        return Err(io::Error::other(
            "client sent an HTTP request to an HTTPS server",
        ));
    }
    let stream = TlsAcceptor::from(tls.config())
        .accept(Wiped::new(stream))
        .await?;
    let (_, session) = stream.get_ref();
    let chain = session.peer_certificates();
    if session.handshake_kind() == Some(HandshakeKind::Resumed) {
        tls.check_again(chain.unwrap_or_default())
            .map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))?;
    }
    let peer = Peer::new(address, chain);
    Ok(Some((stream, peer)))
}

/// Speaks HTTP until the client or a limit ends it.
async fn talk(
    context: &Arc<Context>,
    generation: &Generation,
    stream: TlsStream<Wiped<TcpStream>>,
    peer: Peer,
) {
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let activity = Activity::new(context.clock.clone(), http2);
    let io = Watched::new(TokioIo::new(Wiped::new(stream)), activity.clone());
    // One count a request, and one that no other core touches.
    let link = Arc::new((context.clone(), peer));
    let service = service_fn(|request: Request<Incoming>| {
        let busy = activity.request();
        let link = link.clone();
        let over = generation.is_over(&context.clock);
        async move {
            let (context, peer) = &*link;
            let response: Response<Body> = if over {
                misdirected()
            } else {
                // Not the connection's own generation: a proxy's connections may live for days.
                let judge = |cert: &CertificateDer<'_>| {
                    let chain = std::slice::from_ref(cert);
                    context.generation().tls.check_again(chain)
                };
                api::serve(&context.shared, peer, &judge, request).await
            };
            Ok::<_, std::convert::Infallible>(response.map(|body| Sending::new(body, busy)))
        }
    });
    if http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            // A client that cancels all it has asked for at once (Go's does, and shares one connection) is no attacker.
            .max_pending_accept_reset_streams(MAX_STREAMS as usize)
            .max_header_list_size(MAX_HEADERS)
            .serve_connection(io, service);
        watch(
            generation,
            &activity,
            connection,
            http2::Connection::graceful_shutdown,
        )
        .await;
    } else {
        let connection = http1::Builder::new()
            .max_buf_size(MAX_HEADERS as usize)
            .max_header_size(MAX_HEADERS as usize)
            .serve_connection(io, service);
        watch(
            generation,
            &activity,
            connection,
            http1::Connection::graceful_shutdown,
        )
        .await;
    }
}

/// Asks for another connection (RFC 9110 section 15.5.20).
fn misdirected() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
    response
}

/// Drives a connection, and ends it when its time is over or the server stops.
async fn watch<C: Future>(
    generation: &Generation,
    activity: &Activity,
    connection: C,
    finish: impl Fn(Pin<&mut C>),
) {
    let mut connection = pin!(connection);
    let alarm = pin!(tokio::time::sleep(HEADERS));
    let mut alarm = Seldom::new(alarm);
    let ending = pin!(generation.ending.cancelled());
    let mut ending = Seldom::new(ending);
    let mut ended = false;
    let mut finishing = false;
    loop {
        tokio::select! {
            biased;
            _ = &mut connection => return,
            () = &mut alarm => match activity.time_left() {
                Some(left) => ring_in(&mut alarm, left),
                // An idle connection is told goodbye; a client that does not go then, or never said anything, is left.
                None if finishing || activity.is_receiving() => return,
                None => {
                    finishing = true;
                    finish(connection.as_mut());
                    ring_in(&mut alarm, HEADERS);
                }
            },
            // Looked at each time the connection has been: who is new may ask once (docs/decisions/0008).
            () = poll_fn(|cx| {
                ended = ended || Pin::new(&mut ending).poll(cx).is_ready();
                if ended && (generation.is_retired() || !activity.is_new()) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }), if !finishing => {
                finishing = true;
                finish(connection.as_mut());
            }
        }
    }
}

fn ring_in(alarm: &mut Seldom<Pin<&mut Sleep>>, time: Duration) {
    let at = tokio::time::Instant::now() + time;
    alarm.again().as_mut().reset(at);
}
