//! The seeds of the fuzz targets, each through its target: what fuzzing once found stays found.

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

#[expect(
    unreachable_pub,
    reason = "in the fuzz package, its programs call these"
)]
#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

use targets::TARGETS;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
}

/// The names of what is in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn every_seed_passes_its_target() {
    for (name, run) in TARGETS {
        let corpus = folder().join("corpus").join(name);
        let seeds = names(&corpus);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for seed in seeds {
            let data = fs::read(corpus.join(&seed)).unwrap();
            let outcome = catch_unwind(AssertUnwindSafe(|| run(&data)));
            assert!(outcome.is_ok(), "fuzz/corpus/{name}/{seed}");
        }
    }
}

#[test]
fn every_target_has_a_program_and_seeds() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&folder().join("corpus")), targets);
    let programs = names(&folder().join("fuzz_targets"));
    let expected = targets.iter().map(|name| format!("{name}.rs"));
    assert_eq!(programs, expected.collect());
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for name in targets {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
        let program = fs::read_to_string(folder().join(format!("fuzz_targets/{name}.rs")));
        assert!(program.unwrap().contains(&format!("targets::{name}(data)")));
    }
}
