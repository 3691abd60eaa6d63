//! [`Shape`]: the table of the file, folded into a tree. Type checks, references, unknown keys and their nearest known spelling
//! come from it.

use std::sync::LazyLock;

use super::table::{ROWS, Row};

/// What may stand at a place.
pub(super) enum Shape {
    /// A scalar.
    Leaf(&'static Row),
    List(Box<Self>),
    /// A mapping with keys of the user's choice.
    Map(Box<Self>),
    /// A mapping with these keys.
    Section(Vec<(&'static str, Self)>),
}

/// The whole file.
pub(super) static FILE: LazyLock<Shape> = LazyLock::new(|| {
    let rows: Vec<_> = ROWS.iter().map(|row| (row.path, row)).collect();
    Shape::of(&rows)
});

impl Shape {
    /// Folds rows, each with what is left of its path. Rows that go on with brackets or a star are alone at their place.
    fn of(rows: &[(&'static str, &'static Row)]) -> Self {
        let behind = |step: &str| -> Option<Vec<_>> {
            let rest = |(path, row): &(&'static str, &'static Row)| {
                let rest = path.strip_prefix(step)?;
                Some((rest.strip_prefix('.').unwrap_or(rest), *row))
            };
            rows.iter().map(rest).collect()
        };
        if let [("", row)] = rows {
            return Self::Leaf(row);
        }
        if let Some(rows) = behind("[]") {
            return Self::List(Box::new(Self::of(&rows)));
        }
        if let Some(rows) = behind("*") {
            return Self::Map(Box::new(Self::of(&rows)));
        }
        let mut sections: Vec<(&'static str, Vec<_>)> = Vec::new();
        for (path, row) in rows {
            let end = path.find(['.', '[']).unwrap_or(path.len());
            let (step, rest) = path.split_at(end);
            let rest = (rest.strip_prefix('.').unwrap_or(rest), *row);
            match sections.iter_mut().find(|(name, _)| *name == step) {
                Some((_, rows)) => rows.push(rest),
                None => sections.push((step, vec![rest])),
            }
        }
        let folded = |(name, rows): (&'static str, Vec<_>)| (name, Self::of(&rows));
        Self::Section(sections.into_iter().map(folded).collect())
    }

    /// The shape of what stands at `key` in a mapping of this shape.
    pub(super) fn child(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(inner) => Some(inner),
            Self::Section(keys) => keys
                .iter()
                .find_map(|(name, shape)| (*name == key).then_some(shape)),
            Self::Leaf(_) | Self::List(_) => None,
        }
    }

    /// The shape of the elements of a list of this shape.
    pub(super) fn item(&self) -> Option<&Self> {
        match self {
            Self::List(inner) => Some(inner),
            _ => None,
        }
    }

    /// The known key that `key` is a typing error of.
    pub(super) fn nearest(&self, key: &str) -> Option<&'static str> {
        let Self::Section(keys) = self else {
            return None;
        };
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
