//! D-16 to D-30: configuration, stores, and the small things.

use std::{fs, os::unix::fs::symlink, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kes::config::{Context, Env, Fallback, parse};
use serde_json::{Value, json};

use super::{Stream, create, delete, server, take_all_descriptors, until};
use crate::support::{Cert, Payload, Setup, Version};

#[tokio::test]
async fn d16_one_expiry_is_the_default_when_the_other_is_set() {
    let expiry = |yaml: &str| {
        let env = Env::of::<String, String>([]);
        let context = Context {
            env: &env,
            routes: &kes::api::configurable(),
            fallback: Fallback::default(),
        };
        let text = format!(
            "admin: {{ identity: disabled }}\ntls: {{ key: k, cert: c }}\ncache: {{ expiry: {yaml} }}"
        );
        let Ok(config) = parse("kes.yml", text.as_bytes(), &context) else {
            panic!("{yaml} does not load");
        };
        (config.cache.any, config.cache.unused)
    };
    let (minute, second) = (Duration::from_mins(1), Duration::from_secs(1));
    assert_eq!(expiry("{}"), (5 * minute, 30 * second));
    assert_eq!(expiry("{ any: 1h }"), (60 * minute, 30 * second));
    assert_eq!(expiry("{ unused: 1s }"), (5 * minute, second));
    // And that is what the server does: without the default, or with another value for `any`, the key would go on being used.
    let admin = Cert::client();
    let server = Setup::new(&admin)
        .keys_in_files()
        .with("cache: { expiry: { any: 300ms } }")
        .start()
        .await;
    let client = server.client(&admin);
    create(&client, "a").await;
    let mut connection = client.connect(Version::H2).await.unwrap();
    until(&mut connection, "/v1/key/describe/a", 200).await;
    fs::remove_file(server.keys().join("a")).unwrap();
    until(&mut connection, "/v1/key/describe/a", 404).await;
}

#[tokio::test]
async fn d17_readiness_tells_a_store_out_of_reach_from_one_that_fails() {
    let (server, client, _) = server().await;
    let mut connection = client.connect(Version::H1).await.unwrap();
    connection
        .send("GET", "/v1/ready", Payload::None)
        .await
        .empty();
    let away = server.keys().with_extension("away");
    fs::rename(server.keys(), &away).unwrap();
    let reply = until(&mut connection, "/v1/ready", 504).await;
    reply.error(504, "key store is not reachable");
    fs::rename(&away, server.keys()).unwrap();
    until(&mut connection, "/v1/ready", 200).await;
    take_all_descriptors(&server);
    let reply = until(&mut connection, "/v1/ready", 502).await;
    reply.error(502, "key store is unavailable");
}

#[tokio::test]
async fn d18_no_authority_is_named_to_clients_that_are_not_verified() {
    let (admin, authority) = (Cert::client(), Cert::authority());
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(&admin).trust(&authority, folder.path());
    let server = setup.start().await;
    // A client with a certificate of its own making keeps it to itself when it sees names; this one refuses to see any.
    server.client(&admin).get("/v1/status").await.json();
}

#[tokio::test]
async fn d19_a_folder_of_authorities_may_be_a_kubernetes_volume() {
    let (authority, other) = (Cert::authority(), Cert::authority());
    let (admin, stranger) = (authority.sign_client(), other.sign_client());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("..2026_01_01");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("ca.crt"), authority.pem()).unwrap();
    symlink("..2026_01_01", folder.path().join("..data")).unwrap();
    symlink("..data/ca.crt", folder.path().join("ca.crt")).unwrap();
    let server = Setup::new(&admin)
        .tls("auth: on")
        .tls(&format!("ca: {}", folder.path().display()))
        .start()
        .await;
    server.client(&admin).get("/v1/status").await.json();
    // Refused in the handshake, of which a client may learn only when it reads.
    let let_in = match server.client(&stranger).connect(Version::H1).await {
        Ok(mut connection) => connection
            .try_send("GET", "/v1/status", Payload::None)
            .await
            .is_ok(),
        Err(_) => false,
    };
    assert!(!let_in);
}

