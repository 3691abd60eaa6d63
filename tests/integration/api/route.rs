//! The list of routes, written by hand from the specification (api.md 7, minio.md B3) and not from the table: the table, and what
//! `/v1/api` says, have to equal it.

use kes::api::{Auth, ROUTES};
use serde_json::{Value, json};

use crate::support::{Cert, Payload, Setup, Version};

/// Method, path, largest body, seconds, who may call, whether it is counted, whether `/v1/api` lists it.
type Row = (&'static str, &'static str, u64, u64, Auth, bool, bool);

const LARGE: u64 = 1_000_000;

#[rustfmt::skip]
const GOLDEN: [Row; 23] = [
    ("GET",    "/version",                   0,     10, Auth::Open,     false, true),
    ("GET",    "/v1/ready",                  0,     15, Auth::Policy,   false, true),
    ("GET",    "/v1/status",                 0,     15, Auth::Policy,   false, true),
    ("GET",    "/v1/metrics",                0,     15, Auth::Policy,   false, true),
    ("GET",    "/v1/api",                    0,     10, Auth::Policy,   false, true),
    ("PUT",    "/v1/key/create/",            0,     15, Auth::Policy,   true,  true),
    ("PUT",    "/v1/key/import/",            LARGE, 15, Auth::Policy,   true,  true),
    ("GET",    "/v1/key/describe/",          0,     15, Auth::Policy,   true,  true),
    ("GET",    "/v1/key/list/",              0,     15, Auth::Policy,   true,  true),
    ("DELETE", "/v1/key/delete/",            0,     15, Auth::Policy,   true,  true),
    ("PUT",    "/v1/key/encrypt/",           LARGE, 15, Auth::Policy,   true,  true),
    ("PUT",    "/v1/key/generate/",          LARGE, 15, Auth::Policy,   true,  true),
    ("PUT",    "/v1/key/decrypt/",           LARGE, 15, Auth::Policy,   true,  true),
    ("PUT",    "/v1/key/hmac/",              LARGE, 15, Auth::Policy,   true,  true),
    ("PUT",    "/v1/key/bulk/decrypt/",      LARGE, 15, Auth::Policy,   true,  false),
    ("GET",    "/v1/policy/describe/",       0,     15, Auth::Policy,   true,  true),
    ("GET",    "/v1/policy/read/",           0,     15, Auth::Policy,   true,  true),
    ("GET",    "/v1/policy/list/",           0,     15, Auth::Policy,   true,  true),
    ("GET",    "/v1/identity/describe/",     0,     15, Auth::Policy,   true,  true),
    ("GET",    "/v1/identity/list/",         0,     15, Auth::Policy,   true,  true),
    ("GET",    "/v1/identity/self/describe", 0,     15, Auth::Identify, true,  true),
    ("GET",    "/v1/log/error",              0,     0,  Auth::Policy,   false, true),
    ("GET",    "/v1/log/audit",              0,     0,  Auth::Policy,   false, true),
];

/// Routes of earlier generations that answer 501 (minio.md B2), with the methods they had.
const RETIRED: [(&str, &str); 17] = [
    ("POST", "/v1/policy/write/p"),
    ("DELETE", "/v1/policy/delete/p"),
    ("POST", "/v1/policy/assign/p"),
    ("POST", "/v1/identity/assign/p/i"),
    ("DELETE", "/v1/identity/forget/i"),
    ("DELETE", "/v1/identity/delete/i"),
    ("POST", "/v1/enclave/create/e"),
    ("DELETE", "/v1/enclave/delete/e"),
    ("GET", "/v1/enclave/describe/e"),
    ("POST", "/v1/secret/create/s"),
    ("GET", "/v1/secret/describe/s"),
    ("GET", "/v1/secret/read/s"),
    ("DELETE", "/v1/secret/delete/s"),
    ("GET", "/v1/secret/list/s"),
    ("GET", "/v1/secret/list/"),
    ("GET", "/v1/secret/list"),
    ("POST", "/v1/sys/seal"),
];

