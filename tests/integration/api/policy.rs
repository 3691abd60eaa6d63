//! Policies and identities: what is told about them (api.md 7.15 to 7.20), and what they decide whatever a path looks like.

use serde_json::{Value, json};

use crate::support::{Cert, Client, Payload, Server, Setup, Version, raw::Raw};

const DENIED: (u16, &str) = (403, "not authorized: insufficient permissions");

struct World {
    server: Server,
    admin: Cert,
    app: Cert,
    empty: Cert,
}

impl World {
    async fn start() -> Self {
        let [admin, app, empty] = std::array::from_fn(|_| Cert::client());
        let server = Setup::new(&admin)
            .open_to_all("/v1/ready")
            .policy(
                "my-app",
                &["/v1/key/create/my-app*", "/v1/key/a<b>&*"],
                &["/v1/key/create/my-app-x*"],
                &[&app],
            )
            .policy("empty", &[], &[], &[&empty])
            .policy("nobody", &["*"], &[], &[])
            .start()
            .await;
        Self {
            server,
            admin,
            app,
            empty,
        }
    }

    fn admin(&self) -> Client {
        self.server.client(&self.admin)
    }
}

/// The time of a reply, which is the same for all: when the server started, in UTC.
fn time(value: &Value) -> &str {
    let text = value["created_at"].as_str().unwrap();
    assert!(
        text.ends_with('Z') && text.len() <= "2024-01-12T10:39:20.123456789Z".len(),
        "{text}"
    );
    text
}

#[tokio::test]
async fn policies_are_described_read_and_listed() {
    let world = World::start().await;
    let (client, admin) = (world.admin(), &world.admin.identity);
    let reply = client.get("/v1/policy/describe/my-app").await;
    let started = time(&reply.json()).to_owned();
    assert_eq!(
        reply.text(),
        format!(
            "{{\"name\":\"my-app\",\"created_at\":\"{started}\",\"created_by\":\"{admin}\"}}\n"
        )
    );
    let reply = client.get("/v1/policy/read/my-app").await;
    assert_eq!(
        reply.json(),
        json!({
            "name": "my-app",
            "allow": {"/v1/key/create/my-app*": {}, "/v1/key/a<b>&*": {}},
            "deny": {"/v1/key/create/my-app-x*": {}},
            "created_at": started,
            "created_by": admin,
        })
    );
    assert!(
        reply
            .text()
            .starts_with("{\"name\":\"my-app\",\"allow\":{\"/v1/key/a"),
        "{}",
        reply.text()
    );
    let reply = client.get("/v1/policy/read/empty").await;
    assert_eq!(
        reply.text(),
        format!("{{\"name\":\"empty\",\"created_at\":\"{started}\",\"created_by\":\"{admin}\"}}\n")
    );
    for (pattern, names) in [
        ("", "\"empty\",\"my-app\",\"nobody\""),
        ("*", "\"empty\",\"my-app\",\"nobody\""),
        ("my", "\"my-app\""),
        ("my*", "\"my-app\""),
        ("my-", "\"my-app\""),
        ("x", ""),
    ] {
        let reply = client.get(&format!("/v1/policy/list/{pattern}")).await;
        assert_eq!(
            reply.text(),
            format!("{{\"names\":[{names}],\"continue_at\":\"\"}}\n"),
            "{pattern}"
        );
        assert_eq!(reply.header("content-type"), "application/json");
    }
    client.get("/v1/policy/list/a.b").await.error(
        400,
        "listing pattern 'a.b' is empty, too long or is invalid",
    );
    for route in ["describe", "read"] {
        client
            .get(&format!("/v1/policy/{route}/absent"))
            .await
            .error(404, "policy does not exist");
    }
}

