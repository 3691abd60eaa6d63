//! The shape of the file (config.md 4): every key that is known, and what stands there. Type checks, references, unknown keys and
//! their nearest known spelling all come from this one table.

/// What may stand at a place.
pub(super) enum Shape {
    /// A key that older releases knew and that means nothing now. Not looked at.
    Ignored,
    Leaf(Leaf),
    List(&'static Self),
    /// A mapping with keys of the user's choice.
    Map(&'static Self),
    /// A mapping with these keys.
    Section(&'static [(&'static str, Self)]),
}

/// What a scalar stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaf {
    /// `on`, `off` and their kin.
    Bool,
    /// A time.
    Duration,
    /// Text in which references to the environment are not expanded.
    Literal,
    /// Any text.
    Text,
}

use Shape::{Ignored, List, Map, Section};

const BOOL: Shape = Shape::Leaf(Leaf::Bool);
const DURATION: Shape = Shape::Leaf(Leaf::Duration);
const LITERAL: Shape = Shape::Leaf(Leaf::Literal);
const TEXT: Shape = Shape::Leaf(Leaf::Text);

impl Shape {
    /// The shape of what stands at `key` in a mapping of this shape.
    pub(super) fn child(&self, key: &str) -> Option<&'static Self> {
        match self {
            Map(inner) => Some(inner),
            Section(keys) => keys
                .iter()
                .find_map(|(name, shape)| (*name == key).then_some(shape)),
            Ignored | Self::Leaf(_) | List(_) => None,
        }
    }

    /// The known key that `key` is a typing error of.
    pub(super) fn nearest(&self, key: &str) -> Option<&'static str> {
        let Section(keys) = self else { return None };
        keys.iter()
            .map(|(name, _)| (distance(&key.to_ascii_lowercase(), name), *name))
            .filter(|(distance, name)| *distance <= if name.len() < 5 { 1 } else { 2 })
            .min()
            .map(|(_, name)| name)
    }
}

/// How many characters must be inserted, deleted, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    const MAX: usize = 64;
    let a: Vec<char> = a.chars().take(MAX).collect();
    let b: Vec<char> = b.chars().take(MAX).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let replaced = at(&last, j) + usize::from(ca != cb);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca);
            if swapped {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

/// The whole file.
pub(super) const FILE: Shape = Section(&[
    ("version", LITERAL),
    ("address", TEXT),
    ("admin", Section(&[("identity", TEXT)])),
    (
        "tls",
        Section(&[
            ("key", TEXT),
            ("cert", TEXT),
            ("password", TEXT),
            ("auth", TEXT),
            ("ca", TEXT),
            (
                "proxy",
                Section(&[
                    ("identities", List(&TEXT)),
                    ("header", Section(&[("cert", TEXT)])),
                ]),
            ),
        ]),
    ),
    (
        "api",
        Map(&Section(&[("skip_auth", BOOL), ("timeout", DURATION)])),
    ),
    (
        "policy",
        Map(&Section(&[
            ("allow", List(&LITERAL)),
            ("deny", List(&LITERAL)),
            ("identities", List(&TEXT)),
        ])),
    ),
    (
        "cache",
        Section(&[(
            "expiry",
            Section(&[
                ("any", DURATION),
                ("unused", DURATION),
                ("offline", DURATION),
            ]),
        )]),
    ),
    (
        "log",
        Section(&[("error", TEXT), ("audit", TEXT), ("format", TEXT)]),
    ),
    ("keys", List(&Section(&[("name", TEXT)]))),
    (
        "compat",
        Section(&[
            ("legacy_errors", BOOL),
            ("ndjson_lists", BOOL),
            ("legacy_self_describe", BOOL),
            ("legacy_names", BOOL),
        ]),
    ),
    (
        "keystore",
        Section(&[
            ("fs", Section(&[("path", TEXT)])),
            ("vault", VAULT),
            ("fortanix", Section(&[("sdkms", FORTANIX)])),
            ("gemalto", Section(&[("keysecure", GEMALTO)])),
            ("gcp", Section(&[("secretmanager", GCP)])),
            ("aws", Section(&[("secretsmanager", AWS)])),
            ("azure", Section(&[("keyvault", AZURE)])),
            ("entrust", Section(&[("keycontrol", ENTRUST)])),
        ]),
    ),
]);

const CA: Shape = Section(&[("ca", TEXT)]);

const VAULT: Shape = Section(&[
    ("endpoint", TEXT),
    ("engine", TEXT),
    ("version", TEXT),
    ("namespace", TEXT),
    ("prefix", TEXT),
    ("transit", Section(&[("engine", TEXT), ("key", TEXT)])),
    (
        "approle",
        Section(&[
            ("engine", TEXT),
            ("namespace", TEXT),
            ("id", TEXT),
            ("secret", TEXT),
            ("retry", Ignored),
        ]),
    ),
    (
        "kubernetes",
        Section(&[
            ("engine", TEXT),
            ("namespace", TEXT),
            ("role", TEXT),
            ("jwt", TEXT),
            ("retry", Ignored),
        ]),
    ),
    (
        "tls",
        Section(&[("key", TEXT), ("cert", TEXT), ("ca", TEXT)]),
    ),
    ("status", Section(&[("ping", DURATION)])),
]);

const FORTANIX: Shape = Section(&[
    ("endpoint", TEXT),
    ("group_id", TEXT),
    ("credentials", Section(&[("key", TEXT)])),
    ("tls", CA),
]);

const GEMALTO: Shape = Section(&[
    ("endpoint", TEXT),
    (
        "credentials",
        Section(&[("token", TEXT), ("domain", TEXT), ("retry", DURATION)]),
    ),
    ("tls", CA),
]);

const GCP: Shape = Section(&[
    ("project_id", TEXT),
    ("endpoint", TEXT),
    ("scopes", List(&TEXT)),
    (
        "credentials",
        Section(&[
            ("client_email", TEXT),
            ("client_id", TEXT),
            ("private_key_id", TEXT),
            ("private_key", TEXT),
        ]),
    ),
]);

const AWS: Shape = Section(&[
    ("endpoint", TEXT),
    ("region", TEXT),
    ("kmskey", TEXT),
    (
        "credentials",
        Section(&[("accesskey", TEXT), ("secretkey", TEXT), ("token", TEXT)]),
    ),
]);

const AZURE: Shape = Section(&[
    ("endpoint", TEXT),
    (
        "credentials",
        Section(&[
            ("tenant_id", TEXT),
            ("client_id", TEXT),
            ("client_secret", TEXT),
        ]),
    ),
    ("managed_identity", Section(&[("client_id", TEXT)])),
]);

const ENTRUST: Shape = Section(&[
    ("endpoint", TEXT),
    ("vault_id", TEXT),
    ("box_id", TEXT),
    (
        "credentials",
        Section(&[("username", TEXT), ("password", TEXT)]),
    ),
    ("tls", CA),
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_has_a_nearest_key() {
        for (key, nearest) in [
            ("adress", Some("address")),
            ("Address", Some("address")),
            ("polciy", Some("policy")),
            ("key-store", Some("keystore")),
            ("tsl", Some("tls")),
            ("keystores", Some("keystore")),
            ("key", Some("keys")),
            ("x-notes", None),
            ("root", None),
            ("", None),
        ] {
            assert_eq!(FILE.nearest(key), nearest, "{key}");
        }
    }

    #[test]
    fn distance_counts_single_edits() {
        for (a, b, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "acb", 1),
            ("abc", "abd", 1),
            ("abc", "xabc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
