//! What rules match, what policies decide, and what is said of doubtful ones.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{oracle::oracle, *};

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn allows(rule: &str, path: &str) -> bool {
    let policy = Policy::new(vec![pattern(rule)], Vec::new());
    matches!(policy.judge(path), Verdict::Allowed(_))
}

fn denies(rule: &str, path: &str) -> bool {
    let policy = Policy::new(vec![pattern("*")], vec![pattern(rule)]);
    matches!(policy.judge(path), Verdict::Denied(_))
}

#[test]
fn plain_rules_and_prefixes_match_as_the_table_of_the_api_says() {
    for (rule, path, expected) in [
        ("/v1/status", "/v1/status", true),
        ("/v1/status", "/v1/status/", false),
        ("/v1/key/create/my*", "/v1/key/create/my", true),
        ("/v1/key/create/my*", "/v1/key/create/", false),
        ("/v1/key/list/*", "/v1/key/list/", true),
        ("/v1/key/list/my", "/v1/key/list/my-key", false),
        ("*", "anything", true),
        ("*", "", true),
        ("", "", false),
        ("/v1/Status", "/v1/status", false),
        ("/v1/key/*", "/v1/key/create/a/b", true),
    ] {
        assert_eq!(allows(rule, path), expected, "allow {rule} of {path}");
        assert_eq!(denies(rule, path), expected, "deny {rule} of {path}");
    }
}

#[test]
fn globs_do_not_cross_a_slash() {
    for (rule, path, expected) in [
        ("/v1/key/*/my-key", "/v1/key/create/my-key", true),
        ("/v1/key/*/my-key", "/v1/key/a/b/my-key", false),
        ("/v1/*/*", "/v1/key/create/x", false),
        ("/v1/*/*", "/v1/key/create", true),
        ("/v1/?", "/v1//", false),
        ("/v1/[^a]", "/v1//", false),
        ("/v1/[/]", "/v1//", false),
        ("/v1/?", "/v1/é", true),
        ("/v1/?", "/v1/e\u{301}", false),
        ("/v1/[a-cx]", "/v1/b", true),
        ("/v1/[a-cx]", "/v1/d", false),
        ("/v1/[^a-c]", "/v1/d", true),
        ("/v1/[!a]", "/v1/!", true),
        ("/v1/[!a]", "/v1/b", false),
        (r"/v1/[\]\-]", "/v1/]", true),
        (r"/v1/[\]\-]", "/v1/-", true),
        ("/v1/[z-a]", "/v1/m", false),
        (r"/v1/\?", "/v1/?", true),
        (r"/v1/\?", "/v1/x", false),
        ("/v1/a**", "/v1/a", true),
        ("/v1/a**", "/v1/a/b", false),
        ("/v1/*a*b*", "/v1/xxaxxbxx", true),
        ("/v1/*a*b*", "/v1/xxbxxaxx", false),
        ("/v1/]?", "/v1/]x", true),
    ] {
        assert_eq!(allows(rule, path), expected, "{rule} of {path}");
    }
}

#[test]
fn a_deny_rule_matches_in_either_reading() {
    assert!(denies("/v1/key/*/secret*", "/v1/key/delete/secret-2"));
    assert!(denies("/v1/key/*/secret*", "/v1/key/*/secret/below"));
    assert!(denies("/v1/key/a**", "/v1/key/a*/below"));
    assert!(denies("/v1/key/[ab]", "/v1/key/[ab]"));
    assert!(denies("/v1/key/[ab]", "/v1/key/a"));
    assert!(!allows("/v1/key/[ab]", "/v1/key/[ab]"));
    assert!(!allows("/v1/key/a**", "/v1/key/a*/below"));
}

#[test]
fn malformed_globs_are_refused() {
    for text in [
        "[", "[a", "[]", "[^]", "[^", "a\\", "[a-]", "[-a]", "[a-z", "[]a]", "[\\", "[a\\", "*[",
    ] {
        assert_eq!(
            Pattern::parse(text),
            Err(InvalidPattern(text.to_owned())),
            "{text}"
        );
    }
}

