//! Keys: what each route of `/v1/key/` answers, to the byte (api.md 7.6 to 7.14).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::{Cert, Client, Payload, Reply, Server, Setup, Version};

const NOT_THERE: (u16, &str) = (404, "key does not exist");
const NOT_AUTHENTIC: (u16, &str) = (400, "decryption failed: ciphertext is not authentic");
const LOST: (u16, &str) = (503, "request body was lost, send the request again");
const MALFORMED: (u16, &str) = (400, "invalid request body");
const BAD_NAME: (u16, &str) = (
    400,
    "key name 'a.b' is empty, too long or contains invalid characters",
);

/// A server with keys in memory and its admin.
async fn server() -> (Server, Client, Cert) {
    let admin = Cert::client();
    let server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    (server, client, admin)
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn is(reply: &Reply, (status, message): (u16, &str)) {
    reply.error(status, message);
}

#[tokio::test]
async fn a_key_is_created_once_and_described() {
    let (_server, client, admin) = server().await;
    for version in Version::ALL {
        let name = format!("key_{version:?}");
        let create = format!("/v1/key/create/{name}");
        let describe = format!("/v1/key/describe/{name}");
        is(
            &client.send(version, "GET", &describe, Payload::None).await,
            NOT_THERE,
        );
        client
            .send(version, "PUT", &create, Payload::None)
            .await
            .empty();
        is(
            &client.send(version, "PUT", &create, Payload::None).await,
            (400, "key already exists"),
        );
        let info = client.send(version, "GET", &describe, Payload::None).await;
        let json = info.json();
        let (algorithm, at) = (&json["algorithm"], json["created_at"].as_str().unwrap());
        assert!(["AES256", "ChaCha20"].contains(&algorithm.as_str().unwrap()));
        assert!(at.ends_with('Z') && at.starts_with("20"), "{at}");
        let text = format!(
            "{{\"name\":\"{name}\",\"algorithm\":{algorithm},\"created_at\":\"{at}\",\"created_by\":\"{}\"}}\n",
            admin.identity
        );
        assert_eq!(info.text(), text);
        assert_eq!(info.header("content-length"), text.len().to_string());
    }
}

#[tokio::test]
async fn a_body_on_a_route_without_one_is_not_looked_at() {
    let (_server, client, _) = server().await;
    let body = json!({"key": base64([7; 32]), "cipher": "ChaCha20"});
    client.put("/v1/key/create/a", body).await.empty();
    client.put("/v1/key/create/b", "not json").await.empty();
    let names = client
        .send(Version::H1, "GET", "/v1/key/list/", "rubbish")
        .await;
    assert_eq!(names.json(), json!({"names": ["a", "b"]}));
}

#[tokio::test]
async fn a_deleted_key_is_gone_at_once() {
    let (_server, client, _) = server().await;
    client.put("/v1/key/create/a", Payload::None).await.empty();
    // Into the cache.
    client.put("/v1/key/generate/a", Payload::None).await.json();
    let delete = "/v1/key/delete/a";
    let gone = client
        .send(Version::H2, "DELETE", delete, Payload::None)
        .await;
    gone.empty();
    for request in ["generate", "encrypt", "decrypt", "hmac"] {
        is(
            &client.put(&format!("/v1/key/{request}/a"), "{}").await,
            NOT_THERE,
        );
    }
    is(&client.get("/v1/key/describe/a").await, NOT_THERE);
    is(
        &client
            .send(Version::H1, "DELETE", delete, Payload::None)
            .await,
        NOT_THERE,
    );
    client.put("/v1/key/create/a", Payload::None).await.empty();
}

#[tokio::test]
async fn imports_answer_by_their_form() {
    let (_server, client, _) = server().await;
    let key = base64([7; 32]);
    let short = base64([7; 31]);
    let unsupported = |cipher: &str| format!("algorithm '{cipher}' is not supported");
    let size = |cipher: &str| format!("invalid key size for '{cipher}'");
    let cases: [(Value, u16, String); 21] = [
        (
            json!({"key": key, "cipher": "AES256"}),
            200,
            "AES256".into(),
        ),
        (
            json!({"key": key, "cipher": "AES256-GCM_SHA256"}),
            200,
            "AES256".into(),
        ),
        (
            json!({"key": key, "cipher": "ChaCha20"}),
            200,
            "ChaCha20".into(),
        ),
        (
            json!({"key": key, "cipher": "XCHACHA20-POLY1305"}),
            200,
            "ChaCha20".into(),
        ),
        (json!({"bytes": key}), 200, "AES256".into()),
        (
            json!({"bytes": key, "algorithm": "XCHACHA20-POLY1305"}),
            200,
            "ChaCha20".into(),
        ),
        (
            json!({"bytes": key, "algorithm": "AES256-GCM_SHA256"}),
            200,
            "AES256".into(),
        ),
        (
            json!({"key": key, "cipher": "AES256", "hmac": base64([9; 32])}),
            200,
            "AES256".into(),
        ),
        (
            json!({"KEY": key, "Cipher": "ChaCha20", "x": [1]}),
            200,
            "ChaCha20".into(),
        ),
        (
            json!({"key": vec![7; 32], "cipher": "AES256"}),
            200,
            "AES256".into(),
        ),
        (json!({}), 406, unsupported("")),
        (json!(null), 406, unsupported("")),
        (json!({"key": key}), 406, unsupported("")),
        (
            json!({"key": key, "cipher": "aes256"}),
            406,
            unsupported("aes256"),
        ),
        (json!({"key": short, "cipher": "x"}), 406, unsupported("x")),
        (
            json!({"key": short, "cipher": "AES256"}),
            406,
            size("AES256"),
        ),
        (json!({"cipher": "ChaCha20"}), 406, size("ChaCha20")),
        (json!({"bytes": short}), 406, size("AES256")),
        (
            json!({"bytes": key, "algorithm": "x"}),
            406,
            unsupported("x"),
        ),
        (json!([]), 400, "invalid import key request body".into()),
        (
            json!({"key": 1}),
            400,
            "invalid import key request body".into(),
        ),
    ];
    for (i, (body, status, expected)) in cases.into_iter().enumerate() {
        let reply = client
            .put(&format!("/v1/key/import/k{i}"), body.clone())
            .await;
        if status == 200 {
            reply.empty();
            let info = client.get(&format!("/v1/key/describe/k{i}")).await.json();
            assert_eq!(info["algorithm"], expected, "{body}");
        } else {
            reply.error(status, &expected);
        }
    }
}

#[tokio::test]
async fn an_import_is_judged_by_name_then_body_then_values_then_store() {
    let (_server, client, _) = server().await;
    let key = base64([7; 32]);
    client.put("/v1/key/create/k0", Payload::None).await.empty();
    let import = "/v1/key/import/a.b";
    is(&client.put(import, "rubbish").await, BAD_NAME);
    is(
        &client.put("/v1/key/import/k0", "{}").await,
        (406, "algorithm '' is not supported"),
    );
    let again = json!({"key": key, "cipher": "AES256"});
    is(
        &client.put("/v1/key/import/k0", again).await,
        (400, "key already exists"),
    );
    is(
        &client.put("/v1/key/import/n", Payload::None).await,
        (400, "invalid import key request body"),
    );
}

#[tokio::test]
async fn imported_keys_mean_the_same_everywhere() {
    let (_server, client, _) = server().await;
    let body = json!({"key": base64([7; 32]), "cipher": "AES256", "hmac": base64([9; 32])});
    for name in ["a", "b"] {
        client
            .put(&format!("/v1/key/import/{name}"), body.clone())
            .await
            .empty();
    }
    let plaintext = json!({"plaintext": base64("text"), "context": base64("here")});
    let sealed = client.put("/v1/key/encrypt/a", plaintext).await.json();
    let other = json!({"ciphertext": sealed["ciphertext"], "context": base64("here")});
    assert_eq!(
        client.put("/v1/key/decrypt/b", other).await.json(),
        json!({"plaintext": base64("text")})
    );
    // HMAC-SHA256 with the imported HMAC key, by another implementation.
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[9; 32]);
    let sum = base64(aws_lc_rs::hmac::sign(&key, b"message"));
    let hmac = client
        .put("/v1/key/hmac/a", json!({"message": base64("message")}))
        .await;
    assert_eq!(hmac.json(), json!({"hmac": sum}));
    assert_eq!(hmac.text(), format!("{{\"hmac\":\"{sum}\"}}\n"));
}

