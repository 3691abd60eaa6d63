//! Names: parsed once, valid ever after (api.md 4).
//!
//! A name has 1 to 80 bytes of `0-9 A-Z a-z - _`, is not exactly `_`, and neither starts nor ends with `-`. A [`ListPattern`] is
//! what the listing routes take in a name's place.
//!
//! Old releases took more: [`KeyName::parse_old`] reads the names of keys that can be used and not created.

use std::{borrow::Borrow, fmt};

/// Longest name, in bytes.
pub const MAX_LEN: usize = 80;

/// The text is not a name: it is empty, too long, or contains characters that are not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("empty, longer than 80 bytes, or contains other characters than 0-9 A-Z a-z - _")]
pub struct InvalidName;

/// Whether `text` is a name of a key, a policy or an identity.
pub fn is_valid(text: &str) -> bool {
    is_name_text(text) && !text.ends_with('-')
}

/// The rule shared by names and prefixes of names: all of it but the end.
fn is_name_text(text: &str) -> bool {
    !text.is_empty() && text != "_" && is_prefix(text)
}

/// Whether `text` may stand before the star of a pattern.
fn is_prefix(text: &str) -> bool {
    text.len() <= MAX_LEN
        && !text.starts_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether `text` may stand before the star of a pattern that asks for old names, too.
fn is_old_prefix(text: &str) -> bool {
    text.len() <= MAX_LEN
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:+".contains(&b))
}

/// The name of a key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(Box<str>);

/// The name of a policy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName(Box<str>);

macro_rules! name {
    ($type:ident) => {
        impl $type {
            /// Checks `text` and takes it as a name.
            ///
            /// # Errors
            /// [`InvalidName`] if it breaks the rule at the head of this module.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                if is_valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidName)
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(KeyName);
name!(PolicyName);

impl KeyName {
    /// Checks `text` and takes it as the name of a key that may be older than the rule at the head of this module (minio.md B8,
    /// decision 20).
    ///
    /// Such a name has 1 to 80 bytes of `0-9 A-Z a-z - _ . : +`, of which `.` is not the first: a file whose name starts with a dot
    /// is never a key, and `.` and `..` are none either way. Whoever creates a key takes [`KeyName::parse`].
    ///
    /// # Errors
    /// [`InvalidName`] if it is not even that.
    pub fn parse_old(text: &str) -> Result<Self, InvalidName> {
        if !text.is_empty() && is_old_prefix(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName)
        }
    }

    /// Whether a key of this name cannot be created any more.
    pub fn is_old(&self) -> bool {
        !is_valid(&self.0)
    }
}

/// Which names a listing asks for (api.md 4 and 8): all that start with `prefix`, from `from` on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPattern {
    /// Whether names that can no longer be created are asked for, too.
    pub old: bool,
    /// What the names start with; empty for all names.
    pub prefix: String,
    /// The first name to return, where an earlier page ended.
    pub from: Option<String>,
}

impl ListPattern {
    /// Reads a pattern: empty, `*`, a prefix, a prefix with one `*` at its end, or `<prefix>*<name>` as it stands in a
    /// `continue_at`.
    ///
    /// # Errors
    /// [`InvalidName`] if it is none of these.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let (prefix, from) = match text.split_once('*') {
            // A lone `_` is no name and, without a star, no prefix either.
            None if text.is_empty() || is_name_text(text) => (text, None),
            Some((prefix, "")) if is_prefix(prefix) && text.len() <= MAX_LEN => (prefix, None),
            Some((prefix, from)) if is_prefix(prefix) && is_valid(from) => (prefix, Some(from)),
            _ => return Err(InvalidName),
        };
        Ok(Self {
            old: false,
            prefix: prefix.to_owned(),
            from: from.map(str::to_owned),
        })
    }

    /// Reads a pattern of the same forms that asks for names of [`KeyName::parse_old`].
    ///
    /// # Errors
    /// [`InvalidName`] if it is none of these.
    pub fn parse_old(text: &str) -> Result<Self, InvalidName> {
        let (prefix, from) = text.split_once('*').unwrap_or((text, ""));
        let from = Some(from).filter(|from| !from.is_empty());
        let valid = is_old_prefix(prefix) && from.is_none_or(is_old_prefix);
        // As with other patterns, the star counts.
        if !valid || (from.is_none() && text.len() > MAX_LEN) {
            return Err(InvalidName);
        }
        Ok(Self {
            old: true,
            prefix: prefix.to_owned(),
            from: from.map(str::to_owned),
        })
    }

    /// Whether a listing with this pattern tells this name of those that a store found.
    pub fn tells(&self, name: &KeyName) -> bool {
        self.old || !name.is_old()
    }

    /// Those of `names`, which come sorted, that this pattern asks for.
    pub fn select<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let from = self.from.as_deref().unwrap_or_default();
        names
            .filter(|name| name.starts_with(&self.prefix) && *name >= from)
            .map(str::to_owned)
            .collect()
    }

    /// The text that asks for the page that starts at `next`.
    pub fn continue_at(&self, next: &str) -> String {
        format!("{}*{next}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_continuation_reads_back_as_it_was_written() {
        let pattern = ListPattern::parse("my*").unwrap();
        let again = ListPattern::parse(&pattern.continue_at("my-key")).unwrap();
        assert_eq!(again.prefix, "my");
        assert_eq!(again.from.as_deref(), Some("my-key"));
    }

    #[test]
    fn both_halves_of_a_continuation_are_checked() {
        for bad in ["-a*b", "a*b-", "a*b*c", "a**", "*-", "a*_", "a/b*c"] {
            assert_eq!(ListPattern::parse(bad), Err(InvalidName), "{bad}");
        }
    }

    #[test]
    fn old_names_are_read_on_demand_only() {
        for old in ["a.b", "a:b", "a+b", "-a", "a-", "_", "a..b", ":", "+", "a."] {
            assert_eq!(KeyName::parse(old), Err(InvalidName), "{old}");
            let name = KeyName::parse_old(old).unwrap();
            assert!(name.is_old() && name.as_str() == old, "{old}");
            let pattern = ListPattern::parse_old(&format!("{old}*")).unwrap();
            assert!(pattern.tells(&name) && !ListPattern::default().tells(&name));
            let next = ListPattern::parse_old(&pattern.continue_at(old)).unwrap();
            assert_eq!(
                (next.prefix.as_str(), next.from.as_deref()),
                (old, Some(old))
            );
        }
        assert!(!KeyName::parse_old("a-b").unwrap().is_old());
    }

    #[test]
    fn what_was_never_safe_is_never_a_name() {
        let long = "a".repeat(MAX_LEN + 1);
        for bad in [
            "", ".", "..", ".a", "...", "a/b", "/", "a\\b", "a\0b", "a\nb", "a\u{7f}", "a b", "a*",
            "\u{e9}", "a%2e", &long,
        ] {
            assert_eq!(KeyName::parse_old(bad), Err(InvalidName), "{bad:?}");
        }
        for bad in [".", "..", ".*", "a*.b", "a*b*", "a**", "a/*", "a\n", &long] {
            assert_eq!(ListPattern::parse_old(bad), Err(InvalidName), "{bad:?}");
        }
        assert!(ListPattern::parse_old("").is_ok_and(|all| all.old && all.prefix.is_empty()));
    }

    proptest! {
        #[test]
        fn every_name_is_also_an_old_one(text in "[-_*.:+0-9A-Za-z]{0,82}") {
            if let Ok(name) = KeyName::parse(&text) {
                prop_assert_eq!(KeyName::parse_old(&text), Ok(name));
            }
            if let Ok(pattern) = ListPattern::parse(&text) {
                prop_assert_eq!(ListPattern::parse_old(&text), Ok(ListPattern { old: true, ..pattern }));
            }
        }

        #[test]
        fn every_name_asks_for_itself(text in "[-_*0-9A-Za-z]{0,82}") {
            let pattern = ListPattern::parse(&text);
            if let Ok(name) = KeyName::parse(&text) {
                prop_assert_eq!(name.as_str(), text.as_str());
                let pattern = pattern.unwrap();
                prop_assert_eq!(pattern.prefix.as_str(), text.as_str());
                let next = ListPattern::parse(&pattern.continue_at(&text)).unwrap();
                prop_assert_eq!(next.from.as_deref(), Some(text.as_str()));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let valid = is_valid(&text);
            prop_assert_eq!(PolicyName::parse(&text).is_ok(), valid);
            prop_assert!(!valid || text.is_ascii());
            prop_assert!(ListPattern::parse(&text).is_ok() || !valid);
            let old = KeyName::parse_old(&text).is_ok();
            prop_assert!(!old || (text.is_ascii() && !text.contains(['/', '\0']) && !text.starts_with('.')));
            prop_assert!(ListPattern::parse_old(&text).is_ok() || !old);
        }
    }
}
