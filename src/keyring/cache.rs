//! The cache: what was read lately, each entry with its own end, and one fetch per name at a time (api.md 9, decision 18).
//!
//! Readers of a cached name take a read lock on one of many shards and touch nothing else that is shared. An entry's end is its own
//! (with a little jitter), so that a busy server never re-reads all its keys at once.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::{clock::Clock, name::KeyName};

/// How many shards: many more than cores, so that two names rarely share one.
const SHARDS: usize = 64;

/// How long entries live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// An entry is dropped this long after it was read, used or not.
    pub any: Duration,
    /// An entry is dropped when it was not used for this long.
    pub unused: Duration,
    /// While the store cannot be reached, entries live this long from the moment that was noticed. `None`: as ever.
    pub offline: Option<Duration>,
}

/// What the cache has for a name.
#[derive(Debug)]
pub(super) enum Lookup<V> {
    /// An entry in its time.
    Fresh(Arc<V>),
    /// Nothing, or an entry past its time, which may be kept in case the store turns out to be unreachable.
    Absent,
}

/// The part of a fetch that its waiters see: nothing yet, or its outcome.
type Outcome<V, E> = Option<Result<Arc<V>, E>>;

/// How a miss goes on.
pub(super) enum Miss<V, E> {
    /// Somebody else fetches this name; wait for their outcome.
    Join(watch::Receiver<Outcome<V, E>>),
    /// This caller fetches and hands the outcome to [`Cache::land`].
    Lead(Flight<V, E>, watch::Receiver<Outcome<V, E>>),
    /// The entry has come meanwhile.
    Found(Arc<V>),
}

/// A fetch under way. Dropped without landing (a panic), its waiters see the channel close.
pub(super) struct Flight<V, E> {
    name: KeyName,
    number: u64,
    outcome: watch::Sender<Outcome<V, E>>,
}

struct Entry<V> {
    value: Arc<V>,
    /// When the entry's `any` ends, in nanoseconds of the clock.
    ends: u64,
    /// When it was last used, likewise.
    used: AtomicU64,
}

struct Waiting<V, E> {
    number: u64,
    outcome: watch::Receiver<Outcome<V, E>>,
}

struct Shard<V, E> {
    entries: HashMap<KeyName, Entry<V>>,
    flights: HashMap<KeyName, Waiting<V, E>>,
}

/// Values by name. `E` is what a failed fetch gives to all who waited for it; failures are never kept.
pub(super) struct Cache<V, E> {
    shards: Vec<RwLock<Shard<V, E>>>,
    hasher: RandomState,
    expiry: Expiry,
    clock: Clock,
    /// When the store was found unreachable, in nanoseconds of the clock plus one; 0 while it is fine.
    offline_since: AtomicU64,
    flights: AtomicU64,
}