#[tokio::test]
async fn what_is_encrypted_decrypts_under_the_same_context_only() {
    let (_server, client, _) = server().await;
    client.put("/v1/key/create/a", Payload::None).await.empty();
    client.put("/v1/key/create/b", Payload::None).await.empty();
    for (plaintext, context) in [("", ""), ("", "c"), ("p", ""), ("plain text", "context")] {
        let request =
            json!({"plaintext": base64(plaintext), "context": base64(context), "version": "v1"});
        let reply = client.put("/v1/key/encrypt/a", request).await;
        let sealed = reply.json();
        assert_eq!(
            reply.text(),
            format!("{{\"ciphertext\":{}}}\n", sealed["ciphertext"])
        );
        assert_eq!(bytes(&sealed["ciphertext"]).len(), plaintext.len() + 44);
        let right =
            json!({"ciphertext": sealed["ciphertext"], "context": base64(context), "version": ""});
        let reply = client.put("/v1/key/decrypt/a", right.clone()).await;
        assert_eq!(
            reply.text(),
            format!("{{\"plaintext\":\"{}\"}}\n", base64(plaintext))
        );
        is(&client.put("/v1/key/decrypt/b", right).await, NOT_AUTHENTIC);
        let wrong = json!({"ciphertext": sealed["ciphertext"], "context": base64("other")});
        is(&client.put("/v1/key/decrypt/a", wrong).await, NOT_AUTHENTIC);
    }
    is(&client.put("/v1/key/decrypt/a", "{}").await, NOT_AUTHENTIC);
    let rubbish = json!({"ciphertext": base64([0; 100])});
    is(
        &client.put("/v1/key/decrypt/a", rubbish).await,
        NOT_AUTHENTIC,
    );
}

