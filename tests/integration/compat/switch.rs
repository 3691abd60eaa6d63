//! Clients of old releases, played by what they parse, against the real server with each switch of `compat` on and off (decisions 10
//! and 20, minio.md A7.3, B3 to B5, B8).

use std::fs;

use serde_json::{Value, json};

use crate::support::{Cert, Client, Payload, Reply, Server, Setup, Version};

const ON: bool = true;
const OFF: bool = false;

/// A server with keys in files and one switch set, its admin, and a client of the admin.
async fn server(switch: &str, on: bool) -> (Server, Client) {
    let admin = Cert::client();
    let server = setup(&admin, switch, on).start().await;
    let client = server.client(&admin);
    (server, client)
}

fn setup(admin: &Cert, switch: &str, on: bool) -> Setup {
    let value = if on { "on" } else { "off" };
    Setup::new(admin)
        .keys_in_files()
        .with(&format!("compat:\n  {switch}: {value}"))
}

/// What MinIO from 2020-07-11 to 2022-02-26 compares: `message`, and nothing else of the object.
fn minio_2022_02(reply: &Reply) -> String {
    let object: Value = serde_json::from_slice(&reply.body).unwrap();
    object["message"].as_str().unwrap().to_owned()
}

/// What SDKs from 0.18.0 to kes-go 0.1.0 compare: `message`, old texts translated.
fn sdk_0_18(reply: &Reply) -> String {
    match minio_2022_02(reply).as_str() {
        "key does already exist" => "key already exists".to_owned(),
        "prohibited by policy" => "not authorized: insufficient permissions".to_owned(),
        text => text.to_owned(),
    }
}

/// What SDKs from kes-go 0.2.0 on compare: `error` if there is any, else `message`, old texts translated.
fn sdk_0_2(reply: &Reply) -> String {
    let object: Value = serde_json::from_slice(&reply.body).unwrap();
    match object["error"].as_str() {
        Some(error) if !error.is_empty() => error.to_owned(),
        _ => sdk_0_18(reply),
    }
}

