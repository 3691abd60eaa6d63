//! Paths: which spellings mean a route, and that nothing else does (api.md 5.2 as decision 2 changes it).

use kes::api::ROUTES;

use crate::support::{Cert, Payload, Server, Setup, Version, raw::Raw};

/// As many mutated paths as a run tries.
const MUTATIONS: usize = 600;

async fn open_server(admin: &Cert) -> Server {
    Setup::new(admin).open_to_all("/v1/ready").start().await
}

/// Paths and what they lead to. `Err` is an error; `Ok` the path that policies see.
#[rustfmt::skip]
const PATHS: [(&str, u16, &str); 38] = [
    ("/",                                   404, "not found"),
    ("//",                                  404, "not found"),
    ("/nope",                               404, "not found"),
    ("/v1",                                 404, "not found"),
    ("/v1/",                                404, "not found"),
    ("/v1/key",                             404, "not found"),
    ("/v1/key/",                            404, "not found"),
    ("/v1/key/bulk",                        404, "not found"),
    ("/v1/keys/list/",                      404, "not found"),
    ("/V1/key/list/",                       404, "not found"),
    ("/version/x",                          404, "not found"),
    ("/v1/status/x",                        404, "not found"),
    ("/v1/identity/self",                   404, "not found"),
    ("/v1/identity/self/describe/x",        404, "not found"),
    ("/v1/log/audit/trace/x",               404, "not found"),
    ("/v1/key%2flist/",                     404, "not found"),
    ("/v1%2fkey/list/",                     404, "not found"),
    ("/%76ersion%2f",                       404, "not found"),
    ("/v1/key%00/list/",                    404, "not found"),
    ("/v1/./status",                        400, "invalid path: '.' and '..' are not allowed"),
    ("/v1/../version",                      400, "invalid path: '.' and '..' are not allowed"),
    ("/..",                                 400, "invalid path: '.' and '..' are not allowed"),
    ("/version/..",                         400, "invalid path: '.' and '..' are not allowed"),
    ("/%2e%2e/version",                     400, "invalid path: '.' and '..' are not allowed"),
    ("/v1/%2E/status",                      400, "invalid path: '.' and '..' are not allowed"),
    ("/v1/key/describe/.",                  400, "key name '.' is empty, too long or contains invalid characters"),
    ("/v1/key/describe/%2e%2e",             400, "key name '..' is empty, too long or contains invalid characters"),
    ("/v1/key/describe/a%2Fb",              400, "key name 'a/b' is empty, too long or contains invalid characters"),
    ("/v1/key/describe/a/b",                400, "key name 'a/b' is empty, too long or contains invalid characters"),
    ("/v1/key/describe/a%252Fb",            400, "key name 'a%2Fb' is empty, too long or contains invalid characters"),
    ("/v1/key/describe/",                   400, "key name '' is empty, too long or contains invalid characters"),
    ("/v1/key/describe",                    400, "key name '' is empty, too long or contains invalid characters"),
    ("/v1/key/describe/%20",                400, "key name ' ' is empty, too long or contains invalid characters"),
    ("/v1/key/describe/%3Cb%3E%22",         400, "key name '<b>\"' is empty, too long or contains invalid characters"),
    ("/v1/key/describe/%ff",                400, "key name '\u{fffd}' is empty, too long or contains invalid characters"),
    ("/v1/policy/read/a.b",                 400, "policy name 'a.b' is empty, too long or contains invalid characters"),
    ("/v1/identity/describe/-",             400, "identity '-' is empty, too long or contains invalid characters"),
    ("/v1/key/list/a/b",                    400, "listing pattern 'a/b' is empty, too long or is invalid"),
];