impl<V, E: Clone> Cache<V, E> {
    /// An empty cache.
    pub(super) fn new(expiry: Expiry, clock: Clock) -> Self {
        let shard = || {
            RwLock::new(Shard {
                entries: HashMap::new(),
                flights: HashMap::new(),
            })
        };
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher: RandomState::new(),
            expiry,
            clock,
            offline_since: AtomicU64::new(0),
            flights: AtomicU64::new(0),
        }
    }

    /// What there is for `name`. A fresh entry counts as used now.
    pub(super) fn lookup(&self, name: &KeyName) -> Lookup<V> {
        let shard = self.read(name);
        let Some(entry) = shard.entries.get(name) else {
            return Lookup::Absent;
        };
        let now = self.now();
        if now < self.stale_at(entry) {
            entry.used.store(now, Ordering::Relaxed);
            Lookup::Fresh(entry.value.clone())
        } else {
            Lookup::Absent
        }
    }

    /// Joins the fetch of `name`, or starts it. Called after a lookup that was not fresh.
    pub(super) fn miss(&self, name: &KeyName) -> Miss<V, E> {
        let mut shard = self.write(name);
        if let Some(entry) = shard.entries.get(name) {
            let now = self.now();
            if now < self.stale_at(entry) {
                entry.used.store(now, Ordering::Relaxed);
                return Miss::Found(entry.value.clone());
            }
        }
        if let Some(waiting) = shard.flights.get(name) {
            return Miss::Join(waiting.outcome.clone());
        }
        let number = self.flights.fetch_add(1, Ordering::Relaxed);
        let (outcome, receiver) = watch::channel(None);
        shard.flights.insert(
            name.clone(),
            Waiting {
                number,
                outcome: receiver.clone(),
            },
        );
        let flight = Flight {
            name: name.clone(),
            number,
            outcome,
        };
        Miss::Lead(flight, receiver)
    }

    /// Ends a fetch: a success becomes an entry, unless the name was [forgotten](Cache::forget) since the fetch began, and either
    /// goes to all who wait. `gone`: the store said that there is no such name, so the entry of before is dropped too.
    pub(super) fn land(&self, flight: &Flight<V, E>, outcome: Result<Arc<V>, E>, gone: bool) {
        {
            let mut shard = self.write(&flight.name);
            let current = shard
                .flights
                .get(&flight.name)
                .is_some_and(|waiting| waiting.number == flight.number);
            if current {
                shard.flights.remove(&flight.name);
                // After another failure the old entry stays: it may be served if the store is unreachable, and has its own end.
                if let Ok(value) = &outcome {
                    let entry = self.entry(&flight.name, value.clone());
                    shard.entries.insert(flight.name.clone(), entry);
                } else if gone {
                    shard.entries.remove(&flight.name);
                }
            }
        }
        flight.outcome.send_replace(Some(outcome));
    }

    /// Takes a fetch that will not land out of the way, so that the next caller starts anew. Does nothing to one that has landed.
    pub(super) fn abandon(&self, flight: &Flight<V, E>) {
        let mut shard = self.write(&flight.name);
        let waiting = shard.flights.get(&flight.name);
        if waiting.is_some_and(|waiting| waiting.number == flight.number) {
            shard.flights.remove(&flight.name);
        }
    }

    /// Drops the entry of `name`, and makes sure that no fetch that began before now can bring it back or be joined: what the
    /// store said before a create or a delete is history.
    pub(super) fn forget(&self, name: &KeyName) {
        let mut shard = self.write(name);
        shard.entries.remove(name);
        shard.flights.remove(name);
    }

    /// Notes whether the store can be reached. Does nothing without an offline period.
    pub(super) fn set_offline(&self, offline: bool) {
        if self.expiry.offline.is_none() {
            return;
        }
        if offline {
            let since = self.now() + 1;
            // The period counts from when the outage was first noticed.
            let _ =
                self.offline_since
                    .compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
        } else {
            self.offline_since.store(0, Ordering::Relaxed);
        }
    }

    /// Drops all entries whose time is over. Run now and then, so that keys nobody asks for leave memory too.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            let now = self.now();
            let is_over = |entry: &Entry<V>| now >= self.dropped_at(entry);
            let any = read(shard).entries.values().any(is_over);
            if any {
                write(shard).entries.retain(|_, entry| !is_over(entry));
            }
        }
    }

    /// How many entries there are, those past their time included.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|s| read(s).entries.len()).sum()
    }

    fn entry(&self, name: &KeyName, value: Arc<V>) -> Entry<V> {
        let now = self.now();
        let any = nanos(self.expiry.any);
        // Up to a tenth earlier than asked for, never later.
        let tenth = (any / 10).max(1);
        let jitter = self.hasher.hash_one((name, now)) % tenth;
        Entry {
            value,
            ends: now.saturating_add(any.saturating_sub(jitter)),
            used: AtomicU64::new(now),
        }
    }

    /// When `entry` must no longer be served without asking the store.
    fn stale_at(&self, entry: &Entry<V>) -> u64 {
        if let Some(end) = self.offline_end() {
            return end;
        }
        let used = entry.used.load(Ordering::Relaxed);
        entry
            .ends
            .min(used.saturating_add(nanos(self.expiry.unused)))
    }

    /// When `entry` leaves memory.
    fn dropped_at(&self, entry: &Entry<V>) -> u64 {
        let stale = self.stale_at(entry);
        if self.offline_end().is_some() {
            return stale;
        }
        stale.saturating_add(self.expiry.offline.map_or(0, nanos))
    }

    /// When the offline period ends, if the store is unreachable now.
    fn offline_end(&self) -> Option<u64> {
        let since = self.offline_since.load(Ordering::Relaxed);
        let period = self.expiry.offline?;
        (since > 0).then(|| (since - 1).saturating_add(nanos(period)))
    }

    fn now(&self) -> u64 {
        nanos(self.clock.elapsed())
    }

    /// The shard of a name. Not by the hash of its map, which is made to be safe from who chooses names, and costs so much that once is
    /// enough: names that were chosen to meet in one shard share a lock, no more.
    fn shard(&self, name: &KeyName) -> Option<&RwLock<Shard<V, E>>> {
        let bytes = name.as_str().bytes();
        let sum = bytes.fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        self.shards.get(sum % SHARDS)
    }

    #[expect(
        clippy::expect_used,
        reason = "there are SHARDS shards, and the index is taken modulo SHARDS"
    )]
    fn read(&self, name: &KeyName) -> RwLockReadGuard<'_, Shard<V, E>> {
        read(self.shard(name).expect("a shard for each index"))
    }

    #[expect(
        clippy::expect_used,
        reason = "there are SHARDS shards, and the index is taken modulo SHARDS"
    )]
    fn write(&self, name: &KeyName) -> RwLockWriteGuard<'_, Shard<V, E>> {
        write(self.shard(name).expect("a shard for each index"))
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
