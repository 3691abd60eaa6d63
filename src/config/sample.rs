//! `config/kes.yaml`: every key with its meaning and its default, made from the table.

use std::fmt::Write as _;

use super::{
    shape::{FILE, Shape},
    table::{Kind, REQUIRED, Row},
};

const HEAD: &str = "\
# Configuration of `kes server`: every key, with its default where it has one. What is empty is not set.
# Start from minimal.yaml, or from the file of your keystore, and take from here what you need; docs/configuration.md says more.
#
# `kes config check FILE` tells what is wrong with a file, and what is probably not meant; `kes config show FILE` what it amounts to.
#
# Made by `kes config schema --sample`; a test holds it equal.

";

/// What is written for keys that must be set, so that the file can be loaded.
const EXAMPLES: [(&str, &str); 4] = [
    ("admin.identity", "disabled"),
    ("tls.key", "server.key"),
    ("tls.cert", "server.crt"),
    ("keystore.fs.path", "keys"),
];

/// Names in the place of names of the user's choice.
const NAMES: [(&str, &str); 2] = [("api", "/v1/ready"), ("policy", "my-app")];

/// The file.
pub fn sample() -> String {
    let mut out = HEAD.to_owned();
    let Shape::Section(keys) = &*FILE else {
        return out;
    };
    for (key, shape) in keys {
        match (*key, shape) {
            ("keystore", Shape::Section(kinds)) => {
                out.push_str("# One keystore is in use. Without any, keys are kept in memory, and lost when the server stops.\nkeystore:\n");
                for (kind, shape) in kinds {
                    let mut part = String::new();
                    write(&mut part, kind, shape, 1);
                    if *kind != "fs" {
                        part = commented(&part);
                    }
                    out.push_str(&part);
                }
            }
            _ => write(&mut out, key, shape, 0),
        }
        out.push('\n');
    }
    let end = out.trim_end().len();
    out.truncate(end);
    out.push('\n');
    out
}

fn write(out: &mut String, key: &str, shape: &Shape, depth: usize) {
    let indent = " ".repeat(2 * depth);
    match shape {
        Shape::Leaf(row) if row.kind == Kind::Ignored => {}
        Shape::Leaf(row) => {
            let _ = writeln!(out, "{indent}# {}\n{indent}{key}: {}", row.doc, value(row));
        }
        Shape::List(inner) => match &**inner {
            Shape::Leaf(row) => {
                let _ = writeln!(out, "{indent}# {}\n{indent}{key}: []", row.doc);
            }
            inner => {
                let _ = writeln!(out, "{indent}{key}: []");
                let mut example = String::new();
                write_all(&mut example, inner, depth + 2);
                // The dash belongs before the first key, behind its comment.
                let dashed = example.replacen("\n    ", "\n  - ", 1);
                out.push_str(&commented(&dashed));
            }
        },
        Shape::Map(inner) => {
            let name = NAMES.iter().find(|(of, _)| *of == key);
            let name = name.map_or("name", |(_, name)| name);
            let _ = writeln!(out, "{indent}{key}: {{}}");
            let mut example = format!("{indent}  {name}:\n");
            write_all(&mut example, inner, depth + 2);
            out.push_str(&commented(&example));
        }
        Shape::Section(_) => {
            let _ = writeln!(out, "{indent}{key}:");
            write_all(out, shape, depth + 1);
        }
    }
}

fn write_all(out: &mut String, shape: &Shape, depth: usize) {
    if let Shape::Section(keys) = shape {
        for (key, shape) in keys {
            write(out, key, shape, depth);
        }
    }
}

fn commented(lines: &str) -> String {
    lines.lines().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "#{line}");
        out
    })
}

fn value(row: &Row) -> &'static str {
    let example = EXAMPLES.iter().find(|(path, _)| *path == row.path);
    match (example, row.default) {
        (Some((_, example)), _) => example,
        (None, "" | REQUIRED) => "\"\"",
        (None, default) => default,
    }
}
