//! Listings: prefixes, stars, and where a listing continues (api.md 4, 8).

use std::fs;

use serde_json::{Value, json};

use crate::support::{Cert, Client, Payload, Setup, Version};

/// Most bytes that clients read of a response.
const CLIENT_LIMIT: usize = 1 << 20;

fn names(value: &Value) -> Vec<String> {
    serde_json::from_value(value["names"].clone()).unwrap()
}

/// Puts keys into the folder of a server that keeps keys in files, past the server.
fn plant(folder: &std::path::Path, names: impl IntoIterator<Item = String>) {
    for name in names {
        fs::write(folder.join(name), "{}").unwrap();
    }
}

async fn list(client: &Client, pattern: &str) -> Value {
    client.get(&format!("/v1/key/list/{pattern}")).await.json()
}

#[tokio::test]
async fn names_are_listed_by_prefix_in_ascending_order() {
    let admin = Cert::client();
    let server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    let empty = client.get("/v1/key/list").await;
    assert_eq!((empty.status, empty.text()), (200, "{\"names\":[]}\n"));
    let mut all = ["my-key", "my-", "my", "mz", "a", "Z", "_x", "my_key", "0"].to_vec();
    all.retain(|name| !name.ends_with('-'));
    for name in &all {
        client
            .put(&format!("/v1/key/create/{name}"), Payload::None)
            .await
            .empty();
    }
    all.sort_unstable();
    for pattern in ["", "*", "%2A"] {
        assert_eq!(
            list(&client, pattern).await,
            json!({"names": all}),
            "{pattern}"
        );
    }
    for (pattern, found) in [
        ("my", vec!["my", "my-key", "my_key"]),
        ("my*", vec!["my", "my-key", "my_key"]),
        ("my-", vec!["my-key"]),
        ("my-*", vec!["my-key"]),
        ("my-key", vec!["my-key"]),
        ("nothing", vec![]),
        ("_x", vec!["_x"]),
    ] {
        assert_eq!(
            list(&client, pattern).await,
            json!({"names": found}),
            "{pattern}"
        );
    }
    for pattern in [
        "-",
        "-a",
        "_",
        "a.b",
        "**",
        "a**",
        "*a*",
        "a*b*",
        "%20",
        &"a".repeat(81),
    ] {
        let reply = client.get(&format!("/v1/key/list/{pattern}")).await;
        let pattern = pattern.replace("%20", " ");
        reply.error(
            400,
            &format!("listing pattern '{pattern}' is empty, too long or is invalid"),
        );
    }
}

#[tokio::test]
async fn three_thousand_names_come_at_once() {
    let admin = Cert::client();
    let server = Setup::new(&admin).keys_in_files().start().await;
    let client = server.client(&admin);
    let all: Vec<String> = (0..3000).map(|i| format!("key-{i:05}")).collect();
    plant(&server.keys(), all.iter().cloned());
    for version in Version::ALL {
        let reply = client
            .send(version, "GET", "/v1/key/list", Payload::None)
            .await;
        assert_eq!(reply.json(), json!({"names": all}));
    }
    let some = list(&client, "key-02*").await;
    assert_eq!(some, json!({"names": all[2000..3000]}));
}

#[tokio::test]
async fn a_listing_that_is_too_long_continues_without_gaps_or_repetitions() {
    let admin = Cert::client();
    let reader = Cert::client();
    let server = Setup::new(&admin)
        .keys_in_files()
        .policy("reader", &["/v1/key/list/p*"], &[], &[&reader])
        .start()
        .await;
    let prefix = format!("p{}", "x".repeat(74));
    let mut all: Vec<String> = (0..13_000).map(|i| format!("{prefix}{i:05}")).collect();
    assert_eq!(all[0].len(), 80);
    plant(&server.keys(), all.iter().cloned());
    plant(&server.keys(), ["a".to_owned(), "z".to_owned()]);
    // A policy for the prefix covers the continuation as well.
    for (client, first, extra) in [
        (server.client(&reader), "p", &[][..]),
        (server.client(&reader), "p*", &[][..]),
        (server.client(&admin), "", &["a", "z"][..]),
    ] {
        all.retain(|name| name.len() == 80);
        all.extend(extra.iter().map(ToString::to_string));
        all.sort_unstable();
        let mut found = Vec::new();
        let mut pattern = first.to_owned();
        let mut pages = 0;
        loop {
            let path = format!("/v1/key/list/{}", pattern.replace('*', "%2A"));
            let reply = client.get(&path).await;
            assert!(
                reply.body.len() < CLIENT_LIMIT,
                "{} bytes",
                reply.body.len()
            );
            let page = reply.json();
            found.extend(names(&page));
            pages += 1;
            let Some(next) = page["continue_at"].as_str() else {
                assert!(page.get("continue_at").is_none(), "an empty continue_at");
                break;
            };
            assert!(
                reply.body.len() > 900_000,
                "a short page of {} bytes",
                reply.body.len()
            );
            let (before, name) = next.split_once('*').unwrap();
            assert_eq!(before, first.trim_end_matches('*'));
            assert!(all.iter().any(|it| it == name), "{name}");
            next.clone_into(&mut pattern);
        }
        assert_eq!(pages, 2);
        assert!(found == all, "{} names of {}", found.len(), all.len());
    }
}

#[tokio::test]
async fn a_continuation_can_start_at_a_name_that_is_gone() {
    let admin = Cert::client();
    let server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    for name in ["a1", "a2", "a4", "b1"] {
        client
            .put(&format!("/v1/key/create/{name}"), Payload::None)
            .await
            .empty();
    }
    assert_eq!(list(&client, "a*a3").await, json!({"names": ["a4"]}));
    assert_eq!(list(&client, "a*a2").await, json!({"names": ["a2", "a4"]}));
    assert_eq!(list(&client, "*a4").await, json!({"names": ["a4", "b1"]}));
    assert_eq!(list(&client, "a*b").await, json!({"names": []}));
}
