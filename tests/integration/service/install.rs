//! `make install` and `make uninstall`.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
};

use super::{make, setting};
use crate::support::need;

/// The files below a folder, with their permissions.
fn files(folder: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                found.insert(name.to_owned(), mode & 0o7777);
            }
        }
    }
    found
}

#[test]
fn an_installation_has_program_units_and_documents_and_can_be_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let bin = concat!("KES_BIN=", env!("CARGO_BIN_EXE_kes"));
    let destination = format!("DESTDIR={}", folder.path().display());
    let places = [
        destination.as_str(),
        "prefix=/opt/kes",
        "sysconfdir=/opt/etc",
    ];
    make(&[&["install", bin], &places[..]].concat());
    let found = files(folder.path());
    assert_eq!(found["opt/kes/bin/kes"], 0o755);
    for name in [
        "lib/systemd/system/kes.service",
        "lib/systemd/system/kes.socket",
        "lib/sysusers.d/kes.conf",
        "lib/tmpfiles.d/kes.conf",
        "share/doc/kes/LICENSE",
        "share/doc/kes/operations.md",
    ] {
        assert_eq!(
            found.get(&format!("opt/kes/{name}")),
            Some(&0o644),
            "{name}"
        );
    }
    let unit = folder.path().join("opt/kes/lib/systemd/system/kes.service");
    let unit = fs::read_to_string(unit).unwrap();
    assert_eq!(
        setting(&unit, "ExecStart"),
        "/opt/kes/bin/kes server --config=/opt/etc/kes/config.yaml"
    );
    assert_eq!(setting(&unit, "WorkingDirectory"), "/opt/etc/kes");
    assert!(
        !unit.contains(folder.path().to_str().unwrap()),
        "DESTDIR stays out"
    );
    let program = folder.path().join("opt/kes/bin/kes");
    let version = Command::new(program).arg("--version").output().unwrap();
    assert!(version.status.success());

    let own = folder.path().join("opt/kes/bin/other");
    fs::write(&own, "").unwrap();
    make(&[&["uninstall"], &places[..]].concat());
    let left: Vec<_> = files(folder.path()).into_keys().collect();
    assert_eq!(left, ["opt/kes/bin/other"]);
}

#[test]
fn user_and_folder_are_made_by_systemd() {
    let met = [
        ("root", need::root()),
        (
            "systemd-sysusers",
            need::works("systemd-sysusers", &["--version"]),
        ),
        (
            "systemd-tmpfiles",
            need::works("systemd-tmpfiles", &["--version"]),
        ),
    ];
    if !need::all_met(&met) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let destination = format!("DESTDIR={}", folder.path().display());
    let bin = concat!("KES_BIN=", env!("CARGO_BIN_EXE_kes"));
    make(&["install", bin, &destination, "prefix=/usr"]);
    fs::create_dir(folder.path().join("etc")).unwrap();
    let root = format!("--root={}", folder.path().display());
    for words in [
        &["systemd-sysusers", &root][..],
        &["systemd-tmpfiles", &root, "--create"][..],
    ] {
        let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
    }
    let read = |file| fs::read_to_string(folder.path().join(file)).unwrap();
    let users = read("etc/passwd");
    let user = users.lines().find(|line| line.starts_with("kes:")).unwrap();
    let fields: Vec<&str> = user.split(':').collect();
    assert_eq!(fields[5], "/var/lib/kes");
    assert!(fields[6].ends_with("/nologin"), "{user}");
    let configuration = fs::metadata(folder.path().join("etc/kes")).unwrap();
    assert_eq!(configuration.mode() & 0o7777, 0o750);
    assert_eq!(configuration.uid(), 0);
    assert_eq!(configuration.gid().to_string(), fields[3]);
    assert_eq!(setting(&super::unit_text(), "User"), "kes");
}
