//! Defects 1 to 6, 38, 41 and 42 of keystores.md 12: those of the stores we have, and of all stores.

use std::{
    fmt, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use kes::{
    clock::Clock,
    keyring::{Expiry, Keyring, Kind},
    keystore::{self, Error, Keystore, Page, Settings},
    name::{KeyName, ListPattern},
    secret::Secret,
};
use tokio::runtime::Handle;

use super::server;
use crate::support::{Payload, Version};

async fn open(settings: &Settings) -> Arc<dyn Keystore> {
    keystore::open(settings)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
        .store
}

fn in_files(path: &Path) -> Settings {
    Settings::Fs(keystore::fs::Settings {
        path: path.to_owned(),
    })
}

/// Each store that there is, empty.
async fn stores(folder: &Path) -> [Arc<dyn Keystore>; 2] {
    [open(&Settings::Mem).await, open(&in_files(folder)).await]
}

fn name(text: &str) -> KeyName {
    KeyName::parse(text).unwrap()
}

fn value() -> Secret {
    Secret::copy_from(b"a value")
}

fn texts(page: &Page) -> Vec<&str> {
    page.names.iter().map(KeyName::as_str).collect()
}

#[tokio::test]
async fn k01_a_listing_in_pages_loses_no_name() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        let names: Vec<String> = (0..1500).map(|n| format!("k{n:04}")).collect();
        for text in names.iter().map(String::as_str).chain(["a", "z"]) {
            store.create(&name(text), &value()).await.unwrap();
        }
        let all = store.list("k", None, usize::MAX).await.unwrap();
        assert_eq!((texts(&all).len(), all.next), (1500, None));
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = store.list("k", from.as_deref(), 400).await.unwrap();
            found.extend(texts(&page).iter().map(ToString::to_string));
            let Some(next) = page.next else { break };
            from = Some(next.to_string());
        }
        assert_eq!(found, names, "{store}");
    }
}

#[tokio::test]
async fn k02_a_page_with_a_prefix_is_no_longer_than_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        for text in ["a", "k1", "k2", "k3", "k4", "z"] {
            store.create(&name(text), &value()).await.unwrap();
        }
        for (limit, names, next) in [
            (1, vec!["k1"], Some("k2")),
            (2, vec!["k1", "k2"], Some("k3")),
            (3, vec!["k1", "k2", "k3"], Some("k4")),
            (4, vec!["k1", "k2", "k3", "k4"], None),
        ] {
            let page = store.list("k", None, limit).await.unwrap();
            assert_eq!(texts(&page), names, "{store}");
            assert_eq!(page.next.as_ref().map(KeyName::as_str), next, "{store}");
        }
    }
}

#[tokio::test]
async fn k03_a_listing_shows_keys_and_nothing_else() {
    let (server, client, _) = server().await;
    let keys = server.keys();
    for file in [
        "key",
        ".hidden",
        ".kes-new-0",
        "a b",
        "a.b",
        "a~",
        "\u{e9}",
        &"x".repeat(81),
    ] {
        fs::write(keys.join(file), "x").unwrap();
    }
    fs::create_dir(keys.join("folder")).unwrap();
    symlink(keys.join("key"), keys.join("link")).unwrap();
    let list = client.get("/v1/key/list/").await;
    assert_eq!(list.text(), "{\"names\":[\"key\"]}\n");
}

#[tokio::test]
async fn k04_a_key_is_there_completely_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let [writer, reader] = [
        open(&in_files(folder.path())).await,
        open(&in_files(folder.path())).await,
    ];
    for round in 0..50 {
        let key = name(&format!("k{round}"));
        let create = {
            let (writer, key) = (writer.clone(), key.clone());
            tokio::spawn(async move { writer.create(&key, &value()).await })
        };
        // As another process would: nothing, and then the whole value.
        loop {
            match reader.get(&key).await {
                Ok(found) => {
                    assert!(found.expose() == b"a value");
                    break;
                }
                Err(error) => assert!(matches!(error, Error::NotFound), "{error}"),
            }
        }
        create.await.unwrap().unwrap();
    }
    // What a crash of the predecessor left is told by name and never taken for a key; what a crash of ours leaves blocks no name.
    fs::write(folder.path().join("crashed"), "").unwrap();
    fs::write(folder.path().join(format!(".kes-new-{:032x}", 7)), "a va").unwrap();
    let Err(error) = reader.get(&name("crashed")).await else {
        panic!("an empty file is a key");
    };
    assert!(error.to_string().contains("'crashed'") && error.to_string().contains("is empty"));
    reader.delete(&name("crashed")).await.unwrap();
    reader.create(&name("crashed"), &value()).await.unwrap();
}

#[tokio::test]
async fn k05_the_folder_of_keys_is_its_owners() {
    let (server, client, _) = server().await;
    client.put("/v1/key/create/a", Payload::None).await.empty();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.keys()), 0o700);
    assert_eq!(mode(&server.keys().join("a")), 0o600);
}

