//! The keyring: keys by name, for handlers. It parses what a [`Keystore`] holds and caches it (api.md 9).
//!
//! This is where requests cross from the core that serves their connection to the runtime that waits for the outside: a cached key
//! is answered on the spot; everything else runs to its end in a task of its own, so that a caller who goes away never leaves a create
//! or a delete half done.

use std::{
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{runtime::Handle, sync::Mutex, task::JoinHandle};

use crate::{
    clock::Clock,
    crypto::{KeyVersion, MalformedRecord, NoHmacKey},
    keystore::{self, Keystore, Page},
    name::{KeyName, ListPattern},
};

mod cache;

use cache::{Cache, Flight, Lookup, Miss};

pub use cache::Expiry;

/// Longest time a store may take for one operation: the routes' 15 s less a margin to say so (keystores.md 1.3).
const BUDGET: Duration = Duration::from_secs(14);
/// Longest time a probe of the store may take.
const PROBE_BUDGET: Duration = Duration::from_secs(5);
/// How often the store's health is asked for while an offline period is configured (api.md 9.4).
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// How long the outcome of a probe is shared (decision 26).
const PROBE_SHARED: Duration = Duration::from_secs(1);

/// Why the keyring cannot do what was asked. Cheap to clone: all who wait for one fetch get the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The task that did the work ended without an answer.
    #[error("internal error: the task for key '{0}' ended early")]
    Aborted(String),
    /// What the store holds under this name cannot be read as a key.
    #[error("stored key '{name}' cannot be read")]
    Malformed {
        /// The key.
        name: KeyName,
        /// What is wrong with it.
        #[source]
        source: Arc<MalformedRecord>,
    },
    /// The key has no HMAC key, and such keys cannot be written.
    #[error("a key without an HMAC key cannot be stored")]
    NotStorable(#[from] NoHmacKey),
    /// The keystore says so.
    #[error(transparent)]
    Store(#[from] Arc<keystore::Error>),
    /// The keystore gave no answer in time.
    #[error("keystore unreachable: no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
}

/// The classes of [`Error`] that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The name is taken.
    Exists,
    /// There is no such name.
    NotFound,
    /// Anything else: the store or the record is at fault.
    Other,
    /// The store cannot be reached.
    Unreachable,
}

impl Error {
    /// The class of this error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Aborted(_) | Self::Malformed { .. } | Self::NotStorable(_) => Kind::Other,
            Self::Store(error) => match **error {
                keystore::Error::Exists => Kind::Exists,
                keystore::Error::NotFound => Kind::NotFound,
                keystore::Error::Unreachable { .. } => Kind::Unreachable,
                keystore::Error::Malformed(_) | keystore::Error::Refused { .. } => Kind::Other,
            },
            Self::TimedOut(_) => Kind::Unreachable,
        }
    }
}

/// Keys by name. Dropping it ends its background tasks.
pub struct Keyring {
    inner: Arc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

struct Inner {
    store: Arc<dyn Keystore>,
    cache: Cache<KeyVersion, Error>,
    clock: Clock,
    /// Where what waits for the outside runs.
    outside: Handle,
    probe: Mutex<Option<(Duration, Result<Duration, Error>)>>,
}

impl Keyring {
    /// A keyring over `store`. Work that waits for the store runs on `outside`.
    pub fn new(store: Arc<dyn Keystore>, expiry: Expiry, clock: Clock, outside: &Handle) -> Self {
        let inner = Arc::new(Inner {
            store,
            cache: Cache::new(expiry, clock.clone()),
            clock,
            outside: outside.clone(),
            probe: Mutex::new(None),
        });
        let mut tasks = vec![outside.spawn(sweep(Arc::downgrade(&inner), sweep_every(expiry)))];
        if expiry.offline.is_some() {
            tasks.push(outside.spawn(watch_health(Arc::downgrade(&inner))));
        }
        Self { inner, tasks }
    }

    /// The key, if it is cached and in its time. Does not wait.
    pub fn cached(&self, name: &KeyName) -> Option<Arc<KeyVersion>> {
        match self.inner.cache.lookup(name) {
            Lookup::Fresh(key) => Some(key),
            Lookup::Absent => None,
        }
    }

    /// The key: from the cache, or by one read of the store that all who ask for this name share.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is none; otherwise the store's or the record's fault. Failures are not cached.
    pub async fn get(&self, name: &KeyName) -> Result<Arc<KeyVersion>, Error> {
        match self.inner.cache.lookup(name) {
            Lookup::Fresh(key) => return Ok(key),
            Lookup::Absent => {}
        }
        let outcome = self.fetch(name).await;
        let Err(error) = &outcome else {
            return outcome;
        };
        if error.kind() != Kind::Unreachable {
            return outcome;
        }
        // The outage begins now, if it is news; an entry that is past its time may then be served after all.
        self.inner.cache.set_offline(true);
        self.cached(name).map_or(outcome, Ok)
    }

    async fn fetch(&self, name: &KeyName) -> Result<Arc<KeyVersion>, Error> {
        let mut outcome = match self.inner.cache.miss(name) {
            Miss::Found(key) => return Ok(key),
            Miss::Join(outcome) => outcome,
            Miss::Lead(flight, outcome) => {
                let (inner, name) = (self.inner.clone(), name.clone());
                let fetch = Fetch { inner, flight };
                self.inner.outside.spawn(async move {
                    let read = fetch.inner.read(&name).await;
                    let gone = matches!(&read, Err(error) if error.kind() == Kind::NotFound);
                    let outcome = read.map(Arc::new);
                    fetch.inner.cache.land(&fetch.flight, outcome, gone);
                });
                outcome
            }
        };
        match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome
                .clone()
                .unwrap_or_else(|| Err(Error::Aborted(name.to_string()))),
            Err(_) => Err(Error::Aborted(name.to_string())),
        }
    }

