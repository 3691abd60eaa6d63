//! Load generator for a KES-protocol server: mutual TLS, HTTP/1.1 or HTTP/2,
//! closed loop, one JSON line of results. Measures; is no part of the product.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{bail, Context, Result};
use base64::{engine::general_purpose::STANDARD as B64, Engine};
use bytes::Bytes;
use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{pem::PemObject, CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    ClientConfig, DigitallySignedStruct, SignatureScheme,
};
use tokio::net::TcpStream;

#[derive(Copy, Clone, ValueEnum, PartialEq, Debug)]
enum Op {
    Generate,
    Encrypt,
    Decrypt,
    Version,
    Handshake,
    Status,
    Describe,
    /// Opens the connections, makes one request on each, and holds them, idle, until standard input ends.
    Idle,
    /// Describes each of `--names` keys once, named as `--name` with a number behind.
    Touch,
    /// Describes keys named like that all at once: `--callers` requests, over all connections, the first one for the first name.
    Herd,
}

#[derive(Parser, Clone)]
struct Args {
    #[arg(long, default_value = "127.0.0.1:7373")]
    addr: String,
    #[arg(long)]
    cert: String,
    #[arg(long)]
    key: String,
    #[arg(long, default_value = "bench")]
    name: String,
    #[arg(long, value_enum, default_value = "decrypt")]
    op: Op,
    #[arg(long, default_value_t = 64)]
    conns: usize,
    /// concurrent requests per connection (HTTP/2 only)
    #[arg(long, default_value_t = 1)]
    streams: usize,
    #[arg(long, default_value_t = 5.0)]
    secs: f64,
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    #[arg(long)]
    h2: bool,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    #[arg(long)]
    resume: bool,
    #[arg(long)]
    raw_path: Option<String>,
    /// how many keys `touch` and `herd` ask for
    #[arg(long, default_value_t = 0)]
    names: usize,
    /// how many requests `herd` makes
    #[arg(long, default_value_t = 0)]
    callers: usize,
}

