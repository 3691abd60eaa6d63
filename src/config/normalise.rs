//! Old spellings become the current ones (config.md 18): on the tree, never on text, with a warning for each.

use super::{
    report::Report,
    shape::FILE,
    yaml::{Entry, Node, Value, join},
};

/// One old spelling. A `*` stands for any key, the same in both paths.
pub(super) struct Alias {
    pub(super) old: &'static [&'static str],
    pub(super) new: &'static [&'static str],
    /// What to do when both are there.
    pub(super) clash: Clash,
}

#[derive(Clone, Copy)]
pub(super) enum Clash {
    CurrentWins,
    Refused,
}

/// The table of config.md 18.2, in the order in which the rows build on each other.
static ALIASES: &[Alias] = &[
    alias(&["root"], &["admin", "identity"], Clash::CurrentWins),
    alias(
        &["policy", "*", "paths"],
        &["policy", "*", "allow"],
        Clash::CurrentWins,
    ),
    alias(
        &["cache", "expiry", "all"],
        &["cache", "expiry", "any"],
        Clash::Refused,
    ),
    // Published documents leave out the level of the provider.
    alias(
        &["keystore", "secretsmanager"],
        &["keystore", "aws", "secretsmanager"],
        Clash::Refused,
    ),
    alias(
        &["keystore", "secretmanager"],
        &["keystore", "gcp", "secretmanager"],
        Clash::Refused,
    ),
    alias(
        &["keystore", "keyvault"],
        &["keystore", "azure", "keyvault"],
        Clash::Refused,
    ),
    alias(
        &["keystore", "keysecure"],
        &["keystore", "gemalto", "keysecure"],
        Clash::Refused,
    ),
    alias(
        &["keystore", "sdkms"],
        &["keystore", "fortanix", "sdkms"],
        Clash::Refused,
    ),
    alias(
        &["keystore", "keycontrol"],
        &["keystore", "entrust", "keycontrol"],
        Clash::Refused,
    ),
    // Names of the first releases with YAML.
    alias(
        &["keystore", "aws", "secrets_manager"],
        &["keystore", "aws", "secretsmanager"],
        Clash::Refused,
    ),
    alias(
        &["keystore", "aws", "secretsmanager", "address"],
        &["keystore", "aws", "secretsmanager", "endpoint"],
        Clash::Refused,
    ),
    alias(
        &["keystore", "aws", "secretsmanager", "kms_key_id"],
        &["keystore", "aws", "secretsmanager", "kmskey"],
        Clash::Refused,
    ),
    alias(
        &[
            "keystore",
            "aws",
            "secretsmanager",
            "credentials",
            "access_key",
        ],
        &[
            "keystore",
            "aws",
            "secretsmanager",
            "credentials",
            "accesskey",
        ],
        Clash::Refused,
    ),
    alias(
        &[
            "keystore",
            "aws",
            "secretsmanager",
            "credentials",
            "secret_key",
        ],
        &[
            "keystore",
            "aws",
            "secretsmanager",
            "credentials",
            "secretkey",
        ],
        Clash::Refused,
    ),
    alias(
        &[
            "keystore",
            "aws",
            "secretsmanager",
            "credentials",
            "session_token",
        ],
        &["keystore", "aws", "secretsmanager", "credentials", "token"],
        Clash::Refused,
    ),
    alias(
        &["keystore", "vault", "address"],
        &["keystore", "vault", "endpoint"],
        Clash::Refused,
    ),
    alias(
        &["keystore", "vault", "name"],
        &["keystore", "vault", "prefix"],
        Clash::Refused,
    ),
];

/// Releases v0.8.0 to v0.13.5 had the keystores under `keys`. Only a mapping means that; a list names keys to create.
static KEYS: Alias = alias(&["keys"], &["keystore"], Clash::Refused);

/// A path, as the table has it.
type Steps = &'static [&'static str];

impl Alias {
    /// What follows the star that is step `at` of both paths.
    fn below(&self, at: usize) -> Option<(Steps, Steps)> {
        Some((self.old.get(at + 1..)?, self.new.get(at + 1..)?))
    }
}

const fn alias(old: &'static [&'static str], new: &'static [&'static str], clash: Clash) -> Alias {
    Alias { old, new, clash }
}

/// The first releases had the keystores, `fs` and `vault`, at the top of the file.
static TOP: [Alias; 2] = [
    alias(&["fs"], &["keystore", "fs"], Clash::Refused),
    alias(&["vault"], &["keystore", "vault"], Clash::Refused),
];

/// Every old spelling, in the order in which they are applied.
pub(super) fn aliases() -> impl Iterator<Item = &'static Alias> {
    [&KEYS].into_iter().chain(&TOP).chain(ALIASES)
}

