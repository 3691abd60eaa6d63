//! The logs as streams: at once, complete, one event for each request (api.md 10.3, D-3, D-13 to D-15, D-29; decision 25).

use std::collections::BTreeMap;

use http_body_util::BodyExt as _;
use hyper::{Response, body::Incoming};
use kes::api::ROUTES;
use serde_json::{Value, json};

use crate::support::{Cert, Client, Payload, Setup, Version, client::Connection, server::PATIENCE};

/// A stream that is read line by line.
struct Stream {
    response: Response<Incoming>,
    seen: Vec<u8>,
    // Ends with the test.
    _connection: Connection,
}

impl Stream {
    async fn open(client: &Client, version: Version, path: &str) -> Self {
        let mut connection = client.connect(version).await.unwrap();
        // Returns when the headers are there, before any event.
        let response = connection
            .open("GET", path, &[], Payload::None)
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        assert!(!response.headers().contains_key("content-length"));
        Self {
            response,
            seen: Vec::new(),
            _connection: connection,
        }
    }

    /// Opens the audit log, whose first event is that it was opened.
    async fn open_audit(client: &Client, version: Version, path: &str) -> Self {
        let mut stream = Self::open(client, version, path).await;
        stream.expect_opening().await;
        stream
    }

    async fn expect_opening(&mut self) {
        let event = self.event().await;
        assert_eq!(event["request"]["path"], "/v1/log/audit");
        assert_eq!(event["response"]["code"], 200);
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.seen.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.seen.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(PATIENCE, self.response.frame())
                .await
                .expect("no event");
            self.seen
                .extend_from_slice(&frame?.unwrap().into_data().unwrap());
        }
    }

    async fn event(&mut self) -> Value {
        self.next().await.expect("the stream ended")
    }
}

#[tokio::test]
async fn each_request_is_one_audit_event_with_its_final_status() {
    let [admin, app, stranger] = std::array::from_fn(|_| Cert::client());
    let server = Setup::new(&admin)
        .open_to_all("/v1/ready")
        .policy("app", &["/v1/key/describe/*"], &[], &[&app])
        .start()
        .await;
    for version in Version::ALL {
        let mut stream = Stream::open_audit(&server.client(&admin), version, "/v1/log/audit").await;
        let key = format!("{version:?}");
        let create = format!("/v1/key/create/{key}");
        let describe = format!("/v1/key/describe/{key}");
        let delete = format!("/v1/key/delete/{key}");
        let (admin, app) = (Some(&admin), Some(&app));
        let cases: [(Option<&Cert>, &str, &str, u16, &str); 16] = [
            (admin, "PUT", &create, 200, &create),
            (admin, "POST", &create, 400, &create),
            (app, "GET", &describe, 200, &describe),
            (
                app,
                "GET",
                "/v1/%6bey//describe/absent/",
                404,
                "/v1/key/describe/absent",
            ),
            (app, "PUT", &create, 403, &create),
            (Some(&stranger), "GET", "/v1/status", 403, "/v1/status"),
            (None, "GET", "/v1/status", 400, "/v1/status"),
            (None, "GET", "/version", 200, "/version"),
            (None, "GET", "/v1/ready", 200, "/v1/ready"),
            (admin, "PATCH", "/v1/key/list/", 405, "/v1/key/list/"),
            (admin, "GET", "/v1/key/list", 200, "/v1/key/list/"),
            (
                admin,
                "GET",
                "/v1/key/describe/a.b",
                400,
                "/v1/key/describe/a.b",
            ),
            (admin, "PUT", "/v1/key/import/x", 400, "/v1/key/import/x"),
            (admin, "GET", "/v1/api", 200, "/v1/api"),
            (admin, "DELETE", &delete, 200, &delete),
            (admin, "DELETE", &delete, 404, &delete),
        ];
        for (cert, method, path, status, audited) in cases {
            let client = cert.map_or_else(|| server.nobody(), |cert| server.client(cert));
            // These leave no event, or the next one would not be the one expected.
            for path in ["/v1/metrics", "/nope", "/v1/./status", "/v1/sys/seal"] {
                client.send(version, "GET", path, Payload::None).await;
            }
            let reply = client.send(version, method, path, Payload::None).await;
            assert_eq!(reply.status, status, "{method} {path}");
            let event = stream.event().await;
            let mut request = json!({"ip": "127.0.0.1", "path": audited});
            if let Some(cert) = cert {
                request["identity"] = cert.identity.as_str().into();
            }
            assert_eq!(event["request"], request, "{method} {path}");
            assert_eq!(event["response"]["code"], status, "{method} {path}");
            let time = event["response"]["time"].as_u64().unwrap();
            // Nanoseconds: no request here is done in one microsecond.
            assert!(time > 1000, "{event}");
            assert!(event["time"].as_str().unwrap().ends_with('Z'), "{event}");
            assert_eq!(event.as_object().unwrap().len(), 3, "{event}");
            assert_eq!(event["response"].as_object().unwrap().len(), 2, "{event}");
        }
    }
}