#[tokio::test]
async fn a_data_key_comes_in_plain_and_encrypted() {
    let (_server, client, _) = server().await;
    client.put("/v1/key/create/a", Payload::None).await.empty();
    let mut seen = Vec::new();
    for (body, context) in [
        (Payload::None, ""),
        ("{}".into(), ""),
        ("null".into(), ""),
        (json!({"context": base64("c")}).into(), "c"),
        (json!({"CONTEXT": base64("c")}).into(), "c"),
        (json!({"context": base64("c"), "version": null}).into(), "c"),
    ] {
        let reply = client.put("/v1/key/generate/a", body).await;
        let key = reply.json();
        let text = format!(
            "{{\"plaintext\":{},\"ciphertext\":{}}}\n",
            key["plaintext"], key["ciphertext"]
        );
        assert_eq!(reply.text(), text);
        assert_eq!(
            (
                bytes(&key["plaintext"]).len(),
                bytes(&key["ciphertext"]).len()
            ),
            (32, 76)
        );
        let request = json!({"ciphertext": key["ciphertext"], "context": base64(context)});
        let opened = client.put("/v1/key/decrypt/a", request).await.json();
        assert_eq!(opened["plaintext"], key["plaintext"]);
        assert!(!seen.contains(&key["plaintext"]), "the same key twice");
        seen.push(key["plaintext"].clone());
    }
}

#[tokio::test]
async fn a_body_that_was_lost_gives_no_data_key() {
    let (_server, client, _) = server().await;
    client.put("/v1/key/create/a", Payload::None).await.empty();
    for version in Version::ALL {
        let generate = async |payload| {
            client
                .send(version, "POST", "/v1/key/generate/a", payload)
                .await
        };
        generate(Payload::None).await.json();
        generate(Payload::Sized(Bytes::new())).await.json();
        // Clients repeat what gets this status, and then in full.
        is(&generate(Payload::Chunked(Vec::new())).await, LOST);
        is(
            &generate(Payload::Chunked(vec![Bytes::from(" \n")])).await,
            MALFORMED,
        );
        is(&generate(" ".into()).await, MALFORMED);
        let pieces = vec![Bytes::from("{\"con"), Bytes::from("text\":\"\"}")];
        generate(Payload::Chunked(pieces)).await.json();
    }
}

#[tokio::test]
async fn malformed_bodies_are_refused_and_odd_ones_read() {
    let (_server, client, _) = server().await;
    client.put("/v1/key/create/a", Payload::None).await.empty();
    for body in [
        "",
        "{",
        "{\"message\":",
        "[]",
        "\"x\"",
        "1",
        "true",
        "\u{feff}{}",
        "{\"message\":1}",
        "{\"message\":\"AA\"}",
        "{\"message\":\"-_8=\"}",
        "{\"message\":\"A A=\"}",
        "{\"message\":[256]}",
        "{\"version\":1}",
        "{'message':''}",
    ] {
        is(&client.put("/v1/key/hmac/a", body).await, MALFORMED);
    }
    let hmac = async |body: &str| client.put("/v1/key/hmac/a", body).await.json();
    let empty = hmac("{}").await;
    for body in [
        "null",
        " \t\r\n{}",
        "{}rubbish",
        "{} {",
        "{\"message\":null}",
        "{\"message\":\"\"}",
        "{\"message\":[]}",
        "{\"message\":\"AA==\",\"message\":null}",
        "{\"other\":{\"deep\":[[[]]]}}",
        "{\"version\":\"v2\"}",
    ] {
        assert_eq!(hmac(body).await, empty, "{body}");
    }
    let zero = hmac("{\"message\":\"AA==\"}").await;
    for body in [
        "{\"message\":\"A\\nA=\\r=\"}",
        "{\"message\":\"AB==\"}",
        "{\"message\":[0]}",
        "{\"MESSAGE\":\"AA==\"}",
        "{\"me\u{17f}\u{17f}age\":\"AA==\"}",
        "{\"message\":\"zz==\",\"message\":\"AA==\"}",
    ] {
        assert_eq!(hmac(body).await, zero, "{body}");
    }
}