    /// Stores a new key. It is not put into the cache: the first use reads it from the store.
    ///
    /// # Errors
    /// [`Kind::Exists`] if the name is taken; otherwise the store's fault.
    pub async fn create(&self, name: &KeyName, key: &KeyVersion) -> Result<(), Error> {
        let value = key.to_stored()?;
        let (inner, name) = (self.inner.clone(), name.clone());
        self.detached(name.clone(), async move {
            let result = within(BUDGET, inner.store.create(&name, &value)).await;
            // Also after a failure: whatever was read before may be out of date now.
            inner.cache.forget(&name);
            result
        })
        .await
    }

    /// Deletes a key; it is gone from the cache when this returns Ok, and also when the store says that there is none.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is none; otherwise the store's fault.
    pub async fn delete(&self, name: &KeyName) -> Result<(), Error> {
        let (inner, name) = (self.inner.clone(), name.clone());
        self.detached(name.clone(), async move {
            let result = within(BUDGET, inner.store.delete(&name)).await;
            if result
                .as_ref()
                .map_or_else(|error| error.kind() == Kind::NotFound, |()| true)
            {
                inner.cache.forget(&name);
            }
            result
        })
        .await
    }

    /// Names of keys that match `pattern`, at most `limit`, from the store.
    pub async fn list(&self, pattern: &ListPattern, limit: usize) -> Result<Page, Error> {
        let (inner, pattern) = (self.inner.clone(), pattern.clone());
        self.detached(&pattern.prefix.clone(), async move {
            let (prefix, mut from) = (&pattern.prefix, pattern.from.clone());
            let mut names = Vec::new();
            loop {
                let work = inner.store.list(prefix, from.as_deref(), limit.max(1));
                let page = within(BUDGET, work).await?;
                names.extend(page.names.into_iter().filter(|name| pattern.tells(name)));
                let next = page.next;
                // A page may end before a name that this pattern does not tell; clients could not ask for it.
                if names.len() <= limit
                    && let Some(skipped) = next.as_ref().filter(|next| !pattern.tells(next))
                {
                    from = Some(skipped.to_string());
                    continue;
                }
                let cut = names.get(limit).cloned();
                names.truncate(limit);
                return Ok(Page {
                    names,
                    next: cut.or(next),
                });
            }
        })
        .await
    }

    /// How the store is, asked at most once a second however many want to know.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] or [`Kind::Other`].
    pub async fn status(&self) -> Result<Duration, Error> {
        let inner = self.inner.clone();
        self.detached("status", async move { inner.probe().await })
            .await
    }

    /// Runs `work` to its end on the outside runtime, even if the caller goes away.
    async fn detached<T: Send + 'static>(
        &self,
        name: impl ToString,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let done = self.inner.outside.spawn(work).await;
        done.unwrap_or_else(|_| Err(Error::Aborted(name.to_string())))
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A fetch under way. However it ends, also by a panic, nobody joins it afterwards.
struct Fetch {
    inner: Arc<Inner>,
    flight: Flight<KeyVersion, Error>,
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.inner.cache.abandon(&self.flight);
    }
}

impl Inner {
    async fn read(&self, name: &KeyName) -> Result<KeyVersion, Error> {
        let value = within(BUDGET, self.store.get(name)).await?;
        KeyVersion::from_stored(&value).map_err(|source| Error::Malformed {
            name: name.clone(),
            source: Arc::new(source),
        })
    }

    /// Asks the store how it is; who comes while that runs, or shortly after, gets the same answer.
    async fn probe(&self) -> Result<Duration, Error> {
        let mut last = self.probe.lock().await;
        if let Some((at, outcome)) = &*last
            && self.clock.elapsed().saturating_sub(*at) < PROBE_SHARED
        {
            return outcome.clone();
        }
        let outcome = within(PROBE_BUDGET, self.store.status()).await;
        self.cache.set_offline(outcome.is_err());
        *last = Some((self.clock.elapsed(), outcome.clone()));
        outcome
    }
}

/// Bounds the time a store may take.
async fn within<T>(
    budget: Duration,
    work: impl Future<Output = Result<T, keystore::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(budget, work).await {
        Ok(result) => result.map_err(|error| Error::Store(Arc::new(error))),
        Err(_) => Err(Error::TimedOut(budget)),
    }
}

/// Often enough that a key leaves memory soon after its time, seldom enough to cost nothing.
fn sweep_every(expiry: Expiry) -> Duration {
    (expiry.any.min(expiry.unused) / 4).clamp(Duration::from_millis(50), Duration::from_secs(5))
}

async fn sweep(inner: Weak<Inner>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(inner) = inner.upgrade() else { return };
        inner.cache.sweep();
    }
}

async fn watch_health(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(PROBE_EVERY).await;
        let Some(inner) = inner.upgrade() else { return };
        // The outcome is noted where it is found; readiness and the operator's log ask for it themselves.
        let _ = inner.probe().await;
    }
}

#[cfg(test)]
mod tests;
