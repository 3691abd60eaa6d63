//! House rules that no compiler checks: who may import whom, where `unsafe` may stand, how long a file may be, and that the README
//! tells of every route.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use kes::api::{Auth, ROUTES};

/// The foundations: they may use each other, without cycles, and nothing else.
const FIRST: [&str; 11] = [
    "apikey",
    "certificate",
    "clock",
    "compat",
    "credential",
    "identity",
    "memory",
    "name",
    "pem",
    "policy",
    "secret",
];

/// What each other module may use beside the foundations. A module that is not here may use nothing, which the test then says.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("wire", &[]),
    ("crypto", &[]),
    ("keystore", &["wire", "crypto"]),
    ("telemetry", &["wire", "crypto"]),
    ("tls", &["wire", "crypto"]),
    ("keyring", &["keystore", "crypto"]),
    ("migrate", &["keystore", "crypto"]),
    ("config", &["keystore", "keyring", "tls", "telemetry"]),
    ("state", &["keyring", "telemetry"]),
    (
        "api",
        &[
            "state",
            "keyring",
            "telemetry",
            "tls",
            "keystore",
            "wire",
            "crypto",
        ],
    ),
    (
        "server",
        &[
            "api",
            "config",
            "state",
            "keyring",
            "telemetry",
            "tls",
            "keystore",
            "wire",
            "crypto",
        ],
    ),
    ("client", &["wire"]),
    (
        "cli",
        &[
            "client",
            "server",
            "api",
            "config",
            "state",
            "keyring",
            "migrate",
            "telemetry",
            "tls",
            "keystore",
            "wire",
            "crypto",
        ],
    ),
];

/// Files that may be longer than [`LONGEST`], each with its reason.
const LONG: [(&str, &str); 0] = [];

/// Most lines of a source file.
const LONGEST: usize = 600;

/// Crates that a module must not name, to stay what it is.
const PURE: [(&str, &[&str]); 2] = [
    (
        "crypto",
        &[
            "tokio",
            "hyper",
            "http",
            "serde_saphyr",
            "rustls",
            "std::fs",
            "std::net",
        ],
    ),
    (
        "policy",
        &[
            "tokio",
            "hyper",
            "http",
            "serde_saphyr",
            "rustls",
            "std::fs",
            "std::net",
        ],
    ),
];

struct Source {
    /// Relative to `src`, with slashes.
    path: String,
    text: String,
}

impl Source {
    /// The module at the top of the tree that it belongs to; the crate's own files have none.
    fn module(&self) -> Option<&str> {
        let top = self.path.split('/').next().unwrap().trim_end_matches(".rs");
        (!["lib", "main"].contains(&top)).then_some(top)
    }

    /// The lines without comments, numbered from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines.filter_map(|(i, line)| {
            let code = line.split("//").next().unwrap();
            (!code.trim().is_empty()).then_some((i + 1, code))
        })
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files under `folder` that end in `.rs`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let sources: Vec<_> = files(&src)
        .into_iter()
        .map(|path| Source {
            text: fs::read_to_string(&path).unwrap(),
            path: path
                .strip_prefix(&src)
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/"),
        })
        .collect();
    assert!(sources.len() > 50, "where are the sources?");
    sources
}

/// The modules of the crate that `text` names: after `crate::`, alone or in braces.
fn named_modules(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        // Not the end of another word, like `my_crate::`.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let after = &text[at + "crate::".len()..];
        match after.strip_prefix('{') {
            None => found.extend(first_word(after)),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            start = false;
                            found.extend(first_word(&group[i..]));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

/// The word at the start of `text`, if it can be a module: items of the crate itself are in capitals.
fn first_word(text: &str) -> Option<String> {
    let word: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    word.starts_with(|c: char| c.is_lowercase()).then_some(word)
}

/// Who uses whom, with the file that says so.
fn edges(sources: &[Source]) -> BTreeMap<(String, String), String> {
    let mut edges = BTreeMap::new();
    for source in sources {
        let Some(from) = source.module() else {
            continue;
        };
        let code: Vec<&str> = source.code().map(|(_, code)| code).collect();
        for to in named_modules(&code.join("\n")) {
            if to != from {
                edges
                    .entry((from.to_owned(), to))
                    .or_insert_with(|| source.path.clone());
            }
        }
    }
    edges
}

#[test]
fn names_after_crate_are_found_in_all_their_forms() {
    let found = named_modules(
        "use crate::{\n  a::{b, c},\n  d,\n};\nuse crate::e::F; crate::g(); crate::VERSION; my_crate::x::y",
    );
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "d", "e", "g"]);
}

