//! [`Recorded`]: a server that gives the answers of another one, read from a file.
//!
//! ```text
//! > GET /v1/key/list/*
//! < 200 application/x-ndjson
//! {"name":"a"}
//! ```
//!
//! A request that is in the file several times gets the answers in turn, and the last one for ever. Without an answer it gets a 404 as
//! text. `< close` ends the connection instead. A line `! plain` before all else makes a server without TLS, `! refuses clients` one
//! that sends an alert once it has seen the client's certificate, `! shows FILE-KIND` one with a special certificate: `expired`,
//! `other-name`, `unknown`.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned, crypto::aws_lc_rs, server::WebPkiClientVerifier,
};

use super::Cert;

/// Status, content type and body; `None` closes the connection.
type Answer = Option<(u16, String, String)>;
/// Answers by method and path.
type Answers = Arc<Mutex<HashMap<String, Vec<Answer>>>>;

/// The answer to requests that are not in the file; a line `! otherwise BODY` sets it.
const OTHERWISE: &str = "otherwise";

/// A server with recorded answers. Its threads end with the test.
pub(crate) struct Recorded {
    address: String,
    certificate: String,
}

impl Recorded {
    /// Starts a server with the answers of this text.
    pub(crate) fn start(text: &str) -> Self {
        let options: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("! "))
            .collect();
        let answers: Answers = Arc::new(Mutex::new(parse(text)));
        let certificate = if options.contains(&"shows expired") {
            Cert::expired_server()
        } else if options.contains(&"shows other-name") {
            Cert::server_of(&["kes.example.org", "10.1.2.3"])
        } else {
            Cert::server()
        };
        let trusted = if options.contains(&"shows unknown") {
            Cert::server().pem()
        } else {
            certificate.pem()
        };
        let tls = (!options.contains(&"plain"))
            .then(|| config(&certificate, options.contains(&"refuses clients")));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                let (answers, tls) = (answers.clone(), tls.clone());
                thread::spawn(move || match tls {
                    None => plainly(tcp, &answers),
                    Some(tls) => {
                        let connection = ServerConnection::new(tls).unwrap();
                        serve(StreamOwned::new(connection, tcp), &answers);
                    }
                });
            }
        });
        Self {
            address,
            certificate: trusted,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// What clients are to trust, as PEM.
    pub(crate) fn certificate(&self) -> String {
        self.certificate.clone()
    }
}

fn config(certificate: &Cert, refuses: bool) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if refuses {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(Cert::authority().chain[0].clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
            .build()
            .unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let config = builder
        .with_single_cert(certificate.chain.clone(), certificate.key.clone_key())
        .unwrap();
    Arc::new(config)
}

fn parse(text: &str) -> HashMap<String, Vec<Answer>> {
    let mut answers: HashMap<String, Vec<Answer>> = HashMap::new();
    if let Some(body) = text
        .lines()
        .find_map(|line| line.strip_prefix("! otherwise "))
    {
        let answer = Some((200, "application/json".to_owned(), format!("{body}\n")));
        answers.insert(OTHERWISE.to_owned(), vec![answer]);
    }
    for exchange in text.split("> ").skip(1) {
        let mut lines = exchange.lines();
        let request = lines.next().unwrap().to_owned();
        let head = lines.next().unwrap().strip_prefix("< ").unwrap();
        let answer = match head.split_once(' ') {
            None => None,
            Some((status, kind)) => {
                let body: Vec<&str> = lines
                    .filter(|line| !line.is_empty() && !line.starts_with('#'))
                    .collect();
                let body = if body.is_empty() {
                    String::new()
                } else {
                    body.join("\n") + "\n"
                };
                Some((status.parse().unwrap(), kind.to_owned(), body))
            }
        };
        answers.entry(request).or_default().push(answer);
    }
    answers
}

/// Answers without TLS; the first bytes of a handshake are no HTTP, and it says so.
fn plainly(mut tcp: TcpStream, answers: &Answers) {
    const HANDSHAKE: u8 = 22;
    let mut start = [0; 8192];
    if matches!(tcp.peek(&mut start), Ok(1..)) && start[0] == HANDSHAKE {
        // Whatever is not read would be answered with a reset, which overtakes the words.
        drop(tcp.read(&mut start));
        drop(tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        return;
    }
    serve(tcp, answers);
}

/// Answers the requests of one connection.
fn serve(stream: impl std::io::Read + Write, answers: &Answers) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if line.trim_end().is_empty() {
                break;
            }
            let header = line.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if request.is_empty() {
                let mut words = line.split(' ');
                let (method, path) = (words.next().unwrap(), words.next().unwrap_or_default());
                request = format!("{method} {}", path.replace("%2A", "*"));
            }
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).is_err() {
            return;
        }
        let answer = {
            let mut answers = answers.lock().unwrap();
            let known = if answers.contains_key(&request) {
                &request
            } else {
                OTHERWISE
            };
            match answers.get_mut(known) {
                Some(list) if list.len() > 1 => list.remove(0),
                Some(list) => list[0].clone(),
                None => Some((
                    404,
                    "text/plain".to_owned(),
                    "404 page not found\n".to_owned(),
                )),
            }
        };
        let Some((status, kind, body)) = answer else {
            return;
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let sent = stream.get_mut().write_all((head + &body).as_bytes());
        if sent.and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}
