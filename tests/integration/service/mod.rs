//! `kes` as a service of the system: what `make install` puts where, what systemd thinks of the unit, and whether the server can do
//! all its work inside of what the unit permits.
//!
//! There is no running systemd where these tests run. So what it would impose is imposed otherwise ([`confined`]: limits, user,
//! capabilities), or the server's doings are recorded and held against the unit (system calls, files, sockets).

use std::{
    path::{Path, PathBuf},
    process::Command,
};

mod confined;
mod filter;
mod install;
mod unit;

/// The top of the repository.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `make` with a goal and variables, as a user does.
fn make(arguments: &[&str]) {
    let mut command = Command::new("make");
    // This test may itself have been started by make.
    for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "DESTDIR", "KES_BIN"] {
        command.env_remove(name);
    }
    let output = command.arg("-C").arg(top()).args(arguments).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "make {arguments:?}: {errors}");
}

/// An installation below a folder of its own, as its `prefix`; where its units are.
fn installed(prefix: &Path) -> PathBuf {
    let bin = concat!("KES_BIN=", env!("CARGO_BIN_EXE_kes"));
    make(&["install", bin, &format!("prefix={}", prefix.display())]);
    prefix.join("lib/systemd/system")
}

/// The values of a setting of the unit, in order.
fn settings(unit: &str, name: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
        .collect()
}

/// The value of a setting that stands once in the unit.
fn setting(unit: &str, name: &str) -> String {
    let values = settings(unit, name);
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0].clone()
}

/// The unit of the repository.
fn unit_text() -> String {
    std::fs::read_to_string(top().join("kes.service")).unwrap()
}
