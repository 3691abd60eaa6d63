//! The store in files, in processes of its own: on other mounts, as another user, killed.

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{BufRead as _, BufReader},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use kes::keystore::Error;

use super::{entries, make_old, open, refused, try_open};
use crate::keystore::{
    child,
    subject::{name, names, secret, shown},
};

#[tokio::test]
async fn a_read_only_file_system_serves_its_keys_and_refuses_changes() {
    let Some(place) = child::place() else {
        let place = tempfile::tempdir().unwrap();
        let store = open(place.path()).await.store;
        store.create(&name("key"), &secret("value")).await.unwrap();
        child::run_mounted(
            "keystore::fs::process::a_read_only_file_system_serves_its_keys_and_refuses_changes",
            place.path(),
            r#"mount --bind "$PLACE" "$PLACE" && mount -o remount,bind,ro "$PLACE""#,
        );
        return;
    };
    let opened = open(&place).await;
    assert!(opened.warnings.concat().contains("cannot write"));
    let store = opened.store;
    let (key, new) = (name("key"), name("new"));
    assert_eq!(store.get(&key).await.unwrap().expose(), b"value");
    let page = store.list("", None, 10).await.unwrap();
    assert_eq!(page.names, names(&["key"]));
    refused(store.status().await, "read-only");
    refused(store.create(&new, &secret("value")).await, "read-only");
    refused(store.delete(&key).await, "read-only");
    let created = store.create(&key, &secret("value")).await;
    assert!(matches!(created, Err(Error::Exists)), "{created:?}");
    refused(try_open(&place.join("below")).await, "read-only");
}

