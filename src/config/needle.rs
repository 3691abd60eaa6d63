//! No message holds a secret or the value of a variable: a needle is put wherever one may stand, errors are provoked all around it, and
//! it must not be seen.

#![expect(
    clippy::format_push_string,
    reason = "what is said is gathered to be looked through, not to be fast"
)]

use super::{
    Context, Env, Fallback, inspect_bytes, migrate_bytes, parse, parse_keystore,
    table::{Holds, Kind, ROWS, Row},
};

const NEEDLE: &str = "hunter2needle";
const ROUTES: &[&str] = &["/v1/ready", "/v1/status", "/v1/key/create/"];

/// Everything that is ever said about a file.
fn said(text: &str, env: &Env) -> String {
    let context = Context {
        env,
        routes: ROUTES,
        fallback: Fallback::default(),
    };
    let mut said = String::new();
    let bytes = text.as_bytes();
    match parse("f", bytes, &context) {
        Ok(config) => said += &format!("{:?}", config.warnings),
        Err(errors) => said += &format!("{errors} {errors:?}"),
    }
    if let Ok(file) = inspect_bytes("f", bytes, &context) {
        said += &file.shown();
        said += &file.shown_json().to_string();
        said += &format!("{:?} {:?}", file.review(), file.literal_secret());
    }
    match parse_keystore("f", bytes, env) {
        Ok((_, notes)) => said += &format!("{notes:?}"),
        Err(errors) => said += &format!("{errors} {errors:?}"),
    }
    match migrate_bytes("f", bytes, ROUTES) {
        // Its text is the file, secrets included.
        Ok(migration) => said += &format!("{:?} {:?}", migration.changed, migration.left),
        Err(errors) => said += &format!("{errors} {errors:?}"),
    }
    said
}

/// A file with `value` at the place of a row, and `rest` beside it in the same mapping.
fn file(row: &Row, value: &str, rest: &str) -> String {
    let mut text = String::new();
    let mut indent = String::new();
    let path = row.path.replace("api.*", "api./v1/ready");
    let path = path.replace("policy.*", "policy.p");
    let steps: Vec<&str> = path.split('.').collect();
    let mut close = String::new();
    for (i, step) in steps.iter().enumerate() {
        let name = step.trim_end_matches("[]");
        let in_list = step.ends_with("[]");
        let at_end = i + 1 == steps.len();
        text += &format!("{indent}{name}:");
        match (at_end, in_list) {
            (true, true) => text += &format!("\n{indent}  - {value}\n"),
            (true, false) => text += &format!(" {value}\n"),
            (false, true) => {
                text += &format!("\n{indent}  -\n");
                indent += "    ";
                continue;
            }
            (false, false) => text += "\n",
        }
        if at_end && !rest.is_empty() {
            close = format!("{indent}{rest}\n");
        }
        indent += "  ";
    }
    text + &close
}

/// Sections around the one in question, whole or broken.
const AROUND: [&str; 4] = [
    "",
    "zzz: [",
    "zzz: 1\nzzz: 2\n",
    "log: { error: loud, audit: [ a ] }\nshutdown: { drain: -1s }\nversion: v9\n",
];

#[test]
fn no_secret_of_the_file_is_ever_shown() {
    let env = Env::of([("EMPTY", "")]);
    let mut seen = 0;
    for row in ROWS.iter().filter(|row| row.holds == Holds::Secret) {
        for value in [
            NEEDLE.to_owned(),
            format!("'{NEEDLE}/with/slash'"),
            format!("x${{EMPTY}}{NEEDLE}"),
            format!("${{EMPTY}} {NEEDLE} ${{EMPTY}}"),
            format!("[ {NEEDLE} ]"),
            format!("{{ a: {NEEDLE} }}"),
            format!("\"{NEEDLE}"),
            format!("|\n                {NEEDLE}"),
            format!("!!binary {NEEDLE}"),
            format!("!!int {NEEDLE}"),
            format!("&{NEEDLE}x {NEEDLE}"),
        ] {
            for rest in ["", "unknown: 1", "endpoint: nowhere", "- broken"] {
                for around in AROUND {
                    let text = format!("{}{around}", file(row, &value, rest));
                    let said = said(&text, &env);
                    // The name of an anchor is none of the value.
                    let said = said.replace(&format!("{NEEDLE}x"), "");
                    assert!(!said.contains(NEEDLE), "{text}\n{said}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 1000, "{seen}");
}

#[test]
fn no_value_of_the_environment_is_ever_shown() {
    let mut seen = 0;
    for row in ROWS {
        if row.kind == Kind::Ignored {
            continue;
        }
        for value in [
            NEEDLE.to_owned(),
            format!("{NEEDLE}/with/slash"),
            format!(" {NEEDLE} "),
            format!("https://{NEEDLE}:8200"),
            format!("-{NEEDLE}"),
        ] {
            let env = Env::of([("VALUE", value.as_str()), ("EMPTY", "")]);
            for reference in ["\"${VALUE}\"", "'${VALUE}${EMPTY}'", "\"${VALUE}${UNSET}\""] {
                for around in AROUND {
                    let text = format!("{}{around}", file(row, reference, ""));
                    let said = said(&text, &env);
                    assert!(!said.contains(NEEDLE), "{text}\n{said}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 1000, "{seen}");
}
