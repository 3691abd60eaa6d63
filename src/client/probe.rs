//! [`probe`]: one connection to one server, step by step, for who has to find out where it fails.
//!
//! Unlike calls, it goes on after the server's certificate was refused, to see what else there is: it says hello, and sends no secret.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::header;
use http_body_util::BodyExt as _;
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs,
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use time::{OffsetDateTime, PrimitiveDateTime, macros::format_description};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    VERSION_LIMIT,
    credential::Credential,
    endpoint::Endpoint,
    error::{Cause, Error},
    get,
    proxy::Proxies,
    tls_config,
    transport::{Call, Connection},
    trust::{Shown, Trust, Verifier},
};
use crate::clock::Clock;

/// What became of a connection, step by step. A step that is `None` was not reached.
#[derive(Debug)]
pub struct Probe {
    /// Whether it goes through a proxy, which looks up the address.
    pub through_proxy: bool,
    /// The addresses of the host; none through a proxy.
    pub addresses: Result<Vec<SocketAddr>, io::Error>,
    /// The address that took the connection, and how long that took.
    pub connected: Option<Result<(SocketAddr, Duration), Cause>>,
    /// What the handshake showed.
    pub tls: Option<Result<Handshake, Cause>>,
    /// What the server answered to the first request.
    pub answer: Option<Result<FirstAnswer, Cause>>,
}

/// A TLS handshake that was completed, whether or not the server is trusted.
#[derive(Debug)]
pub struct Handshake {
    /// As `TLSv1_3`.
    pub version: String,
    /// Cipher suite.
    pub suite: String,
    /// `h2`, `http/1.1`, or empty if none was agreed on.
    pub alpn: String,
    /// What the server showed, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Whether it is trusted, for this name, now.
    pub verdict: Result<(), rustls::Error>,
    /// Whether the server asked for a certificate of the client's.
    pub asked: bool,
    /// How long it took.
    pub took: Duration,
}

/// An answer to `GET /version`.
#[derive(Debug)]
pub struct FirstAnswer {
    /// HTTP status.
    pub status: u16,
    /// How far the server's clock is ahead of this one, in seconds, give or take the second that it tells; `None` if it tells none.
    pub clock_ahead: Option<i64>,
}

/// Connects to `endpoint`, through its proxy if it has one, and asks for its version, as `credential` if there is one. Each step has
/// `limit` of time.
///
/// # Errors
/// [`Error::Setup`] if the TLS library refuses the settings.
pub async fn probe(
    endpoint: &Endpoint,
    credential: Option<Credential>,
    trust: Trust,
    proxies: Option<&Proxies>,
    limit: Duration,
) -> Result<Probe, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let judge = Arc::new(Judge {
        inner: Verifier::new(trust, provider.clone(), Shown::default()),
        verdict: Mutex::default(),
    });
    let asked = Arc::new(Asked::default());
    let mut config = tls_config(judge.clone(), credential, provider)?;
    let resolver = config.client_auth_cert_resolver.clone();
    config.client_auth_cert_resolver = Arc::new(Listening {
        inner: resolver,
        asked: asked.clone(),
    });
    let late = |step| move |_| Cause::Timeout { step, limit };
    let started = Instant::now();
    let through = timeout(limit, through_proxy(endpoint, proxies)).await;
    let through = through.unwrap_or_else(|_| Some(Err(io::ErrorKind::TimedOut.into())));
    let mut probe = Probe {
        through_proxy: through.is_some(),
        addresses: Ok(Vec::new()),
        connected: None,
        tls: None,
        answer: None,
    };
    let tcp = match through {
        Some(tcp) => Ok(tcp),
        None => {
            probe.addresses = resolve(endpoint, limit).await;
            let Ok(addresses) = &probe.addresses else {
                return Ok(probe);
            };
            timeout(limit, TcpStream::connect(addresses.as_slice())).await
        }
    };
    let tcp = tcp
        .map_err(late("connection"))
        .and_then(|tcp| tcp.map_err(Cause::Connect));
    let tcp = match tcp {
        Ok(tcp) => tcp,
        Err(cause) => {
            probe.connected = Some(Err(cause));
            return Ok(probe);
        }
    };
    let peer = tcp.peer_addr().map_err(Cause::Connect);
    probe.connected = Some(peer.map(|address| (address, started.elapsed())));
    let started = Instant::now();
    let connecting = TlsConnector::from(Arc::new(config)).connect(endpoint.server_name(), tcp);
    let tls = timeout(limit, connecting).await;
    let tls = tls
        .map_err(late("TLS handshake"))
        .and_then(|tls| tls.map_err(|error| Cause::of_handshake(error, None)));
    let tls = match tls {
        Ok(tls) => tls,
        Err(cause) => {
            probe.tls = Some(Err(cause));
            return Ok(probe);
        }
    };
    let session = tls.get_ref().1;
    let version = session
        .protocol_version()
        .and_then(|version| version.as_str());
    let suite = session.negotiated_cipher_suite();
    let chain = session.peer_certificates().unwrap_or_default();
    probe.tls = Some(Ok(Handshake {
        version: version.unwrap_or_default().to_owned(),
        suite: suite
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or_default()
            .to_owned(),
        alpn: String::from_utf8_lossy(session.alpn_protocol().unwrap_or_default()).into_owned(),
        chain: chain.iter().map(|one| one.clone().into_owned()).collect(),
        verdict: judge.verdict(),
        asked: asked.0.load(Ordering::Relaxed),
        took: started.elapsed(),
    }));
    let answer = timeout(limit, ask(endpoint, tls)).await;
    probe.answer = Some(answer.map_err(late("answer")).flatten());
    Ok(probe)
}