#[tokio::test]
async fn every_route_that_is_audited_leaves_one_event() {
    let admin = Cert::client();
    let server = Setup::new(&admin)
        .with("log:\n  audit: off\n  error: off")
        .start()
        .await;
    let client = server.client(&admin);
    let mut stream = Stream::open_audit(&client, Version::H2, "/v1/log/audit").await;
    for route in ROUTES.iter().filter(|route| route.audited) {
        let resource = if route.path.ends_with('/') {
            "walk"
        } else {
            ""
        };
        let path = format!("{}{resource}", route.path);
        let mut connection = client.connect(Version::H1).await.unwrap();
        let payload = if route.limit == 0 {
            Payload::None
        } else {
            "{}".into()
        };
        let response = connection
            .open(route.method.as_str(), &path, &[], payload)
            .await
            .unwrap();
        let event = stream.event().await;
        assert_eq!(event["request"]["path"], path.as_str());
        assert_eq!(
            event["response"]["code"],
            response.status().as_u16(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn events_are_complete_and_in_order_for_every_reader() {
    let admin = Cert::client();
    let server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    let mut streams = Vec::new();
    for (version, path) in [
        (Version::H1, "/v1/log/audit"),
        (Version::H2, "/v1/log/audit/"),
        (Version::H1, "/v1/log/audit/trace"),
    ] {
        streams.push(Stream::open_audit(&client, version, path).await);
    }
    let mut connection = client.connect(Version::H1).await.unwrap();
    for i in 0..500 {
        connection
            .send("GET", &format!("/v1/key/describe/k{i}"), Payload::None)
            .await;
    }
    for (i, stream) in streams.iter_mut().enumerate() {
        // Those who came later are events themselves.
        for _ in i + 1..3 {
            stream.expect_opening().await;
        }
        for i in 0..500 {
            let path = stream.event().await["request"]["path"].clone();
            assert_eq!(path, format!("/v1/key/describe/k{i}"));
        }
    }
}

#[tokio::test]
async fn the_error_log_is_streamed_as_the_console_has_it_and_kept_from_nobody() {
    let admin = Cert::client();
    let server = Setup::new(&admin)
        .keys_in_files()
        .with("log:\n  error: off")
        .start()
        .await;
    let client = server.client(&admin);
    for (version, path) in [
        (Version::H1, "/v1/log/error"),
        (Version::H2, "/v1/log/error/trace"),
    ] {
        let mut stream = Stream::open(&client, version, path).await;
        std::fs::write(server.keys().join("broken"), "x").unwrap();
        client
            .get("/v1/key/describe/broken")
            .await
            .error(502, "failed to read key");
        let event = stream.event().await;
        assert_eq!(event.as_object().unwrap().len(), 1, "{event}");
        let line = event["message"].as_str().unwrap();
        for part in [
            "time=",
            " level=ERROR msg=\"failed to read key: ",
            " req.method=GET req.path=/v1/key/describe/broken req.ip=127.0.0.1 req.identity=",
            &admin.identity,
        ] {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
        assert!(!line.ends_with('\n'));
    }
}

#[tokio::test]
async fn streams_end_with_the_server() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    let mut streams = Vec::new();
    for version in Version::ALL {
        streams.push(Stream::open(&client, version, "/v1/log/error").await);
    }
    server.terminate();
    for stream in &mut streams {
        while stream.next().await.is_some() {}
    }
    assert!(server.end().await.success());
}

#[tokio::test]
async fn the_console_tells_of_audited_requests_when_asked_to() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).with("log:\n  audit: on").start().await;
    let client = server.client(&admin);
    client.put("/v1/key/create/k1", Payload::None).await.empty();
    let identity = &admin.identity;
    let line = format!(
        "level=INFO msg=\"secret key 'k1' created\" req.method=PUT req.path=/v1/key/create/k1 req.ip=127.0.0.1 req.identity={identity} res.code=200 res.time="
    );
    server.said(1, &line).await;
    client
        .send(Version::H1, "DELETE", "/v1/key/delete/k1", Payload::None)
        .await
        .empty();
    server
        .said(
            1,
            "level=INFO msg=\"secret key 'k1' deleted\" req.method=DELETE",
        )
        .await;
}

#[tokio::test]
async fn the_number_of_events_does_not_depend_on_who_listens() {
    let admin = Cert::client();
    let server = Setup::new(&admin).keys_in_files().start().await;
    let client = server.client(&admin);
    let counters = async || {
        let page = client.get("/v1/metrics").await;
        let counts: BTreeMap<String, f64> = page
            .text()
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(name, _)| name.starts_with("kes_log_"))
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect();
        (
            counts["kes_log_audit_events"],
            counts["kes_log_error_events"],
        )
    };
    std::fs::write(server.keys().join("broken"), "x").unwrap();
    let mut before = counters().await;
    let mut listeners = Vec::new();
    for listening in 0..3 {
        client
            .get("/v1/key/describe/broken")
            .await
            .error(502, "failed to read key");
        let after = counters().await;
        assert_eq!(
            (after.0 - before.0, after.1 - before.1),
            (1.0, 1.0),
            "{listening} listeners"
        );
        listeners.push(Stream::open(&client, Version::H2, "/v1/log/audit").await);
        listeners.push(Stream::open(&client, Version::H2, "/v1/log/error").await);
        before = (after.0 + 2.0, after.1);
    }
}
