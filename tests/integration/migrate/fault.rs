//! Every operation of a migration fails once, in four ways, and is the last one once: what was replaced is never lost, and another run
//! ends what was begun.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use kes::{
    keystore::{Error, Keystore, Page, mem::MemStore},
    migrate::{Conflict, Options, is_reserved},
    name::KeyName,
    secret::Secret,
};

use super::{Content, content, failures, plain, put, record, try_run, with};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The operation is done, and its answer lost.
    Answer,
    /// The operation is done, and nothing after it: the program is killed.
    DeadAfter,
    /// The operation and all after it are not done: the program is killed.
    DeadBefore,
    /// The operation is refused.
    Refused,
    /// The operation does not reach the store.
    Unreached,
}

const FAULTS: [Fault; 5] = [
    Fault::Answer,
    Fault::DeadAfter,
    Fault::DeadBefore,
    Fault::Refused,
    Fault::Unreached,
];

/// A store with a fault in one of its operations.
struct Faulty {
    store: Arc<dyn Keystore>,
    fault: Fault,
    at: usize,
    count: AtomicUsize,
}

impl Faulty {
    fn new(store: &Arc<dyn Keystore>, fault: Fault, at: usize) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            fault,
            at,
            count: AtomicUsize::new(0),
        })
    }

    /// Whether it came to the fault.
    fn happened(&self) -> bool {
        self.count.load(Ordering::SeqCst) > self.at
    }

    /// Does the next operation, or not, and answers, or not.
    async fn operate<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        let lost = || Error::Unreachable {
            what: "injected".to_owned(),
            source: None,
        };
        let is_it = number == self.at;
        match self.fault {
            Fault::Answer | Fault::DeadAfter if is_it => {
                drop(work.await);
                Err(lost())
            }
            Fault::Refused if is_it => Err(Error::Refused {
                what: "injected".to_owned(),
                source: None,
            }),
            Fault::Unreached | Fault::DeadBefore if is_it => Err(lost()),
            Fault::DeadAfter | Fault::DeadBefore if number > self.at => Err(lost()),
            _ => work.await,
        }
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl Keystore for Faulty {
    async fn status(&self) -> Result<Duration, Error> {
        self.operate(self.store.status()).await
    }
    async fn create(&self, name: &KeyName, value: &Secret) -> Result<(), Error> {
        self.operate(self.store.create(name, value)).await
    }
    async fn get(&self, name: &KeyName) -> Result<Secret, Error> {
        self.operate(self.store.get(name)).await
    }
    async fn delete(&self, name: &KeyName) -> Result<(), Error> {
        self.operate(self.store.delete(name)).await
    }
    async fn list(&self, prefix: &str, from: Option<&str>, limit: usize) -> Result<Page, Error> {
        self.operate(self.store.list(prefix, from, limit)).await
    }
}

/// Source and target of a run with every case in it, both as they are at its beginning.
struct Scene {
    source: Arc<dyn Keystore>,
    target: Arc<dyn Keystore>,
    wanted: Content,
    before: Content,
}

/// Keys that differ at the two ends.
const OTHERS: [&str; 2] = ["b-other", "e.other"];

async fn scene() -> Scene {
    let source: Arc<dyn Keystore> = Arc::new(MemStore::default());
    let target: Arc<dyn Keystore> = Arc::new(MemStore::default());
    for name in ["a-new", "b-other", "c-same", "d-new", "e.other"] {
        put(&*source, name, &record(name)).await;
    }
    put(&*target, "c-same", &record("c-same")).await;
    put(&*target, "z-foreign", &record("foreign")).await;
    for name in OTHERS {
        put(&*target, name, &record(&format!("old {name}"))).await;
    }
    Scene {
        wanted: content(&*source).await,
        before: content(&*target).await,
        source,
        target,
    }
}

impl Scene {
    /// What must hold whenever the program may have ended: each key is what it was or what it is to be, or is set aside.
    async fn nothing_is_lost(&self, context: &str) {
        let now = content(&*self.target).await;
        let set_aside: Vec<&String> = now
            .iter()
            .filter(|(name, _)| is_reserved(&KeyName::parse_old(name).unwrap()))
            .map(|(_, text)| text)
            .collect();
        for (name, old) in &self.before {
            let new = self.wanted.get(name);
            let is = now.get(name);
            let rests = set_aside
                .iter()
                .any(|text| text.contains(&format!("\"{name}\"")));
            assert!(
                is == Some(old) || is == new || (is.is_none() && rests),
                "{context}: '{name}' is neither old nor new"
            );
        }
        for (name, value) in &now {
            let known =
                self.before.get(name) == Some(value) || self.wanted.get(name) == Some(value);
            let reserved = is_reserved(&KeyName::parse_old(name).unwrap());
            assert!(
                known || reserved,
                "{context}: '{name}' is neither old nor new"
            );
        }
    }

