//! Listings of keys, policies and identities, from servers of every generation (minio.md B5), and all of them: page after page.
//!
//! Current servers say where to go on in a form of their own, `PREFIX*NAME`. The reference says the next name and then takes it as a
//! *prefix*, so that all but a few names would be missing; from such a server the rest is asked for by the characters that can
//! follow.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Client,
    answer::{json_values, malformed},
    error::Error,
    get, key_path, path, stored_name,
    transport::Reply,
};

/// The characters of names, old and new, in ascending order.
const ALPHABET: &[u8] = b"+-.0123456789:ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Names of keys.
    Keys,
    /// Names of policies.
    Policies,
    /// Identities.
    Identities,
}

/// One answer to a listing.
#[derive(Debug, Default)]
struct Page {
    names: Vec<String>,
    /// What to list next; empty at the end.
    continue_at: String,
    /// The server is of a generation that takes the argument as a glob and knows no pages.
    globs: bool,
}

impl Client {
    /// All names that start with `prefix`, in ascending order. One trailing star is ignored.
    pub async fn list(&self, kind: Kind, prefix: &str) -> Result<Vec<String>, Error> {
        let prefix = prefix.strip_suffix('*').unwrap_or(prefix);
        if !(prefix.is_empty() || stored_name(prefix).is_ok()) {
            return Err(Error::InvalidPattern(prefix.to_owned()));
        }
        let mut names = BTreeSet::new();
        let mut left = vec![prefix.to_owned()];
        while let Some(prefix) = left.pop() {
            self.list_from(kind, &prefix, &mut names, &mut left).await?;
        }
        names.retain(|name| name.starts_with(prefix));
        Ok(names.into_iter().collect())
    }

    /// Lists the names under one prefix. What such a listing leaves out goes to `left`, as more prefixes.
    async fn list_from(
        &self,
        kind: Kind,
        prefix: &str,
        names: &mut BTreeSet<String>,
        left: &mut Vec<String>,
    ) -> Result<(), Error> {
        let mut pattern = if prefix.is_empty() { "*" } else { prefix }.to_owned();
        loop {
            let page = self.page(kind, &pattern).await?;
            if page.globs && !pattern.ends_with('*') {
                pattern.push('*');
                continue;
            }
            let next = page.continue_at;
            let new = page.names.iter().any(|name| !names.contains(name));
            names.extend(page.names);
            // A server that does not move on would keep us here for ever.
            if next.is_empty() || next == pattern || !new {
                return Ok(());
            }
            if !next.contains('*') && next.starts_with(prefix) {
                left.extend(after(prefix, &next));
                return Ok(());
            }
            pattern = next;
        }
    }

    async fn page(&self, kind: Kind, pattern: &str) -> Result<Page, Error> {
        let path = match kind {
            Kind::Keys => key_path("list", pattern),
            Kind::Policies => path("policy/list", pattern),
            Kind::Identities => path("identity/list", pattern),
        };
        read(&self.call(get(path)).await?)
    }
}

/// Prefixes that together cover all names from `next` on which start with `prefix`.
fn after(prefix: &str, next: &str) -> Vec<String> {
    let mut prefixes = vec![next.to_owned()];
    for (at, byte) in next.bytes().enumerate().skip(prefix.len()) {
        let common = next.get(..at).unwrap_or_default();
        let greater = ALPHABET.iter().filter(|&&other| other > byte);
        prefixes.extend(greater.map(|&other| format!("{common}{}", char::from(other))));
    }
    prefixes
}

/// Reads a page in any of its historical forms.
fn read(reply: &Reply) -> Result<Page, Error> {
    let mut page = Page {
        globs: reply.content_type.starts_with("application/x-ndjson"),
        ..Page::default()
    };
    let values = json_values(reply)?;
    if values.is_empty() && !page.globs {
        return Err(malformed(reply, "it is empty"));
    }
    for value in values {
        match value {
            // Policies until v0.17.
            Value::Array(names) => page.names.extend(names.into_iter().filter_map(text)),
            Value::Object(mut object) => {
                if object
                    .get("error")
                    .and_then(Value::as_str)
                    .is_some_and(|text| !text.is_empty())
                {
                    return Err(malformed(reply, "the listing broke off"));
                }
                let lists = ["names", "identities"].map(|member| object.remove(member));
                if lists.iter().any(Option::is_some) {
                    for names in lists.into_iter().flatten() {
                        // `null` for none.
                        if let Value::Array(names) = names {
                            page.names.extend(names.into_iter().filter_map(text));
                        }
                    }
                    page.continue_at = object
                        .remove("continue_at")
                        .and_then(text)
                        .unwrap_or_default();
                } else if let Some(name) = ["name", "Name", "identity"]
                    .into_iter()
                    .find_map(|member| object.remove(member))
                {
                    page.names.extend(text(name));
                } else {
                    // Identities until v0.14: each with its policy.
                    page.names
                        .extend(object.into_iter().map(|(identity, _)| identity));
                }
            }
            Value::Null => {}
            _ => return Err(malformed(reply, "it is no list")),
        }
    }
    Ok(page)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_name_is_covered_once_and_nothing_before_it() {
        let prefixes = after("k", "kb1");
        let covered = |name: &str| {
            prefixes
                .iter()
                .filter(|prefix| name.starts_with(*prefix))
                .count()
        };
        for name in ["kb1", "kb1x", "kb2", "kbz-1", "kc", "kz"] {
            assert_eq!(covered(name), 1, "{name}");
        }
        for name in ["ka", "kb0", "k-", "k_", "l", "kb"] {
            assert_eq!(covered(name), 0, "{name}");
        }
    }

    #[test]
    fn the_alphabet_is_sorted() {
        assert!(ALPHABET.is_sorted());
    }
}
