//! What is made from the table of all keys: the page for people, and the JSON Schema.

use std::fs;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::sample;

fn kept(name: &str) -> String {
    let path = format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_page_is_what_the_program_makes() {
    assert!(
        kept("configuration.md") == kes::config::markdown(),
        "docs/configuration.md is old: kes config schema --markdown > docs/configuration.md"
    );
}

#[test]
fn the_schema_is_what_the_program_makes() {
    let schema = serde_json::to_string_pretty(&kes::config::schema()).unwrap();
    assert!(
        kept("config.schema.json") == schema + "\n",
        "docs/config.schema.json is old: kes config schema > docs/config.schema.json"
    );
}

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(&kept("config.schema.json")).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// A file as an editor sees it.
fn value(text: &str) -> Value {
    let first = text.split("\n---\nignored").next().unwrap();
    serde_saphyr::from_str(first).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn every_valid_sample_is_valid_by_the_schema() {
    let validator = validator();
    for name in sample::names("") {
        let text = fs::read_to_string(sample::folder(&format!("{name}.yaml"))).unwrap();
        let value = value(&text);
        let wrong: Vec<_> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    }
}

#[test]
fn the_schema_finds_what_it_can_find() {
    let validator = validator();
    for name in [
        "06-bad-version",
        "07-bad-tls-auth",
        "22-bad-duration",
        "23-bad-log-level",
        "26-removed-generic-keystore",
        "27-removed-kes-keystore",
        "33-not-a-mapping",
    ] {
        let path = sample::folder(&format!("invalid/{name}.yaml"));
        assert!(
            !validator.is_valid(&value(&fs::read_to_string(path).unwrap())),
            "{name}"
        );
    }
    for (value, valid) in [
        (json!({ "adress": ":1" }), false),
        (json!({ "x-anything": { "a": [ 1 ] } }), true),
        (
            json!({ "cache": { "expiry": { "any": "1h30m", "unused": 0, "offline": null } } }),
            true,
        ),
        (json!({ "cache": { "expiry": { "any": "1 h" } } }), false),
        (json!({ "cache": { "expiry": { "any": " ${A} " } } }), true),
        (
            json!({ "policy": { "a": { "allow": "/v1/status" } } }),
            false,
        ),
        (json!({ "policy": { "a": { "alow": [] } } }), false),
        (json!({ "compat": { "legacy_names": "oN" } }), false),
        (json!({ "compat": { "legacy_names": true } }), true),
        (
            json!({ "log": { "audit": "WARN+1", "error": -4, "format": "Json" } }),
            true,
        ),
        (
            json!({ "keys": { "vault": { "address": "http://v" } } }),
            true,
        ),
        (json!({ "keys": [ { "name": "a" } ] }), true),
        (json!({ "keys": [ "a" ] }), false),
        (
            json!({ "keystore": { "vault": { "endpoint": "vault" } } }),
            false,
        ),
    ] {
        assert_eq!(validator.is_valid(&value), valid, "{value}");
    }
}