    /// Ends what was begun, in the way that was asked for first, and compares.
    async fn a_next_run_ends_it(&self, conflict: Conflict, context: &str) {
        // Whatever the next run is for, it brings back what was set aside.
        let report = try_run(&self.source, &self.target, with(Conflict::Keep)).await;
        let report = report.unwrap();
        assert!(report.is_complete(), "{context}: {:?}", failures(&report));
        let now = content(&*self.target).await;
        let mut names: Vec<&String> = self.before.keys().chain(self.wanted.keys()).collect();
        names.sort();
        names.dedup();
        assert_eq!(now.keys().collect::<Vec<_>>(), names, "{context}");
        self.nothing_is_lost(context).await;

        let report = try_run(&self.source, &self.target, with(conflict)).await;
        let report = report.unwrap();
        let mut expected = self.before.clone();
        match conflict {
            Conflict::Replace => expected.extend(self.wanted.clone()),
            _ => {
                for (name, value) in &self.wanted {
                    expected
                        .entry(name.clone())
                        .or_insert_with(|| value.clone());
                }
            }
        }
        assert!(report.is_complete(), "{context}: {:?}", failures(&report));
        assert_eq!(content(&*self.target).await, expected, "{context}");
        assert_eq!(content(&*self.source).await, self.wanted, "{context}");
    }
}

/// Lets a migration meet each fault at each of its operations, on its target or its source. Returns how many it met.
async fn meet_all(conflict: Conflict, at_source: bool) -> usize {
    let mut met = 0;
    for fault in FAULTS {
        for at in 0.. {
            let scene = scene().await;
            let context = format!("{conflict:?}, {fault:?} at {at}, source: {at_source}");
            let options = Options {
                concurrency: 1.try_into().unwrap(),
                keep_going: at % 2 == 1,
                ..with(conflict)
            };
            let broken = if at_source {
                &scene.source
            } else {
                &scene.target
            };
            let faulty = Faulty::new(broken, fault, at);
            let broken: Arc<dyn Keystore> = Arc::clone(&faulty) as _;
            let run = if at_source {
                try_run(&broken, &scene.target, options).await
            } else {
                try_run(&scene.source, &broken, options).await
            };
            scene.nothing_is_lost(&context).await;
            if let Ok(report) = &run
                && report.is_complete()
            {
                // Then all is as it should be, whatever went wrong on the way.
                let now = content(&*scene.target).await;
                for (name, value) in &scene.wanted {
                    let kept = conflict == Conflict::Keep && OTHERS.contains(&name.as_str());
                    let expected = if kept { &scene.before[name] } else { value };
                    assert_eq!(&now[name], expected, "{context}");
                }
            }
            scene.a_next_run_ends_it(conflict, &context).await;
            if !faulty.happened() {
                assert!(run.is_ok_and(|report| report.is_complete()), "{context}");
                break;
            }
            met += 1;
        }
    }
    met
}

#[tokio::test]
async fn a_forced_run_survives_a_fault_at_every_operation_of_the_target() {
    // Listing; three keys; five operations and more for each that is replaced; listing.
    let met = meet_all(Conflict::Replace, false).await;
    assert!(met > 5 * 18, "{met}");
}

#[tokio::test]
async fn a_merging_run_survives_a_fault_at_every_operation_of_the_target() {
    let met = meet_all(Conflict::Keep, false).await;
    assert!(met > 5 * 10, "{met}");
}

#[tokio::test]
async fn a_run_survives_a_fault_at_every_operation_of_the_source() {
    for conflict in [Conflict::Replace, Conflict::Keep] {
        let met = meet_all(conflict, true).await;
        assert!(met > 5 * 6, "{met}");
    }
}

/// Two runs that fail, one after the other, at all pairs of operations.
#[tokio::test]
async fn a_run_that_ends_what_another_began_may_be_cut_off_as_well() {
    let mut cut = 0;
    for first in 0.. {
        let mut second = 0;
        let ended = loop {
            let scene = scene().await;
            let context = format!("cut off at {first}, and then at {second}");
            let options = || Options {
                concurrency: 1.try_into().unwrap(),
                ..with(Conflict::Replace)
            };
            let one = Faulty::new(&scene.target, Fault::DeadAfter, first);
            let store: Arc<dyn Keystore> = Arc::clone(&one) as _;
            drop(try_run(&scene.source, &store, options()).await);
            if !one.happened() {
                break true;
            }
            let two = Faulty::new(&scene.target, Fault::DeadAfter, second);
            let store: Arc<dyn Keystore> = Arc::clone(&two) as _;
            drop(try_run(&scene.source, &store, options()).await);
            scene.nothing_is_lost(&context).await;
            scene.a_next_run_ends_it(Conflict::Replace, &context).await;
            if !two.happened() {
                break false;
            }
            cut += 1;
            second += 1;
        };
        if ended {
            break;
        }
    }
    assert!(cut > 200, "{cut}");
}

