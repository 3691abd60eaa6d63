//! Every known defect of the predecessor done right: one test each, named after its number, against the real server.
//!
//! `dNN` are those of api.md 15, `kNN` those of keystores.md 12 that concern the stores we have, and all stores. Subjects that have
//! more to them have tests of their own elsewhere; these are the list that a reader can hold against `docs/differences.md`.

use std::collections::BTreeSet;

use http_body_util::BodyExt as _;
use hyper::{Response, body::Incoming};
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::support::{
    Cert, Client, Payload, Reply, Server, Setup, Version, client::Connection, server::PATIENCE,
};

mod function;
mod keystore;
mod operation;
mod security;

/// A server with keys in files, its admin, and a client of the admin.
async fn server() -> (Server, Client, Cert) {
    let admin = Cert::client();
    let server = Setup::new(&admin).keys_in_files().start().await;
    let client = server.client(&admin);
    (server, client, admin)
}

async fn create(client: &Client, name: &str) {
    let path = format!("/v1/key/create/{name}");
    client.put(&path, Payload::None).await.empty();
}

async fn delete(client: &Client, name: &str) -> Reply {
    let path = format!("/v1/key/delete/{name}");
    client
        .send(Version::H1, "DELETE", &path, Payload::None)
        .await
}

/// Asks until the answer is `status`: for what takes effect soon.
async fn until(connection: &mut Connection, path: &str, status: u16) -> Reply {
    let asked = async {
        loop {
            let reply = connection.send("GET", path, Payload::None).await;
            if reply.status == status {
                return reply;
            }
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, asked).await;
    outcome.unwrap_or_else(|_| panic!("{path} never answers {status}"))
}

/// From now on the server can open no file. Open connections go on.
fn take_all_descriptors(server: &Server) {
    let limit = Rlimit {
        current: Some(3),
        maximum: Some(3),
    };
    prlimit(Some(server.pid()), Resource::Nofile, limit).unwrap();
}

/// An open log stream.
struct Stream {
    response: Response<Incoming>,
    // Ends with the stream.
    _connection: Connection,
    seen: Vec<u8>,
}

impl Stream {
    async fn open(client: &Client, path: &str) -> Self {
        let mut connection = client.connect(Version::H2).await.unwrap();
        let opened = connection.open("GET", path, &[], Payload::None).await;
        let response = opened.unwrap();
        assert_eq!(response.status(), 200);
        Self {
            response,
            _connection: connection,
            seen: Vec::new(),
        }
    }

    /// The next event.
    async fn next(&mut self) -> Value {
        loop {
            if let Some(end) = self.seen.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.seen.drain(..=end).collect();
                return serde_json::from_slice(&line).unwrap();
            }
            let frame = tokio::time::timeout(PATIENCE, self.response.frame()).await;
            let frame = frame.expect("no event").expect("the stream ended").unwrap();
            self.seen.extend_from_slice(&frame.into_data().unwrap());
        }
    }

    /// The next event about a request for `path`.
    async fn about(&mut self, path: &str) -> Value {
        loop {
            let event = self.next().await;
            if event["request"]["path"] == path {
                return event;
            }
        }
    }
}

/// The value of a metric without labels.
async fn metric(client: &Client, name: &str) -> u64 {
    let page = client.get("/v1/metrics").await;
    let mut lines = page.text().lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap().parse().unwrap()
}

/// The numbers of the tests in these files whose names start with `letter` and two digits.
fn numbers(letter: char) -> BTreeSet<u32> {
    let files = [
        include_str!("function.rs"),
        include_str!("keystore.rs"),
        include_str!("operation.rs"),
        include_str!("security.rs"),
    ];
    let mut numbers = BTreeSet::new();
    for file in files {
        let mut lines = file.lines();
        while let Some(line) = lines.next() {
            if !matches!(line, "#[test]" | "#[tokio::test]") {
                continue;
            }
            let name = lines.next().unwrap();
            let (_, name) = name.split_once("fn ").unwrap();
            let (number, sentence) = name.split_once('_').unwrap();
            assert!(sentence.matches('_').count() > 2, "{name} says nothing");
            if let Some(digits) = number.strip_prefix(letter) {
                assert_eq!(digits.len(), 2, "{name}");
                assert!(
                    numbers.insert(digits.parse().unwrap()),
                    "{name} is there twice"
                );
            }
        }
    }
    numbers
}

#[test]
fn every_defect_has_its_test() {
    assert_eq!(numbers('d'), (1..=30).collect());
    assert_eq!(numbers('k'), BTreeSet::from([1, 2, 3, 4, 5, 6, 38, 41, 42]));
}
