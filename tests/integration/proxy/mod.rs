//! TLS proxies and load balancers (api.md 13, `docs/load-balancers.md`).
//!
//! - [`forwarded`]: what a proxy forwards, spelled by the tests themselves: every way in which it can be wrong.
//! - [`header`]: the PROXY protocol on the wire, right and wrong.
//! - [`real`]: real nginx and real `HAProxy`, run on the files in `deploy/` as they stand there; only addresses, paths and names differ.
//! - [`golden`]: what these two put into the header, byte for byte.
//!
//! What the last two lack (a program) skips a test with the reason printed, or fails it where `KES_REQUIRE_TOOLS` is set, as in CI.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::BodyExt as _;
use hyper::{Response, body::Incoming};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Cert, Client, Payload, Setup, Version, client::Connection, server::PATIENCE};

mod forwarded;
mod golden;
mod header;
mod real;

/// The header of all configurations here, as a client spells it.
const HEADER: &str = "x-tls-client-cert";
/// What a server says when it has taken over a new configuration.
const RELOADED: &str = "=> Reloading configuration after SIGHUP signal completed.";
const DENIED: &str = "not authorized: insufficient permissions";

/// A configuration whose TLS proxies are `proxies`.
fn behind(admin: &Cert, proxies: &[&Cert]) -> Setup {
    let identities: Vec<&str> = proxies.iter().map(|cert| cert.identity.as_str()).collect();
    Setup::new(admin).tls(&format!(
        "proxy: {{ identities: {}, header: {{ cert: X-Tls-Client-Cert }} }}",
        json!(identities)
    ))
}

/// A configuration whose load balancers are `balancers`.
fn balanced(admin: &Cert, balancers: &[&str]) -> Setup {
    Setup::new(admin).with(&format!("proxy_protocol: {{ from: {} }}", json!(balancers)))
}