#[tokio::test]
async fn a_full_file_system_refuses_and_keeps_nothing_half() {
    let Some(place) = child::place() else {
        let test = "keystore::fs::process::a_full_file_system_refuses_and_keeps_nothing_half";
        for limit in ["size=1m", "size=100m,nr_inodes=40"] {
            let place = tempfile::tempdir().unwrap();
            let mount = format!(r#"mount -t tmpfs -o {limit} tmpfs "$PLACE""#);
            child::run_mounted(test, place.path(), &mount);
        }
        return;
    };
    let store = open(&place).await.store;
    let value = "v".repeat(30_000);
    let mut made = Vec::new();
    let error = loop {
        let key = name(&format!("key-{:03}", made.len()));
        match store.create(&key, &secret(&value)).await {
            Ok(()) => made.push(key),
            Err(error) => break error,
        }
        assert!(made.len() < 1000, "it never gets full");
    };
    refused(Err::<(), _>(error), "file system is full");
    assert!(made.len() > 10);

    // A start on a full disk neither fails nor takes anything away.
    let store_again = open(&place).await.store;
    let page = store_again.list("", None, usize::MAX).await.unwrap();
    assert_eq!(page.names, made);
    assert_eq!(entries(&place).len(), made.len());
    for key in &made {
        assert_eq!(store.get(key).await.unwrap().expose(), value.as_bytes());
    }
    let created = store.create(&made[0], &secret("value")).await;
    assert!(matches!(created, Err(Error::Exists)), "{created:?}");

    // Room is used as soon as there is some.
    store.delete(&made[0]).await.unwrap();
    store.create(&name("new"), &secret(&value)).await.unwrap();
}

#[tokio::test]
async fn missing_permissions_are_refused_with_what_to_do() {
    let Some(place) = child::place() else {
        let place = tempfile::tempdir().unwrap();
        let below = |path: &str| place.path().join(path);
        let read_only = below("read-only");
        let closed = below("closed");
        for directory in [&read_only, &closed] {
            let store = open(directory).await.store;
            store.create(&name("key"), &secret("value")).await.unwrap();
            store.create(&name("dark"), &secret("value")).await.unwrap();
        }
        let (key, dark) = (read_only.join("key"), read_only.join("dark"));
        fs::set_permissions(&dark, Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(&read_only, Permissions::from_mode(0o500)).unwrap();
        fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        child::run_unprivileged(
            "keystore::fs::process::missing_permissions_are_refused_with_what_to_do",
            place.path(),
            &[&read_only, &closed, &key, &dark],
        );
        // So that a user without privileges can clear away.
        for directory in [&read_only, &closed] {
            fs::set_permissions(directory, Permissions::from_mode(0o700)).unwrap();
        }
        return;
    };
    let why = "must belong to the user that runs the server";
    let opened = open(&place.join("read-only")).await;
    assert!(opened.warnings.concat().contains("cannot write"));
    let store = opened.store;
    let (key, dark, new) = (name("key"), name("dark"), name("new"));
    store.status().await.unwrap();
    assert_eq!(store.get(&key).await.unwrap().expose(), b"value");
    refused(store.get(&dark).await, why);
    refused(store.create(&new, &secret("value")).await, why);
    refused(store.delete(&key).await, why);
    refused(try_open(&place.join("closed")).await, why);
    refused(try_open(&place.join("read-only/below/it")).await, why);

    // Closed after the start.
    fs::set_permissions(place.join("read-only"), Permissions::from_mode(0o000)).unwrap();
    refused(store.status().await, why);
    refused(store.get(&key).await, why);
    refused(store.list("", None, 10).await, why);
}

/// Long, so that writing it takes a while, and different for each name.
fn long_value(name: &str) -> String {
    format!("{name} ").repeat(8_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_server_leaves_whole_keys_and_all_that_it_acknowledged() {
    if let Some(place) = child::place() {
        create_for_ever(place).await;
    }
    let place = tempfile::tempdir().unwrap();
    for (round, acknowledged) in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55].into_iter().enumerate() {
        let path = place.path().join(format!("{round}"));
        let made = kill_after(acknowledged, &path);
        assert!(made.len() >= acknowledged);

        let store = open(&path).await.store;
        let page = store.list("", None, usize::MAX).await.unwrap();
        for key in &page.names {
            let value = store.get(key).await.unwrap();
            assert!(value.expose() == long_value(key.as_str()).as_bytes());
        }
        for key in &made {
            assert!(page.names.contains(&name(key)), "{key} was acknowledged");
        }
        // A name that was not acknowledged is taken by a whole key or free.
        for i in 0..made.len() + 20 {
            let key = name(&format!("key-{i}"));
            match store.create(&key, &secret("again")).await {
                Ok(()) => assert!(!page.names.contains(&key)),
                Err(Error::Exists) => assert!(page.names.contains(&key)),
                Err(error) => panic!("{}", shown(&error)),
            }
        }
        // What else is there goes when it is old.
        for entry in entries(&path) {
            if entry.starts_with('.') {
                make_old(&path.join(entry));
            }
        }
        open(&path).await;
        assert!(entries(&path).iter().all(|entry| entry.starts_with("key-")));
    }
}

/// The server of the test above: creates keys, eight at a time, and says which are done.
async fn create_for_ever(place: PathBuf) -> ! {
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&place)
        .unwrap();
    let store = open(&place).await.store;
    let next = Arc::new(AtomicUsize::new(0));
    println!();
    for _ in 0..8 {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let i = next.fetch_add(1, Ordering::SeqCst);
                let key = format!("key-{i}");
                let value = secret(&long_value(&key));
                store.create(&name(&key), &value).await.unwrap();
                println!("made {key}");
            }
        });
    }
    std::future::pending().await
}

/// Runs that server until it has acknowledged so many keys, then kills it; returns all that it acknowledged.
fn kill_after(acknowledged: usize, place: &Path) -> Vec<String> {
    let test =
        "keystore::fs::process::a_killed_server_leaves_whole_keys_and_all_that_it_acknowledged";
    let mut server = child::again(test, place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut made = Vec::new();
    let mut alive = true;
    loop {
        if alive && made.len() >= acknowledged && place.exists() {
            server.kill().unwrap();
            alive = false;
        }
        let Some(line) = lines.next() else { break };
        let line = line.unwrap();
        made.extend(line.strip_prefix("made ").map(str::to_owned));
    }
    server.wait().unwrap();
    assert!(!alive, "the server ended by itself");
    made
}
