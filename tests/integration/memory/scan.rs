//! Reading all memory of another process, as root may.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    os::unix::fs::FileExt as _,
};

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::needle::{Needle, Needles, Place};

/// How much is read at once.
const PIECE: usize = 1 << 20;

/// How many needles are many.
const MANY: usize = 5000;

/// Mappings that belong to the kernel and cannot be read this way.
const KERNELS: [&str; 3] = ["[vvar]", "[vvar_vclock]", "[vsyscall]"];

/// A run of pages.
struct Mapping {
    start: u64,
    end: u64,
    name: String,
    /// Pages for keys: locked, left out of core dumps, empty in a forked child.
    locked: bool,
    /// Whether all of it is as it is in a file: the program's text and constants.
    pristine: bool,
}

/// What of a process is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All that can be read.
    All,
    /// All but what the process cannot have written to, since it still is what its files hold.
    Written,
}

/// What was found where.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) label: String,
    place: Place,
    travels: bool,
    locked: bool,
    address: u64,
    mapping: String,
    around: String,
}

impl Finding {
    /// Whether it is where it may be.
    pub(super) fn allowed(&self) -> bool {
        self.locked && self.place == Place::Locked
    }

    /// Whether it may be what the HTTP library keeps of a body until the connection ends.
    pub(super) fn in_transit(&self) -> bool {
        self.travels && !self.locked
    }
}

/// Everything of `needles` that is in the memory of `process`.
pub(super) fn scan(process: u32, needles: &Needles, extent: Extent) -> Vec<Finding> {
    let needles: &[Needle] = &needles.0;
    // The fastest automaton takes a kilobyte for each byte looked for.
    let kind = if needles.len() < MANY {
        AhoCorasickKind::DFA
    } else {
        AhoCorasickKind::ContiguousNFA
    };
    let automaton = AhoCorasick::builder()
        .kind(Some(kind))
        .build(needles.iter().map(|needle| &needle.bytes))
        .unwrap();
    let overlap = needles.iter().map(|n| n.bytes.len()).max().unwrap_or(1) - 1;
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut findings = Vec::new();
    let mut bytes = vec![0; PIECE + overlap];
    for mapping in mappings(process) {
        if mapping.pristine && extent == Extent::Written {
            continue;
        }
        let mut at = mapping.start;
        while at < mapping.end {
            let len = usize::try_from(mapping.end - at).unwrap().min(bytes.len());
            let piece = &mut bytes[..len];
            if let Err(error) = memory.read_exact_at(piece, at) {
                // Threads come and go, and their stacks with them.
                assert!(
                    !still_mapped(process, &mapping),
                    "{at:x} {}: {error}",
                    mapping.name
                );
                break;
            }
            for found in automaton
                .find_overlapping_iter(&*piece)
                .filter(|m| at == mapping.start || m.end() > overlap)
            {
                let needle = &needles[found.pattern().as_usize()];
                findings.push(Finding {
                    label: needle.label.clone(),
                    place: needle.place,
                    travels: needle.travels,
                    locked: mapping.locked,
                    address: at + found.start() as u64,
                    mapping: mapping.name.clone(),
                    around: around(piece, found.start(), found.end()),
                });
            }
            if len < bytes.len() {
                break;
            }
            at += PIECE as u64;
        }
    }
    findings
}

/// Findings for people, the first ones.
pub(super) fn describe(findings: &[Finding]) -> String {
    const SHOWN: usize = 10;
    let mut text = format!("{} findings\n", findings.len());
    for finding in findings.iter().take(SHOWN) {
        let Finding {
            label,
            locked,
            address,
            mapping,
            around,
            ..
        } = finding;
        let locked = if *locked { ", locked" } else { "" };
        let _ = writeln!(
            text,
            "{label}\n    at {address:x} in {mapping}{locked}: {around}"
        );
    }
    text
}

fn around(piece: &[u8], start: usize, end: usize) -> String {
    let before = start.saturating_sub(48);
    let after = (end + 48).min(piece.len());
    piece[before..after].escape_ascii().to_string()
}

/// The readable mappings of a process.
fn mappings(process: u32) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    let smaps = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let mut readable = false;
    for line in smaps.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let Some((start, end)) = range(words[0]) {
            let name = words.get(5).copied().unwrap_or("anonymous");
            readable = words[1].starts_with('r') && !KERNELS.contains(&name);
            if readable {
                mappings.push(Mapping {
                    start,
                    end,
                    name: format!("{} {name}", words[0]),
                    locked: false,
                    pristine: name.starts_with('/') && words[1].starts_with("r-"),
                });
            }
        } else if readable && words[0] == "Anonymous:" {
            mappings.last_mut().unwrap().pristine &= words[1] == "0";
        } else if readable && words[0] == "VmFlags:" {
            let locked = ["lo", "dd", "wf"].iter().all(|flag| words.contains(flag));
            mappings.last_mut().unwrap().locked = locked;
        }
    }
    mappings
}

fn range(word: &str) -> Option<(u64, u64)> {
    let (start, end) = word.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?))
}

fn still_mapped(process: u32, mapping: &Mapping) -> bool {
    let now = mappings(process);
    now.iter()
        .any(|m| m.start == mapping.start && m.end == mapping.end)
}

/// How many bytes of the process are locked, as the kernel counts.
pub(super) fn locked_bytes(process: u32) -> u64 {
    status(process)["VmLck"]
        .trim_end_matches(" kB")
        .trim()
        .parse::<u64>()
        .unwrap()
        * 1024
}

/// What the kernel says of a process.
pub(super) fn status(process: u32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect()
}
