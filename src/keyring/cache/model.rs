//! The cache against a model: a list of facts, and rules that are obvious rather than fast.
//!
//! The jitter of an entry's end is the cache's own affair. The model knows the range it must be in, and learns from each answer.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Op {
    Abandon(usize),
    Advance(u64),
    Forget(usize),
    /// Ends one of the fetches under way, well or badly.
    Land(usize, bool),
    Lookup(usize),
    Miss(usize),
    Offline(bool),
    Sweep,
}

/// What the cache was told of a name.
struct Fact {
    name: usize,
    value: u32,
    used: u64,
    /// The earliest and the latest that its `any` may end.
    ends: (u64, u64),
}

/// A fetch under way.
struct Fetch {
    name: usize,
    flight: Flight<u32, u32>,
    waiters: Vec<watch::Receiver<Outcome<u32, u32>>>,
    /// Whether nothing has overtaken it.
    current: bool,
}

struct Model {
    cache: Cache<u32, u32>,
    clock: Clock,
    expiry: Expiry,
    facts: Vec<Fact>,
    fetches: Vec<Fetch>,
    offline_since: Option<u64>,
    /// Each value is another one, so that an old one is seen.
    next_value: u32,
}

impl Model {
    fn new(expiry: Expiry) -> Self {
        let clock = Clock::test();
        Self {
            cache: Cache::new(expiry, clock.clone()),
            clock,
            expiry,
            facts: Vec::new(),
            fetches: Vec::new(),
            offline_since: None,
            next_value: 0,
        }
    }

    fn now(&self) -> u64 {
        nanos(self.clock.elapsed())
    }

    /// When the outage's period ends, if there is an outage and a period for it.
    fn outage_end(&self) -> Option<u64> {
        let period = nanos(self.expiry.offline?);
        Some(self.offline_since?.saturating_add(period))
    }

    fn forget_fact(&mut self, name: usize) {
        self.facts.retain(|fact| fact.name != name);
    }

    fn current(&mut self, name: usize) -> Option<&mut Fetch> {
        let mut fetches = self.fetches.iter_mut();
        fetches.find(|fetch| fetch.name == name && fetch.current)
    }