#[test]
fn imports_go_one_way() {
    let sources = sources();
    let mut wrong = String::new();
    for ((from, to), path) in edges(&sources) {
        let row = MAY_USE.iter().find(|(module, _)| *module == from);
        let first = FIRST.contains(&to.as_str());
        let allowed = match row {
            Some((_, others)) => first || others.contains(&to.as_str()),
            None => first && FIRST.contains(&from.as_str()),
        };
        if !allowed {
            let _ = writeln!(wrong, "src/{path}: `{from}` may not use `{to}`");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_foundations_have_no_cycles() {
    let sources = sources();
    let edges = edges(&sources);
    let mut left: BTreeSet<&str> = FIRST.into_iter().collect();
    while !left.is_empty() {
        let leaf = left.iter().copied().find(|from| {
            !edges
                .keys()
                .any(|(a, b)| a == from && left.contains(b.as_str()))
        });
        assert!(leaf.is_some(), "a cycle among {left:?}");
        left.remove(leaf.unwrap());
    }
}

#[test]
fn every_module_has_its_row() {
    for source in sources() {
        let Some(module) = source.module() else {
            continue;
        };
        let known = FIRST.contains(&module) || MAY_USE.iter().any(|(name, _)| *name == module);
        assert!(
            known,
            "src/{}: the module `{module}` has no row in the table of imports",
            source.path
        );
    }
}

/// A test's file may reach into the whole tree it stands in.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[test]
fn super_stays_inside_a_folder() {
    for source in sources() {
        // How many folders below the top module a path may climb.
        let depth =
            source.path.matches('/').count() - usize::from(source.path.ends_with("/mod.rs"));
        let mut inline = 0;
        for (line, code) in source.code() {
            // `mod tests {` is one more level.
            if code.trim_start().starts_with("mod ") && code.trim_end().ends_with('{') {
                inline = 1;
            }
            let climbs = code
                .matches("super::")
                .count()
                .min(if code.contains("super::super") { 9 } else { 1 });
            assert!(
                climbs <= depth + inline || is_test(&source.path),
                "src/{}:{line}: `super::` leaves the folder: write `crate::…`",
                source.path
            );
        }
    }
}

#[test]
fn pure_modules_know_nothing_of_the_outside() {
    for source in sources() {
        let Some((_, banned)) = PURE
            .iter()
            .find(|(module, _)| source.module() == Some(module))
        else {
            continue;
        };
        if is_test(&source.path) {
            continue;
        }
        let product = source.text.split("#[cfg(test)]").next().unwrap();
        let length = product.lines().count();
        for (line, code) in source.code().take_while(|(line, _)| *line <= length) {
            for name in *banned {
                let named =
                    code.contains(&format!("use {name}")) || code.contains(&format!(" {name}::"));
                assert!(!named, "src/{}:{line}: {name}", source.path);
            }
        }
    }
}

#[test]
fn unsafe_stands_in_one_place() {
    let mut seen = 0;
    for source in sources() {
        for (line, code) in source.code() {
            let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words.any(|word| word == "unsafe") {
                seen += 1;
                let here = source.path == "memory.rs" || source.path.starts_with("memory/");
                assert!(here, "src/{}:{line}: unsafe", source.path);
            }
        }
    }
    assert!(seen > 0, "is memory no longer locked?");
}

#[test]
fn files_are_short_and_begin_with_what_they_are_for() {
    for source in sources() {
        let lines = source.text.lines().count();
        let long = LONG.iter().find(|(path, _)| *path == source.path);
        match long {
            None => assert!(lines <= LONGEST, "src/{}: {lines} lines", source.path),
            Some((path, _)) => assert!(
                lines > LONGEST,
                "src/{path} is not long any more: strike it"
            ),
        }
        assert!(
            source.text.starts_with("//!"),
            "src/{}: no `//!` at its head",
            source.path
        );
    }
    for path in files(&root().join("tests")) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.lines().count() <= LONGEST,
            "{}: too long",
            path.display()
        );
        assert!(
            text.starts_with("//!"),
            "{}: no `//!` at its head",
            path.display()
        );
    }
}

#[test]
fn the_readme_tells_of_every_route() {
    let mut expected = String::from("\n\n| method | path | who may call |\n| --- | --- | --- |\n");
    for route in ROUTES {
        let who = match route.auth {
            Auth::Open => "anybody with a certificate",
            Auth::Identify => "anybody with a certificate, about itself",
            Auth::Policy => "the admin, or by policy",
        };
        let name = match route.takes {
            kes::api::Takes::Identity => "IDENTITY",
            kes::api::Takes::Key | kes::api::Takes::OldKey => "KEY",
            kes::api::Takes::Nothing => "",
            kes::api::Takes::KeyPattern | kes::api::Takes::Pattern => "PATTERN",
            kes::api::Takes::PolicyName => "POLICY",
        };
        let _ = writeln!(
            expected,
            "| {} | `{}{name}` | {who} |",
            route.method.as_str(),
            route.path
        );
    }
    expected.push('\n');
    let readme = fs::read_to_string(root().join("README.md")).unwrap_or_default();
    let table = readme
        .split_once("<!-- routes -->")
        .and_then(|(_, rest)| rest.split_once("<!-- /routes -->"))
        .map(|(table, _)| table);
    assert!(
        table == Some(&expected),
        "README.md: between <!-- routes --> and <!-- /routes --> has to stand{expected}"
    );
}
