//! The effective configuration: what a file says in current spelling, completed with defaults. Secrets are masked, and what comes from
//! the environment is shown as the reference that it is.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    Inspection,
    keystore::says_something,
    resolve::boolean,
    shape::Shape,
    table::{Holds, Kind, REQUIRED, Row},
    view::View,
};

/// What stands in a secret's place.
const MASKED: &str = "(hidden)";

/// Sections that are there only if something stands in them.
const OPTIONAL: [&str; 6] = [
    "approle",
    "credentials",
    "kubernetes",
    "managed_identity",
    "proxy",
    "transit",
];

/// A part of the effective configuration.
enum Shown {
    /// A value, and whether the file says it.
    Scalar {
        value: Value,
        is_said: bool,
    },
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Inspection {
    /// The effective configuration, as YAML. What the file does not say is marked as default.
    pub fn shown(&self) -> String {
        let mut text = String::new();
        if let Some(Shown::Map(entries)) = self.effective() {
            write_map(&mut text, &entries, 0);
            if !entries.iter().any(|(key, _)| key == "keystore") {
                text.push_str(
                    "# no keystore: keys are kept in memory, and lost when the server stops\n",
                );
            }
        }
        text
    }

    /// The effective configuration, as JSON: switches are booleans, everything else is text.
    pub fn shown_json(&self) -> Value {
        self.effective().map_or(json!({}), to_json)
    }

    fn effective(&self) -> Option<Shown> {
        let view = self.view();
        let Some(Shape::Section(keys)) = view.shape() else {
            return None;
        };
        let shown = keys.iter().filter_map(|(key, shape)| {
            let place = view.get(key);
            let shown = match *key {
                "api" => self.effective_api(&place, shape),
                "keystore" => keystores(&place, shape),
                _ => of(&place, shape),
            };
            Some(((*key).to_owned(), shown?))
        });
        Some(Shown::Map(shown.collect()))
    }

    /// Routes are spelled as in the table of routes; what is none is ignored, and not shown.
    fn effective_api(&self, view: &View<'_>, shape: &Shape) -> Option<Shown> {
        let shape = shape.child("")?;
        let known = |path: &str, line| {
            let mut entries = self.api().iter();
            let found = entries.find(|entry| {
                Some(entry.line) == line
                    && entry.path.trim_matches('/') == path.trim().trim_matches('/')
            });
            found.map(|entry| entry.path.clone())
        };
        let shown = view
            .entries()
            .filter_map(|(path, place)| Some((known(path, place.line)?, of(&place, shape)?)));
        map(shown.collect())
    }
}

/// The section that is in use.
fn keystores(view: &View<'_>, shape: &Shape) -> Option<Shown> {
    let Shape::Section(keys) = shape else {
        return None;
    };
    let in_use = |view: &View<'_>| {
        let node = view.node();
        let discriminators = ["path", "endpoint", "project_id"];
        node.is_some()
            && discriminators
                .iter()
                .any(|key| view.get(key).text().is_some())
    };
    let shown = keys.iter().filter_map(|(key, shape)| {
        let place = view.get(key);
        if in_use(&place) {
            return Some(((*key).to_owned(), of(&place, shape)?));
        }
        let Shape::Section(products) = shape else {
            return None;
        };
        let (product, shape) = products
            .iter()
            .find(|(product, _)| in_use(&place.get(product)))?;
        let inner = of(&place.get(product), shape)?;
        Some((
            (*key).to_owned(),
            Shown::Map(vec![((*product).to_owned(), inner)]),
        ))
    });
    map(shown.collect())
}

fn map(entries: Vec<(String, Shown)>) -> Option<Shown> {
    (!entries.is_empty()).then_some(Shown::Map(entries))
}

