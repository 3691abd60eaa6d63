//! Holds a tree against the [`Shape`] of the file: expands references, checks types, finds unknown keys.
//!
//! What is wrong is reported and becomes [`Value::Invalid`], so that nobody complains about it twice.

use super::{
    duration::{self, InvalidDuration},
    env::{Env, Expansion, expand},
    report::{Report, quoted},
    shape::Shape,
    table::{Holds, Kind, Row},
    yaml::{Node, Path, Reference, Text, Value},
};

/// A key that nobody knows.
pub(super) struct Unknown {
    pub(super) path: String,
    /// 1 for a key at the top of the file.
    pub(super) depth: usize,
    pub(super) line: usize,
    /// Whether anything stands there.
    pub(super) is_empty: bool,
    /// What was probably meant.
    pub(super) nearest: Option<&'static str>,
}

/// Checks and completes `node`, which stands for the whole file. Returns the unknown keys, which are not looked into.
pub(super) fn resolve(
    node: &mut Node,
    shape: &Shape,
    env: &Env,
    report: &mut Report,
) -> Vec<Unknown> {
    let mut resolver = Resolver {
        env,
        report,
        unknown: Vec::new(),
    };
    resolver.node(node, shape, &Path::Root, 1);
    resolver.unknown
}

struct Resolver<'a> {
    env: &'a Env,
    report: &'a mut Report,
    unknown: Vec<Unknown>,
}

impl Resolver<'_> {
    fn node(&mut self, node: &mut Node, shape: &Shape, path: &Path<'_>, depth: usize) {
        let expected = match (shape, &mut node.value) {
            (Shape::Leaf(row), _) if row.kind == Kind::Ignored => return,
            (_, Value::Invalid | Value::Null) => return,
            (Shape::Leaf(row), Value::Text(text)) => {
                if !self.leaf(text, row, node.line, path) {
                    node.value = Value::Invalid;
                }
                return;
            }
            (Shape::List(inner), Value::List(nodes)) => {
                for (i, node) in nodes.iter_mut().enumerate() {
                    self.node(node, inner, &Path::Item(path, i), depth + 1);
                }
                return;
            }
            (Shape::Map(_) | Shape::Section(_), Value::Map(entries)) => {
                for entry in entries {
                    let here = Path::Key(path, &entry.key);
                    match shape.child(&entry.key) {
                        Some(shape) => self.node(&mut entry.node, shape, &here, depth + 1),
                        None => self.unknown.push(Unknown {
                            path: here.to_string(),
                            line: entry.line,
                            is_empty: entry.node.is_empty(),
                            nearest: shape.nearest(&entry.key),
                            depth,
                        }),
                    }
                }
                return;
            }
            (Shape::Leaf(row), _) => match row.kind {
                Kind::Bool => "'on' or 'off'",
                Kind::Duration => "a duration",
                _ => "text",
            },
            (Shape::List(_), _) => "a list",
            (Shape::Map(_) | Shape::Section(_), _) => "a mapping",
        };
        let found = match &node.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            _ => "text",
        };
        let reason = format!("expected {expected}, found {found}");
        let path = path.to_string();
        match (path.as_str(), &node.value) {
            ("log.error" | "log.audit", Value::Map(_)) => self.report.error_with_hint(
                node.line,
                &path,
                reason,
                "releases up to v0.7.2 had a list of files here; write 'on' or 'off'",
            ),
            _ => self.report.error(node.line, &path, reason),
        }
        node.value = Value::Invalid;
    }

    /// Expands and checks one scalar. `false` if it was reported.
    fn leaf(&mut self, text: &mut Text, row: &Row, line: usize, path: &Path<'_>) -> bool {
        let path = || path.to_string();
        text.is_secret = row.holds == Holds::Secret;
        match expand(&text.text, self.env) {
            Expansion::Literal => {}
            _ if row.holds == Holds::Fixed => {
                self.report.warn(
                    line,
                    &path(),
                    "references to variables are not expanded here",
                    None,
                );
            }
            Expansion::LiteralWithDollar => {
                self.report.warn(
                    line,
                    &path(),
                    "the text contains a reference that is not expanded",
                    Some(
                        "a reference must be the whole text: put all of it into the variable"
                            .to_owned(),
                    ),
                );
            }
            Expansion::Missing { name, why } => {
                let name = quoted(&name);
                let reason = format!("the environment variable {name} {why}");
                self.report.error(line, &path(), reason);
                return false;
            }
            Expansion::Value { text: value, names } => {
                let written = std::mem::replace(&mut text.text, value);
                text.reference = Some(Box::new(Reference {
                    names,
                    written: String::clone(&written),
                }));
            }
        }
        match row.kind {
            _ if text.text.is_empty() => {}
            Kind::Bool if boolean(&text.text).is_none() => {
                let reason = format!("expected 'on' or 'off', found text {}", text.shown());
                self.report.error(line, &path(), reason);
                return false;
            }
            Kind::Duration => {
                if let Err(why) = duration::parse(&text.text) {
                    let reason = format!("invalid duration {}: {why}", text.shown());
                    let hint = match why {
                        InvalidDuration::NoUnit => "write the unit, like '30s', '5m' or '1h30m'",
                        InvalidDuration::Overflow => "the longest duration is 292 years",
                        InvalidDuration::Syntax => "durations look like '30s', '5m' or '1h30m'",
                    };
                    self.report.error_with_hint(line, &path(), reason, hint);
                    return false;
                }
            }
            _ => {}
        }
        true
    }
}

/// The booleans of YAML 1.1 in their usual capitals, quoted or not (config.md 1.1).
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "on" | "On" | "ON" | "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" => {
            Some(true)
        }
        "off" | "Off" | "OFF" | "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" => {
            Some(false)
        }
        _ => None,
    }
}