#[tokio::test]
async fn k06_what_cannot_be_a_key_is_not_read() {
    let (server, client, _) = server().await;
    client
        .put("/v1/key/create/whole", Payload::None)
        .await
        .empty();
    let keys = server.keys();
    let mut record = fs::read(keys.join("whole")).unwrap();
    // Cut to a mebibyte this would be a key: blanks around a record do not matter.
    record.resize((1 << 20) + 1, b' ');
    fs::write(keys.join("large"), record).unwrap();
    symlink("whole", keys.join("link")).unwrap();
    fs::create_dir(keys.join("folder")).unwrap();
    for bad in ["large", "link", "folder"] {
        let path = format!("/v1/key/describe/{bad}");
        client.get(&path).await.error(502, "failed to read key");
    }
    client.get("/v1/key/describe/whole").await.json();
}

/// A store that takes every question and answers none.
struct Silent;

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Silent")
    }
}

#[async_trait]
impl Keystore for Silent {
    async fn status(&self) -> Result<Duration, Error> {
        std::future::pending().await
    }

    async fn create(&self, _: &KeyName, _: &Secret) -> Result<(), Error> {
        std::future::pending().await
    }

    async fn get(&self, _: &KeyName) -> Result<Secret, Error> {
        std::future::pending().await
    }

    async fn delete(&self, _: &KeyName) -> Result<(), Error> {
        std::future::pending().await
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Page, Error> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn k38_a_silent_store_blocks_nobody_for_ever() {
    let expiry = Expiry {
        any: Duration::from_mins(5),
        unused: Duration::from_secs(30),
        offline: None,
    };
    let keys = Keyring::new(
        Arc::new(Silent),
        expiry,
        Clock::system(),
        &Handle::current(),
    );
    let key = name("a");
    let everything = ListPattern::default();
    // All at once: each waits as long as the keyring lets it.
    let (get, delete, list, status) = tokio::join!(
        keys.get(&key),
        keys.delete(&key),
        keys.list(&everything, 10),
        keys.status()
    );
    for outcome in [get.err(), delete.err(), list.err(), status.err()] {
        assert_eq!(outcome.map(|error| error.kind()), Some(Kind::Unreachable));
    }
}

/// How often bytes stand in this process's memory. They are given masked, so that looking for them does not put them there.
fn occurrences(masked: &[u8; 32]) -> usize {
    use std::os::unix::fs::FileExt as _;
    let memory = fs::File::open("/proc/self/mem").unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut count = 0;
    let mut piece = vec![0; 1 << 20];
    for line in maps.lines() {
        let mut fields = line.split(' ');
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let (mut at, end) = (number(start), number(end));
        while at < end {
            let want = usize::try_from(end - at).unwrap().min(piece.len());
            let Ok(read) = memory.read_at(&mut piece[..want], at) else {
                break;
            };
            // What is read here is wiped below, but stands in `piece` while this very piece of memory is looked at.
            let found = piece[..read]
                .windows(32)
                .filter(|window| is(window, masked));
            count += found.count();
            piece[..read].fill(0);
            if read < 32 || at + read as u64 >= end {
                break;
            }
            at += read as u64 - 31;
        }
    }
    count
}

fn is(window: &[u8], masked: &[u8; 32]) -> bool {
    window
        .iter()
        .zip(masked)
        .all(|(byte, masked)| byte ^ MASK == *masked)
}

const MASK: u8 = 0x2a;

#[tokio::test]
async fn k41_key_material_is_wiped_when_nobody_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    // Printable, as values are, and unlike anything else; only the masked form is ever written down outside a secret.
    let mut masked = [0; 32];
    kes::secret::random(&mut masked).unwrap();
    for byte in &mut masked {
        *byte = (b'0' + *byte % 64) ^ MASK;
    }
    let fresh = || {
        Secret::with(32, |bytes| {
            for (byte, masked) in bytes.iter_mut().zip(&masked) {
                *byte = masked ^ MASK;
            }
        })
    };
    for store in stores(folder.path()).await {
        let secret = fresh();
        store.create(&name("a"), &secret).await.unwrap();
        let read = store.get(&name("a")).await.unwrap();
        assert!(is(read.expose(), &masked));
        // The search finds what is there.
        assert!(occurrences(&masked) >= 2, "{store}");
        drop((secret, read));
        store.delete(&name("a")).await.unwrap();
        drop(store);
        assert_eq!(occurrences(&masked), 0);
    }
}

#[tokio::test]
async fn k42_after_a_failed_listing_there_is_no_second_body() {
    let (server, client, _) = server().await;
    fs::remove_dir_all(server.keys()).unwrap();
    for version in Version::ALL {
        let mut connection = client.connect(version).await.unwrap();
        for path in ["/v1/key/list/", "/v1/key/list/a*"] {
            let reply = connection.send("GET", path, Payload::None).await;
            reply.error(502, "failed to list keys");
        }
        let reply = connection.send("GET", "/version", Payload::None).await;
        assert!(reply.json()["version"].is_string());
    }
}
