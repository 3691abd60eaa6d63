//! Keys in memory, lost when the process ends (keystores.md 3): for development, for tests, and when no store is configured.
//!
//! The content survives a reload when both configurations select this store: the server then keeps the open store, instead of
//! opening a new and empty one.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;

use super::{Error, Keystore, Page, check_value};
use crate::{name::KeyName, secret::Secret};

/// Keys in memory.
#[derive(Default)]
pub struct MemStore {
    values: RwLock<BTreeMap<KeyName, Secret>>,
}

impl fmt::Display for MemStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("In Memory")
    }
}

#[async_trait]
impl Keystore for MemStore {
    /// Always up. A millisecond, as the predecessor says.
    async fn status(&self) -> Result<Duration, Error> {
        Ok(Duration::from_millis(1))
    }

    async fn create(&self, name: &KeyName, value: &Secret) -> Result<(), Error> {
        check_value(value)?;
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        if values.contains_key(name) {
            return Err(Error::Exists);
        }
        values.insert(name.clone(), Secret::copy_from(value.expose()));
        Ok(())
    }

    async fn get(&self, name: &KeyName) -> Result<Secret, Error> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let value = values.get(name).ok_or(Error::NotFound)?;
        Ok(Secret::copy_from(value.expose()))
    }

    async fn delete(&self, name: &KeyName) -> Result<(), Error> {
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        values.remove(name).map(drop).ok_or(Error::NotFound)
    }

    async fn list(&self, prefix: &str, from: Option<&str>, limit: usize) -> Result<Page, Error> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let first = from.map_or(prefix, |from| from.max(prefix));
        let mut names = values
            .range::<str, _>((Bound::Included(first), Bound::Unbounded))
            .map(|(name, _)| name)
            .take_while(|name| name.as_str().starts_with(prefix));
        Ok(Page {
            names: names.by_ref().take(limit).cloned().collect(),
            next: names.next().cloned(),
        })
    }
}
