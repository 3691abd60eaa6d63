//! Paths, names, and the rules that judge them.

use kes::{
    name::{self, KeyName, ListPattern, PolicyName},
    policy::{Pattern, Policy, Verdict},
};

use oracle::oracle;
use path::{Odd, Path};

#[path = "../../../src/policy/oracle.rs"]
mod oracle;
// It is private to the API: nothing else may read a path.
#[path = "../../../src/api/path.rs"]
mod path;

/// Segments that routes look at.
const MAX_FIXED: usize = 4;
/// Beyond these, in characters, the oracle for policies takes too long.
const MAX_RULE: usize = 24;
const MAX_STARS: usize = 3;

/// A path is read as its definition says: split, drop what is empty, decode once.
pub fn request_path(data: &[u8]) {
    let Ok(raw) = str::from_utf8(data) else {
        return;
    };
    let parsed = Path::parse(raw);
    let segments: Option<Vec<String>> = raw
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(decode)
        .collect();
    let (Ok(path), Some(segments)) = (&parsed, &segments) else {
        assert_eq!(parsed.is_err(), segments.is_none());
        return;
    };
    let spell = |segments: &[String]| {
        let with_slash = segments.iter().flat_map(|segment| ["/", segment]);
        with_slash.collect::<String>()
    };
    assert_eq!(path.text(), spell(segments));
    assert_eq!(path.head(0), None);
    for count in 1..=MAX_FIXED + 1 {
        if count > segments.len() || count > MAX_FIXED {
            assert_eq!(path.head(count), None);
        } else {
            let (head, rest) = segments.split_at(count);
            assert_eq!(path.head(count), Some(&*spell(head)));
            assert_eq!(path.rest(count), rest.join("/"));
        }
    }
    let odd = segments.iter().find_map(|segment| match &**segment {
        "." | ".." => Some(Odd::Dots),
        text if text.contains('/') => Some(Odd::Slash),
        _ => None,
    });
    assert_eq!(path.odd(), odd);
}

/// Decodes escapes, byte by byte; `None` if one is broken.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    Some(String::from_utf8_lossy(&decoded).into_owned())
}

/// Names and listing patterns are what their definition says.
pub fn name(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let valid = is_prefix(text) && !text.is_empty() && text != "_" && !text.ends_with('-');
    assert_eq!(name::is_valid(text), valid);
    assert_eq!(KeyName::parse(text).is_ok(), valid);
    assert_eq!(PolicyName::parse(text).is_ok(), valid);

    let pattern = ListPattern::parse(text);
    let whole = is_prefix(text) && text != "_";
    let with_star = text.split_once('*').is_some_and(|(prefix, from)| {
        is_prefix(prefix) && (name::is_valid(from) || (from.is_empty() && text.len() <= 80))
    });
    assert_eq!(pattern.is_ok(), whole || with_star);
    let Ok(pattern) = pattern else { return };
    let selected = pattern.select(["", "a", "a-1", "a-2", "b"].into_iter());
    assert!(
        selected
            .iter()
            .all(|name| name.starts_with(&pattern.prefix))
    );
    for next in selected.iter().filter(|name| name::is_valid(name)) {
        let page = ListPattern::parse(&pattern.continue_at(next)).expect("our own pattern");
        assert_eq!(page.prefix, pattern.prefix);
        assert_eq!(page.from.as_ref(), Some(next));
    }
}

fn is_prefix(text: &str) -> bool {
    let allowed = |c: char| matches!(c, '0'..='9' | 'A'..='Z' | 'a'..='z' | '-' | '_');
    text.len() <= 80 && text.chars().all(allowed) && !text.starts_with('-')
}

/// Policies judge as the slow oracle does. The first line is the path, each other one a rule; those that start with `!` deny.
pub fn policy(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (path, rules) = text.split_once('\n').unwrap_or((text, ""));
    let (mut allow, mut deny) = (Vec::new(), Vec::new());
    let (mut allowed, mut denied) = (false, false);
    let mut known = path.chars().count() <= MAX_RULE;
    for line in rules.split('\n') {
        let (rules, any, rule) = match line.strip_prefix('!') {
            Some(rule) => (&mut deny, &mut denied, rule),
            None => (&mut allow, &mut allowed, line),
        };
        let pattern = Pattern::parse(rule);
        let short = rule.chars().count() <= MAX_RULE
            && rule.chars().filter(|c| *c == '*').count() <= MAX_STARS;
        if known && short {
            let matches = oracle(rule, path, line.starts_with('!'));
            assert_eq!(pattern.is_ok(), matches.is_some(), "{rule}");
            *any |= matches == Some(true);
        } else {
            known = false;
        }
        if let Ok(pattern) = pattern {
            assert_eq!(pattern.as_str(), rule);
            let _ = pattern.doubts(&["/v1/status", "/v1/key/list/", path]);
            rules.push(pattern);
        }
    }
    let policy = Policy::new(allow, deny);
    let verdict = policy.judge(path);
    if known {
        assert_eq!(matches!(verdict, Verdict::Allowed(_)), allowed && !denied);
        assert_eq!(matches!(verdict, Verdict::Denied(_)), denied);
    }
}
