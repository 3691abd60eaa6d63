//! The source is only read: not one time stamp of it changes, and it may be on a read-only file system.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use super::record;
use crate::{durability::disk::is_mountable, keystore::child};

/// A file that a server removes at its start, when it is old.
const LEFT_OVER: &str = ".kes-new-0123456789abcdef0123456789abcdef";

/// Names of the source that are keys.
const KEYS: [&str; 3] = ["a", "b", "old.name"];

/// A source with keys, and with all that a server would report or clear away; and the two configuration files.
fn prepare(place: &Path) {
    let source = place.join("source");
    fs::create_dir(&source).unwrap();
    for name in KEYS {
        fs::write(source.join(name), record(name)).unwrap();
    }
    // The second name of a key whose creator crashed.
    fs::hard_link(source.join("a"), source.join(LEFT_OVER)).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
    File::options()
        .append(true)
        .open(source.join("a"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    fs::create_dir(source.join("lost+found")).unwrap();
    fs::write(source.join(".gitkeep"), "").unwrap();
    symlink(source.join("a"), source.join("link")).unwrap();
    for end in ["source", "target"] {
        let text = format!("keystore:\n  fs:\n    path: {end}\n");
        fs::write(place.join(format!("{end}.yml")), text).unwrap();
    }
}

/// Everything that a look at a file shows, but for when it was last read.
fn looks(path: &Path) -> Vec<i64> {
    let it = path.symlink_metadata().unwrap();
    vec![
        it.ino().cast_signed(),
        it.mode().into(),
        it.nlink().cast_signed(),
        it.size().cast_signed(),
        it.mtime(),
        it.mtime_nsec(),
        it.ctime(),
        it.ctime_nsec(),
        it.uid().into(),
    ]
}

fn looks_of_all(folder: &Path) -> BTreeMap<String, Vec<i64>> {
    let mut all = BTreeMap::from([(".".to_owned(), looks(folder))]);
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        all.insert(name, looks(&entry.path()));
    }
    all
}

fn command(place: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kes"));
    command
        .args([
            "migrate",
            "--from",
            "source.yml",
            "--to",
            "target.yml",
            "--yes",
        ])
        .args(flags)
        .current_dir(place);
    command
}

/// Migrates; returns what was said on standard error.
fn migrate(place: &Path, flags: &[&str]) -> String {
    let output = command(place, flags).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

fn check_target(place: &Path) {
    for name in KEYS {
        let text = fs::read_to_string(place.join("target").join(name)).unwrap();
        assert_eq!(text, record(name));
    }
}

#[test]
fn not_one_time_stamp_of_the_source_changes() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    prepare(place);
    let source = place.join("source");
    let before = looks_of_all(&source);
    assert_eq!(before.len(), 1 + KEYS.len() + 4);
    migrate(place, &["--dry-run"]);
    let told = migrate(place, &[]);
    // What is no key is told of; what a server is about to publish is not.
    assert!(told.contains("'.gitkeep', 'link', 'lost+found'"), "{told}");
    assert!(!told.contains(".kes-new-"), "{told}");
    fs::write(place.join("target/b"), record("other")).unwrap();
    migrate(place, &["--force"]);
    assert_eq!(looks_of_all(&source), before);
    check_target(place);
}

#[test]
fn the_source_may_be_on_a_file_system_that_is_read_only() {
    let test = "migrate::source::the_source_may_be_on_a_file_system_that_is_read_only";
    let Some(place) = child::place() else {
        if is_mountable() {
            let place = tempfile::tempdir().unwrap();
            prepare(place.path());
            let mounts = "mount --bind \"$PLACE/source\" \"$PLACE/source\"\n\
                          mount -o remount,bind,ro \"$PLACE/source\"";
            child::run_mounted(test, place.path(), mounts);
        }
        return;
    };
    let denied = fs::write(place.join("source/new"), "").unwrap_err();
    assert_eq!(denied.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    migrate(&place, &[]);
    check_target(&place);
}

#[test]
fn a_mount_of_the_source_elsewhere_is_the_source() {
    let test = "migrate::source::a_mount_of_the_source_elsewhere_is_the_source";
    let Some(place) = child::place() else {
        if is_mountable() {
            let place = tempfile::tempdir().unwrap();
            prepare(place.path());
            fs::create_dir(place.path().join("target")).unwrap();
            let mounts = "mount --bind \"$PLACE/source\" \"$PLACE/target\"";
            child::run_mounted(test, place.path(), mounts);
        }
        return;
    };
    let output = command(&place, &["--force"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("source and target are the same keystore"),
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(place.join("source/a")).unwrap(),
        record("a")
    );
}

#[test]
fn a_dry_run_does_not_even_make_the_directory_of_the_target() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    prepare(place);
    migrate(place, &["--dry-run"]);
    assert!(!place.join("target").exists());
}
