//! [`Subject`]: a store under test, and what the cases of [`super::conformance`] say to it.
//!
//! All values carry a mark, and all handles are watched: an error whose text, debug form or chain of causes shows the mark fails the
//! case that raised it (keystores.md 13, case 10).

use std::{
    error::Error as _,
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use kes::{
    keystore::{Error, Keystore, Page},
    name::KeyName,
    secret::Secret,
};

/// A store under test, with data of its own.
#[async_trait]
pub(crate) trait Subject: Send + Sync + 'static {
    /// In what the store differs from the strictest one.
    const NATURE: Nature;

    /// A store without keys, in a place that no other test uses.
    async fn fresh() -> Self;

    /// Opens the store once more, as another process would.
    async fn handle(&self) -> Arc<dyn Keystore>;

    /// Puts an entry of this name into the store as a stranger would, or says why that cannot be.
    async fn plant(&self, name: &str) -> Result<(), &'static str> {
        self.plant_text(name, "foreign").await
    }

    /// Puts this text into the store under this name as a stranger would, or says why that cannot be.
    async fn plant_text(&self, name: &str, text: &str) -> Result<(), &'static str>;
}

/// In what a store may differ, each with the reason.
pub(crate) struct Nature {
    /// Why deleting a missing name succeeds, if it does.
    pub(super) silent_delete: Option<&'static str>,
    /// The largest value in bytes, and why it is not [`MAX_VALUE`].
    pub(super) small_values: Option<(usize, &'static str)>,
}

impl Nature {
    /// A store without exceptions.
    pub(super) const STRICT: Self = Self {
        silent_delete: None,
        small_values: None,
    };
}

/// Stands in every value.
pub(super) const MARK: &str = "pSst-Canary";

/// A value of some hundred bytes, different for each `seed`.
pub(super) fn value(seed: impl fmt::Display) -> String {
    format!("{MARK}.{seed}.{}==", "AbC+/09 {\"x\":1}~".repeat(20))
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::copy_from(text.as_bytes())
}

pub(crate) fn name(text: &str) -> KeyName {
    KeyName::parse(text).unwrap()
}

pub(super) fn names(texts: &[&str]) -> Vec<KeyName> {
    texts.iter().map(|text| name(text)).collect()
}

/// An error as a log may show it: text, debug form, and both of every cause.
pub(crate) fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, " {error} {error:?}").unwrap();
        cause = error.source();
    }
    text
}

/// Checks every error of a store for the mark.
pub(super) struct Watched(Arc<dyn Keystore>);

fn watch<T>(result: Result<T, Error>) -> Result<T, Error> {
    result.inspect_err(|error| {
        let text = shown(error);
        assert!(!text.contains(MARK), "an error shows a value: {text}");
    })
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl Keystore for Watched {
    async fn status(&self) -> Result<Duration, Error> {
        watch(self.0.status().await)
    }
    async fn create(&self, name: &KeyName, value: &Secret) -> Result<(), Error> {
        watch(self.0.create(name, value).await)
    }
    async fn get(&self, name: &KeyName) -> Result<Secret, Error> {
        watch(self.0.get(name).await)
    }
    async fn delete(&self, name: &KeyName) -> Result<(), Error> {
        watch(self.0.delete(name).await)
    }
    async fn list(&self, prefix: &str, from: Option<&str>, limit: usize) -> Result<Page, Error> {
        watch(self.0.list(prefix, from, limit).await)
    }
}

pub(super) async fn open(subject: &impl Subject) -> Arc<Watched> {
    Arc::new(Watched(subject.handle().await))
}

pub(super) async fn create(store: &impl Keystore, key: &str, value: &str) -> Result<(), Error> {
    store.create(&name(key), &secret(value)).await
}

/// The value of a key as text; nothing if there is none.
pub(super) async fn read(store: &impl Keystore, key: &str) -> Option<String> {
    match store.get(&name(key)).await {
        Ok(value) => Some(String::from_utf8(value.expose().to_vec()).unwrap()),
        Err(Error::NotFound) => None,
        Err(error) => panic!("{}", shown(&error)),
    }
}

pub(super) async fn list(store: &impl Keystore, prefix: &str) -> Vec<KeyName> {
    let page = store.list(prefix, None, usize::MAX).await.unwrap();
    assert_eq!(page.next, None);
    page.names
}