#[tokio::test]
async fn d20_a_broken_record_is_an_error_and_not_a_crash() {
    let (server, client, _) = server().await;
    let mut connection = client.connect(Version::H1).await.unwrap();
    // A protobuf record without the secret, and an empty file.
    for (name, record) in [("secretless", "GgYIgOLPqgY="), ("empty", "")] {
        fs::write(server.keys().join(name), record).unwrap();
        let path = format!("/v1/key/generate/{name}");
        let reply = connection.send("PUT", &path, Payload::None).await;
        reply.error(502, "failed to read key");
    }
    fs::write(
        server.keys().join("no-hmac"),
        stored("protobuf, no HMAC key field"),
    )
    .unwrap();
    let reply = connection.send("PUT", "/v1/key/hmac/no-hmac", "{}").await;
    reply.error(409, "key does not support HMAC");
    let reply = connection
        .send("PUT", "/v1/key/generate/no-hmac", Payload::None)
        .await;
    reply.json();
}

#[tokio::test]
async fn d21_a_failed_listing_is_one_error_and_counts_as_one() {
    let (server, client, _) = server().await;
    let mut connection = client.connect(Version::H1).await.unwrap();
    fs::remove_dir_all(server.keys()).unwrap();
    for _ in 0..3 {
        let reply = connection.send("GET", "/v1/key/list/", Payload::None).await;
        reply.error(502, "failed to list keys");
        assert_eq!(reply.header("connection"), "");
    }
    let page = connection.send("GET", "/v1/metrics", Payload::None).await;
    let page = page.text();
    assert!(
        page.contains("\nkes_http_request_failure{code=\"502\"} 3\n"),
        "{page}"
    );
    assert!(!page.contains("kes_http_request_success{"), "{page}");
}

#[tokio::test]
async fn d22_a_wrong_method_is_told_the_right_ones() {
    let (_server, client, _) = server().await;
    for (method, path, allowed) in [
        ("GET", "/v1/key/create/a", "PUT, POST"),
        ("PUT", "/v1/key/describe/a", "GET"),
        ("POST", "/v1/key/delete/a", "DELETE"),
    ] {
        let reply = client.send(Version::H1, method, path, Payload::None).await;
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, allowed),
            "{path}"
        );
    }
}

#[tokio::test]
async fn d23_a_predefined_key_with_a_bad_name_stops_the_start() {
    let admin = Cert::client();
    for name in ["a b", "a.b", "-a", "../a", ""] {
        let keys = format!("keys: [ {{ name: good }}, {{ name: '{name}' }} ]");
        let errors = Setup::new(&admin).with(&keys).refused().await;
        assert!(
            errors.contains(&format!("keys[1].name: key name '{name}' is ")),
            "{errors}"
        );
    }
}

#[tokio::test]
async fn d24_a_deleted_key_does_not_live_on_in_the_cache() {
    let (server, client, _) = server().await;
    for name in ["here", "gone"] {
        create(&client, name).await;
        let path = format!("/v1/key/generate/{name}");
        client.put(&path, Payload::None).await.json();
    }
    // As another server does it.
    fs::remove_file(server.keys().join("gone")).unwrap();
    delete(&client, "gone")
        .await
        .error(404, "key does not exist");
    delete(&client, "here").await.empty();
    for name in ["here", "gone"] {
        let path = format!("/v1/key/generate/{name}");
        let reply = client.put(&path, Payload::None).await;
        reply.error(404, "key does not exist");
    }
}

#[tokio::test]
async fn d25_what_can_be_encrypted_can_be_decrypted() {
    let (_server, client, _) = server().await;
    create(&client, "a").await;
    // The largest body that is taken: 18 bytes are not base64.
    for length in [749_942, 749_985] {
        let plaintext = STANDARD.encode(vec![7; length]);
        let sealed = client
            .put("/v1/key/encrypt/a", json!({"plaintext": plaintext}))
            .await
            .json();
        let body = json!({"ciphertext": sealed["ciphertext"]});
        assert!(body.to_string().len() > 1_000_000);
        let opened = client.put("/v1/key/decrypt/a", body).await.json();
        assert!(opened["plaintext"] == plaintext, "{length}");
    }
    let routes = client.get("/v1/api").await.json();
    let decrypt = routes.as_array().unwrap().iter();
    let mut decrypt = decrypt.filter(|route| route["path"] == "/v1/key/decrypt/");
    assert_eq!(decrypt.next().unwrap()["max_body"], 1_000_000);
}

