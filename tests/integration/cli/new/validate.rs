//! A validator for the part of JSON Schema that our schemas use. It knows no other word, so that none is passed over.

use std::slice;

use serde_json::{Map, Value};

/// What is wrong with `value`, and where; nothing if it is as `schema` says.
pub(super) fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    check(schema, value, "$", &mut errors);
    errors
}

fn check(schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
    let schema = schema.as_object().expect("a schema is an object");
    for (word, rule) in schema {
        match word.as_str() {
            "$schema" | "title" | "description" => {}
            "type" => {
                let types = rule.as_array().map_or(slice::from_ref(rule), Vec::as_slice);
                let is = |of: &Value| is_of_type(value, of.as_str().expect("a type"));
                if !types.iter().any(is) {
                    errors.push(format!("{place} is no {rule}: {value}"));
                }
            }
            "const" => {
                if value != rule {
                    errors.push(format!("{place} is not {rule}"));
                }
            }
            "enum" => {
                if !rule.as_array().expect("a list").contains(value) {
                    errors.push(format!("{place} is none of {rule}: {value}"));
                }
            }
            "minimum" => {
                if value
                    .as_f64()
                    .is_some_and(|number| number < rule.as_f64().unwrap())
                {
                    errors.push(format!("{place} is below {rule}"));
                }
            }
            "anyOf" => {
                let choices = rule.as_array().expect("a list").iter();
                let all: Vec<_> = choices.map(|choice| self::errors(choice, value)).collect();
                if all.iter().all(|errors| !errors.is_empty()) {
                    errors.push(format!("{place} is nothing of what it may be: {all:?}"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, item, &format!("{place}[{index}]"), errors);
                }
            }
            "required" => {
                for name in rule.as_array().expect("a list") {
                    let name = name.as_str().unwrap();
                    if value
                        .as_object()
                        .is_some_and(|object| !object.contains_key(name))
                    {
                        errors.push(format!("{place} has no {name}"));
                    }
                }
            }
            "properties" => {
                let rules = rule.as_object().expect("an object");
                for (name, member) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rules.get(name) {
                        check(rule, member, &format!("{place}.{name}"), errors);
                    }
                }
            }
            "additionalProperties" => {
                let none = Map::new();
                let known = schema
                    .get("properties")
                    .and_then(Value::as_object)
                    .unwrap_or(&none);
                for (name, member) in value.as_object().into_iter().flatten() {
                    if known.contains_key(name) {
                        continue;
                    }
                    match rule {
                        Value::Bool(false) => errors.push(format!("{place} has {name}")),
                        rule => check(rule, member, &format!("{place}.{name}"), errors),
                    }
                }
            }
            other => panic!("the validator does not know '{other}'"),
        }
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        other => panic!("no type '{other}'"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_found() {
        let schema = json!({
            "type": "object", "required": ["a"], "additionalProperties": false,
            "properties": {
                "a": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                "b": {"anyOf": [{"enum": ["x"]}, {"type": "null"}]},
                "c": {"const": true},
                "d": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        });
        let good = json!({"a": [0, 1], "b": null, "c": true, "d": {"e": "f"}});
        assert_eq!(errors(&schema, &good), Vec::<String>::new());
        for bad in [
            json!([]),
            json!({}),
            json!({"a": [-1]}),
            json!({"a": [1.5]}),
            json!({"a": "1"}),
            json!({"a": [], "b": "y"}),
            json!({"a": [], "c": false}),
            json!({"a": [], "d": {"e": 1}}),
            json!({"a": [], "e": 1}),
        ] {
            assert_eq!(errors(&schema, &bad).len(), 1, "{bad}");
        }
    }
}