#[tokio::test]
async fn a_key_that_somebody_writes_while_its_old_value_is_set_aside_is_told_and_kept() {
    let scene = scene().await;
    // Cut off one operation later each time, until the first key is deleted and not yet created.
    let mut at = 0;
    let name = KeyName::parse("b-other").unwrap();
    loop {
        let faulty: Arc<dyn Keystore> = Faulty::new(&scene.target, Fault::DeadAfter, at);
        let options = Options {
            concurrency: 1.try_into().unwrap(),
            ..with(Conflict::Replace)
        };
        drop(try_run(&scene.source, &faulty, options).await);
        if matches!(scene.target.get(&name).await, Err(Error::NotFound)) {
            break;
        }
        at += 1;
        assert!(at < 30, "it was never deleted");
    }
    put(&*scene.target, "b-other", &record("somebody's")).await;
    let there = content(&*scene.target).await;
    let report = try_run(&scene.source, &scene.target, with(Conflict::Keep)).await;
    let report = report.unwrap();
    assert!(!report.is_complete());
    let told = failures(&report).join("\n");
    assert!(
        told.contains("b-other") && told.contains("kes-migrate-"),
        "{told}"
    );
    // Nothing of it was touched: what somebody wrote, and what was set aside.
    let now = content(&*scene.target).await;
    assert!(
        there
            .iter()
            .all(|(name, value)| now.get(name) == Some(value))
    );
}

#[tokio::test]
async fn what_a_run_set_aside_is_never_taken_for_a_key() {
    let scene = scene().await;
    let mut at = 0;
    let left = loop {
        let faulty: Arc<dyn Keystore> = Faulty::new(&scene.target, Fault::DeadAfter, at);
        drop(try_run(&scene.source, &faulty, with(Conflict::Replace)).await);
        let names = content(&*scene.target).await;
        let left = names
            .into_keys()
            .find(|name| is_reserved(&KeyName::parse_old(name).unwrap()));
        if let Some(left) = left {
            break left;
        }
        at += 1;
    };
    // The target of the one is the source of another.
    let next: Arc<dyn Keystore> = Arc::new(MemStore::default());
    let options = Options {
        allow_unreadable: true,
        keep_going: true,
        ..plain()
    };
    let report = try_run(&scene.target, &next, options).await.unwrap();
    let told = failures(&report).join("\n");
    assert!(
        told.contains(&left) && told.contains("run that one again first"),
        "{told}"
    );
    assert!(!content(&*next).await.contains_key(&left));
}

/// Stores that answer with what is not true.
struct Lying {
    store: MemStore,
    /// Values come back with another first character.
    alters: bool,
    /// Names that are not listed.
    hides: &'static str,
}

impl fmt::Display for Lying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl Keystore for Lying {
    async fn status(&self) -> Result<Duration, Error> {
        self.store.status().await
    }
    async fn create(&self, name: &KeyName, value: &Secret) -> Result<(), Error> {
        self.store.create(name, value).await
    }
    async fn get(&self, name: &KeyName) -> Result<Secret, Error> {
        let value = self.store.get(name).await?;
        if self.alters {
            let mut bytes = value.expose().to_vec();
            bytes[0] ^= 1;
            return Ok(Secret::copy_from(&bytes));
        }
        Ok(value)
    }
    async fn delete(&self, name: &KeyName) -> Result<(), Error> {
        self.store.delete(name).await
    }
    async fn list(&self, prefix: &str, from: Option<&str>, limit: usize) -> Result<Page, Error> {
        let mut page = self.store.list(prefix, from, limit).await?;
        page.names.retain(|name| name.as_str() != self.hides);
        Ok(page)
    }
}

#[tokio::test]
async fn what_arrives_otherwise_than_it_was_is_noticed() {
    let scene = scene().await;
    let lying = |alters, hides| -> Arc<dyn Keystore> {
        Arc::new(Lying {
            store: MemStore::default(),
            alters,
            hides,
        })
    };
    let report = try_run(&scene.source, &lying(true, ""), plain()).await;
    let told = failures(&report.unwrap());
    assert!(told[0].contains("not what was written"), "{told:?}");
    // Nobody asked for it to be read back.
    let unchecked = Options {
        verify: false,
        ..plain()
    };
    let report = try_run(&scene.source, &lying(true, ""), unchecked).await;
    assert!(report.unwrap().is_complete());
    // The names are compared in any case.
    let report = try_run(&scene.source, &lying(false, "d-new"), plain()).await;
    let told = failures(&report.unwrap());
    assert_eq!(
        told,
        ["d-new: the target does not list it, although it was there"]
    );
}

#[tokio::test]
async fn tens_of_thousands_of_keys_arrive_page_by_page() {
    let source: Arc<dyn Keystore> = Arc::new(MemStore::default());
    let target: Arc<dyn Keystore> = Arc::new(MemStore::default());
    let text = record("one");
    for i in 0..60_000 {
        put(&*source, &format!("key-{i}"), &text).await;
    }
    let report = try_run(&source, &target, plain()).await.unwrap();
    assert!(report.is_complete());
    assert_eq!(super::counts(&report), [60_000, 60_000, 0, 0, 0, 0, 0]);
    let names = target.list("", None, usize::MAX).await.unwrap().names;
    assert_eq!(
        names,
        source.list("", None, usize::MAX).await.unwrap().names
    );
}