#[tokio::test]
async fn clients_of_2022_are_told_two_errors_in_their_words() {
    let denied = Cert::client();
    for switch in [OFF, ON] {
        let (server, admin) = server("legacy_errors", switch).await;
        admin.put("/v1/key/create/a", Payload::None).await.empty();
        let exists = admin.put("/v1/key/create/a", Payload::None).await;
        let key =
            json!({"key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "cipher": "AES256"});
        let imported = admin.put("/v1/key/import/a", key).await;
        let refused = server
            .client(&denied)
            .put("/v1/key/create/b", Payload::None)
            .await;
        let texts = [
            (&exists, 400, "key does already exist", "key already exists"),
            (
                &imported,
                400,
                "key does already exist",
                "key already exists",
            ),
            (
                &refused,
                403,
                "prohibited by policy",
                "not authorized: insufficient permissions",
            ),
        ];
        for (reply, status, old, new) in texts {
            assert_eq!(reply.status, status);
            let body = if switch {
                format!("{{\"message\":\"{old}\",\"error\":\"{new}\"\n}}")
            } else {
                format!("{{\"message\":\"{new}\"\n}}")
            };
            assert_eq!(reply.text(), body);
            assert_eq!(reply.header("content-length"), body.len().to_string());
            assert_eq!(reply.header("content-type"), "application/json");
            assert_eq!(minio_2022_02(reply), if switch { old } else { new });
            assert_eq!(
                (sdk_0_18(reply).as_str(), sdk_0_2(reply).as_str()),
                (new, new)
            );
        }
        // All others are as they are.
        let none = admin.get("/v1/key/describe/none").await;
        none.error(404, "key does not exist");
        let lost = admin.get("/v1/key").await;
        lost.error(404, "not found");
    }
}

/// What SDKs from 0.18.0 to kes-go 0.1.0 make of a listing: a stream of JSON values, whatever its content type.
fn names_0_18(reply: &Reply, field: &str) -> Vec<String> {
    serde_json::Deserializer::from_slice(&reply.body)
        .into_iter::<Value>()
        .map(|item| {
            let item = item.unwrap();
            assert!(item["error"].as_str().is_none_or(str::is_empty), "{item}");
            item[field].as_str().unwrap_or_default().to_owned()
        })
        .collect()
}

/// What SDKs from kes-go 0.2.0 on make of it.
fn names_0_2(reply: &Reply, field: &str, list: &str) -> Vec<String> {
    if reply.header("content-type") == "application/x-ndjson" {
        return names_0_18(reply, field);
    }
    let object: Value = serde_json::from_slice(&reply.body).unwrap();
    let names = object[list].as_array().unwrap().iter();
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn listings_come_as_lines_for_clients_up_to_2023() {
    let (admin, user) = (Cert::client(), Cert::client());
    for switch in [OFF, ON] {
        let server = setup(&admin, "ndjson_lists", switch)
            .policy("first", &["/v1/status"], &[], &[&user])
            .policy("second", &[], &[], &[])
            .start()
            .await;
        let client = server.client(&admin);
        for key in ["my-a", "my-b", "other"] {
            let path = format!("/v1/key/create/{key}");
            client.put(&path, Payload::None).await.empty();
        }
        let mut identities = [admin.identity.clone(), user.identity.clone()];
        identities.sort();
        let expected: [(&str, &str, &str, Vec<String>); 5] = [
            (
                "/v1/key/list/my*",
                "name",
                "names",
                vec!["my-a".into(), "my-b".into()],
            ),
            (
                "/v1/key/list/*",
                "name",
                "names",
                vec!["my-a".into(), "my-b".into(), "other".into()],
            ),
            ("/v1/key/list/none*", "name", "names", vec![]),
            (
                "/v1/policy/list/*",
                "name",
                "names",
                vec!["first".into(), "second".into()],
            ),
            (
                "/v1/identity/list/*",
                "identity",
                "identities",
                identities.to_vec(),
            ),
        ];
        for (path, field, list, names) in expected {
            let reply = client.get(path).await;
            assert_eq!(reply.status, 200);
            assert_eq!(names_0_2(&reply, field, list), names, "{path}");
            if switch {
                assert_eq!(reply.header("content-type"), "application/x-ndjson");
                assert_eq!(names_0_18(&reply, field), names, "{path}");
                let text = reply.text();
                assert_eq!(text.matches('\n').count(), names.len(), "{text}");
                assert!(names.is_empty() || text.ends_with('\n'), "{text}");
            } else {
                // What the switch is for: one key without a name.
                assert_eq!(names_0_18(&reply, field), [""], "{path}");
            }
        }
    }
}

#[tokio::test]
async fn lines_of_listings_say_what_they_said() {
    let (admin, user) = (Cert::client(), Cert::client());
    let server = setup(&admin, "ndjson_lists", ON)
        .policy("first", &[], &[], &[&user])
        .start()
        .await;
    let client = server.client(&admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    assert_eq!(
        client.get("/v1/key/list/*").await.text(),
        "{\"name\":\"a\"}\n"
    );
    let policies = client.get("/v1/policy/list/*").await;
    let policy: Value = serde_json::from_slice(&policies.body).unwrap();
    let at = policy["created_at"].as_str().unwrap();
    let by = &admin.identity;
    let line = format!("{{\"name\":\"first\",\"created_at\":\"{at}\",\"created_by\":\"{by}\"}}\n");
    assert_eq!(policies.text(), line);
    let of = |identity: &Cert| format!("/v1/identity/list/{}", identity.identity);
    let line = format!("{{\"identity\":\"{by}\",\"admin\":true,\"created_at\":\"{at}\"}}\n");
    assert_eq!(client.get(&of(&admin)).await.text(), line);
    let line = format!(
        "{{\"identity\":\"{}\",\"policy\":\"first\",\"created_at\":\"{at}\",\"created_by\":\"{by}\"}}\n",
        user.identity
    );
    assert_eq!(client.get(&of(&user)).await.text(), line);
}

#[tokio::test]
async fn a_listing_as_lines_has_no_pages() {
    let (server, client) = server("ndjson_lists", ON).await;
    // More than a megabyte of names, in entries that nobody reads.
    let names: Vec<String> = (0..15_000).map(|n| format!("{n:0>80}")).collect();
    for name in &names {
        fs::write(server.keys().join(name), "x").unwrap();
    }
    assert_eq!(
        names_0_18(&client.get("/v1/key/list/*").await, "name"),
        names
    );
}

/// What MinIO from 2022-03-26 to 2023-08-16 asks itself when it starts: whether it may decrypt in bulk. An answer that does not
/// decode means no.
fn decrypts_in_bulk(reply: &Reply) -> bool {
    #[derive(serde::Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct SelfInfo {
        identity: String,
        admin: bool,
        policy_name: String,
        policy: Rules,
    }
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Rules {
        allow: Vec<String>,
        deny: Vec<String>,
    }
    let Ok(info) = serde_json::from_slice::<SelfInfo>(&reply.body) else {
        return false;
    };
    assert_eq!(info.identity.len(), 64);
    assert_eq!(info.policy_name, if info.admin { "" } else { "minio" });
    assert_eq!(info.policy.deny.is_empty(), info.admin);
    let bulk = |rule: &String| rule.starts_with("/v1/key/bulk/decrypt/");
    !info.admin && info.policy.allow.iter().any(bulk)
}

#[tokio::test]
async fn minio_of_2022_and_2023_learns_that_it_may_decrypt_in_bulk() {
    let (admin, minio) = (Cert::client(), Cert::client());
    let allow = ["/v1/key/generate/*", "/v1/key/bulk/decrypt/*"];
    for switch in [OFF, ON] {
        let server = setup(&admin, "legacy_self_describe", switch)
            .policy("minio", &allow, &["/v1/key/generate/secret*"], &[&minio])
            .start()
            .await;
        server
            .client(&admin)
            .put("/v1/key/create/a", Payload::None)
            .await
            .empty();
        let client = server.client(&minio);
        let info = client.get("/v1/identity/self/describe").await;
        assert_eq!(decrypts_in_bulk(&info), switch);
        assert!(!decrypts_in_bulk(
            &server
                .client(&admin)
                .get("/v1/identity/self/describe")
                .await
        ));
        let stranger = server.client(&Cert::client());
        let unknown = stranger.get("/v1/identity/self/describe").await;
        unknown.error(404, "identity does not exist");
        if switch {
            let at = info.json()["created_at"].clone();
            let text = format!(
                "{{\"identity\":\"{}\",\"policy_name\":\"minio\",\"created_at\":{at},\"created_by\":\"{}\",\
                 \"policy\":{{\"allow\":[\"{}\",\"{}\"],\"deny\":[\"/v1/key/generate/secret*\"]}}}}\n",
                minio.identity, admin.identity, allow[0], allow[1]
            );
            assert_eq!(info.text(), text);
        } else {
            // Today's form, which SDKs from kes-go 0.2.0 on read.
            assert_eq!(info.json()["policy"], "minio");
        }
        // It then does what it learnt, and the route serves it either way.
        let data_key = client.put("/v1/key/generate/a", Payload::None).await.json();
        let entries =
            json!([{"ciphertext": data_key["ciphertext"]}, {"ciphertext": data_key["ciphertext"]}]);
        let opened = client
            .send(Version::H2, "POST", "/v1/key/bulk/decrypt/a", entries)
            .await;
        let plaintext = json!({"plaintext": data_key["plaintext"]});
        assert_eq!(opened.json(), json!([plaintext, plaintext]));
    }
}

/// Puts a copy of key `a` under `name`, as a release before 2022-03-23 left it.
async fn leave_old_key(server: &Server, client: &Client, name: &str) {
    if client.get("/v1/key/describe/a").await.status == 404 {
        client.put("/v1/key/create/a", Payload::None).await.empty();
    }
    fs::copy(server.keys().join("a"), server.keys().join(name)).unwrap();
}

const OLD: &str = "my.key:v1+x";

fn refused(name: &str) -> String {
    format!("key name '{name}' is empty, too long or contains invalid characters")
}

#[tokio::test]
async fn data_under_an_old_name_stays_readable_where_old_names_are_on() {
    let (server, client) = server("legacy_names", ON).await;
    leave_old_key(&server, &client, OLD).await;
    // As the Go SDK escapes the name, and as it stands.
    for name in ["my.key:v1+x", "my.key%3Av1%2Bx"] {
        let on = |request: &str| format!("/v1/key/{request}/{name}");
        let info = client.get(&on("describe")).await.json();
        assert_eq!(info["name"], OLD);
        let data_key = client
            .put(&on("generate"), json!({"context": "YQ=="}))
            .await
            .json();
        let sealed = json!({"ciphertext": data_key["ciphertext"], "context": "YQ=="});
        let opened = client.put(&on("decrypt"), sealed.clone()).await.json();
        assert_eq!(opened["plaintext"], data_key["plaintext"]);
        let opened = client
            .put(&on("bulk/decrypt"), json!([sealed]))
            .await
            .json();
        assert_eq!(opened[0]["plaintext"], data_key["plaintext"]);
        for request in ["create", "import", "encrypt", "hmac"] {
            let reply = client.put(&on(request), "{}").await;
            reply.error(400, &refused(OLD));
        }
    }
    let delete = format!("/v1/key/delete/{OLD}");
    let deleted = client
        .send(Version::H1, "DELETE", &delete, Payload::None)
        .await;
    deleted.empty();
    assert!(!server.keys().join(OLD).exists());
    let gone = client.get(&format!("/v1/key/describe/{OLD}")).await;
    gone.error(404, "key does not exist");
}

#[tokio::test]
async fn an_old_name_is_no_name_where_old_names_are_off() {
    let (server, client) = server("legacy_names", OFF).await;
    leave_old_key(&server, &client, OLD).await;
    for request in [
        "create",
        "import",
        "encrypt",
        "hmac",
        "generate",
        "decrypt",
        "bulk/decrypt",
    ] {
        let reply = client.put(&format!("/v1/key/{request}/{OLD}"), "{}").await;
        reply.error(400, &refused(OLD));
    }
    let described = client.get(&format!("/v1/key/describe/{OLD}")).await;
    described.error(400, &refused(OLD));
    let delete = format!("/v1/key/delete/{OLD}");
    let deleted = client
        .send(Version::H1, "DELETE", &delete, Payload::None)
        .await;
    deleted.error(400, &refused(OLD));
    assert_eq!(
        client.get("/v1/key/list/").await.json()["names"],
        json!(["a"])
    );
    assert_eq!(client.get("/v1/key/list/my.*").await.status, 400);
}

#[tokio::test]
async fn what_could_leave_the_keystore_is_never_a_name() {
    let (server, client) = server("legacy_names", ON).await;
    leave_old_key(&server, &client, ".hidden").await;
    fs::copy(server.keys().join("a"), server.keys().join("../outside")).unwrap();
    for (path, name) in [
        (".", "."),
        ("..", ".."),
        ("%2e%2e", ".."),
        (".hidden", ".hidden"),
        ("..%2Foutside", "../outside"),
        ("a%2F..%2Fa", "a/../a"),
        ("a%00", "a\0"),
        ("a%0A", "a\n"),
        ("a%5Cb", "a\\b"),
        ("a%20b", "a b"),
    ] {
        for (method, request) in [
            ("GET", "describe"),
            ("PUT", "generate"),
            ("DELETE", "delete"),
        ] {
            let path = format!("/v1/key/{request}/{path}");
            let reply = client.send(Version::H1, method, &path, Payload::None).await;
            assert_eq!(reply.status, 400, "{path}");
            assert!(
                [
                    refused(name),
                    "invalid path: '.' and '..' are not allowed".to_owned()
                ]
                .contains(&reply.message()),
                "{path}: {}",
                reply.message()
            );
        }
    }
    let long = "a.".repeat(40);
    assert_eq!(
        client.get(&format!("/v1/key/describe/{long}")).await.status,
        404
    );
    assert_eq!(
        client
            .get(&format!("/v1/key/describe/{long}a"))
            .await
            .status,
        400
    );
    assert!(server.keys().join(".hidden").exists());
    assert_eq!(
        client.get("/v1/key/list/").await.json()["names"],
        json!(["a"])
    );
}

#[tokio::test]
async fn old_names_are_listed_and_judged_like_others() {
    let (admin, user) = (Cert::client(), Cert::client());
    let setup = setup(&admin, "legacy_names", ON).policy(
        "user",
        &["/v1/key/describe/my.*", "/v1/key/list/my.*"],
        &["/v1/key/describe/my.secret"],
        &[&user],
    );
    let server = setup.start().await;
    let client = server.client(&admin);
    for name in ["my.a", "my.secret", "my-b", "-edge-", "_"] {
        leave_old_key(&server, &client, name).await;
    }
    let names = |pattern: &str| format!("/v1/key/list/{pattern}");
    let all = client.get(&names("")).await.json();
    assert_eq!(
        all["names"],
        json!(["-edge-", "_", "a", "my-b", "my.a", "my.secret"])
    );
    let user = server.client(&user);
    for pattern in ["my.", "my.*", "my.*my.a"] {
        let found = user.get(&names(pattern)).await.json();
        assert_eq!(found, json!({"names": ["my.a", "my.secret"]}), "{pattern}");
    }
    let later = user.get(&names("my.*my.b")).await.json();
    assert_eq!(later["names"], json!(["my.secret"]));
    assert_eq!(user.get("/v1/key/describe/my.a").await.status, 200);
    for denied in ["my.secret", "my%2Esecret", "my-b"] {
        let reply = user.get(&format!("/v1/key/describe/{denied}")).await;
        assert_eq!(reply.status, 403, "{denied}");
    }
    // Policies and identities have no old names.
    assert_eq!(client.get("/v1/policy/describe/a.b").await.status, 400);
    assert_eq!(client.get("/v1/identity/list/a.*").await.status, 400);
}

#[tokio::test]
async fn a_switch_is_changed_by_a_reload() {
    let admin = Cert::client();
    let mut server = setup(&admin, "legacy_names", OFF).start().await;
    let client = server.client(&admin);
    leave_old_key(&server, &client, OLD).await;
    let describe = format!("/v1/key/describe/{OLD}");
    assert_eq!(client.get(&describe).await.status, 400);
    server.reload(&setup(&admin, "legacy_names", ON));
    server.said(1, "Reloading configuration after SIGHUP").await;
    assert_eq!(client.get(&describe).await.status, 200);
}
