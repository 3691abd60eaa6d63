//! The keyring over a store that counts, waits and fails as it is told.

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::*;
use crate::{
    crypto::Cipher,
    keystore::{Error as StoreError, mem::MemStore},
    secret::Secret,
};

const SECOND: Duration = Duration::from_secs(1);

/// A store in memory whose reads can be counted, held up and made to fail.
struct Told {
    inner: MemStore,
    reads: AtomicUsize,
    probes: AtomicUsize,
    down: AtomicBool,
    /// A read takes one of these; without any it waits.
    gate: Semaphore,
}

impl Told {
    fn open() -> Arc<Self> {
        Arc::new(Self {
            inner: MemStore::default(),
            reads: AtomicUsize::new(0),
            probes: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            gate: Semaphore::new(1_000_000),
        })
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::unreachable("told", "to be down"));
        }
        Ok(())
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

#[async_trait]
impl Keystore for Told {
    async fn status(&self) -> Result<Duration, StoreError> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        self.check()?;
        self.inner.status().await
    }

    async fn create(&self, name: &KeyName, value: &Secret) -> Result<(), StoreError> {
        self.check()?;
        self.inner.create(name, value).await
    }

    async fn get(&self, name: &KeyName) -> Result<Secret, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        // The answer is taken before the wait: it is what the store held when it was asked.
        let value = self.inner.get(name).await;
        if let Ok(permit) = self.gate.acquire().await {
            permit.forget();
        }
        self.check()?;
        value
    }

    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        self.check()?;
        self.inner.delete(name).await
    }

    async fn list(
        &self,
        prefix: &str,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.check()?;
        self.inner.list(prefix, from, limit).await
    }
}

fn name(text: &str) -> KeyName {
    KeyName::parse(text).unwrap()
}

fn key() -> KeyVersion {
    KeyVersion::generate(Cipher::Aes256, "", Clock::test().now_utc()).unwrap()
}

fn keyring(store: &Arc<Told>, offline: Option<Duration>) -> (Arc<Keyring>, Clock) {
    let clock = Clock::test();
    let expiry = Expiry {
        any: 300 * SECOND,
        unused: 30 * SECOND,
        offline,
    };
    let keyring = Keyring::new(store.clone(), expiry, clock.clone(), &Handle::current());
    (Arc::new(keyring), clock)
}

