//! A store under change: [`run`] creates and deletes keys for ever and says what it begins and what is done; [`Ledger`] hears that,
//! and judges what is there after a sudden end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Read as _,
    sync::Arc,
};

use kes::keystore::{Error, Keystore};

use super::worker::say;
use crate::keystore::subject::{name, secret, shown};

/// How many changes are made at once.
const TASKS: usize = 2;

/// How many names each task uses, again and again.
const NAMES: usize = 5;

/// The value that belongs to a name and a mark: of a few bytes, of pages, or of many pages.
pub(super) fn value(key: &str, mark: &str) -> String {
    let length = mark.bytes().map(usize::from).sum::<usize>() % 3;
    format!("{key}={mark};").repeat([1, 500, 4_000][length])
}

/// Creates keys whose names are free and deletes the others, until the end of the process or of its input.
pub(super) async fn run(store: &Arc<dyn Keystore>, round: &str) -> ! {
    // Nobody listens any more.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0)
    });
    let page = store.list("", None, usize::MAX).await.unwrap();
    let taken: BTreeSet<String> = page.names.iter().map(ToString::to_string).collect();
    for task in 0..TASKS {
        let mark = format!("{round}.{task}");
        tokio::spawn(toggle(Arc::clone(store), task, mark, taken.clone()));
    }
    std::future::pending().await
}

async fn toggle(store: Arc<dyn Keystore>, task: usize, mark: String, mut taken: BTreeSet<String>) {
    for turn in 0.. {
        let key = format!("key-{task}-{}", turn % NAMES);
        let done = if taken.remove(&key) {
            say(&format!("delete {key}"));
            store.delete(&name(&key)).await
        } else {
            let mark = format!("{mark}.{turn}");
            say(&format!("create {key} {mark}"));
            let value = secret(&value(&key, &mark));
            taken.insert(key.clone());
            store.create(&name(&key), &value).await
        };
        match done {
            Ok(()) => say(&format!("done {key}")),
            Err(error) => return say(&format!("failed {key}: {}", shown(&error))),
        }
    }
}

/// What may be there: for each name the acknowledged value, and the change that was begun, if any. No value: no key.
#[derive(Default)]
pub(super) struct Ledger {
    acknowledged: BTreeMap<String, Option<String>>,
    begun: BTreeMap<String, Option<String>>,
    /// What operations said that failed.
    pub(super) failures: Vec<String>,
}

impl Ledger {
    /// Hears a line of [`run`].
    pub(super) fn hear(&mut self, line: &str) {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["create", key, mark] => {
                self.begun.insert((*key).to_owned(), Some(value(key, mark)));
            }
            ["delete", key] => {
                self.begun.insert((*key).to_owned(), None);
            }
            ["done", key] => {
                let state = self.begun.remove(*key).unwrap();
                self.acknowledged.insert((*key).to_owned(), state);
            }
            ["failed", ..] => self.failures.push(line.to_owned()),
            _ => assert_eq!(line, "opened"),
        }
    }

    /// Says that this is there, or that nothing is.
    pub(super) fn set(&mut self, key: &str, state: Option<&str>) {
        self.acknowledged
            .insert(key.to_owned(), state.map(str::to_owned));
    }

    /// Compares with what is there: each acknowledged change is, and of each other one all or nothing. Returns how many changes
    /// that were not acknowledged have come to pass, or what is wrong.
    pub(super) async fn check(&mut self, store: &dyn Keystore) -> Result<usize, String> {
        let page = store
            .list("", None, usize::MAX)
            .await
            .map_err(|error| shown(&error))?;
        let mut wrong = String::new();
        let mut found = BTreeMap::new();
        for key in &page.names {
            match store.get(key).await {
                Ok(value) => {
                    let value = String::from_utf8(value.expose().to_vec()).unwrap();
                    found.insert(key.to_string(), value);
                }
                Err(error) => writeln!(wrong, "{key}: {}", shown(&error)).unwrap(),
            }
        }
        let names: BTreeSet<String> = [&self.acknowledged, &self.begun]
            .into_iter()
            .flat_map(BTreeMap::keys)
            .chain(found.keys())
            .cloned()
            .collect();
        let mut passed = 0;
        for key in names {
            let is = found.remove(&key);
            let begun = self.begun.get(&key);
            if begun == Some(&is) {
                passed += 1;
            } else if self.acknowledged.get(&key).unwrap_or(&None) != &is {
                let short = |value: &Option<String>| {
                    value.as_ref().map(|text| {
                        let start: String = text.chars().take(40).collect();
                        format!("{start}… ({} bytes)", text.len())
                    })
                };
                let acknowledged = self.acknowledged.get(&key).and_then(short);
                let (begun, is) = (begun.map(short), short(&is));
                writeln!(
                    wrong,
                    "{key}: acknowledged {acknowledged:?}, begun {begun:?}, found {is:?}"
                )
                .unwrap();
            }
            self.acknowledged.insert(key, is);
        }
        if wrong.is_empty() {
            Ok(passed)
        } else {
            Err(wrong)
        }
    }

    /// Checks that no name of an interrupted change is wedged: what is there can be deleted, and the name be used again.
    pub(super) async fn use_names_again(&mut self, store: &dyn Keystore) {
        for (key, _) in std::mem::take(&mut self.begun) {
            let parsed = name(&key);
            let deleted = store.delete(&parsed).await;
            match (&self.acknowledged[&key], deleted) {
                (Some(_), Ok(())) | (None, Err(Error::NotFound)) => {}
                (_, deleted) => panic!("{key}: {deleted:?}"),
            }
            store.create(&parsed, &secret("again")).await.unwrap();
            assert_eq!(store.get(&parsed).await.unwrap().expose(), b"again");
            self.set(&key, Some("again"));
        }
    }
}
