//! The consoles: as text or JSON, changed by a reload; and what they say of readers that were too slow (api.md 10).

use serde_json::{Value, json};

use crate::support::{Cert, Payload, Server, Setup, Version};

fn setup(admin: &Cert, format: &str) -> Setup {
    Setup::new(admin).keys_in_files().with(&format!(
        "log: {{ audit: on, error: on, format: {format} }}"
    ))
}

/// Makes one line in each log.
async fn speak(server: &Server, admin: &Cert, name: &str) {
    let client = server.client(admin);
    std::fs::write(server.keys().join(name), "x").unwrap();
    let path = format!("/v1/key/describe/{name}");
    client.get(&path).await.error(502, "failed to read key");
}

#[tokio::test]
async fn console_lines_are_json_when_asked_for_and_change_with_a_reload() {
    let admin = Cert::client();
    let mut server = setup(&admin, "json").start().await;
    speak(&server, &admin, "first").await;
    let said = server.said(1, "/v1/key/describe/first").await;
    let complained = server.complained(1, "/v1/key/describe/first").await;
    let request = json!({
        "method": "GET", "path": "/v1/key/describe/first", "ip": "127.0.0.1", "identity": admin.identity
    });
    let audit: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&audit["level"], &audit["req"]), (&json!("INFO"), &request));
    assert_eq!(audit["msg"], "failed to read key");
    assert_eq!(audit["res"]["code"], 502);
    assert!(audit["res"]["time"].is_u64() && audit["time"].is_string());
    let error: Value = serde_json::from_str(&complained).unwrap();
    assert_eq!(
        (&error["level"], &error["req"]),
        (&json!("ERROR"), &request)
    );
    assert!(
        error["msg"]
            .as_str()
            .unwrap()
            .starts_with("failed to read key: ")
    );
    assert_eq!(error.get("res"), None);
    // Every line of the error log is JSON, those of the start included.
    for line in server.errors() {
        let line: Value = serde_json::from_str(&line).unwrap();
        assert!(
            line["time"].is_string() && line["msg"].is_string(),
            "{line}"
        );
    }
    server.reload(&setup(&admin, "text"));
    server.said(1, "Reloading configuration after SIGHUP").await;
    speak(&server, &admin, "second").await;
    let said = server.said(1, "/v1/key/describe/second").await;
    assert!(
        said.starts_with("time=") && said.contains(" res.code=502 "),
        "{said}"
    );
    let complained = server.complained(1, "/v1/key/describe/second").await;
    assert!(complained.starts_with("time="), "{complained}");
}

#[tokio::test]
async fn a_reader_that_does_not_keep_up_is_cut_off_and_named() {
    let admin = Cert::client();
    let mut server = Setup::new(&admin).start().await;
    let client = server.client(&admin);
    let mut reader = client.connect(Version::H1).await.unwrap();
    let path = "/v1/log/audit";
    let stream = reader.open("GET", path, &[], Payload::None).await.unwrap();
    // Requests whose events are large: more than the server keeps for a reader and what sockets take, which nobody reads.
    let mut speaker = client.connect(Version::H2).await.unwrap();
    let long = format!("/v1/key/describe/{}", "x".repeat(60_000));
    for _ in 0..700 {
        assert_eq!(speaker.send("GET", &long, Payload::None).await.status, 400);
    }
    drop((stream, reader));
    let line = server.complained(1, "was cut off").await;
    assert!(line.contains(" level=WARN "), "{line}");
    let request = format!(
        "req.method=GET req.path=/v1/log/audit req.ip=127.0.0.1 req.identity={}",
        admin.identity
    );
    assert!(line.ends_with(&request), "{line}");
}