    /// Holds what the cache said about `name` against the facts. What is served is then used now.
    fn check(&mut self, name: usize, served: Option<u32>) {
        let (now, outage_end) = (self.now(), self.outage_end());
        let unused = nanos(self.expiry.unused);
        let Some(fact) = self.facts.iter_mut().find(|fact| fact.name == name) else {
            assert_eq!(served, None, "served what was never read, or forgotten");
            return;
        };
        let idle = now >= fact.used.saturating_add(unused);
        match (served, outage_end) {
            (Some(_), Some(end)) => assert!(now < end, "served after the offline period"),
            (None, Some(end)) => assert!(now >= end, "not served within the offline period"),
            (Some(_), None) => {
                assert!(!idle, "served when unused for too long");
                assert!(now < fact.ends.1, "served past its end");
                fact.ends.0 = fact.ends.0.max(now + 1);
            }
            (None, None) if !idle => {
                assert!(now >= fact.ends.0, "not served in its time");
                fact.ends.1 = fact.ends.1.min(now);
            }
            (None, None) => {}
        }
        if let Some(value) = served {
            assert_eq!(value, fact.value, "served an old value");
            fact.used = now;
        }
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Abandon(index) => self.abandon(index),
            Op::Advance(nanos) => self.clock.advance(Duration::from_nanos(nanos)),
            Op::Forget(name) => {
                self.cache.forget(&key(name));
                self.forget_fact(name);
                if let Some(fetch) = self.current(name) {
                    fetch.current = false;
                }
            }
            Op::Land(index, well) => self.land(index, well),
            Op::Lookup(name) => {
                let served = match self.cache.lookup(&key(name)) {
                    Lookup::Fresh(value) => Some(*value),
                    Lookup::Absent => None,
                };
                self.check(name, served);
            }
            Op::Miss(name) => self.miss(name),
            Op::Offline(offline) => {
                self.cache.set_offline(offline);
                let since = self.offline_since.unwrap_or(self.now());
                self.offline_since = offline.then_some(since);
            }
            Op::Sweep => self.sweep(),
        }
        // Between sweeps nothing but a forget takes an entry away, and nothing but a landing brings one.
        assert_eq!(self.cache.len(), self.facts.len());
    }

    fn miss(&mut self, name: usize) {
        match self.cache.miss(&key(name)) {
            Miss::Found(value) => self.check(name, Some(*value)),
            Miss::Join(waiter) => {
                self.check(name, None);
                let fetch = self.current(name).expect("joined a fetch that is over");
                fetch.waiters.push(waiter);
            }
            Miss::Lead(flight, waiter) => {
                self.check(name, None);
                assert!(self.current(name).is_none(), "two fetches of one name");
                self.fetches.push(Fetch {
                    name,
                    flight,
                    waiters: vec![waiter],
                    current: true,
                });
            }
        }
    }

    fn land(&mut self, index: usize, well: bool) {
        if self.fetches.is_empty() {
            return;
        }
        let fetch = self.fetches.swap_remove(index % self.fetches.len());
        self.next_value += 1;
        let value = self.next_value;
        let outcome = if well {
            Ok(Arc::new(value))
        } else {
            Err(value)
        };
        self.cache.land(&fetch.flight, outcome.clone(), false);
        // What is said after the landing, by a guard that is dropped, changes nothing.
        self.cache.abandon(&fetch.flight);
        for waiter in &fetch.waiters {
            assert_eq!(*waiter.borrow(), Some(outcome.clone()), "a waiter is left");
        }
        if fetch.current && well {
            let (now, any) = (self.now(), nanos(self.expiry.any));
            let jitter = (any / 10).max(1) - 1;
            self.forget_fact(fetch.name);
            self.facts.push(Fact {
                name: fetch.name,
                value,
                used: now,
                ends: (now.saturating_add(any - jitter), now.saturating_add(any)),
            });
        }
    }

    fn abandon(&mut self, index: usize) {
        if self.fetches.is_empty() {
            return;
        }
        let Fetch {
            flight, waiters, ..
        } = self.fetches.swap_remove(index % self.fetches.len());
        self.cache.abandon(&flight);
        drop(flight);
        for waiter in waiters {
            assert!(waiter.has_changed().is_err(), "a waiter waits for nobody");
        }
    }

    /// Sweeps. What is surely over must be gone, what surely is not must be there; between the two the cache decides.
    fn sweep(&mut self) {
        self.cache.sweep();
        let (now, outage_end) = (self.now(), self.outage_end());
        let Expiry {
            unused, offline, ..
        } = self.expiry;
        let kept = offline.map_or(0, nanos);
        let cache = &self.cache;
        self.facts.retain_mut(|fact| {
            let name = key(fact.name);
            let there = cache.read(&name).entries.contains_key(&name);
            if let Some(end) = outage_end {
                assert_eq!(there, now < end, "swept by the offline period");
                return there;
            }
            let idle = fact.used.saturating_add(nanos(unused));
            let over = |ends: u64| now >= ends.min(idle).saturating_add(kept);
            assert!(there || over(fact.ends.0), "swept too early");
            assert!(!there || !over(fact.ends.1), "still in memory");
            if there && now >= kept {
                fact.ends.0 = fact.ends.0.max(now - kept + 1);
            }
            there
        });
    }
}

fn key(name: usize) -> KeyName {
    KeyName::parse(NAMES[name]).unwrap()
}

/// Short and long times, none, and more than the clock can count.
fn expiry() -> impl Strategy<Value = Expiry> {
    let period = || prop_oneof![6 => (1..60_u64).prop_map(Duration::from_secs), 1 => Just(Duration::ZERO), 1 => Just(Duration::MAX)];
    (period(), period(), prop::option::of(period())).prop_map(|(any, unused, offline)| Expiry {
        any,
        unused,
        offline,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let name = || 0..NAMES.len();
    let step = select(vec![
        1,
        999_999_999,
        1_000_000_000,
        3_000_000_000,
        10_000_000_000,
    ]);
    prop_oneof![
        1 => (0..8_usize).prop_map(Op::Abandon),
        6 => step.prop_map(Op::Advance),
        1 => name().prop_map(Op::Forget),
        5 => (0..8_usize, prop::bool::weighted(0.8)).prop_map(|(index, well)| Op::Land(index, well)),
        6 => name().prop_map(Op::Lookup),
        6 => name().prop_map(Op::Miss),
        1 => any::<bool>().prop_map(Op::Offline),
        2 => Just(Op::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_cache_does_what_the_facts_say(expiry in expiry(), ops in vec(op(), 1..150)) {
        let mut model = Model::new(expiry);
        for op in &ops {
            model.run(op);
        }
    }
}