/// A response of which only this counts: a proxy has headers of its own.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    async fn of(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await;
        Self {
            status: head.status.as_u16(),
            body: body.expect("no end").unwrap().to_bytes().to_vec(),
        }
    }

    #[track_caller]
    fn error(&self, status: u16, message: &str) {
        let body = format!("{{\"message\":{}\n}}", json!(message));
        let seen = std::str::from_utf8(&self.body).unwrap();
        assert_eq!((self.status, seen), (status, body.as_str()));
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One request with these headers.
async fn ask(
    connection: &mut Connection,
    method: &str,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Answer {
    let response = connection.open(method, path, headers, Payload::None).await;
    Answer::of(response.unwrap()).await
}

/// Who `client` is to the server.
async fn whoami(client: &Client, version: Version, headers: &[(&'static str, &str)]) -> String {
    let mut connection = client.connect(version).await.unwrap();
    let answer = ask(
        &mut connection,
        "GET",
        "/v1/identity/self/describe",
        headers,
    )
    .await;
    answer.json()["identity"].as_str().unwrap().to_owned()
}

/// An audit log that is read event by event.
struct Audit {
    response: Response<Incoming>,
    seen: Vec<u8>,
    // Ends with the test.
    _connection: Connection,
}

impl Audit {
    /// Opens the log, and reads the event of that.
    async fn open(client: &Client, version: Version) -> Self {
        let mut connection = client.connect(version).await.unwrap();
        let opened = connection.open("GET", "/v1/log/audit", &[], Payload::None);
        let response = opened.await.unwrap();
        assert_eq!(response.status(), 200);
        let mut audit = Self {
            response,
            seen: Vec::new(),
            _connection: connection,
        };
        // Health checks of proxies may stand before it.
        while audit.next().await.path != "/v1/log/audit" {}
        audit
    }

    async fn next(&mut self) -> Event {
        loop {
            if let Some(end) = self.seen.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.seen.drain(..=end).collect();
                return Event::of(&serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(PATIENCE, self.response.frame()).await;
            let frame = frame.expect("no event").expect("the stream ended").unwrap();
            self.seen.extend_from_slice(&frame.into_data().unwrap());
        }
    }
}

impl Audit {
    /// Waits for an event like `expected`. Health checks of proxies may stand before it.
    async fn expect(&mut self, expected: &Event) {
        loop {
            let event = self.next().await;
            let check = event.path == "/v1/ready" && event.ip == "127.0.0.1";
            if !check || *expected == event {
                assert_eq!(event, *expected);
                return;
            }
        }
    }
}

/// What the audit log says of one request.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    path: String,
    ip: String,
    identity: String,
    status: u64,
}

impl Event {
    fn of(event: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let request = &event["request"];
        Self {
            path: text(&request["path"]),
            ip: text(&request["ip"]),
            identity: text(&request["identity"]),
            status: event["response"]["code"].as_u64().unwrap(),
        }
    }

    /// The event of a request for `path`.
    fn new(path: &str, ip: &str, identity: &str, status: u64) -> Self {
        Self {
            path: path.to_owned(),
            ip: ip.to_owned(),
            identity: identity.to_owned(),
            status,
        }
    }
}

/// The programs that stand in front of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nginx,
    HaProxy,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Nginx, Self::HaProxy];

    /// Whether the program is there, with all that the files need.
    fn is_there(self) -> bool {
        let program = match self {
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
        };
        let run = Command::new(program)
            .arg("-v")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let there = run.is_ok_and(|status| status.success());
        if !there {
            eprintln!("SKIPPED: {program} is missing: tests/tools/install {program}");
            assert!(!must_be_there(), "missing: {program}");
        }
        there
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the tests, not of the server"
)]
fn must_be_there() -> bool {
    std::env::var_os("KES_REQUIRE_TOOLS").is_some_and(|value| !value.is_empty())
}

/// The Ed25519 key of `cert` in the form without the public key, the only one that OpenSSL 3.0 reads; `kes identity new` writes that, too.
fn key_pem(cert: &Cert) -> String {
    let der = cert.key.secret_der();
    let start = b"\x30\x2e\x02\x01\0\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    let seed = der.get(start.len()..start.len() + 32).unwrap();
    let text = STANDARD.encode([&start[..], seed].concat());
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

/// A program that runs on a file of `deploy/`.
struct Front {
    address: SocketAddr,
    child: Child,
    folder: TempDir,
    /// Its certificates and keys.
    files: Option<TempDir>,
}

impl Front {
    /// Runs `kind` on its file `name` in front of `server`. `changes` are made to the file; each text must stand there.
    ///
    /// The program is given a socket that listens already, so there is no port to choose and nothing to wait for.
    fn start(kind: Kind, name: &str, server: SocketAddr, changes: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (sub, own) = match kind {
            Kind::Nginx => ("nginx", vec![("listen 7473", format!("listen {address}"))]),
            Kind::HaProxy => ("haproxy", vec![("bind :7473", "bind fd@0".to_owned())]),
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        let mut text = fs::read_to_string(path.join(sub).join(name)).unwrap();
        let mut change = |from: &str, to: &str| {
            assert!(text.contains(from), "{name} has no {from:?}");
            text = text.replace(from, to);
        };
        for (from, to) in &own {
            change(from, to);
        }
        change("127.0.0.1:7373", &server.to_string());
        for (from, to) in changes {
            change(from, to);
        }
        let place = folder.path().display().to_string();
        let mut command = match kind {
            Kind::Nginx => {
                change("/run/nginx.pid", &format!("{place}/pid"));
                change("/var/log/nginx", &place);
                let mut command = Command::new("nginx");
                command.env("NGINX", "0;").args(["-g", "daemon off;", "-c"]);
                command
            }
            Kind::HaProxy => {
                change("/dev/log", "stderr format raw");
                let mut command = Command::new("haproxy");
                command.args(["-db", "-f"]);
                command
            }
        };
        let file = folder.path().join("configuration");
        fs::write(&file, text).unwrap();
        let log = fs::File::create(folder.path().join("output")).unwrap();
        let child = command
            .arg(&file)
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            address,
            child,
            folder,
            files: None,
        }
    }

    /// Runs `kind` as a TLS proxy: what clients see is `shown`, what the server sees is `own`, and it trusts `trusted` to be the server.
    fn tls(kind: Kind, server: SocketAddr, own: &Cert, trusted: &str) -> Self {
        let shown = Cert::server();
        let files = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = files.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let ca = write("ca", trusted);
        let mut front = match kind {
            Kind::Nginx => Self::start(
                kind,
                "tls-proxy.conf",
                server,
                &[
                    (
                        "/etc/nginx/kes/public.crt",
                        &write("public.crt", &shown.pem()),
                    ),
                    (
                        "/etc/nginx/kes/public.key",
                        &write("public.key", &key_pem(&shown)),
                    ),
                    ("/etc/nginx/kes/proxy.crt", &write("proxy.crt", &own.pem())),
                    (
                        "/etc/nginx/kes/proxy.key",
                        &write("proxy.key", &key_pem(own)),
                    ),
                    ("/etc/nginx/kes/kes-ca.crt", &ca),
                    ("kes.example.com", "localhost"),
                ],
            ),
            Kind::HaProxy => Self::start(
                kind,
                "tls-proxy.cfg",
                server,
                &[
                    (
                        "/etc/haproxy/kes/public.pem",
                        &write("public.pem", &(shown.pem() + &key_pem(&shown))),
                    ),
                    (
                        "/etc/haproxy/kes/proxy.pem",
                        &write("proxy.pem", &(own.pem() + &key_pem(own))),
                    ),
                    ("/etc/haproxy/kes/kes-ca.crt", &ca),
                    ("kes.example.com", "localhost"),
                ],
            ),
        };
        // It may read them later than this.
        front.files = Some(files);
        front
    }

    /// A client that comes from `source` and shows `cert`.
    fn client(&self, cert: Option<&Cert>, source: [u8; 4]) -> Client {
        Client::new(self.address, cert).from(source)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // Not SIGKILL: nginx's workers would stay.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
        if std::thread::panicking() {
            for name in ["output", "error.log", "kes.log"] {
                let text = fs::read_to_string(self.folder.path().join(name));
                eprintln!("{name}: {}", text.unwrap_or_default());
            }
        }
    }
}
