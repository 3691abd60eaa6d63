//! The ceiling: mutual TLS and HTTP with the same stack and no work behind it.
//! args: ADDR CERT KEY [THREADS] [multi|percore|handoff]. Answers every request with a decrypt-sized body.
//! `multi` is tokio's work-stealing runtime; `percore` runs one single-threaded runtime per core, each with its own
//! listener on the same port, so that a connection never leaves its core; `handoff` is the same with one acceptor that gives
//! each connection to the least busy core.
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn, Request, Response};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::{
    pki_types::{pem::PemObject, CertificateDer, PrivateKeyDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    DigitallySignedStruct, DistinguishedName, SignatureScheme,
};
use std::sync::{
    atomic::{AtomicUsize, Ordering},
    Arc,
};

#[derive(Debug)]
struct AnyClient(Arc<rustls::crypto::CryptoProvider>);
impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(m, c, d, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(m, c, d, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

const BODY: &[u8] = br#"{"plaintext":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="}"#;

async fn handle(r: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let _ = r.into_body().collect().await?;
    Ok(Response::builder()
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from_static(BODY)))
        .unwrap())
}

fn config(a: &[String]) -> anyhow::Result<tokio_rustls::TlsAcceptor> {
    let p = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut c = rustls::ServerConfig::builder_with_provider(p.clone())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(AnyClient(p)))
        .with_single_cert(
            CertificateDer::pem_file_iter(&a[2])?.collect::<Result<Vec<_>, _>>()?,
            PrivateKeyDer::from_pem_file(&a[3])?,
        )?;
    c.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tokio_rustls::TlsAcceptor::from(Arc::new(c)))
}
async fn connection(acc: tokio_rustls::TlsAcceptor, s: tokio::net::TcpStream) {
    let _ = s.set_nodelay(true);
    if let Ok(t) = acc.accept(s).await {
        let _ = auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(t), service_fn(handle))
            .await;
    }
}
async fn serve(acc: tokio_rustls::TlsAcceptor, l: tokio::net::TcpListener) -> anyhow::Result<()> {
    loop {
        let (s, _) = l.accept().await?;
        tokio::spawn(connection(acc.clone(), s));
    }
}
/// One acceptor, N single-threaded runtimes; a connection goes to the one that has fewest.
fn handoff(addr: &str, acc: tokio_rustls::TlsAcceptor, n: usize) -> anyhow::Result<()> {
    let cores: Vec<_> = (0..n)
        .map(|_| {
            let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel::<std::net::TcpStream>();
            let (open, acc) = (Arc::new(AtomicUsize::new(0)), acc.clone());
            let count = open.clone();
            std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap()
                    .block_on(async move {
                        while let Some(s) = rx.recv().await {
                            let (acc, count) = (acc.clone(), count.clone());
                            let s = tokio::net::TcpStream::from_std(s).unwrap();
                            tokio::spawn(async move {
                                connection(acc, s).await;
                                count.fetch_sub(1, Ordering::Relaxed);
                            });
                        }
                    })
            });
            (tx, open)
        })
        .collect();
    let l = std::net::TcpListener::bind(addr)?;
    loop {
        let (s, _) = l.accept()?;
        s.set_nonblocking(true)?;
        let (tx, open) = cores
            .iter()
            .min_by_key(|c| c.1.load(Ordering::Relaxed))
            .unwrap();
        open.fetch_add(1, Ordering::Relaxed);
        tx.send(s)?;
    }
}
fn main() -> anyhow::Result<()> {
    let a: Vec<String> = std::env::args().collect();
    let n: usize = a.get(4).map(|s| s.parse()).transpose()?.unwrap_or(2);
    let acc = config(&a)?;
    if a.get(5).is_none_or(|m| m == "multi") {
        return tokio::runtime::Builder::new_multi_thread()
            .worker_threads(n)
            .enable_all()
            .build()?
            .block_on(async {
                let l = tokio::net::TcpListener::bind(&a[1]).await?;
                serve(acc, l).await
            });
    }
    if a[5] == "handoff" {
        return handoff(&a[1], acc, n);
    }
    let addr: std::net::SocketAddr = a[1].parse()?;
    let hs: Vec<_> = (0..n)
        .map(|_| {
            let acc = acc.clone();
            std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap()
                    .block_on(async {
                        let s = socket2::Socket::new(
                            socket2::Domain::IPV4,
                            socket2::Type::STREAM,
                            None,
                        )
                        .unwrap();
                        s.set_reuse_port(true).unwrap();
                        s.set_nonblocking(true).unwrap();
                        s.bind(&addr.into()).unwrap();
                        s.listen(1024).unwrap();
                        let l = tokio::net::TcpListener::from_std(s.into()).unwrap();
                        serve(acc, l).await.unwrap();
                    })
            })
        })
        .collect();
    for h in hs {
        h.join().unwrap();
    }
    Ok(())
}