#[tokio::test]
async fn d26_an_old_key_opens_what_either_cipher_sealed() {
    let (server, client, _) = server().await;
    let text = include_str!("../compat/vectors/legacy_json.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let mut ciphers = std::collections::BTreeSet::new();
    for (number, vector) in file["vectors"].as_array().unwrap().iter().enumerate() {
        // The record of a release that knew no algorithms.
        let record = json!({"bytes": vector["key"]}).to_string();
        fs::write(server.keys().join(format!("k{number}")), record).unwrap();
        let path = format!("/v1/key/decrypt/k{number}");
        let body = json!({"ciphertext": vector["ciphertext"], "context": vector["context"]});
        let opened = client.put(&path, body).await.json();
        assert_eq!(
            opened["plaintext"], vector["plaintext"],
            "{}",
            vector["name"]
        );
        ciphers.insert(vector["cipher"].as_str().unwrap().to_owned());
    }
    assert_eq!(ciphers.len(), 2);
}

#[tokio::test]
async fn d27_settings_of_unknown_routes_are_warned_about() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin)
        .timeout("/v1/key/creat", "1s")
        .timeout("/v1/key/encrypt", "7s")
        .start()
        .await;
    server
        .complained(1, "api./v1/key/creat: unknown API path, ignored")
        .await;
    // Without the slash it is the same route, and no longer one that nobody knows.
    let routes = server.client(&admin).get("/v1/api").await.json();
    let mut routes = routes.as_array().unwrap().iter();
    let encrypt = routes.find(|route| route["path"] == "/v1/key/encrypt/");
    assert_eq!(encrypt.unwrap()["timeout"], 7);
}

#[tokio::test]
async fn d28_times_of_policies_and_identities_are_utc() {
    let (admin, user) = (Cert::client(), Cert::client());
    let mut server = Setup::new(&admin)
        .zone("XYZ-09:30")
        .policy("app", &[], &[], &[&user])
        .with("log: { audit: on }")
        .start()
        .await;
    let client = server.client(&admin);
    for path in [
        "/v1/policy/describe/app",
        "/v1/policy/read/app",
        &format!("/v1/identity/describe/{}", user.identity),
        "/v1/identity/self/describe",
    ] {
        let info = client.get(path).await.json();
        let at = info["created_at"].as_str().unwrap();
        assert!(at.ends_with('Z'), "{path}: {at}");
    }
    // The console speaks local time, and says so.
    server.said(1, "+09:30 level=INFO msg=").await;
}

#[tokio::test]
async fn d29_the_streams_do_not_depend_on_the_consoles() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin)
        .keys_in_files()
        .with("log: { error: off, audit: off }")
        .start()
        .await;
    let client = server.client(&admin);
    let mut audit = Stream::open(&client, "/v1/log/audit").await;
    let mut errors = Stream::open(&client, "/v1/log/error").await;
    fs::write(server.keys().join("broken"), "x").unwrap();
    client
        .get("/v1/key/describe/broken")
        .await
        .error(502, "failed to read key");
    audit.about("/v1/key/describe/broken").await;
    let event = errors.next().await;
    assert!(
        event["message"].as_str().unwrap().contains("broken"),
        "{event}"
    );
    drop((audit, errors));
    server.terminate();
    assert!(server.end().await.success());
    let errors = server.errors();
    assert!(
        !errors.iter().any(|line| line.contains("level=")),
        "{errors:?}"
    );
}

#[tokio::test]
async fn d30_small_things_are_as_they_are_documented() {
    let admin = Cert::client();
    let server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    let routes = client.get("/v1/api").await.json();
    let paths = routes.as_array().unwrap().iter();
    let paths: Vec<&str> = paths.map(|route| route["path"].as_str().unwrap()).collect();
    assert!(paths.is_sorted() && paths.len() == 22, "{paths:?}");
    let bodies = routes
        .as_array()
        .unwrap()
        .iter()
        .map(|route| &route["max_body"]);
    assert!(
        bodies
            .clone()
            .all(|limit| [json!(0), json!(1_000_000)].contains(limit))
    );
    // Import takes `key`, and the old `bytes` as well; a digest is base64; readiness is here.
    let key = STANDARD.encode([7; 32]);
    let import = json!({"key": key, "cipher": "AES256"});
    client.put("/v1/key/import/a", import).await.empty();
    client
        .put("/v1/key/import/b", json!({"bytes": key}))
        .await
        .empty();
    let sum = client
        .put("/v1/key/hmac/a", json!({"message": ""}))
        .await
        .json();
    let sum = STANDARD.decode(sum["hmac"].as_str().unwrap()).unwrap();
    assert_eq!(sum.len(), 32);
    client.get("/v1/ready").await.empty();
}

/// The stored form of a key among the published vectors.
fn stored(name: &str) -> String {
    let text = include_str!("../compat/vectors/stored_keys.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let mut vectors = file["vectors"].as_array().unwrap().iter();
    let vector = vectors.find(|vector| vector["name"] == name).unwrap();
    vector["raw_text"].as_str().unwrap().to_owned()
}
