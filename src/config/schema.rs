//! A JSON Schema (2020-12) of the file, made from the table: for editors, and for whoever makes files by program.
//!
//! It says of each key what `kes config check` says of its type and form, and of old spellings that they are deprecated. It does not know
//! what goes together: which keys are required depends on the keystore, and on flags.

use serde_json::{Map, Value, json};

use super::{
    normalise,
    shape::{FILE, Shape},
    table::{Holds, Kind, REQUIRED, Row},
};

/// A text with references to the environment.
const REFERENCE: &str = r"^\s*\$\{[\s\S]*\}\s*$";
/// What `duration` reads.
const DURATION: &str =
    r"^[+-]?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h|d))+)$";
/// What `telemetry::Level` reads.
const LEVEL: &str = r"^\s*(on|off|(debug|info|warn|error)(\+[+-]?[0-9]+)?|[+-]?[0-9]+)?\s*$";
/// The words that a switch takes.
const SWITCH: [&str; 22] = [
    "on", "On", "ON", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "off", "Off", "OFF",
    "n", "N", "no", "No", "NO", "false", "False", "FALSE",
];

/// The schema of the whole file.
pub fn schema() -> Value {
    let mut schema = of(&FILE);
    for alias in normalise::aliases() {
        add_alias(&mut schema, alias.old, alias.new);
    }
    if let Value::Object(map) = &mut schema {
        map.insert("patternProperties".to_owned(), json!({ "^x-": true }));
        let head = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Configuration of kes server",
            "description": "Made by 'kes config schema'",
        });
        if let Value::Object(head) = head {
            map.extend(head);
        }
    }
    schema
}

fn of(shape: &Shape) -> Value {
    match shape {
        Shape::Leaf(row) => leaf(row),
        Shape::List(inner) => json!({ "type": ["array", "null"], "items": of(inner) }),
        Shape::Map(inner) => {
            json!({ "type": ["object", "null"], "additionalProperties": of(inner) })
        }
        Shape::Section(keys) => {
            let keys = keys
                .iter()
                .map(|(key, shape)| ((*key).to_owned(), of(shape)));
            json!({
                "type": ["object", "null"],
                "properties": Value::Object(keys.collect()),
                "additionalProperties": false,
            })
        }
    }
}

fn leaf(row: &Row) -> Value {
    if row.kind == Kind::Ignored {
        return json!({ "description": row.doc, "deprecated": true });
    }
    let mut forms = vec![json!({ "type": "null" }), json!({ "const": "" })];
    match row.kind {
        // Many readers of YAML take these words for booleans.
        Kind::Bool | Kind::Word(["on", "off"]) => forms.push(json!({ "type": "boolean" })),
        Kind::Duration => forms.push(json!({ "const": 0 })),
        Kind::Level => forms.push(json!({ "type": ["integer", "boolean"] })),
        _ => {}
    }
    match row.kind {
        Kind::Bool => forms.push(json!({ "enum": SWITCH })),
        Kind::Duration => forms.push(json!({ "type": "string", "pattern": DURATION })),
        Kind::Level => forms.push(json!({ "type": "string", "pattern": any_case(LEVEL) })),
        Kind::Url => forms.push(json!({ "type": "string", "pattern": "://" })),
        Kind::Word(words) => {
            let pattern = any_case(&format!(r"^\s*({})\s*$", words.join("|")));
            forms.push(json!({ "type": "string", "pattern": pattern }));
        }
        // A number or a switch in a text's place is the text.
        _ => forms.push(json!({ "type": ["string", "number", "boolean"] })),
    }
    if row.holds != Holds::Fixed {
        forms.push(json!({ "type": "string", "pattern": REFERENCE }));
    }
    let mut map = Map::new();
    map.insert("description".to_owned(), row.doc.into());
    map.insert("anyOf".to_owned(), forms.into());
    if !matches!(row.default, "" | REQUIRED) {
        map.insert("default".to_owned(), row.default.into());
    }
    map.into()
}

/// A pattern that takes letters in any case: schemas have no flag for it. Letters behind a backslash are left alone.
fn any_case(pattern: &str) -> String {
    let mut out = String::new();
    let mut escaped = false;
    for c in pattern.chars() {
        if c.is_ascii_alphabetic() && !escaped {
            out.extend(['[', c.to_ascii_lowercase(), c.to_ascii_uppercase(), ']']);
        } else {
            out.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    out
}

/// Adds an old spelling: what stands at `new` may stand at `old`.
fn add_alias(schema: &mut Value, old: &[&str], new: &[&str]) {
    let Some((key, parents)) = old.split_last() else {
        return;
    };
    let current = json!({
        "$ref": format!("#{}", pointer(new)),
        "deprecated": true,
        "description": format!("Old spelling of '{}'", new.join(".")),
    });
    let place = format!("{}/properties", pointer(parents));
    let Some(Value::Object(keys)) = schema.pointer_mut(&place) else {
        return;
    };
    let both = match keys.remove(*key) {
        // A list of keys to create is as current as ever.
        Some(list) => json!({ "anyOf": [list, current] }),
        None => current,
    };
    keys.insert((*key).to_owned(), both);
}

/// Where in the schema the end of `path` is.
fn pointer(path: &[&str]) -> String {
    path.iter().fold(String::new(), |pointer, key| match *key {
        "*" => pointer + "/additionalProperties",
        key => format!("{pointer}/properties/{key}"),
    })
}