#[tokio::test]
async fn identities_are_described_and_listed() {
    let world = World::start().await;
    let (client, admin) = (world.admin(), &world.admin.identity);
    let describe = async |identity: &str| {
        client
            .get(&format!("/v1/identity/describe/{identity}"))
            .await
    };
    let reply = describe(admin).await;
    let started = time(&reply.json()).to_owned();
    assert_eq!(
        reply.text(),
        format!("{{\"admin\":true,\"created_at\":\"{started}\"}}\n")
    );
    let reply = describe(&world.app.identity).await;
    assert_eq!(
        reply.text(),
        format!(
            "{{\"policy\":\"my-app\",\"created_at\":\"{started}\",\"created_by\":\"{admin}\"}}\n"
        )
    );
    for absent in ["absent", &Cert::client().identity, &admin.to_uppercase()] {
        describe(absent).await.error(404, "identity does not exist");
    }
    let mut all = vec![
        admin.clone(),
        world.app.identity.clone(),
        world.empty.identity.clone(),
    ];
    all.sort();
    for pattern in ["", "*"] {
        let reply = client.get(&format!("/v1/identity/list/{pattern}")).await;
        assert_eq!(
            reply.text(),
            format!("{{\"identities\":{},\"continue_at\":\"\"}}\n", json!(all))
        );
    }
    let prefix = &admin[..40];
    let one = json!({"identities": [admin], "continue_at": ""});
    for pattern in [prefix.to_owned(), format!("{prefix}*"), admin.clone()] {
        assert_eq!(
            client
                .get(&format!("/v1/identity/list/{pattern}"))
                .await
                .json(),
            one
        );
    }
}

#[tokio::test]
async fn a_placeholder_admin_is_listed_and_nobody_is_admin() {
    let (admin, app) = (Cert::client(), Cert::client());
    let mut placeholder = Cert::client();
    "disabled".clone_into(&mut placeholder.identity);
    let server = Setup::new(&placeholder)
        .policy("all", &["*"], &[], &[&app])
        .start()
        .await;
    let listed = server.client(&app).get("/v1/identity/list/dis*").await;
    assert_eq!(
        listed.json(),
        json!({"identities": ["disabled"], "continue_at": ""})
    );
    for cert in [&admin, &placeholder] {
        server
            .client(cert)
            .get("/v1/api")
            .await
            .error(DENIED.0, DENIED.1);
    }
}

#[tokio::test]
async fn everybody_can_ask_who_they_are() {
    let world = World::start().await;
    let admin = &world.admin.identity;
    let path = "/v1/identity/self/describe";
    for version in Version::ALL {
        let whoami = async |client: Client| client.send(version, "GET", path, Payload::None).await;
        let reply = whoami(world.admin()).await;
        let started = time(&reply.json()).to_owned();
        assert_eq!(
            reply.text(),
            format!("{{\"identity\":\"{admin}\",\"admin\":true,\"created_at\":\"{started}\"}}\n")
        );
        let app = &world.app;
        let reply = whoami(world.server.client(app)).await;
        assert_eq!(
            reply.json(),
            json!({
                "identity": app.identity,
                "created_at": started,
                "created_by": admin,
                "policy": "my-app",
                "allow": {"/v1/key/create/my-app*": {}, "/v1/key/a<b>&*": {}},
                "deny": {"/v1/key/create/my-app-x*": {}},
            })
        );
        let empty = &world.empty;
        let reply = whoami(world.server.client(empty)).await;
        assert_eq!(
            reply.text(),
            format!(
                "{{\"identity\":\"{}\",\"created_at\":\"{started}\",\"created_by\":\"{admin}\",\"policy\":\"empty\"}}\n",
                empty.identity
            )
        );
        for client in [world.server.client(&Cert::client()), world.server.nobody()] {
            whoami(client).await.error(404, "identity does not exist");
        }
    }
}