/// Waits until the store has been asked `count` times.
async fn asked(store: &Told, count: usize) {
    while store.reads() < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn ten_thousand_callers_of_one_cold_key_make_one_read() {
    let store = Told::open();
    let (keys, _) = keyring(&store, None);
    keys.create(&name("k"), &key()).await.unwrap();
    store.gate.forget_permits(1_000_000);
    let callers: Vec<_> = (0..10_000)
        .map(|_| {
            let keys = keys.clone();
            tokio::spawn(async move { keys.get(&name("k")).await.is_ok() })
        })
        .collect();
    asked(&store, 1).await;
    store.gate.add_permits(10);
    for caller in callers {
        assert!(caller.await.unwrap());
    }
    assert_eq!(store.reads(), 1);
    assert!(keys.get(&name("k")).await.is_ok());
    assert_eq!(store.reads(), 1, "now it is cached");
}

#[tokio::test]
async fn a_missing_key_is_looked_up_each_time() {
    let store = Told::open();
    let (keys, _) = keyring(&store, None);
    for reads in 1..=3 {
        let error = keys.get(&name("k")).await.err().unwrap();
        assert_eq!((error.kind(), store.reads()), (Kind::NotFound, reads));
    }
    keys.create(&name("k"), &key()).await.unwrap();
    assert!(
        keys.get(&name("k")).await.is_ok(),
        "created is usable at once"
    );
}

#[tokio::test]
async fn a_key_that_is_created_while_it_is_looked_for_is_found_by_the_next() {
    let store = Told::open();
    let (keys, _) = keyring(&store, None);
    store.gate.forget_permits(1_000_000);
    let early = tokio::spawn({
        let keys = keys.clone();
        async move { keys.get(&name("k")).await.is_ok() }
    });
    asked(&store, 1).await;
    keys.create(&name("k"), &key()).await.unwrap();
    let late = tokio::spawn({
        let keys = keys.clone();
        async move { keys.get(&name("k")).await.is_ok() }
    });
    asked(&store, 2).await;
    store.gate.add_permits(2);
    assert!(
        late.await.unwrap(),
        "asked after the create was acknowledged"
    );
    assert!(!early.await.unwrap(), "asked before there was a key");
}

#[tokio::test]
async fn a_deleted_key_is_gone_also_when_a_read_overlaps_the_delete() {
    let store = Told::open();
    let (keys, _) = keyring(&store, None);
    keys.create(&name("k"), &key()).await.unwrap();
    store.gate.forget_permits(1_000_000);
    let reader = tokio::spawn({
        let keys = keys.clone();
        async move { keys.get(&name("k")).await.is_ok() }
    });
    asked(&store, 1).await;
    keys.delete(&name("k")).await.unwrap();
    store.gate.add_permits(10);
    assert!(reader.await.unwrap(), "it read before the delete");
    assert!(keys.cached(&name("k")).is_none());
    let after = keys.get(&name("k")).await.err().unwrap();
    assert_eq!(after.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_key_that_vanished_from_the_store_is_gone_once_a_delete_finds_out() {
    let store = Told::open();
    let (keys, _) = keyring(&store, None);
    keys.create(&name("k"), &key()).await.unwrap();
    keys.get(&name("k")).await.unwrap();
    store.inner.delete(&name("k")).await.unwrap();
    assert!(keys.cached(&name("k")).is_some(), "nobody told this server");
    let error = keys.delete(&name("k")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(keys.cached(&name("k")).is_none());
}

#[tokio::test]
async fn a_cancelled_caller_leaves_the_fetch_to_the_others() {
    let store = Told::open();
    let (keys, _) = keyring(&store, None);
    keys.create(&name("k"), &key()).await.unwrap();
    store.gate.forget_permits(1_000_000);
    let first = tokio::spawn({
        let keys = keys.clone();
        async move { keys.get(&name("k")).await.is_ok() }
    });
    asked(&store, 1).await;
    first.abort();
    assert!(first.await.is_err());
    let name = name("k");
    let second = keys.get(&name);
    store.gate.add_permits(1);
    assert!(second.await.is_ok());
    assert_eq!(store.reads(), 1);
}

#[tokio::test]
async fn in_an_outage_cached_keys_are_served_for_the_offline_period() {
    let store = Told::open();
    let (keys, clock) = keyring(&store, Some(600 * SECOND));
    keys.create(&name("k"), &key()).await.unwrap();
    keys.get(&name("k")).await.unwrap();
    clock.advance(31 * SECOND);
    store.down.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        assert!(
            keys.get(&name("k")).await.is_ok(),
            "past its time, but all there is"
        );
        clock.advance(59 * SECOND);
    }
    assert_eq!(
        store.reads(),
        2,
        "the outage is known: the store is not asked again"
    );
    clock.advance(11 * SECOND);
    let error = keys.get(&name("k")).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unreachable);
    store.down.store(false, Ordering::SeqCst);
    assert!(
        keys.get(&name("k")).await.is_ok(),
        "recovery needs no restart"
    );
}

#[tokio::test]
async fn a_key_that_another_server_deleted_does_not_come_back_in_an_outage() {
    let store = Told::open();
    let (keys, clock) = keyring(&store, Some(600 * SECOND));
    keys.create(&name("k"), &key()).await.unwrap();
    keys.get(&name("k")).await.unwrap();
    store.inner.delete(&name("k")).await.unwrap();
    clock.advance(31 * SECOND);
    let error = keys.get(&name("k")).await.err().unwrap();
    assert_eq!(error.kind(), Kind::NotFound);
    store.down.store(true, Ordering::SeqCst);
    let error = keys.get(&name("k")).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unreachable, "not the old entry");
}

#[tokio::test]
async fn without_an_offline_period_an_outage_ends_keys_at_their_time() {
    let store = Told::open();
    let (keys, clock) = keyring(&store, None);
    keys.create(&name("k"), &key()).await.unwrap();
    keys.get(&name("k")).await.unwrap();
    store.down.store(true, Ordering::SeqCst);
    assert!(keys.get(&name("k")).await.is_ok());
    clock.advance(31 * SECOND);
    let error = keys.get(&name("k")).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unreachable);
}

#[tokio::test]
async fn the_store_is_asked_for_its_health_at_most_once_a_second() {
    let store = Told::open();
    let (keys, clock) = keyring(&store, None);
    for _ in 0..100 {
        assert!(keys.status().await.is_ok());
    }
    assert_eq!(store.probes.load(Ordering::SeqCst), 1);
    clock.advance(SECOND);
    store.down.store(true, Ordering::SeqCst);
    let error = keys.status().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert_eq!(store.probes.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_named_and_not_cached() {
    let store = Told::open();
    let (keys, _) = keyring(&store, None);
    let broken = Secret::copy_from(b"rubbish");
    store.inner.create(&name("k"), &broken).await.unwrap();
    for reads in 1..=2 {
        let error = keys.get(&name("k")).await.err().unwrap();
        assert_eq!((error.kind(), store.reads()), (Kind::Other, reads));
        assert!(error.to_string().contains("'k'"));
    }
}

#[tokio::test]
async fn a_page_never_ends_at_a_name_that_the_pattern_does_not_tell() {
    let store = Told::open();
    let (keys, _) = keyring(&store, None);
    let value = Secret::copy_from(b"a value");
    for text in ["a", "b.1", "b.2", "b.3", "c", "d.1", "e"] {
        let name = KeyName::parse_old(text).unwrap();
        store.inner.create(&name, &value).await.unwrap();
    }
    for (old, all) in [
        (false, vec!["a", "c", "e"]),
        (true, vec!["a", "b.1", "b.2", "b.3", "c", "d.1", "e"]),
    ] {
        for limit in 1..=all.len() {
            let (mut found, mut from) = (Vec::new(), None);
            loop {
                let prefix = String::new();
                let page = keys.list(&ListPattern { old, prefix, from }, limit).await;
                let page = page.unwrap();
                assert!(page.names.len() <= limit, "{limit}");
                found.extend(page.names.iter().map(ToString::to_string));
                let Some(next) = page.next else { break };
                assert!(old || !next.is_old(), "{limit} {next}");
                from = Some(next.to_string());
            }
            assert_eq!(found, all, "{limit}");
        }
    }
}
