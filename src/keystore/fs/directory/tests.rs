//! What a directory makes of files that a crash, or somebody else, has left in it.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::*;

fn directory() -> (TempDir, Directory) {
    let temp = tempfile::tempdir().unwrap();
    let directory = Directory::open(temp.path(), Flushes::TwoNames).unwrap();
    (temp, directory)
}

/// A file that is ready to be published, with `text` in it.
fn temporary<'a>(directory: &'a Directory, text: &str) -> Temporary<'a> {
    let temporary = Temporary::new(directory).unwrap();
    temporary
        .write(&Secret::copy_from(text.as_bytes()))
        .unwrap();
    temporary
}

fn names(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_key_whose_creator_died_before_the_last_step_can_be_read() {
    let (temp, directory) = directory();
    let first = temporary(&directory, "first");
    first.publish("key").unwrap();
    first.leave();
    assert_eq!(names(temp.path()).len(), 2);
    let value = directory.get(&KeyName::parse("key").unwrap()).unwrap();
    assert_eq!(value.expose(), b"first");
}

#[test]
fn a_file_that_is_not_as_long_as_it_was_is_not_taken() {
    let (temp, _) = directory();
    let path = temp.path().join("key");
    fs::write(&path, "12345").unwrap();
    let file = File::open(&path).unwrap();
    assert!(read(&file, 4).unwrap().is_none(), "it has grown");
    assert!(read(&file, 6).unwrap().is_none(), "it has shrunk");
    assert_eq!(read(&file, 5).unwrap().unwrap().expose(), b"12345");
}

#[test]
fn names_that_lead_elsewhere_are_never_file_names() {
    for bad in [
        "", ".", "..", ".hidden", "a/b", "/etc", "a\\b", "a\0b", "../key",
    ] {
        assert!(
            matches!(file_name(bad), Err(Error::Malformed(_))),
            "{bad:?}"
        );
    }
    assert_eq!(file_name("my-key").unwrap(), "my-key");
}
