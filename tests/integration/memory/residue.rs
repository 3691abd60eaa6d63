//! Residue: what is left of keys, data keys and plaintexts after each step.

use std::{collections::BTreeSet, fs, os::unix::fs::chown, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20::{R20, hchacha};
use kes::crypto::Cipher;
use serde_json::{Value, json};

use super::{
    MEMLOCK, NOBODY, may_read_memory,
    needle::{Needles, hmac},
    scan::{self, Extent, Finding},
};
use crate::support::{
    Cert, Server, Setup, Version,
    client::{Connection, Payload},
};

/// How often the memory of a server is read until it is as it should be: a response may be here before its buffer is freed there.
const ATTEMPTS: usize = 20;
/// What lies between two readings.
const PAUSE: Duration = Duration::from_millis(25);

/// A key that the test knows.
struct Known {
    name: &'static str,
    chacha: bool,
    secret: [u8; 32],
    hmac: Option<[u8; 32]>,
}

/// A server, and all that must not be found in its memory.
struct Subject {
    server: Server,
    admin: Cert,
    version: Version,
    connection: Connection,
    needles: Needles,
    /// Whether the store is the server's own memory.
    in_memory: bool,
    extent: Extent,
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn decode(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn array(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap()
}

impl Known {
    fn new(name: &'static str, chacha: bool) -> Self {
        Self {
            name,
            chacha,
            secret: random(),
            hmac: Some(random()),
        }
    }

    fn one_time_key(&self, ciphertext: &[u8]) -> [u8; 32] {
        let iv = &ciphertext[ciphertext.len() - 28..ciphertext.len() - 12];
        if self.chacha {
            let iv: &[u8; 16] = iv.try_into().unwrap();
            hchacha::<R20>((&self.secret).into(), iv.into()).into()
        } else {
            hmac(&self.secret, iv)
        }
    }
}

impl Subject {
    async fn start(setup: Setup, admin: Cert, version: Version, in_memory: bool) -> Self {
        let server = setup.start().await;
        let connection = server.client(&admin).connect(version).await.unwrap();
        Self {
            server,
            admin,
            version,
            connection,
            needles: Needles::default(),
            in_memory,
            extent: Extent::Written,
        }
    }

    async fn put(&mut self, route: &str, key: &str, body: Value) -> Value {
        let path = format!("/v1/key/{route}/{key}");
        let reply = self.connection.send("PUT", &path, body).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        serde_json::from_slice(&reply.body).unwrap_or(Value::Null)
    }

    fn remember(&mut self, key: &Known) {
        let name = key.name;
        self.needles
            .key(&format!("secret of {name}"), &key.secret, self.in_memory);
        if let Some(hmac) = &key.hmac {
            self.needles
                .key(&format!("HMAC key of {name}"), hmac, self.in_memory);
        }
    }

    fn remember_one_time_key(&mut self, key: &Known, what: &str, ciphertext: &[u8]) {
        let one_time = key.one_time_key(ciphertext);
        let label = format!("one-time key of {what} with {}", key.name);
        if key.chacha {
            self.needles.chacha_key(&label, &one_time);
        } else {
            self.needles.aes_key(&label, &one_time);
        }
    }

    async fn import(&mut self, key: &Known) {
        self.remember(key);
        let cipher = if key.chacha { "ChaCha20" } else { "AES256" };
        let body =
            json!({"key": encode(key.secret), "cipher": cipher, "hmac": encode(key.hmac.unwrap())});
        self.put("import", key.name, body).await;
        self.check(&format!("import {}", key.name)).await;
    }

    /// A key that the server makes; its record tells.
    async fn create(&mut self, name: &'static str) -> Known {
        let path = format!("/v1/key/create/{name}");
        self.connection
            .send("PUT", &path, Payload::None)
            .await
            .empty();
        let (secret, hmac) = record(&self.server.keys().join(name));
        let chacha = Cipher::for_this_cpu() == Cipher::ChaCha20;
        let key = Known {
            name,
            chacha,
            secret,
            hmac: Some(hmac),
        };
        self.remember(&key);
        self.check(&format!("create {name}")).await;
        key
    }

    /// A key that is in the store already.
    fn plant(&mut self, key: &Known, owner: Option<u32>) {
        self.remember(key);
        write_record(&self.server.keys().join(key.name), key, owner);
    }

    /// Asks for a new cache, whose keys live for `life`.
    async fn reload(&mut self, life: &str) {
        let setup = setup(&self.admin, !self.in_memory, life);
        self.server.reload(&setup);
        self.server
            .said(
                1,
                "=> Reloading configuration after SIGHUP signal completed.",
            )
            .await;
    }

    /// Every route that uses a key.
    async fn use_key(&mut self, key: &Known) {
        let name = key.name;
        let reply = self
            .connection
            .send("GET", &format!("/v1/key/describe/{name}"), Payload::None)
            .await;
        assert_eq!(reply.status, 200, "{reply:?}");
        self.check(&format!("first read of {name}")).await;
        self.must_find(&format!("secret of {name}, raw (first half)"));

        let plaintext = random();
        let context = encode("context");
        self.needles
            .data(&format!("plaintext encrypted with {name}"), &plaintext);
        let answer = self
            .put(
                "encrypt",
                name,
                json!({"plaintext": encode(plaintext), "context": context}),
            )
            .await;
        let encrypted = decode(&answer["ciphertext"]);
        self.remember_one_time_key(key, "encrypt", &encrypted);
        self.check(&format!("encrypt with {name}")).await;

        let answer = self
            .put("generate", name, json!({"context": context}))
            .await;
        let generated = decode(&answer["ciphertext"]);
        let data_key = array(&decode(&answer["plaintext"]));
        self.needles.data(&format!("data key of {name}"), &data_key);
        self.remember_one_time_key(key, "generate", &generated);
        self.check(&format!("generate with {name}")).await;

        let entry = json!({"ciphertext": encode(&encrypted), "context": context});
        let answer = self.put("decrypt", name, entry.clone()).await;
        assert_eq!(decode(&answer["plaintext"]), plaintext);
        self.check(&format!("decrypt with {name}")).await;

        let other = json!({"ciphertext": encode(&generated), "context": context});
        let answer = self.put("bulk/decrypt", name, json!([entry, other])).await;
        assert_eq!(decode(&answer[1]["plaintext"]), data_key);
        self.check(&format!("bulk decrypt with {name}")).await;

        let Some(hmac_key) = &key.hmac else { return };
        let answer = self
            .put("hmac", name, json!({"message": encode("message")}))
            .await;
        let sum = array(&decode(&answer["hmac"]));
        assert_eq!(sum, hmac(hmac_key, b"message"));
        self.needles.data(&format!("HMAC by {name}"), &sum);
        self.check(&format!("hmac with {name}")).await;
    }

    /// Reads the server's memory; nothing may be where it must not be.
    ///
    /// The HTTP/2 library keeps its buffers, and in them the last bodies as they travelled, while the connection lives. So there the
    /// connection is closed, too, and then they must be gone.
    async fn check(&mut self, step: &str) {
        if self.version == Version::H2 {
            self.wait_until(step, |it| it.allowed() || it.in_transit())
                .await;
            self.reconnect().await;
        }
        self.wait_until(step, Finding::allowed).await;
    }

    /// The same of everything that can be read.
    async fn check_all(&mut self, step: &str) {
        self.extent = Extent::All;
        self.check(step).await;
        self.extent = Extent::Written;
    }

    async fn wait_until(&self, step: &str, allowed: impl Fn(&Finding) -> bool) {
        let mut findings = Vec::new();
        for _ in 0..ATTEMPTS {
            findings = self.scan();
            findings.retain(|finding| !allowed(finding));
            if findings.is_empty() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!(
            "after {step} over {:?}: {}",
            self.version,
            scan::describe(&findings)
        );
    }

    /// Ends the connection and makes another.
    async fn reconnect(&mut self) {
        let client = self.server.client(&self.admin);
        self.connection = client.connect(self.version).await.unwrap();
    }

    fn scan(&self) -> Vec<Finding> {
        scan::scan(self.server.process(), &self.needles, self.extent)
    }

    /// A scan that finds nothing proves something only if it finds what is there.
    fn must_find(&self, label: &str) {
        let findings = self.scan();
        assert!(
            findings.iter().any(|finding| finding.label == label),
            "{label} is not in memory"
        );
    }
}

/// `life` is how long keys are cached.
fn setup(admin: &Cert, fs: bool, life: &str) -> Setup {
    let cache = format!("cache: {{ expiry: {{ any: {life}, unused: {life} }} }}");
    let setup = Setup::new(admin).with(&cache);
    if fs { setup.keys_in_files() } else { setup }
}

/// Writes a record as it is written today (crypto.md 2.2), or as it was before (2.3) for a key without an HMAC key.
fn write_record(path: &Path, key: &Known, owner: Option<u32>) {
    let text = match &key.hmac {
        None => json!({"bytes": encode(key.secret), "algorithm": "AES256-GCM_SHA256"}).to_string(),
        Some(hmac) => {
            let kind = 1 + u8::from(key.chacha);
            let secret = [&[0x0a, 36, 0x0a, 32], &key.secret[..], &[0x10, kind]].concat();
            let hmac = [&[0x12, 36, 0x0a, 32], &hmac[..], &[0x10, 1]].concat();
            encode([secret, hmac].concat())
        }
    };
    fs::write(path, text).unwrap();
    chown(path, owner, owner).unwrap();
}

/// The keys of a record of today.
fn record(path: &Path) -> ([u8; 32], [u8; 32]) {
    let message = STANDARD.decode(fs::read(path).unwrap()).unwrap();
    assert_eq!(
        (&message[..4], &message[38..42]),
        (&b"\x0a\x24\x0a\x20"[..], &b"\x12\x24\x0a\x20"[..])
    );
    (array(&message[4..36]), array(&message[42..74]))
}

/// All steps with one server, and then its end.
async fn exercise(version: Version, fs: bool, user: Option<u32>) {
    if !may_read_memory() {
        return;
    }
    let admin = Cert::client();
    let mut setup = setup(&admin, fs, "10m");
    if let Some(user) = user {
        setup = setup.run_by(user, MEMLOCK);
    }
    let mut it = Subject::start(setup, admin, version, !fs).await;
    let aes = Known::new("imported", false);
    let chacha = Known::new("imported-chacha", true);
    for key in [&aes, &chacha] {
        it.import(key).await;
        it.use_key(key).await;
    }
    if fs {
        let created = it.create("created").await;
        it.use_key(&created).await;
        let planted = Known::new("planted", true);
        it.plant(&planted, user);
        it.use_key(&planted).await;
        let old = Known {
            hmac: None,
            ..Known::new("old", false)
        };
        it.plant(&old, user);
        it.use_key(&old).await;
    }
    // A new cache, whose keys are soon let go.
    it.reload("250ms").await;
    it.check_all("reload").await;
    let name = chacha.name;
    let path = format!("/v1/key/describe/{name}");
    assert_eq!(
        it.connection.send("GET", &path, Payload::None).await.status,
        200
    );
    if fs {
        it.needles.nowhere();
        it.check_all("the end of the cache").await;
    }
}

#[tokio::test]
async fn over_http1_nothing_is_left_of_keys_in_files() {
    exercise(Version::H1, true, None).await;
}

#[tokio::test]
async fn over_http2_nothing_is_left_of_keys_in_files() {
    exercise(Version::H2, true, None).await;
}

#[tokio::test]
async fn over_http1_nothing_is_left_of_keys_in_memory() {
    exercise(Version::H1, false, None).await;
}

#[tokio::test]
async fn over_http2_nothing_is_left_of_keys_in_memory_without_privileges() {
    exercise(Version::H2, false, Some(NOBODY)).await;
}

/// 3,000 keys in use by a server that may lock as much as systems commonly allow: all are locked, and let go again.
#[tokio::test]
async fn three_thousand_keys_are_locked_without_privileges() {
    const KEYS: usize = 3000;
    const CONNECTIONS: usize = 4;
    if !may_read_memory() {
        return;
    }
    let admin = Cert::client();
    let setup = setup(&admin, true, "10m").run_by(NOBODY, MEMLOCK);
    let mut it = Subject::start(setup, admin, Version::H1, false).await;
    for number in 0..KEYS {
        let key = Known::new("", number % 2 == 1);
        it.needles.one_of_many(&number.to_string(), &key.secret);
        write_record(
            &it.server.keys().join(format!("key-{number}")),
            &key,
            Some(NOBODY),
        );
    }
    let mut readers = tokio::task::JoinSet::new();
    for reader in 0..CONNECTIONS {
        let client = it.server.client(&it.admin);
        readers.spawn(async move {
            let mut connection = client.connect(Version::H1).await.unwrap();
            for number in (reader..KEYS).step_by(CONNECTIONS) {
                let path = format!("/v1/key/describe/key-{number}");
                let reply = connection.send("GET", &path, Payload::None).await;
                assert_eq!(reply.status, 200, "{reply:?}");
            }
        });
    }
    readers.join_all().await;
    it.wait_until("reading", Finding::allowed).await;
    let found: BTreeSet<String> = it.scan().into_iter().map(|finding| finding.label).collect();
    assert_eq!(found.len(), 2 * KEYS, "both halves of each secret");
    it.reload("250ms").await;
    it.needles.nowhere();
    it.check_all("the end of the cache").await;
}