#[test]
fn the_route_table_is_the_specified_one() {
    let table: Vec<Row> = ROUTES
        .iter()
        .map(|route| {
            (
                route.method.as_str(),
                route.path,
                route.max_body as u64,
                route.timeout.map_or(0, |limit| limit.as_secs()),
                route.auth,
                route.counted,
                route.listed,
            )
        })
        .collect();
    assert_eq!(table, GOLDEN);
}

#[test]
fn decryption_takes_what_encryption_gave() {
    for route in ROUTES {
        let extra = route.path.ends_with("/decrypt/");
        let limit = if extra { 1 << 20 } else { route.max_body };
        assert_eq!(route.limit, limit, "{}", route.path);
    }
}

#[test]
fn every_route_but_the_metrics_is_audited() {
    for route in ROUTES {
        assert_eq!(route.audited, route.path != "/v1/metrics", "{}", route.path);
    }
}

/// What `/v1/api` has to answer.
fn listing(seconds: impl Fn(&str, u64) -> u64) -> Value {
    let mut rows: Vec<&Row> = GOLDEN.iter().filter(|row| row.6).collect();
    rows.sort_by_key(|row| row.1);
    rows.iter()
        .map(|(method, path, max_body, timeout, ..)| {
            json!({"method": method, "path": path, "max_body": max_body, "timeout": seconds(path, *timeout)})
        })
        .collect()
}

#[tokio::test]
async fn the_api_lists_its_routes_with_their_limits_as_configured() {
    let admin = Cert::client();
    let server = Setup::new(&admin).start().await;
    let reply = server.client(&admin).get("/v1/api").await;
    assert_eq!(reply.json(), listing(|_, seconds| seconds));
    let first = r#"[{"method":"GET","path":"/v1/api","max_body":0,"timeout":10},"#;
    assert!(reply.text().starts_with(first), "{}", reply.text());

    let server = Setup::new(&admin)
        .timeout("/v1/key/create/", "90s")
        .timeout("/v1/status", "1900ms")
        .start()
        .await;
    let changed = listing(|path, seconds| match path {
        "/v1/key/create/" => 90,
        "/v1/status" => 1,
        _ => seconds,
    });
    assert_eq!(server.client(&admin).get("/v1/api").await.json(), changed);
}

#[tokio::test]
async fn retired_routes_are_not_implemented_and_say_so_to_everybody() {
    let admin = Cert::client();
    let server = Setup::new(&admin).open_to_all("/v1/ready").start().await;
    for client in [server.client(&admin), server.nobody()] {
        for version in Version::ALL {
            let mut connection = client.connect(version).await.unwrap();
            for (method, path) in RETIRED {
                let reply = connection.send(method, path, Payload::None).await;
                reply.error(501, "not implemented");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_named_and_so_are_the_right_ones() {
    let admin = Cert::client();
    let server = Setup::new(&admin).open_to_all("/v1/ready").start().await;
    let client = server.nobody();
    for version in Version::ALL {
        let mut connection = client.connect(version).await.unwrap();
        for (expected, path, ..) in GOLDEN {
            for method in [
                "GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "BREW",
            ] {
                if method == expected || (method, expected) == ("POST", "PUT") {
                    continue;
                }
                let reply = connection.send(method, path, Payload::None).await;
                let allow = if expected == "PUT" {
                    "PUT, POST"
                } else {
                    expected
                };
                assert_eq!(reply.header("allow"), allow, "{method} {path}");
                let message = format!("received method '{method}' expected '{expected}'");
                if method == "HEAD" {
                    assert_eq!((reply.status, reply.text()), (405, ""), "{path}");
                    let length = format!("{{\"message\":\"{message}\"\n}}").len();
                    assert_eq!(reply.header("content-length"), length.to_string(), "{path}");
                    assert_eq!(reply.header("content-type"), "application/json", "{path}");
                } else {
                    reply.error(405, &message);
                }
            }
        }
    }
}

#[tokio::test]
async fn post_means_put() {
    let admin = Cert::client();
    let server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    for version in Version::ALL {
        let path = format!("/v1/key/create/{version:?}");
        client
            .send(version, "POST", &path, Payload::None)
            .await
            .empty();
        client
            .send(version, "PUT", &path, Payload::None)
            .await
            .error(400, "key already exists");
    }
}
