//! Keys in files, seen through the API: records that are broken, and files that go away (api.md D-20, D-24).

use std::fs;

use serde_json::{Value, json};

use crate::support::{Cert, Client, Payload, Server, Setup, Version};

async fn server() -> (Server, Client) {
    let admin = Cert::client();
    let server = Setup::new(&admin).keys_in_files().start().await;
    let client = server.client(&admin);
    (server, client)
}

/// The stored form of a key among the published vectors.
fn stored(name: &str) -> String {
    let file: Value =
        serde_json::from_str(include_str!("../compat/vectors/stored_keys.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let vector = vectors
        .iter()
        .find(|vector| vector["name"] == name)
        .unwrap();
    vector["raw_text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_broken_record_is_the_servers_fault_and_costs_one_request() {
    let (server, client) = server().await;
    // Protobuf without the secret, JSON without one, half a record, nothing, no record at all.
    let whole = stored("protobuf, AES256");
    for (name, record) in [
        ("secretless", "GgYIgOLPqgY="),
        ("json", "{\"bytes\":\"\"}"),
        ("half", &whole[..40]),
        ("empty", ""),
        ("rubbish", "\u{0}\u{1}"),
    ] {
        fs::write(server.keys().join(name), record).unwrap();
        for version in Version::ALL {
            let mut connection = client.connect(version).await.unwrap();
            let path = format!("/v1/key/generate/{name}");
            let reply = connection.send("PUT", &path, Payload::None).await;
            reply.error(502, "failed to read key");
            let describe = format!("/v1/key/describe/{name}");
            let reply = connection.send("GET", &describe, Payload::None).await;
            reply.error(502, "failed to read key");
        }
    }
    // A failure is not remembered.
    fs::write(server.keys().join("half"), whole).unwrap();
    client
        .put("/v1/key/generate/half", Payload::None)
        .await
        .json();
}

#[tokio::test]
async fn a_key_without_hmac_key_does_everything_else() {
    let (server, client) = server().await;
    let record = stored("protobuf, no HMAC key field");
    fs::write(server.keys().join("a"), record).unwrap();
    client
        .put("/v1/key/hmac/a", "{}")
        .await
        .error(409, "key does not support HMAC");
    let key = client.put("/v1/key/generate/a", "{}").await.json();
    let opened = client
        .put(
            "/v1/key/decrypt/a",
            json!({"ciphertext": key["ciphertext"]}),
        )
        .await;
    assert_eq!(opened.json()["plaintext"], key["plaintext"]);
    let info = client.get("/v1/key/describe/a").await;
    assert_eq!(
        info.text(),
        "{\"name\":\"a\",\"algorithm\":\"AES256\",\"created_at\":\"2023-11-14T22:13:20Z\",\
         \"created_by\":\"3ecfcdf38fcbe141ae26a1030f81e96b753365a46760ae6b578698a97c59fd22\"}\n"
    );
}

#[tokio::test]
async fn a_key_without_creator_is_described_without_one() {
    let (server, client) = server().await;
    let record =
        stored("protobuf, empty creator (predefined key of a server without admin access)");
    fs::write(server.keys().join("a"), record).unwrap();
    let info = client.get("/v1/key/describe/a").await;
    assert_eq!(
        info.text(),
        "{\"name\":\"a\",\"algorithm\":\"AES256\",\"created_at\":\"2023-11-14T22:13:20Z\"}\n"
    );
}

#[tokio::test]
async fn a_key_that_went_away_is_cached_until_a_delete_finds_it_missing() {
    let (server, client) = server().await;
    client.put("/v1/key/create/a", Payload::None).await.empty();
    client.put("/v1/key/generate/a", Payload::None).await.json();
    fs::remove_file(server.keys().join("a")).unwrap();
    // Within its five minutes, the cache answers.
    client.put("/v1/key/generate/a", Payload::None).await.json();
    let delete = client
        .send(Version::H1, "DELETE", "/v1/key/delete/a", Payload::None)
        .await;
    delete.error(404, "key does not exist");
    client
        .put("/v1/key/generate/a", Payload::None)
        .await
        .error(404, "key does not exist");
}

#[tokio::test]
async fn many_who_delete_and_use_one_key_never_bring_it_back() {
    let (_server, client) = server().await;
    for round in 0..20 {
        let name = format!("k{round}");
        client
            .put(&format!("/v1/key/create/{name}"), Payload::None)
            .await
            .empty();
        let users: Vec<_> = (0..4)
            .map(|_| {
                let (client, path) = (client.clone(), format!("/v1/key/generate/{name}"));
                tokio::spawn(async move {
                    client
                        .send(Version::H2, "PUT", &path, Payload::None)
                        .await
                        .status
                })
            })
            .collect();
        let path = format!("/v1/key/delete/{name}");
        client
            .send(Version::H2, "DELETE", &path, Payload::None)
            .await
            .empty();
        for user in users {
            let status = user.await.unwrap();
            assert!([200, 404].contains(&status), "{status}");
        }
        let after = client
            .put(&format!("/v1/key/generate/{name}"), Payload::None)
            .await;
        after.error(404, "key does not exist");
    }
}

#[tokio::test]
async fn one_of_many_creates_wins() {
    let (_server, client) = server().await;
    let creators: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.put("/v1/key/create/a", Payload::None).await })
        })
        .collect();
    let mut created = 0;
    for creator in creators {
        let reply = creator.await.unwrap();
        if reply.status == 200 {
            created += 1;
        } else {
            reply.error(400, "key already exists");
        }
    }
    assert_eq!(created, 1);
}

#[tokio::test]
async fn predefined_keys_are_there_from_the_start_in_the_admins_name() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin)
        .keys_in_files()
        .with("keys:\n  - name: first\n  - name: second")
        .start()
        .await;
    let client = server.client(&admin);
    assert_eq!(
        client.get("/v1/key/list").await.json(),
        json!({"names": ["first", "second"]})
    );
    let info = client.get("/v1/key/describe/first").await.json();
    assert_eq!(info["created_by"], admin.identity);
    let key = client
        .put("/v1/key/generate/first", Payload::None)
        .await
        .json();
    let again = Setup::new(&admin)
        .keys_in_files()
        .with("keys:\n  - name: first\n  - name: third");
    server.reload(&again);
    server
        .said(
            1,
            "=> Reloading configuration after SIGHUP signal completed.",
        )
        .await;
    assert_eq!(
        client.get("/v1/key/list").await.json(),
        json!({"names": ["first", "second", "third"]})
    );
    let opened = client
        .put(
            "/v1/key/decrypt/first",
            json!({"ciphertext": key["ciphertext"]}),
        )
        .await;
    assert_eq!(opened.json()["plaintext"], key["plaintext"]);
}