#[tokio::test]
async fn checks_come_in_their_order() {
    let admin = Cert::client();
    let denied = Cert::client();
    let server = Setup::new(&admin)
        .policy("p", &["/v1/key/describe/*"], &[], &[&denied])
        .start()
        .await;
    let client = server.client(&admin);
    for route in ["encrypt", "generate", "decrypt", "hmac"] {
        is(
            &client.put(&format!("/v1/key/{route}/a.b"), "rubbish").await,
            BAD_NAME,
        );
        is(
            &client
                .put(&format!("/v1/key/{route}/absent"), "rubbish")
                .await,
            MALFORMED,
        );
        is(
            &client.put(&format!("/v1/key/{route}/absent"), "{}").await,
            NOT_THERE,
        );
    }
    let bulk = "/v1/key/bulk/decrypt";
    is(
        &client.put(&format!("{bulk}/a.b"), "rubbish").await,
        BAD_NAME,
    );
    is(
        &client.put(&format!("{bulk}/absent"), "rubbish").await,
        NOT_THERE,
    );
    let client = server.client(&denied);
    for path in [
        "/v1/key/encrypt/a.b",
        "/v1/key/hmac/absent",
        "/v1/key/create/",
        "/v1/key/import/%20",
    ] {
        is(
            &client.put(path, "rubbish").await,
            (403, "not authorized: insufficient permissions"),
        );
        let wrong = client.send(Version::H1, "PATCH", path, Payload::None).await;
        wrong.error(405, "received method 'PATCH' expected 'PUT'");
    }
}

#[tokio::test]
async fn bulk_decryption_is_all_or_nothing() {
    let (_server, client, _) = server().await;
    client.put("/v1/key/create/a", Payload::None).await.empty();
    let seal = async |text: String, context: &str| {
        let body = json!({"plaintext": base64(text), "context": base64(context)});
        client.put("/v1/key/encrypt/a", body).await.json()["ciphertext"].clone()
    };
    let bulk = async |body: &Value| {
        client
            .send(Version::H2, "POST", "/v1/key/bulk/decrypt/a", body.clone())
            .await
    };
    let mut entries = vec![
        json!({"ciphertext": seal("one".into(), "").await}),
        json!({"ciphertext": seal("two".into(), "c").await, "context": base64("c")}),
        json!({"ciphertext": seal(String::new(), "").await, "context": null}),
    ];
    let reply = bulk(&json!(entries)).await;
    let plain = |text: &str| json!({"plaintext": base64(text)});
    assert_eq!(reply.json(), json!([plain("one"), plain("two"), plain("")]));
    let empty = bulk(&json!([])).await;
    assert_eq!((empty.status, empty.text()), (200, "[]\n"));

    for body in [
        json!({}),
        json!("x"),
        json!([1]),
        json!([{"ciphertext": 1}]),
    ] {
        is(&bulk(&body).await, MALFORMED);
    }
    is(
        &client.put("/v1/key/bulk/decrypt/a", Payload::None).await,
        MALFORMED,
    );
    let sealed = entries[0].clone();
    entries.push(json!({"ciphertext": sealed["ciphertext"], "context": base64("wrong")}));
    is(&bulk(&json!(entries)).await, NOT_AUTHENTIC);

    let thousand = vec![sealed.clone(); 1000];
    let reply = bulk(&json!(thousand)).await.json();
    assert_eq!(reply, json!(vec![plain("one"); 1000]));
    is(
        &bulk(&json!(vec![sealed; 1001])).await,
        (400, "too many ciphertexts"),
    );
}

#[tokio::test]
async fn the_largest_plaintext_that_encrypts_also_decrypts() {
    let (_server, client, _) = server().await;
    client.put("/v1/key/create/a", Payload::None).await.empty();
    // {"plaintext":""} takes 16 bytes; base64 takes 4 for 3.
    let length = (1_000_000 - 16) / 4 * 3;
    let plaintext = base64(vec![0x5a; length]);
    for version in Version::ALL {
        let body = json!({"plaintext": plaintext});
        assert_eq!(body.to_string().len(), 1_000_000);
        let sealed = client
            .send(version, "PUT", "/v1/key/encrypt/a", body)
            .await
            .json();
        let opened = client
            .send(version, "PUT", "/v1/key/decrypt/a", sealed)
            .await;
        assert_eq!(opened.json()["plaintext"], plaintext);
    }
    // Half of it context, which decryption has to be sent again.
    let context = base64(vec![1; 300_000]);
    let plaintext = base64(vec![2; 449_000]);
    let body = json!({"plaintext": plaintext, "context": context});
    let sealed = client.put("/v1/key/encrypt/a", body).await.json();
    let body = json!({"ciphertext": sealed["ciphertext"], "context": context});
    let opened = client.put("/v1/key/decrypt/a", body).await;
    assert_eq!(opened.json()["plaintext"], plaintext);
}
