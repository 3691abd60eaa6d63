//! The two ends of a migration: [`Source`], which is only read, and [`Target`].

use std::{sync::Arc, time::Duration};

use subtle::ConstantTimeEq as _;

use crate::{
    keystore::{Error, Keystore},
    name::KeyName,
    secret::Secret,
};

/// Longest time that a store may take for one operation. Longer than a server waits: nobody stands in line behind a migration.
const LIMIT: Duration = Duration::from_mins(1);

/// How many names to ask for at once. Stores that cannot sort read all names for each page.
const PAGE: usize = 50_000;

/// How often to look again for an entry that was written and is not there, and how long to wait before the first time; each wait is
/// twice the one before. Some services show new entries late (decision 30): 3 s in all.
const LOOKS: u32 = 5;
const WAIT: Duration = Duration::from_millis(100);

/// Whether two values are the same bytes. Takes the same time wherever they differ.
pub(super) fn is_same(one: &Secret, other: &Secret) -> bool {
    one.expose().ct_eq(other.expose()).into()
}

/// Where keys come from. There is no method that writes.
pub(super) struct Source(Arc<dyn Keystore>);

impl Source {
    pub(super) fn new(store: Arc<dyn Keystore>) -> Self {
        Self(store)
    }

    /// All names, sorted.
    pub(super) async fn names(&self) -> Result<Vec<KeyName>, Error> {
        names(&*self.0, "").await
    }

    pub(super) async fn get(&self, name: &KeyName) -> Result<Secret, Error> {
        limited(self.0.get(name)).await
    }
}

/// Where keys go to.
pub(super) struct Target(Arc<dyn Keystore>);

impl Target {
    pub(super) fn new(store: Arc<dyn Keystore>) -> Self {
        Self(store)
    }

    /// All names that start with `prefix`, sorted.
    pub(super) async fn names(&self, prefix: &str) -> Result<Vec<KeyName>, Error> {
        names(&*self.0, prefix).await
    }

    pub(super) async fn get(&self, name: &KeyName) -> Result<Secret, Error> {
        limited(self.0.get(name)).await
    }

    pub(super) async fn create(&self, name: &KeyName, value: &Secret) -> Result<(), Error> {
        limited(self.0.create(name, value)).await
    }

    pub(super) async fn delete(&self, name: &KeyName) -> Result<(), Error> {
        limited(self.0.delete(name)).await
    }

    /// Whether this value was written under this name. Looks for a while if there is nothing yet.
    pub(super) async fn has(&self, name: &KeyName, value: &Secret) -> Result<bool, Error> {
        let mut wait = WAIT;
        for _ in 1..LOOKS {
            match self.get(name).await {
                Err(Error::NotFound) => {}
                found => return found.map(|found| is_same(&found, value)),
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        self.get(name).await.map(|found| is_same(&found, value))
    }
}

/// Every name that starts with `prefix`, page by page.
async fn names(store: &dyn Keystore, prefix: &str) -> Result<Vec<KeyName>, Error> {
    let mut all: Vec<KeyName> = Vec::new();
    let mut from: Option<KeyName> = None;
    loop {
        let start = from.as_ref().map(KeyName::as_str);
        let page = limited(store.list(prefix, start, PAGE)).await?;
        all.extend(page.names);
        match page.next {
            None => return Ok(all),
            // Or it would go on for ever, and with names missing.
            Some(next) if all.last().is_some_and(|last| next <= *last) || all.is_empty() => {
                return Err(Error::Malformed(format!(
                    "the listing of the store does not go on at '{next}'"
                )));
            }
            Some(next) => from = Some(next),
        }
    }
}

/// The outcome of `work`, or that there was none in time.
async fn limited<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    within(LIMIT, work).await
}

/// The outcome of `work`, or that there was none within `limit`. It may then still happen.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let outcome = tokio::time::timeout(limit, work).await;
    outcome.unwrap_or_else(|_| {
        Err(Error::Unreachable {
            what: format!("no answer within {} s", limit.as_secs()),
            source: None,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use async_trait::async_trait;

    use super::*;
    use crate::keystore::Page;

    /// A store that lists one page again and again, and otherwise never answers.
    struct Stuck;

    impl fmt::Display for Stuck {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Stuck")
        }
    }

    #[async_trait]
    impl Keystore for Stuck {
        async fn status(&self) -> Result<Duration, Error> {
            std::future::pending().await
        }
        async fn create(&self, _: &KeyName, _: &Secret) -> Result<(), Error> {
            std::future::pending().await
        }
        async fn get(&self, _: &KeyName) -> Result<Secret, Error> {
            std::future::pending().await
        }
        async fn delete(&self, _: &KeyName) -> Result<(), Error> {
            std::future::pending().await
        }
        async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Page, Error> {
            let name = KeyName::parse("a").unwrap();
            Ok(Page {
                names: vec![name.clone()],
                next: Some(name),
            })
        }
    }

    #[tokio::test]
    async fn a_listing_that_does_not_go_on_is_an_error() {
        let error = names(&Stuck, "").await.unwrap_err();
        assert!(error.to_string().contains("does not go on"), "{error}");
    }

    #[tokio::test]
    async fn a_store_that_never_answers_is_unreachable() {
        let waiting = Stuck.status();
        let error = within(Duration::ZERO, waiting).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert!(
            error.to_string().contains("no answer within 0 s"),
            "{error}"
        );
    }

    #[test]
    fn values_are_the_same_if_all_bytes_are() {
        let value = |text: &str| Secret::copy_from(text.as_bytes());
        assert!(is_same(&value("abc"), &value("abc")));
        for other in ["abd", "ab", "abcd", ""] {
            assert!(!is_same(&value("abc"), &value(other)));
        }
    }
}
