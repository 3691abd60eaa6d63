//! The store in files: what the file system may do to it, and what it does there.

use std::{
    fs::{self, File, Permissions},
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use kes::keystore::{self, Error, Keystore, MAX_VALUE, Opened, Settings};
use tempfile::TempDir;

use super::subject::{Nature, Subject, name, names, secret, shown};

mod process;

/// The name of a file that a creator left behind.
const LEFT_OVER: &str = ".kes-new-0123456789abcdef0123456789abcdef";

/// Keys in a temporary directory.
pub(crate) struct Files {
    place: TempDir,
}

#[async_trait]
impl Subject for Files {
    const NATURE: Nature = Nature::STRICT;

    async fn fresh() -> Self {
        let place = tempfile::tempdir().unwrap();
        Self { place }
    }

    async fn handle(&self) -> Arc<dyn Keystore> {
        open(self.place.path()).await.store
    }

    async fn plant_text(&self, name: &str, text: &str) -> Result<(), &'static str> {
        fs::write(self.place.path().join(name), text).unwrap();
        Ok(())
    }
}

async fn try_open(path: &Path) -> Result<Opened, Error> {
    let path = path.to_owned();
    keystore::open(&Settings::Fs(keystore::fs::Settings { path })).await
}

async fn open(path: &Path) -> Opened {
    try_open(path).await.unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// All names in a directory, sorted.
fn entries(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Makes it a file that was last written in 1970.
fn make_old(path: &Path) {
    let file = File::options().append(true).open(path).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
    file.set_modified(time).unwrap();
}

fn refused(result: Result<impl Sized, Error>, why: &str) {
    let error = result.err().expect("refused");
    assert!(matches!(error, Error::Refused { .. }), "{}", shown(&error));
    assert!(error.to_string().contains(why), "{error}");
}

fn unreachable(result: Result<impl Sized, Error>, why: &str) {
    let error = result.err().expect("unreachable");
    let text = shown(&error);
    assert!(matches!(error, Error::Unreachable { .. }), "{text}");
    assert!(error.to_string().contains(why), "{error}");
}

fn malformed(result: Result<impl Sized, Error>, why: &str) {
    match result.err() {
        Some(Error::Malformed(text)) => assert!(text.contains(why), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_is_a_file_of_that_name_with_the_value_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).await.store;
    store
        .create(&name("my-key"), &secret("value"))
        .await
        .unwrap();
    assert_eq!(entries(place.path()), ["my-key"]);
    let file = place.path().join("my-key");
    assert_eq!(fs::read(&file).unwrap(), b"value");
    assert_eq!(mode(&file), 0o600);
    store.delete(&name("my-key")).await.unwrap();
    assert_eq!(entries(place.path()), [""; 0]);
}

#[tokio::test]
async fn files_of_the_predecessor_are_keys() {
    let place = tempfile::tempdir().unwrap();
    let text = include_str!("../compat/vectors/stored_keys.json");
    let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    let content = |i: usize| vectors[i]["raw_text"].as_str().unwrap();
    for i in 0..vectors.len() {
        fs::write(place.path().join(format!("key-{i:03}")), content(i)).unwrap();
    }
    let store = open(place.path()).await.store;
    let page = store.list("", None, usize::MAX).await.unwrap();
    assert_eq!(page.names.len(), vectors.len());
    for (i, name) in page.names.iter().enumerate() {
        let value = store.get(name).await.unwrap();
        assert_eq!(value.expose(), content(i).as_bytes());
    }
}

#[tokio::test]
async fn bytes_of_others_are_read_as_they_are() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).await.store;
    fs::write(place.path().join("key"), b"\0\xff line\r\n").unwrap();
    let value = store.get(&name("key")).await.unwrap();
    assert_eq!(value.expose(), b"\0\xff line\r\n");
}

#[tokio::test]
async fn missing_directories_are_made_for_the_owner_only() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("some/where");
    let opened = open(&path).await;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(opened.warnings.len(), 1, "{:?}", opened.warnings);
    assert!(opened.warnings[0].contains("plain text"));
    assert_eq!(
        opened.store.to_string(),
        format!("Filesystem: {}", path.display())
    );
}

#[tokio::test]
async fn a_directory_that_others_can_enter_is_warned_about() {
    let place = tempfile::tempdir().unwrap();
    for (bits, warned) in [(0o755, true), (0o710, true), (0o701, true), (0o700, false)] {
        fs::set_permissions(place.path(), Permissions::from_mode(bits)).unwrap();
        let warnings = open(place.path()).await.warnings.concat();
        assert_eq!(warnings.contains("chmod 700"), warned, "{warnings}");
        // It is the operator's to change.
        assert_eq!(mode(place.path()), bits);
    }
}