/// Rules, and paths with the status that the caller of these rules gets; the keys do not exist.
async fn judge(allow: &[&str], deny: &[&str], cases: &[(&str, &str, u16)]) {
    let (admin, app) = (Cert::client(), Cert::client());
    let server = Setup::new(&admin)
        .policy("p", allow, deny, &[&app])
        .start()
        .await;
    let client = server.client(&app);
    for (method, path, status) in cases {
        // Written by hand: a library might tidy the path up.
        let mut raw = Raw::connect(&client).await;
        raw.write(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await;
        assert_eq!(
            raw.reply().await.status(),
            *status,
            "{method} {path} with {allow:?} {deny:?}"
        );
    }
}

#[tokio::test]
async fn no_spelling_of_a_denied_path_slips_through() {
    judge(
        &["/v1/*", "/version"],
        &[
            "/v1/key/delete/secret",
            "/v1/key/describe/top*",
            "/v1/log/audit",
        ],
        &[
            ("DELETE", "/v1/key/delete/secret", 403),
            ("DELETE", "/v1/%6bey/delete/secret", 403),
            ("DELETE", "/v1/key/delete/%73ecret", 403),
            ("DELETE", "/v1/key/delete/secre%74", 403),
            ("DELETE", "//v1//key/delete//secret", 403),
            ("DELETE", "/v1/key/delete/secret/", 403),
            ("DELETE", "/v1/key/delete/secret//", 403),
            ("DELETE", "/v1/key/delete/secret?x", 403),
            ("DELETE", "https://x/v1/key/delete/secret", 403),
            ("DELETE", "/v1/key/delete/./secret", 400),
            ("DELETE", "/v1/key/delete/%2Fsecret", 400),
            ("DELETE", "/v1/key/delete/secret%00", 400),
            ("DELETE", "/v1/key/delete/%2573ecret", 400),
            ("DELETE", "/v1/key/delete/Secret", 404),
            ("DELETE", "/v1/key/delete/secret2", 404),
            ("DELETE", "/V1/key/delete/secret", 404),
            ("GET", "/v1/key/describe/top", 403),
            ("GET", "/v1/key//describe/%74op-secret", 403),
            ("GET", "/v1/key/describe/to", 404),
            ("GET", "/v1/log/audit", 403),
            ("GET", "/v1/log/audit/", 403),
            ("GET", "/v1/log/audit/trace", 403),
            ("GET", "/v1/log//audit/trac%65/", 403),
        ],
    )
    .await;
}

#[tokio::test]
async fn rules_are_matched_with_the_whole_canonical_path() {
    judge(
        &["/v1/key/describe/my*", "/v1/key/list/*", "/v1/status"],
        &[],
        &[
            ("GET", "/v1/key/describe/my", 404),
            ("GET", "/v1/key/describe/my-key", 404),
            ("GET", "/v1/key/describe/m", 403),
            ("GET", "/v1/key/describe/", 403),
            ("GET", "/v1/key/describe/my.key", 400),
            ("GET", "/v1/key/describe/my/key", 400),
            ("DELETE", "/v1/key/delete/my", 403),
            ("GET", "/v1/key/list", 200),
            ("GET", "/v1/key/list/", 200),
            ("GET", "/v1/key/list/x", 200),
            ("GET", "/v1/policy/list/", 403),
            ("GET", "/v1/status", 200),
            ("GET", "/v1/status/", 200),
            ("GET", "/v1/api", 403),
        ],
    )
    .await;
}

#[tokio::test]
async fn rules_with_inner_stars_are_globs_and_deny_both_ways() {
    judge(
        &["/v1/key/*/my-key", "/v1/key/describe/a?c"],
        &[],
        &[
            ("GET", "/v1/key/describe/my-key", 404),
            ("DELETE", "/v1/key/delete/my-key", 404),
            ("GET", "/v1/key/describe/other", 403),
            ("GET", "/v1/key/describe/abc", 404),
            ("GET", "/v1/key/describe/abbc", 403),
        ],
    )
    .await;
    judge(
        &["/v1/*"],
        &["/v1/key/*/secret", "/v1/*/list/my*"],
        &[
            ("GET", "/v1/key/describe/secret", 403),
            ("GET", "/v1/key/%64escribe/secret/", 403),
            ("GET", "/v1/key/describe/public", 404),
            ("GET", "/v1/key/list/my-key", 403),
            ("GET", "/v1/policy/list/my", 403),
            ("GET", "/v1/policy/list/x", 200),
        ],
    )
    .await;
}