/// Takes out of `root`, which stands for the whole file, every known section that says nothing about the keystore.
pub(super) fn keep_keystore(root: &mut Node) {
    let Value::Map(entries) = &mut root.value else {
        return;
    };
    entries.retain(|entry| match entry.key.as_str() {
        "keystore" => true,
        // A list names keys to create.
        "keys" => matches!(entry.node.value, Value::Map(_)),
        // What nobody knows may be a misspelled keystore.
        key => key != "root" && FILE.child(key).is_none(),
    });
}

/// Rewrites every old spelling in `root`, which stands for the whole file.
pub(super) fn normalise(root: &mut Node, report: &mut Report) {
    if find(root, KEYS.old).is_some_and(|keys| matches!(keys.value, Value::Map(_))) {
        apply(root, "", KEYS.old, KEYS.new, KEYS.clash, report);
    }
    for alias in TOP.iter().chain(ALIASES) {
        let star = alias.old.iter().position(|step| *step == "*");
        let Some((at, parts)) = star.and_then(|at| Some((at, alias.below(at)?))) else {
            apply(root, "", alias.old, alias.new, alias.clash, report);
            continue;
        };
        let (old, new) = parts;
        let above = alias.old.get(..at).unwrap_or_default();
        let base = above
            .iter()
            .fold(String::new(), |path, key| join(&path, key));
        let Some(Value::Map(entries)) = find_mut(root, above).map(|node| &mut node.value) else {
            continue;
        };
        for entry in entries {
            // There may be thousands, and few have anything old.
            if find(&entry.node, old).is_some() {
                let base = join(&base, &entry.key);
                apply(&mut entry.node, &base, old, new, alias.clash, report);
            }
        }
    }
}

/// Puts what stands at `old` to `new`, both within `node`, whose own path is `base`.
fn apply(
    node: &mut Node,
    base: &str,
    old: &[&str],
    new: &[&str],
    clash: Clash,
    report: &mut Report,
) {
    let current = find(node, new)
        .filter(|node| !node.is_empty())
        .map(|node| node.line);
    let Some(entry) = take(node, old) else {
        return;
    };
    let shown = |path: &[&str]| {
        path.iter()
            .fold(base.to_owned(), |path, key| join(&path, key))
    };
    let (old_key, new_key) = (shown(old), shown(new));
    let line = entry.line;
    let nothing = entry.node.is_empty();
    match (current, clash) {
        (None, _) => {
            if put(node, new, entry) {
                report.warn(
                    line,
                    &old_key,
                    "this is an old spelling",
                    Some(format!("write '{new_key}'")),
                );
            }
        }
        (Some(current), Clash::Refused) if !nothing => report.error_with_hint(
            line,
            &old_key,
            format!("is the same as '{new_key}' in line {current}"),
            format!("keep '{new_key}'"),
        ),
        (Some(current), _) => report.warn(
            line,
            &old_key,
            format!("ignored: '{new_key}' in line {current} is its current spelling"),
            Some(format!("remove '{old_key}'")),
        ),
    }
}

fn find<'a>(node: &'a Node, path: &[&str]) -> Option<&'a Node> {
    let Some((key, rest)) = path.split_first() else {
        return Some(node);
    };
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .find(|entry| entry.key == *key)
            .and_then(|entry| find(&entry.node, rest)),
        _ => None,
    }
}

fn find_mut<'a>(node: &'a mut Node, path: &[&str]) -> Option<&'a mut Node> {
    let Some((key, rest)) = path.split_first() else {
        return Some(node);
    };
    match &mut node.value {
        Value::Map(entries) => entries
            .iter_mut()
            .find(|entry| entry.key == *key)
            .and_then(|entry| find_mut(&mut entry.node, rest)),
        _ => None,
    }
}

fn take(node: &mut Node, path: &[&str]) -> Option<Entry> {
    let (key, rest) = path.split_first()?;
    let Value::Map(entries) = &mut node.value else {
        return None;
    };
    let at = entries.iter().position(|entry| entry.key == *key)?;
    if rest.is_empty() {
        return Some(entries.remove(at));
    }
    take(&mut entries.get_mut(at)?.node, rest)
}

/// Puts the value of `entry` at `path`, making the mappings on the way. `false` if something else than a mapping is in the way,
/// which is a type error of its own.
fn put(node: &mut Node, path: &[&str], entry: Entry) -> bool {
    let Some((key, rest)) = path.split_first() else {
        node.line = entry.node.line;
        node.value = entry.node.value;
        return true;
    };
    if matches!(node.value, Value::Null) {
        node.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut node.value else {
        return false;
    };
    if let Some(known) = entries.iter_mut().find(|known| known.key == *key) {
        return put(&mut known.node, rest, entry);
    }
    let line = entry.line;
    let mut new = Entry {
        key: (*key).to_owned(),
        line,
        node: Node {
            line,
            value: Value::Null,
        },
    };
    let done = put(&mut new.node, rest, entry);
    entries.push(new);
    done
}