#[tokio::test]
async fn left_overs_of_a_crash_are_never_keys_and_go_once_they_are_old() {
    let place = tempfile::tempdir().unwrap();
    let (old, young) = (LEFT_OVER, ".kes-new-0000000000000000000000000000000f");
    let link = ".kes-new-00000000000000000000000000000001";
    for file in [old, young, ".old", "old", ".kes-new-x"] {
        fs::write(place.path().join(file), "half").unwrap();
    }
    for file in [old, ".old", "old", ".kes-new-x"] {
        make_old(&place.path().join(file));
    }
    symlink("old", place.path().join(link)).unwrap();
    let opened = open(place.path()).await;
    assert_eq!(
        entries(place.path()),
        [link, young, ".kes-new-x", ".old", "old"]
    );
    assert!(opened.warnings.concat().contains("removed 1 unfinished"));
    let page = opened.store.list("", None, 10).await.unwrap();
    assert_eq!(page.names, names(&["old"]));
}

#[tokio::test]
async fn what_is_not_a_regular_file_is_neither_read_nor_listed_nor_replaced() {
    let place = tempfile::tempdir().unwrap();
    let at = |file: &str| place.path().join(file);
    let store = open(place.path()).await.store;
    store
        .create(&name("target"), &secret("value"))
        .await
        .unwrap();
    symlink("target", at("link")).unwrap();
    symlink("nothing", at("dangling")).unwrap();
    symlink("loop", at("loop")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let _listener = UnixListener::bind(at("socket")).unwrap();
    let planted = ["link", "dangling", "loop", "directory", "fifo", "socket"];
    for planted in planted {
        let key = name(planted);
        malformed(store.get(&key).await, "is not a regular file");
        let created = store.create(&key, &secret("other")).await;
        assert!(matches!(created, Err(Error::Exists)), "{created:?}");
    }
    let page = store.list("", None, 10).await.unwrap();
    assert_eq!(page.names, names(&["target"]));
    malformed(
        store.delete(&name("directory")).await,
        "is not a regular file",
    );
    // The link goes, not what it points to.
    store.delete(&name("link")).await.unwrap();
    let value = store.get(&name("target")).await.unwrap();
    assert_eq!(value.expose(), b"value");
}

#[tokio::test]
async fn an_empty_file_is_named_explained_and_can_be_deleted() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).await.store;
    let file = place.path().join("blocked");
    fs::write(&file, "").unwrap();
    let key = name("blocked");
    malformed(store.get(&key).await, "key 'blocked'");
    malformed(store.get(&key).await, "is empty");
    malformed(store.get(&key).await, &format!("'{}'", file.display()));
    let created = store.create(&key, &secret("value")).await;
    assert!(matches!(created, Err(Error::Exists)), "{created:?}");
    store.delete(&key).await.unwrap();
    store.create(&key, &secret("value")).await.unwrap();
}

#[tokio::test]
async fn a_file_over_one_mebibyte_is_refused_whole() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).await.store;
    let file = File::create(place.path().join("key")).unwrap();
    file.set_len(MAX_VALUE as u64).unwrap();
    let value = store.get(&name("key")).await.unwrap();
    assert_eq!(value.len(), MAX_VALUE);
    for size in [MAX_VALUE as u64 + 1, 1 << 40] {
        file.set_len(size).unwrap();
        malformed(store.get(&name("key")).await, "larger than 1 MiB");
    }
}

#[tokio::test]
async fn a_path_that_is_no_directory_is_said_so() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let text = format!("fs: '{}' is not a directory", file.display());
    unreachable(try_open(&file).await, &text);
    unreachable(try_open(&file.join("below")).await, "is not a directory");
    // Nothing is made where a link leads into the void.
    let link = place.path().join("link");
    symlink("void", &link).unwrap();
    unreachable(try_open(&link).await, "does not exist");
    // A link to a directory is fine: mounted volumes often are.
    let directory = place.path().join("directory");
    fs::create_dir(&directory).unwrap();
    let link = place.path().join("volume");
    symlink("directory", &link).unwrap();
    let store = open(&link).await.store;
    store.create(&name("key"), &secret("value")).await.unwrap();
    assert_eq!(entries(&directory), ["key"]);
}

#[tokio::test]
async fn a_directory_that_goes_away_is_unreachable_until_it_comes_back() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keys");
    let store = open(&path).await.store;
    let key = name("key");
    store.create(&key, &secret("value")).await.unwrap();

    let away = place.path().join("away");
    fs::rename(&path, &away).unwrap();
    let why = "does not exist";
    unreachable(store.status().await, why);
    unreachable(store.create(&key, &secret("value")).await, why);
    unreachable(store.get(&key).await, why);
    unreachable(store.delete(&key).await, why);
    unreachable(store.list("", None, 10).await, why);
    assert!(!path.exists(), "only a start makes directories");

    fs::write(&path, "").unwrap();
    unreachable(store.status().await, "is not a directory");
    unreachable(store.get(&key).await, "is not a directory");
    fs::remove_file(&path).unwrap();

    fs::rename(&away, &path).unwrap();
    store.status().await.unwrap();
    assert_eq!(store.get(&key).await.unwrap().expose(), b"value");
}