#[derive(Debug)]
struct NoVerify(Arc<rustls::crypto::CryptoProvider>);
impl ServerCertVerifier for NoVerify {
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
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(m, c, d, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(m, c, d, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn tls(a: &Args) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certs = CertificateDer::pem_file_iter(&a.cert)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&a.key)?;
    let mut c = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(NoVerify(provider)))
        .with_client_auth_cert(certs, key)?;
    c.alpn_protocols = if a.h2 {
        vec![b"h2".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    if !a.resume {
        c.resumption = rustls::client::Resumption::disabled();
    }
    Ok(Arc::new(c))
}

async fn connect(
    a: &Args,
    cfg: &Arc<ClientConfig>,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(&a.addr).await?;
    tcp.set_nodelay(true)?;
    Ok(tokio_rustls::TlsConnector::from(cfg.clone())
        .connect(ServerName::try_from("localhost")?, tcp)
        .await?)
}

enum Sender {
    H1(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    H2(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}
impl Sender {
    async fn send(&mut self, r: Request<Full<Bytes>>) -> Result<(u16, Bytes)> {
        let resp = match self {
            Sender::H1(s) => {
                s.ready().await?;
                s.send_request(r).await?
            }
            Sender::H2(s) => {
                s.ready().await?;
                s.send_request(r).await?
            }
        };
        let st = resp.status().as_u16();
        Ok((st, resp.into_body().collect().await?.to_bytes()))
    }
}
async fn open(a: &Args, cfg: &Arc<ClientConfig>) -> Result<Sender> {
    let io = TokioIo::new(connect(a, cfg).await?);
    Ok(if a.h2 {
        let (s, c) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(async move {
            let _ = c.await;
        });
        Sender::H2(s)
    } else {
        let (s, c) = hyper::client::conn::http1::handshake(io).await?;
        tokio::spawn(async move {
            let _ = c.await;
        });
        Sender::H1(s)
    })
}

fn request(a: &Args, body: &Bytes) -> Request<Full<Bytes>> {
    let (m, p) = match a.op {
        Op::Generate => ("PUT", format!("/v1/key/generate/{}", a.name)),
        Op::Encrypt => ("PUT", format!("/v1/key/encrypt/{}", a.name)),
        Op::Decrypt => ("PUT", format!("/v1/key/decrypt/{}", a.name)),
        Op::Describe | Op::Touch | Op::Herd => ("GET", format!("/v1/key/describe/{}", a.name)),
        Op::Status => ("GET", "/v1/status".into()),
        Op::Version | Op::Handshake | Op::Idle => ("GET", "/version".into()),
    };
    let p = a.raw_path.clone().unwrap_or(p);
    let uri = if a.h2 {
        format!("https://{}{}", a.addr, p)
    } else {
        p
    };
    Request::builder()
        .method(m)
        .uri(uri)
        .header("host", &a.addr)
        .header("content-type", "application/json")
        .header("content-length", body.len())
        .body(Full::new(body.clone()))
        .unwrap()
}

fn main() -> Result<()> {
    let a = Args::parse();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(a.threads)
        .enable_all()
        .build()?
        .block_on(run(a))
}

/// Holds idle connections; says how many once they are open, then waits for the end of standard input.
async fn idle(a: &Args, cfg: &Arc<ClientConfig>) -> Result<()> {
    let mut open_connections = Vec::with_capacity(a.conns);
    for _ in 0..a.conns {
        let mut sender = open(a, cfg).await?;
        let (status, _) = sender.send(request(a, &Bytes::new())).await?;
        if status != 200 {
            bail!("version: {status}");
        }
        open_connections.push(sender);
    }
    println!("{}", serde_json::json!({"open": open_connections.len()}));
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await??;
    Ok(())
}

/// Brings keys into the server's cache.
async fn touch(a: &Args, cfg: &Arc<ClientConfig>) -> Result<()> {
    let mut sender = open(a, cfg).await?;
    for i in 0..a.names {
        let mut one = a.clone();
        one.raw_path = Some(format!("/v1/key/describe/{}{i}", a.name));
        let (status, body) = sender.send(request(&one, &Bytes::new())).await?;
        if status != 200 {
            bail!("{i}: {status} {}", String::from_utf8_lossy(&body));
        }
    }
    println!("{}", serde_json::json!({"touched": a.names}));
    Ok(())
}

/// Asks for keys all at once. HTTP/2 sends as many as the server allows on each connection, and the rest as these are answered.
async fn herd(a: &Args, cfg: &Arc<ClientConfig>) -> Result<()> {
    let mut senders = Vec::with_capacity(a.conns);
    for _ in 0..a.conns {
        match open(a, cfg).await? {
            Sender::H2(sender) => senders.push(sender),
            Sender::H1(_) => bail!("herd needs --h2"),
        }
    }
    let start = Instant::now();
    let mut tasks = Vec::with_capacity(a.callers);
    for i in 0..a.callers {
        let mut sender = Sender::H2(senders[i % a.conns].clone());
        let mut one = a.clone();
        one.raw_path = Some(format!("/v1/key/describe/{}{}", a.name, i % a.names));
        tasks.push(tokio::spawn(async move {
            sender.send(request(&one, &Bytes::new())).await
        }));
    }
    let mut errors = 0;
    for task in tasks {
        errors += usize::from(!matches!(task.await?, Ok((200, _))));
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{}",
        serde_json::json!({"callers": a.callers, "names": a.names, "seconds": seconds, "errors": errors})
    );
    Ok(())
}

async fn run(a: Args) -> Result<()> {
    let cfg = tls(&a)?;
    let ctx = B64.encode(br#"{"bucket":"bench/object-0001"}"#);
    let gen_body = Bytes::from(serde_json::json!({"context": ctx}).to_string());
    let mut want: Option<String> = None;
    let body = match a.op {
        Op::Generate => gen_body.clone(),
        Op::Encrypt => Bytes::from(
            serde_json::json!({"plaintext": B64.encode([7u8; 32]), "context": ctx}).to_string(),
        ),
        Op::Decrypt => {
            let mut s = open(&a, &cfg).await?;
            let mut g = a.clone();
            g.op = Op::Generate;
            g.raw_path = None;
            let (st, b) = s.send(request(&g, &gen_body)).await?;
            if st != 200 {
                bail!("generate: {st} {}", String::from_utf8_lossy(&b));
            }
            let v: serde_json::Value = serde_json::from_slice(&b)?;
            want = Some(v["plaintext"].as_str().context("plaintext")?.to_owned());
            Bytes::from(
                serde_json::json!({"ciphertext": v["ciphertext"], "context": ctx}).to_string(),
            )
        }
        _ => Bytes::new(),
    };
    if a.op == Op::Idle {
        return idle(&a, &cfg).await;
    }
    if a.op == Op::Touch {
        return touch(&a, &cfg).await;
    }
    if a.op == Op::Herd {
        return herd(&a, &cfg).await;
    }
    let start = Instant::now();
    let measure_from = start + Duration::from_secs_f64(a.warmup);
    let end = measure_from + Duration::from_secs_f64(a.secs);
    let mut tasks = Vec::new();
    for _ in 0..a.conns {
        if a.op == Op::Handshake {
            let (a, cfg, body) = (a.clone(), cfg.clone(), body.clone());
            tasks.push(tokio::spawn(async move {
                let mut h = Histogram::<u64>::new(3)?;
                let mut err = 0u64;
                while Instant::now() < end {
                    let t = Instant::now();
                    let r = async {
                        let mut s = open(&a, &cfg).await?;
                        s.send(request(&a, &body)).await
                    }
                    .await;
                    match r {
                        Ok((200, _)) if t >= measure_from => {
                            h.record(t.elapsed().as_micros() as u64)?
                        }
                        Ok((200, _)) => {}
                        _ => err += 1,
                    }
                }
                Ok::<_, anyhow::Error>((h, err))
            }));
            continue;
        }
        let s = open(&a, &cfg).await?;
        let mut senders: Vec<Sender> = match s {
            Sender::H1(s) => vec![Sender::H1(s)],
            Sender::H2(s) => (0..a.streams.max(1))
                .map(|_| Sender::H2(s.clone()))
                .collect(),
        };
        for mut s in senders.drain(..) {
            let (a, body, want) = (a.clone(), body.clone(), want.clone());
            tasks.push(tokio::spawn(async move {
                let mut h = Histogram::<u64>::new(3)?;
                let mut err = 0u64;
                let mut first = true;
                while Instant::now() < end {
                    let t = Instant::now();
                    match s.send(request(&a, &body)).await {
                        Ok((200, b)) => {
                            if first {
                                if let Some(w) = &want {
                                    let v: serde_json::Value = serde_json::from_slice(&b)?;
                                    if v["plaintext"].as_str() != Some(w) {
                                        bail!("wrong plaintext");
                                    }
                                }
                                first = false;
                            }
                            if t >= measure_from {
                                h.record(t.elapsed().as_micros() as u64)?;
                            }
                        }
                        Ok((st, b)) => {
                            err += 1;
                            if err == 1 {
                                eprintln!("status {st}: {}", String::from_utf8_lossy(&b));
                            }
                        }
                        Err(e) => {
                            err += 1;
                            if err == 1 {
                                eprintln!("error {e}");
                            }
                            break;
                        }
                    }
                }
                Ok((h, err))
            }));
        }
    }
    let mut all = Histogram::<u64>::new(3)?;
    let mut errs = 0;
    for t in tasks {
        let (h, e) = t.await??;
        all.add(&h)?;
        errs += e;
    }
    println!(
        "{}",
        serde_json::json!({"op": format!("{:?}", a.op), "h2": a.h2, "conns": a.conns, "streams": a.streams,
        "rps": (all.len() as f64 / a.secs).round(), "p50_us": all.value_at_quantile(0.5), "p99_us": all.value_at_quantile(0.99), "p999_us": all.value_at_quantile(0.999), "max_us": all.max(), "errors": errs})
    );
    Ok(())
}