#[test]
fn the_verdict_names_the_rule_that_decided() {
    let policy = Policy::new(
        vec![pattern("/v1/status"), pattern("/v1/*")],
        vec![pattern("/v1/key/*/secret")],
    );
    assert_eq!(
        policy.judge("/v1/metrics"),
        Verdict::Allowed(&pattern("/v1/*"))
    );
    assert_eq!(
        policy.judge("/v1/key/delete/secret"),
        Verdict::Denied(&pattern("/v1/key/*/secret"))
    );
    assert_eq!(policy.judge("/version"), Verdict::NoRule);
}

const ROUTES: &[&str] = &["/version", "/v1/status", "/v1/key/create/", "/v1/key/list/"];

#[test]
fn rules_that_match_no_route_are_doubted() {
    for (rule, instead) in [
        ("/v1/key/list", Some("/v1/key/list/*")),
        ("/v1/status/", Some("/v1/status")),
        ("/v1/secret/read/*", None),
        ("/v1/identity/assign/*/*", None),
        ("/v1/key/create/a/b", None),
        ("/v1/key/*/a/b", None),
        ("", None),
    ] {
        let instead = instead.map(str::to_owned);
        let doubts = pattern(rule).doubts(ROUTES);
        assert!(
            doubts.contains(&Doubt::NoRoute { instead }),
            "{rule}: {doubts:?}"
        );
    }
}

#[test]
fn rules_that_match_some_route_are_not_doubted() {
    for rule in [
        "*",
        "/v1/*",
        "/v1/stat*",
        "/v1/key/list/",
        "/v1/key/list/*",
        "/v1/key/list/my",
        "/v1/key/create/my-*",
        "/version",
    ] {
        assert_eq!(pattern(rule).doubts(ROUTES), [], "{rule}");
    }
    assert_eq!(pattern("/v1/key/*/secret").doubts(ROUTES), [Doubt::Glob]);
    assert_eq!(pattern("/v1/stat?s").doubts(ROUTES), [Doubt::Glob]);
}

#[test]
fn many_stars_do_not_take_exponential_time() {
    let rule = format!("/v1/{}b", "*a".repeat(200));
    assert!(!allows(&rule, &format!("/v1/{}", "a".repeat(5_000))));
}

/// Short texts of few characters, so that rules and paths often meet.
fn text(max: usize) -> impl Strategy<Value = String> {
    let chars = select(vec!['a', 'b', '-', '/', '*', '?', '[', ']', '^', '\\', 'é']);
    vec(chars, 0..max).prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn judging_agrees_with_the_definition(
        allow in vec(text(7), 0..3),
        deny in vec(text(7), 0..3),
        path in text(6),
    ) {
        let parse = |rules: &[String], deny: bool| -> Result<Vec<Pattern>, TestCaseError> {
            let mut parsed = Vec::new();
            for rule in rules {
                let ours = Pattern::parse(rule);
                prop_assert_eq!(ours.is_err(), oracle(rule, &path, deny).is_none(), "{}", rule);
                parsed.extend(ours);
            }
            Ok(parsed)
        };
        let policy = Policy::new(parse(&allow, false)?, parse(&deny, true)?);
        let any = |rules: &[String], deny| rules.iter().any(|rule| oracle(rule, &path, deny) == Some(true));
        let expected = any(&allow, false) && !any(&deny, true);
        prop_assert_eq!(matches!(policy.judge(&path), Verdict::Allowed(_)), expected);
    }

    #[test]
    fn no_pattern_panics(rule in any::<String>(), path in any::<String>()) {
        if let Ok(rule) = Pattern::parse(&rule) {
            let _ = rule.doubts(&[&path, "/v1/status", "/v1/key/list/"]);
            let policy = Policy::new(vec![rule.clone()], vec![rule]);
            prop_assert!(!matches!(policy.judge(&path), Verdict::Allowed(_)));
        }
    }
}
