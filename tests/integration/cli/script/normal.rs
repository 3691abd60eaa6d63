//! Output without what differs from run to run.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::world::World;

/// What is replaced, in this order.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d", "[TIME]"),
        (
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
            "[TIME]",
        ),
        (r"kes:v1:[A-Za-z0-9+/]{44}", "[API-KEY]"),
        (r"\b[0-9A-F]{2}(:[0-9A-F]{2}){31}\b", "[FINGERPRINT]"),
        (r"\b[0-9a-f]{64}\b", "[IDENTITY]"),
        (r"[A-Za-z0-9+/]{43,}=*", "[BASE64]"),
        (r"\bexpires on \d{4}-\d\d-\d\d\b", "expires on [DAY]"),
        (r"\b\d+(\.\d+)?(ns|µs|ms)\b", "[DURATION]"),
    ]
    .into_iter()
    .map(|(pattern, name)| (Regex::new(pattern).unwrap(), name))
    .collect()
});

/// The lines of an output.
pub(super) fn lines(text: &str, world: &World) -> Vec<String> {
    let mut text = text.replace('\x1b', "␛").replace("\r\n", "\n");
    for (value, name) in world.names() {
        text = text.replace(&value, name);
    }
    for (pattern, name) in PATTERNS.iter() {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    text = text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    let unfinished = !text.is_empty() && !text.ends_with('\n');
    let mut lines: Vec<_> = text
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    if unfinished && let Some(last) = lines.last_mut() {
        last.push_str("[no newline]");
    }
    lines
}
