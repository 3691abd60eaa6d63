//! Known answers for names, listing patterns and policies (api.md 16).

use kes::{
    name::{self, KeyName, ListPattern, PolicyName},
    policy::{Pattern, Policy, Verdict},
};
use serde_json::Value;

fn vectors(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

#[test]
fn names_and_listing_patterns_are_told_apart() {
    let vectors = vectors(include_str!("compat/vectors/names.json"));
    assert_eq!(vectors.len(), 40);
    for vector in &vectors {
        let text = vector["text"].as_str().unwrap();
        let valid = vector["valid_name"].as_bool().unwrap();
        assert_eq!(name::is_valid(text), valid, "{text:?}");
        assert_eq!(KeyName::parse(text).is_ok(), valid, "{text:?}");
        assert_eq!(PolicyName::parse(text).is_ok(), valid, "{text:?}");
        assert_eq!(
            ListPattern::parse(text).is_ok(),
            vector["valid_pattern"].as_bool().unwrap(),
            "{text:?}"
        );
    }
}

fn rules(list: &Value) -> Vec<Pattern> {
    let rules = list.as_array().unwrap().iter();
    rules
        .map(|rule| Pattern::parse(rule.as_str().unwrap()).unwrap())
        .collect()
}

#[test]
fn policies_judge_as_written_down() {
    let vectors = vectors(include_str!("compat/vectors/policy.json"));
    assert_eq!(vectors.len(), 18);
    let mut requests = 0;
    for vector in &vectors {
        let policy = Policy::new(rules(&vector["allow"]), rules(&vector["deny"]));
        for (path, allowed) in vector["requests"].as_object().unwrap() {
            requests += 1;
            assert_eq!(
                matches!(policy.judge(path), Verdict::Allowed(_)),
                allowed.as_bool().unwrap(),
                "{path} by {vector}"
            );
        }
    }
    assert_eq!(requests, 51);
}
