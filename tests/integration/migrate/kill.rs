//! `kes migrate --force` is killed two hundred times, at moments that chance picks, and nothing is lost.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::record;
use crate::durability::{Random, times};

/// How often to kill.
const KILLS: usize = 200;

/// How many keys differ, are the same, and are new.
const OTHERS: usize = 40;
const SAME: usize = 5;
const NEW: usize = 10;

/// What the names of files start with that hold an old value.
const ASIDE: &str = "kes-migrate-";

/// Two keystores in files with keys of every kind, and the program between them.
pub(super) struct Bench {
    place: PathBuf,
    source: PathBuf,
    target: PathBuf,
    /// What the source holds, and the target held.
    wanted: BTreeMap<String, String>,
    before: BTreeMap<String, String>,
}

impl Bench {
    /// With its files in `place`, and the target's keys in `target`, which may be elsewhere.
    pub(super) fn new(place: &Path, target: PathBuf) -> Self {
        let mut bench = Self {
            place: place.to_owned(),
            source: place.join("source"),
            target,
            wanted: BTreeMap::new(),
            before: BTreeMap::new(),
        };
        for i in 0..OTHERS + SAME + NEW {
            let name = format!("key-{i:03}");
            bench.wanted.insert(name.clone(), record(&name));
            if i < OTHERS {
                bench
                    .before
                    .insert(name.clone(), record(&format!("old {i}")));
            } else if i < OTHERS + SAME {
                bench.before.insert(name.clone(), record(&name));
            }
        }
        bench.before.insert("foreign".to_owned(), record("foreign"));
        fs::create_dir(&bench.source).unwrap();
        for (name, text) in &bench.wanted {
            fs::write(bench.source.join(name), text).unwrap();
        }
        for (file, path) in [("from", &bench.source), ("to", &bench.target)] {
            let text = format!("keystore:\n  fs:\n    path: {}\n", path.display());
            fs::write(bench.place.join(file), text).unwrap();
        }
        bench
    }

    /// Puts the target back to how it was in the beginning, on its disk.
    pub(super) fn reset(&self) {
        drop(fs::remove_dir_all(&self.target));
        fs::create_dir(&self.target).unwrap();
        for (name, text) in &self.before {
            let path = self.target.join(name);
            fs::write(&path, text).unwrap();
            fs::File::open(path).unwrap().sync_all().unwrap();
        }
        for folder in [&*self.target, self.target.parent().unwrap()] {
            fs::File::open(folder).unwrap().sync_all().unwrap();
        }
    }

    /// Starts the program.
    pub(super) fn start(&self, flags: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kes"));
        command
            .args(["migrate", "--from", "from", "--to", "to", "--yes"])
            .args(flags)
            .current_dir(&self.place)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs the program to its end, which must be a good one.
    pub(super) fn finish(&self, flags: &[&str]) {
        let output = self.start(flags).wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{flags:?}: {text}");
    }

    /// The files of the target that are keys or old values, with their content. Also says how many are old values.
    fn files(&self) -> (BTreeMap<String, String>, usize) {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&self.target).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            // While the program runs, one that is being written may go.
            if !name.starts_with('.')
                && let Ok(text) = fs::read_to_string(&path)
            {
                files.insert(name, text);
            }
        }
        let aside = files.keys().filter(|name| name.starts_with(ASIDE)).count();
        (files, aside)
    }

    /// How many keys are what they are to be.
    fn done(&self) -> usize {
        let (files, _) = self.files();
        let wanted = self.wanted.iter();
        wanted
            .filter(|(name, text)| files.get(*name) == Some(text))
            .count()
    }

    /// Waits until this many keys more are done, or the program has ended.
    pub(super) fn wait_for(&self, more: usize, child: &mut Child) {
        let enough = (self.done() + more).min(self.wanted.len());
        while self.done() < enough && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
    }

    /// Checks that every key is what it was, or what it is to be, or rests beside. Returns how many rest.
    pub(super) fn check(&self, context: &str) -> usize {
        let (files, aside) = self.files();
        for (name, old) in &self.before {
            let is = files.get(name);
            let rests = files.iter().any(|(file, text)| {
                file.starts_with(ASIDE) && text.contains(&format!("\"{name}\""))
            });
            let fine = is == Some(old) || is == self.wanted.get(name) || (is.is_none() && rests);
            assert!(fine, "{context}: '{name}' is neither old nor new: {is:?}");
        }
        for (name, text) in &files {
            let known = self.before.get(name) == Some(text) || self.wanted.get(name) == Some(text);
            assert!(
                known || name.starts_with(ASIDE),
                "{context}: '{name}': {text}"
            );
        }
        aside
    }

    /// Checks that all is as it is to be, and the source as it was.
    pub(super) fn check_done(&self) {
        let mut expected = self.before.clone();
        expected.extend(self.wanted.clone());
        let (files, aside) = self.files();
        assert_eq!((files, aside), (expected, 0));
        for (name, text) in &self.wanted {
            assert_eq!(&fs::read_to_string(self.source.join(name)).unwrap(), text);
        }
        assert_eq!(
            fs::read_dir(&self.source).unwrap().count(),
            self.wanted.len()
        );
    }
}

#[test]
fn two_hundred_kills_lose_nothing_and_the_next_run_ends_what_was_begun() {
    let place = tempfile::tempdir().unwrap();
    let bench = Bench::new(place.path(), place.path().join("target"));
    bench.reset();
    let mut random = Random::new();
    let kills = KILLS * times();
    let (mut between, mut ends) = (0, 0);
    for kill in 0..kills {
        let mut child = bench.start(&["--force", "--concurrency", "3"]);
        bench.wait_for(usize::try_from(1 + random.below(6)).unwrap(), &mut child);
        // What is done picks the moment roughly, and a wait that has nothing to do with it picks it finely.
        std::thread::sleep(Duration::from_micros(random.below(3_000)));
        drop(child.kill());
        child.wait().unwrap();
        if bench.check(&format!("kill {kill}")) > 0 {
            between += 1;
        }
        if random.below(4) == 0 {
            // Whatever the next run is for, it ends what was begun.
            bench.finish(&["--merge"]);
            assert_eq!(bench.check(&format!("kill {kill}, merged")), 0);
        }
        if bench.done() == bench.wanted.len() || random.below(8) == 0 {
            bench.finish(&["--force"]);
            bench.check_done();
            bench.reset();
            ends += 1;
        }
    }
    println!("{kills} kills, {between} in the midst of a replacement, {ends} full copies");
    assert!(between >= kills / 10, "{between} of {kills} kills");
    bench.finish(&["--force"]);
    bench.check_done();
}