fn of(view: &View<'_>, shape: &Shape) -> Option<Shown> {
    match shape {
        Shape::Leaf(row) => leaf(view, row),
        Shape::List(inner) => {
            let items: Vec<_> = view.items().filter_map(|item| of(&item, inner)).collect();
            (!items.is_empty()).then_some(Shown::List(items))
        }
        Shape::Map(inner) => {
            let entries = view.entries().map(|(key, place)| {
                // A policy without rules is one all the same.
                let shown = of(&place, inner).unwrap_or(Shown::Map(Vec::new()));
                (key.to_owned(), shown)
            });
            map(entries.collect())
        }
        Shape::Section(keys) => {
            let entries = keys.iter().filter_map(|(key, shape)| {
                let place = view.get(key);
                if OPTIONAL.contains(key)
                    && !place
                        .node()
                        .is_some_and(|node| says_something(node, Some(shape)))
                {
                    return None;
                }
                Some(((*key).to_owned(), of(&place, shape)?))
            });
            map(entries.collect())
        }
    }
}

fn leaf(view: &View<'_>, row: &Row) -> Option<Shown> {
    if row.kind == Kind::Ignored {
        return None;
    }
    // A time of zero means the default.
    let is_zero = row.kind == Kind::Duration && view.nanos() == Some(0);
    let said = view.text().filter(|_| !is_zero);
    let value: Value = match said {
        None if matches!(row.default, "" | REQUIRED) => return None,
        None if row.kind == Kind::Bool => (boolean(row.default) == Some(true)).into(),
        None => row.default.into(),
        Some(text) => match (&text.reference, row.holds) {
            (Some(reference), _) => reference.shown(row.holds == Holds::Secret).into(),
            (None, Holds::Secret) => MASKED.into(),
            (None, _) if row.kind == Kind::Bool => view.is_on().into(),
            (None, _) => text.text.as_str().into(),
        },
    };
    Some(Shown::Scalar {
        value,
        is_said: said.is_some(),
    })
}

fn to_json(shown: Shown) -> Value {
    match shown {
        Shown::Scalar { value, .. } => value,
        Shown::List(items) => items.into_iter().map(to_json).collect(),
        Shown::Map(entries) => {
            let entries = entries
                .into_iter()
                .map(|(key, shown)| (key, to_json(shown)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

fn write_map(out: &mut String, entries: &[(String, Shown)], depth: usize) {
    for (key, shown) in entries {
        let _ = write!(out, "{:1$}{2}:", "", depth * 2, text(&key.as_str().into()));
        write_below(out, shown, depth);
    }
}

/// Writes what stands behind a colon.
fn write_below(out: &mut String, shown: &Shown, depth: usize) {
    match shown {
        Shown::Scalar { .. } => {
            out.push(' ');
            write_scalar(out, shown);
        }
        Shown::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Shown::Map(entries) => {
            out.push('\n');
            write_map(out, entries, depth + 1);
        }
        Shown::List(items) => {
            out.push('\n');
            for item in items {
                let _ = write!(out, "{:1$}- ", "", depth * 2 + 2);
                match item {
                    // The elements of `keys` have one key.
                    Shown::Map(entries) => {
                        let mut inner = String::new();
                        write_map(&mut inner, entries, depth + 2);
                        out.push_str(inner.trim_start());
                    }
                    Shown::Scalar { .. } | Shown::List(_) => write_scalar(out, item),
                }
            }
        }
    }
}

fn write_scalar(out: &mut String, shown: &Shown) {
    if let Shown::Scalar { value, is_said } = shown {
        let mark = if *is_said { "" } else { "  # default" };
        let _ = writeln!(out, "{}{mark}", text(value));
    }
}

/// A scalar as it may stand in YAML.
fn text(value: &Value) -> String {
    match value {
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        Value::String(text) if is_plain(text) => text.clone(),
        // JSON is YAML.
        other => other.to_string(),
    }
}

/// Whether a text means itself without quotes.
fn is_plain(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_./:*-+@".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '_')
        && text.chars().all(inner)
        && !text.ends_with(':')
        && !matches!(text, "null" | "Null" | "NULL")
}