/// The connection that a proxy makes; `None` if there is none for this server.
async fn through_proxy(
    endpoint: &Endpoint,
    proxies: Option<&Proxies>,
) -> Option<io::Result<TcpStream>> {
    proxies?.connect(endpoint).await
}

async fn resolve(endpoint: &Endpoint, limit: Duration) -> Result<Vec<SocketAddr>, io::Error> {
    let looking = tokio::net::lookup_host((endpoint.host(), endpoint.port()));
    let found: Vec<_> = timeout(limit, looking).await??.collect();
    if found.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(found)
}

/// One request. In TLS 1.3 a server refuses a client's certificate only after the handshake, so it shows here.
async fn ask(
    endpoint: &Endpoint,
    tls: tokio_rustls::client::TlsStream<TcpStream>,
) -> Result<FirstAnswer, Cause> {
    let call = Call {
        limit: VERSION_LIMIT,
        ..get("/version".to_owned())
    };
    let mut connection = Connection::start(tls).await.map_err(Cause::Http)?;
    let response = connection.send(endpoint, &call).await?;
    let (head, mut body) = response.into_parts();
    let now = Clock::system().now_utc();
    let told = head.headers.get(header::DATE);
    let told = told.and_then(|date| http_date(date.to_str().ok()?));
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| connection.cause(error))?;
        read += frame.data_ref().map_or(0, bytes::Bytes::len);
        if read > call.limit {
            break;
        }
    }
    Ok(FirstAnswer {
        status: head.status.as_u16(),
        clock_ahead: told.map(|told| (told - now).whole_seconds()),
    })
}

/// A date as servers write it (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let date = PrimitiveDateTime::parse(text, &format).ok()?;
    Some(date.assume_utc())
}

/// Whether a certificate of the client's was asked for.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

/// Notes that the server asks.
#[derive(Debug)]
struct Listening {
    inner: Arc<dyn ResolvesClientCert>,
    asked: Arc<Asked>,
}

impl ResolvesClientCert for Listening {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.0.store(true, Ordering::Relaxed);
        self.inner.resolve(hints, schemes)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.inner.only_raw_public_keys()
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}

/// Remembers the verdict and lets the handshake go on.
#[derive(Debug)]
struct Judge {
    inner: Verifier,
    verdict: Mutex<Option<rustls::Error>>,
}

impl Judge {
    fn verdict(&self) -> Result<(), rustls::Error> {
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        verdict.clone().map_or(Ok(()), Err)
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let inner = &self.inner;
        let verdict = inner.verify_server_cert(server, intermediates, name, ocsp, now);
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = verdict.err();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_servers_date_is_read() {
        let date = http_date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date, Some(datetime!(1994-11-06 8:49:37 UTC)));
        assert_eq!(http_date("yesterday"), None);
    }
}
