//! What the predecessor leaves when it crashes while it creates a key: an empty file of the key's name (keystores.md 4.3).

use std::{fs, path::Path};

use kes::keystore::Error;

use super::{open, open_warned};
use crate::keystore::subject::{name, secret};

/// The one warning about empty files; nothing if there is none.
async fn warning(path: &Path) -> Option<String> {
    let warnings = open_warned(path).await.warnings;
    let mut found = warnings
        .into_iter()
        .filter(|text| text.contains("empty files"));
    let first = found.next();
    assert_eq!(found.next(), None);
    first
}

fn crash(path: &Path, key: &str) {
    fs::write(path.join(key), "").unwrap();
}

#[tokio::test]
async fn a_start_names_empty_files_and_touches_none() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let store = open(path).await;
    store.create(&name("good"), &secret("value")).await.unwrap();
    assert_eq!(warning(path).await, None);

    for key in ["half-b", "half-a"] {
        crash(path, key);
    }
    let text = warning(path).await.unwrap();
    assert!(
        text.contains(": 'half-a', 'half-b'. The server that"),
        "{text}"
    );
    assert!(text.contains(&format!("in '{}'", path.display())), "{text}");
    assert!(text.contains("delete these keys"), "{text}");
    assert!(path.join("half-a").exists() && path.join("half-b").exists());
    assert_eq!(store.get(&name("good")).await.unwrap().expose(), b"value");

    // What it advises helps.
    for key in ["half-a", "half-b"] {
        let key = name(key);
        let error = store.get(&key).await.err().unwrap();
        assert!(matches!(&error, Error::Malformed(text) if text.contains("is empty")));
        store.delete(&key).await.unwrap();
        store.create(&key, &secret("value")).await.unwrap();
    }
    assert_eq!(warning(path).await, None);
}

#[tokio::test]
async fn of_many_empty_files_five_are_named_and_all_counted() {
    let place = tempfile::tempdir().unwrap();
    for i in (0..123).rev() {
        crash(place.path(), &format!("half-{i:03}"));
    }
    let text = warning(place.path()).await.unwrap();
    let names = "'half-000', 'half-001', 'half-002', 'half-003', 'half-004' and 118 more.";
    assert!(text.contains(names), "{text}");
}

#[tokio::test]
async fn empty_files_that_take_no_name_of_a_key_are_nobodys_business() {
    let place = tempfile::tempdir().unwrap();
    crash(place.path(), ".gitkeep");
    crash(place.path(), "no key\n");
    crash(place.path(), ".kes-new-0123456789abcdef0123456789abcdef");
    fs::create_dir(place.path().join("directory")).unwrap();
    std::os::unix::fs::symlink(".gitkeep", place.path().join("link")).unwrap();
    assert_eq!(warning(place.path()).await, None);
}
