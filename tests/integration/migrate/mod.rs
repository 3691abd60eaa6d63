//! Migration: between every two kinds of keystores, under faults, kills and power failures, and as a command.
//!
//! - [`pair`] is what every pair of stores must do; a later store adds its lines to the list below.
//! - [`fault`] lets every single operation fail, or be the last one, and shows that another run ends what was begun.
//! - [`kill`] and [`power`] end the program itself, and the power under its target.
//! - [`source`] shows that the source is not touched.
//! - [`command`] is the command line.

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use kes::{
    clock::Clock,
    crypto::{Cipher, KeyVersion},
    keystore::Keystore,
    migrate::{Conflict, Migration, Options, Report, Unlisted},
    name::KeyName,
    policy::Glob,
    secret::Secret,
};

mod command;
mod fault;
mod kill;
mod pair;
mod power;
mod source;

/// The pairs that a migration works between.
mod works {
    use super::pair::every_case;

    every_case!(
        fs_to_fs,
        crate::keystore::fs::Files,
        crate::keystore::fs::Files
    );
    every_case!(
        fs_to_mem,
        crate::keystore::fs::Files,
        crate::keystore::mem::Memory
    );
    every_case!(
        mem_to_fs,
        crate::keystore::mem::Memory,
        crate::keystore::fs::Files
    );
    every_case!(
        mem_to_mem,
        crate::keystore::mem::Memory,
        crate::keystore::mem::Memory
    );
}

/// The stored form of a key, another one for each seed, with an HMAC key of its own.
fn record(seed: &str) -> String {
    let bytes = |what: &str| {
        let text = format!("{what} {seed}");
        Secret::copy_from(digest(&SHA256, text.as_bytes()).as_ref())
    };
    let cipher = if seed.len().is_multiple_of(2) {
        Cipher::Aes256
    } else {
        Cipher::ChaCha20
    };
    let now = Clock::test().now_utc();
    let key = KeyVersion::import(cipher, bytes("secret"), Some(bytes("hmac")), seed, now).unwrap();
    let stored = key.to_stored().unwrap();
    String::from_utf8(stored.expose().to_vec()).unwrap()
}

/// Names, old ones too, and values.
type Content = BTreeMap<String, String>;

/// All that is in a store.
async fn content(store: &dyn Keystore) -> Content {
    let page = store.list("", None, usize::MAX).await.unwrap();
    let mut all = Content::new();
    for name in page.names {
        let value = store.get(&name).await.unwrap();
        let text = String::from_utf8(value.expose().to_vec()).unwrap();
        all.insert(name.to_string(), text);
    }
    all
}

/// Puts a value into a store.
async fn put(store: &dyn Keystore, name: &str, value: &str) {
    let name = KeyName::parse_old(name).unwrap();
    let value = Secret::copy_from(value.as_bytes());
    store.create(&name, &value).await.unwrap();
}

/// What a command line without flags asks for.
fn plain() -> Options {
    Options {
        allow_unreadable: false,
        concurrency: 8.try_into().unwrap(),
        conflict: Conflict::Fail,
        dry_run: false,
        keep_going: false,
        pattern: None,
        verify: true,
    }
}

fn with(conflict: Conflict) -> Options {
    Options {
        conflict,
        ..plain()
    }
}

fn matching(pattern: &str) -> Options {
    Options {
        pattern: Some(Glob::parse(pattern).unwrap()),
        ..plain()
    }
}

async fn try_run(
    source: &Arc<dyn Keystore>,
    target: &Arc<dyn Keystore>,
    options: Options,
) -> Result<Report, Unlisted> {
    let migration = Migration::new(Arc::clone(source), Arc::clone(target), options);
    Arc::new(migration).run().await
}

async fn run(source: &Arc<dyn Keystore>, target: &Arc<dyn Keystore>, options: Options) -> Report {
    try_run(source, target, options).await.unwrap()
}

/// `found, copied, present, kept, replaced, failed, remaining` of a report.
fn counts(report: &Report) -> [usize; 7] {
    [
        report.found,
        report.copied,
        report.present,
        report.kept,
        report.replaced,
        report.failures.len(),
        report.remaining(),
    ]
}

/// Failures as lines.
fn failures(report: &Report) -> Vec<String> {
    let lines = report.failures.iter();
    lines
        .map(|failure| format!("{}: {}", failure.name, failure.problem))
        .collect()
}