#[tokio::test]
async fn each_spelling_leads_where_it_should_and_never_redirects() {
    let admin = Cert::client();
    let server = open_server(&admin).await;
    let client = server.client(&admin);
    for version in Version::ALL {
        let mut connection = client.connect(version).await.unwrap();
        for (path, status, message) in PATHS {
            let reply = connection.send("GET", path, Payload::None).await;
            let text = reply.text().replace("\\u003c", "<").replace("\\u003e", ">");
            let expected = format!("{{\"message\":{}\n}}", serde_json::json!(message));
            assert_eq!(
                (reply.status, text),
                (status, expected),
                "{version:?} {path}"
            );
        }
        for path in [
            "/version",
            "//version",
            "/version/",
            "/version?x=1",
            "/%76ersion",
            "/v1/key/list",
            "/v1/key/list/",
            "/v1/key/list?x=1",
            "/v1/%6bey/list/",
            "/v1//key///list//",
            "/v1/identity/self/describe/",
            "/v1/key/list/%2A",
            "/v1/key/list/*",
        ] {
            let reply = connection.send("GET", path, Payload::None).await;
            assert_eq!(reply.status, 200, "{version:?} {path}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn the_query_plays_no_part() {
    let admin = Cert::client();
    let server = open_server(&admin).await;
    let client = server.client(&admin);
    client
        .put("/v1/key/create/a?/../x%zz", Payload::None)
        .await
        .empty();
    let names = client.get("/v1/key/list/?continue=..").await.json();
    assert_eq!(names, serde_json::json!({"names": ["a"]}));
}

/// Numbers without a pattern, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn letter(&mut self) -> char {
        let letters = b"abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_.~!$&'()*+,;=:@";
        char::from(letters[self.below(letters.len())])
    }
}

/// Changes one character of the fixed part of a route's path, or makes a path up.
fn mutated(numbers: &mut Numbers) -> String {
    if numbers.below(4) == 0 {
        let mut path = String::new();
        for _ in 0..=numbers.below(5) {
            path.push('/');
            for _ in 0..numbers.below(8) {
                path.push(numbers.letter());
            }
        }
        return path;
    }
    let route = ROUTES[numbers.below(ROUTES.len())].path;
    let mut path: Vec<char> = route.trim_end_matches('/').chars().collect();
    let at = 1 + numbers.below(path.len() - 1);
    match numbers.below(5) {
        0 => path[at] = numbers.letter(),
        1 => path.insert(at, numbers.letter()),
        2 => drop(path.remove(at)),
        3 => path.splice(at..at, "/%2e/".chars()).for_each(drop),
        _ => path.truncate(at),
    }
    let mut path: String = path.into_iter().collect();
    if route.ends_with('/') {
        path.push_str("/name");
    }
    path
}

/// What the path means, told without looking at the server's code: segments, compared with those of the routes.
fn is_known(path: &str) -> bool {
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let known = |route: &str| {
        let fixed: Vec<&str> = route
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        segments.starts_with(&fixed) && (route.ends_with('/') || segments.len() == fixed.len())
    };
    ROUTES.iter().any(|route| known(route.path))
        || ["/v1/log/audit/trace", "/v1/log/error/trace"]
            .into_iter()
            .any(known)
        || [
            "/v1/policy/write/",
            "/v1/policy/delete/",
            "/v1/policy/assign/",
        ]
        .into_iter()
        .any(known)
        || [
            "/v1/identity/assign/",
            "/v1/identity/forget/",
            "/v1/identity/delete/",
        ]
        .into_iter()
        .any(known)
}

#[tokio::test]
async fn what_is_no_route_is_not_found_with_and_without_a_certificate() {
    let admin = Cert::client();
    let server = open_server(&admin).await;
    let mut numbers = Numbers(0x5eed_0fab_1e00_0001);
    let mut paths = Vec::new();
    while paths.len() < MUTATIONS {
        let path = mutated(&mut numbers);
        if !is_known(&path) {
            paths.push(path);
        }
    }
    for (client, version) in [
        (server.client(&admin), Version::H1),
        (server.nobody(), Version::H2),
    ] {
        let mut connection = client.connect(version).await.unwrap();
        for path in &paths {
            let reply = connection.send("GET", path, Payload::None).await;
            let dots = path
                .split('/')
                .any(|segment| matches!(segment, "." | ".." | "%2e"));
            if dots {
                reply.error(400, "invalid path: '.' and '..' are not allowed");
            } else {
                reply.error(404, "not found");
            }
        }
    }
}

#[tokio::test]
async fn a_target_that_is_no_path_is_a_bad_request_and_ends_the_connection() {
    let admin = Cert::client();
    let server = open_server(&admin).await;
    let client = server.client(&admin);
    for request in [
        "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /v1/key/describe/% HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /v1/key/describe/%4 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET version HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /version HTTP/1.1\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut raw = Raw::connect(&client).await;
        raw.write(request).await;
        let reply = raw.reply().await;
        assert_eq!(reply.status(), 400, "{request:?} {reply:?}");
        assert_eq!(reply.header("connection"), "close", "{request:?}");
        if request.starts_with("GET *") {
            assert_eq!(reply.body, b"", "{request:?}");
        } else {
            assert_eq!(
                reply.header("content-type"),
                "text/plain; charset=utf-8",
                "{request:?}"
            );
            assert!(
                reply.body.starts_with(b"400 Bad Request"),
                "{request:?} {reply:?}"
            );
        }
        assert_eq!(raw.rest().await, b"", "{request:?}");
    }
}

#[tokio::test]
async fn other_forms_of_targets_are_served() {
    let admin = Cert::client();
    let server = open_server(&admin).await;
    let client = server.client(&admin);
    let mut raw = Raw::connect(&client).await;
    raw.write("GET https://x/version HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    let absolute = raw.reply().await;
    raw.write("GET /version HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let plain = raw.reply().await;
    assert_eq!(absolute.status(), 200);
    assert_eq!(absolute.body, plain.body);
    raw.write("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let options = raw.reply().await;
    assert_eq!((options.status(), options.body), (200, Vec::new()));
    assert_eq!(
        options
            .head
            .to_ascii_lowercase()
            .matches("content-length: 0")
            .count(),
        1
    );
    // The last version that knows no Host.
    raw.write("GET /version HTTP/1.0\r\n\r\n").await;
    assert_eq!(raw.reply().await.body, plain.body);
    assert_eq!(raw.rest().await, b"");
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused_and_end_the_connection() {
    let admin = Cert::client();
    let server = open_server(&admin).await;
    let client = server.client(&admin);
    let with = |size: usize| {
        let value = "v".repeat(size);
        format!("GET /version HTTP/1.1\r\nHost: x\r\nX-Filler: {value}\r\n\r\n")
    };
    let mut raw = Raw::connect(&client).await;
    raw.write(with(1_000_000)).await;
    assert_eq!(raw.reply().await.status(), 200);
    // The rest of it may meet a closed connection.
    let _ = raw.try_write(with(3_000_000)).await;
    assert_eq!(raw.reply().await.status(), 431);
    raw.rest().await;
}
