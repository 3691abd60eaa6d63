//! [`Page`]: one page of a listing; [`Selection`]: how a store that cannot sort or filter by itself makes one (keystores.md 2.4).

use std::collections::BTreeSet;

use crate::name::KeyName;

/// One page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Names in ascending byte order.
    pub names: Vec<KeyName>,
    /// The first name that did not fit, when there are more.
    pub next: Option<KeyName>,
}

/// Picks a [`Page`] out of names that come in any order, some of them not names of keys, some twice.
///
/// Holds at most one name more than the page may have, however many are offered.
#[derive(Debug)]
pub struct Selection<'a> {
    prefix: &'a str,
    first: &'a str,
    limit: usize,
    names: BTreeSet<KeyName>,
}

impl<'a> Selection<'a> {
    /// What [`Keystore::list`](super::Keystore::list) was asked for.
    pub fn new(prefix: &'a str, from: Option<&'a str>, limit: usize) -> Self {
        Self {
            prefix,
            first: from.map_or(prefix, |from| from.max(prefix)),
            limit,
            names: BTreeSet::new(),
        }
    }

    /// The name of a key that belongs on the page as far as is known by now, or nothing. It is not taken before [`Self::add`], so that a
    /// store can look closer first.
    pub fn wants(&self, text: &str) -> Option<KeyName> {
        let full = self.names.len() > self.limit;
        let late = full && self.names.last().is_some_and(|last| text >= last.as_str());
        let wanted = text.starts_with(self.prefix) && text >= self.first && !late;
        wanted.then(|| KeyName::parse_old(text).ok()).flatten()
    }

    /// Takes a name that [`Self::wants`] returned.
    pub fn add(&mut self, name: KeyName) {
        self.names.insert(name);
        // One more than the page may have: the one it continues at.
        if self.names.len() > self.limit.saturating_add(1) {
            self.names.pop_last();
        }
    }

    /// The page.
    pub fn page(mut self) -> Page {
        let more = self.names.len() > self.limit;
        let next = if more { self.names.pop_last() } else { None };
        Page {
            names: self.names.into_iter().collect(),
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The oracle: parse, filter, sort, cut.
        #[test]
        fn a_selection_is_what_sorting_everything_gives(
            texts in prop::collection::vec("[-_.:/ab]{0,4}", 0..60),
            prefix in "[-_.ab]{0,2}",
            from in prop::option::of("[-_.ab]{0,3}"),
            limit in 0_usize..12,
        ) {
            let mut all: Vec<_> = texts.iter().filter_map(|text| KeyName::parse_old(text).ok()).collect();
            all.retain(|name| name.as_str().starts_with(&prefix));
            all.retain(|name| from.as_deref().is_none_or(|from| name.as_str() >= from));
            all.sort();
            all.dedup();
            let names = all.iter().take(limit).cloned().collect();
            let next = all.get(limit).cloned();

            let mut selection = Selection::new(&prefix, from.as_deref(), limit);
            for text in &texts {
                if let Some(name) = selection.wants(text) {
                    selection.add(name);
                    prop_assert!(selection.names.len() <= limit + 1);
                }
            }
            prop_assert_eq!(selection.page(), Page { names, next });
        }
    }
}
