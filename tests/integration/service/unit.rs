//! What systemd says of the units.

use std::{path::Path, process::Command};

use super::{installed, setting, unit_text};
use crate::support::need;

/// The highest exposure that is good enough, of 10.
const EXPOSURE: f64 = 2.0;

fn has_systemd() -> bool {
    let met = need::works("systemd-analyze", &["--version"]);
    need::all_met(&[("systemd-analyze", met)])
}

fn analyze(words: &[&str], units: &[&Path]) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(words)
        .args(units)
        .env("SYSTEMD_COLORS", "0")
        .env("SYSTEMD_LOG_LEVEL", "info")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    if !has_systemd() {
        return;
    }
    let prefix = tempfile::tempdir().unwrap();
    let units = installed(prefix.path());
    let (service, socket) = (units.join("kes.service"), units.join("kes.socket"));
    let (good, words) = analyze(&["verify", "--recursive-errors=no"], &[&service, &socket]);
    assert!(good, "{words}");
    assert_eq!(words, "", "an unknown or a wrong setting is a warning only");
}

#[test]
fn the_unit_exposes_little() {
    if !has_systemd() {
        return;
    }
    let unit = super::top().join("kes.service");
    let (_, words) = analyze(&["security", "--offline=true", "--no-pager"], &[&unit]);
    let verdict = words
        .lines()
        .find_map(|line| line.split_once("Overall exposure level for kes.service: "));
    let (_, verdict) = verdict.unwrap_or_else(|| panic!("no verdict in {words}"));
    let score: f64 = verdict.split(' ').next().unwrap().parse().unwrap();
    assert!(score <= EXPOSURE, "{verdict}");
}

#[test]
fn the_unit_loads_on_systemd_252() {
    let unit = unit_text();
    // Later words for the same are in its comments.
    assert_eq!(setting(&unit, "Type"), "notify");
    assert_eq!(setting(&unit, "ExecReload"), "/bin/kill -HUP $MAINPID");
    assert_eq!(setting(&unit, "AmbientCapabilities"), "");
    assert_eq!(setting(&unit, "CapabilityBoundingSet"), "");
}
