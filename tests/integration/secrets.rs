//! `docs/secrets.md` lists every use of a secret's bytes and of `unsafe`, each with its reason: the lists are held equal to the source.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Uses by file.
type Uses = BTreeMap<String, usize>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All source files but those of tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found
}

/// Counts what `uses` finds in a line of code, outside of comments and tests.
fn count(uses: impl Fn(&str) -> usize) -> Uses {
    let mut counts = Uses::new();
    for path in sources(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let lines = code.lines().map(|line| line.split("//").next().unwrap());
        let found = lines.map(&uses).sum();
        if found > 0 {
            let name = path.strip_prefix(root()).unwrap();
            counts.insert(name.to_str().unwrap().to_owned(), found);
        }
    }
    counts
}

/// The table under a heading: file, uses, and a reason that is not empty.
fn listed(heading: &str) -> Uses {
    let page = fs::read_to_string(root().join("docs/secrets.md")).unwrap();
    let (_, section) = page.split_once(heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        let [file, uses, why] = cells[..] else {
            panic!("{row}")
        };
        assert!(why.len() > 20, "{row}");
        (file.trim_end_matches('`').to_owned(), uses.parse().unwrap())
    })
    .collect()
}

#[test]
fn every_use_of_a_secrets_bytes_is_listed() {
    let uses = count(|line| line.matches(".expose()").count() + line.matches("::expose").count());
    assert!(uses.len() > 5, "{uses:?}");
    assert_eq!(listed("## Every use of `expose()`"), uses);
}

#[test]
fn every_use_of_unsafe_is_listed_and_explained() {
    let is_use =
        |line: &str| ["unsafe {", "unsafe fn ", "unsafe impl"].map(|it| line.matches(it).count());
    let uses = count(|line| is_use(line).iter().sum());
    assert_eq!(listed("## Every use of `unsafe`"), uses);
    for file in uses.keys() {
        assert!(file.starts_with("src/memory"), "{file}");
        let text = fs::read_to_string(root().join(file)).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (number, line) in lines.iter().enumerate() {
            let [block, _, implementation] = is_use(line.split("//").next().unwrap());
            if block + implementation == 0 {
                continue;
            }
            // The comment stands above the block, perhaps with more lines, or a line of the same statement, between.
            let above = lines[..number].iter().rev().take(8);
            let mut above = above.take_while(|line| !line.is_empty() && !line.ends_with('}'));
            assert!(
                above.any(|line| line.starts_with("// SAFETY: ")),
                "{file}:{}",
                number + 1
            );
        }
    }
}
