//! The unit's `SystemCallFilter=`, as systemd reads it (systemd.exec(5)).

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// Sets of system calls by name, as the systemd at hand knows them.
pub(super) struct Groups(BTreeMap<String, Vec<String>>);

impl Groups {
    /// Asks systemd.
    pub(super) fn ask() -> Self {
        let output = Command::new("systemd-analyze")
            .args(["syscall-filter", "--no-pager"])
            .env("SYSTEMD_COLORS", "0")
            .output()
            .unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut name = String::new();
        for line in text.lines() {
            let word = line.trim();
            if !line.starts_with(' ') {
                word.clone_into(&mut name);
            } else if !word.starts_with('#') {
                groups
                    .entry(name.clone())
                    .or_default()
                    .push(word.to_owned());
            }
        }
        Self(groups)
    }

    /// All calls of a set, or the call of this name.
    fn calls(&self, name: &str) -> BTreeSet<String> {
        if !name.starts_with('@') {
            return BTreeSet::from([name.to_owned()]);
        }
        let members = self.0.get(name).unwrap_or_else(|| panic!("no set {name}"));
        members
            .iter()
            .flat_map(|member| self.calls(member))
            .collect()
    }

    /// What the lines of a unit permit, taken one after the other.
    pub(super) fn permitted(&self, lines: &[String]) -> BTreeSet<String> {
        let mut permitted = BTreeSet::new();
        for line in lines {
            let (forbids, words) = match line.strip_prefix('~') {
                Some(words) => (true, words),
                None => (false, line.as_str()),
            };
            for call in words.split(' ').flat_map(|word| self.calls(word)) {
                if forbids {
                    permitted.remove(&call);
                } else {
                    permitted.insert(call);
                }
            }
        }
        // Permitted by every allow list, whatever it says.
        permitted.extend(self.calls("@default"));
        permitted
    }
}
