//! Migration: copies keys from one keystore to another, byte for byte, and never writes to the one it copies from (cli.md 15).
//!
//! What is promised:
//! - A value arrives exactly as it was, HMAC key included, and is read back and compared. What cannot be read as a key is
//!   refused, for nobody could tell a good copy of it from a bad one.
//! - The source is only read: its type has no way to write.
//! - Whatever ends a run, another one goes on where it stopped: an equal value at the target is done. Nothing is remembered elsewhere.
//! - A value at the target is replaced only when that was asked for, and is on the disk under another name until the new one is
//!   (`aside.rs`). The next run, of whatever kind, brings back what a run that was cut off had set aside.
//! - All names are listed, at the end once more, and compared.
//!
//! What is not: keys that somebody else writes to the target while they are being replaced. A keystore has no way to change an entry
//! in one step, so for a moment the name is free. `docs/decisions/0013-migration.md` says why it is done this way.

use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::task::JoinSet;

use crate::{
    keystore::{self, Keystore},
    name::KeyName,
    policy::Glob,
};

mod aside;
mod copy;
mod ends;
mod problem;
mod replace;

pub use aside::is_reserved;
pub use problem::Problem;

use ends::{Source, Target};

/// What to do where the target has another value under the name of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It is a failure.
    Fail,
    /// The target keeps its value.
    Keep,
    /// The target gets the value of the source.
    Replace,
}

/// What to copy, and how.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, each with its flag on the command line"
)]
pub struct Options {
    /// Copies values that cannot be read as keys, too.
    pub allow_unreadable: bool,
    /// Most keys that are on their way at once.
    pub concurrency: NonZeroUsize,
    /// What to do about other values at the target.
    pub conflict: Conflict,
    /// Changes nothing, and tells what would be done. Goes on after a failure.
    pub dry_run: bool,
    /// Goes on with other keys after a failure.
    pub keep_going: bool,
    /// Which names; all if there is none.
    pub pattern: Option<Glob>,
    /// Reads each value back from the target and compares.
    pub verify: bool,
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Copied,
    Kept,
    Present,
    Replaced,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Keys of the source that match, as far as is known by now.
    pub found: usize,
    /// Keys that are done, whatever became of them.
    pub done: usize,
    /// Keys that were copied or replaced.
    pub migrated: usize,
}

/// A key that was not migrated, and why.
#[derive(Debug)]
pub struct Failure {
    /// The key.
    pub name: KeyName,
    /// What went wrong.
    pub problem: Problem,
}

/// What a run did; what a dry run would do.
#[derive(Debug, Default)]
pub struct Report {
    /// Keys of the source that match.
    pub found: usize,
    /// Keys that the run came to, whatever became of them.
    pub tried: usize,
    /// Keys that the target did not have, and has now.
    pub copied: usize,
    /// Keys whose value the target had already.
    pub present: usize,
    /// Keys whose other value the target kept ([`Conflict::Keep`]).
    pub kept: usize,
    /// Keys whose other value was replaced ([`Conflict::Replace`]).
    pub replaced: usize,
    /// Keys that an earlier run was cut off in the midst of replacing, and whose old value was brought back first.
    pub restored: usize,
    /// Keys that were not migrated, in the order of their names.
    pub failures: Vec<Failure>,
    /// Whether somebody asked the run to stop.
    pub interrupted: bool,
}

impl Report {
    /// Whether every key of the source that matches is at the target, or was left out as asked.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && self.remaining() == 0
    }

    /// Keys that were copied or replaced.
    pub fn migrated(&self) -> usize {
        self.copied + self.replaced
    }

    /// Keys that the run did not come to.
    pub fn remaining(&self) -> usize {
        self.found.saturating_sub(self.tried)
    }
}

/// A store could not be listed, so nothing can be said about its keys.
#[derive(Debug, thiserror::Error)]
#[error("cannot list the keys of the {end}")]
pub struct Unlisted {
    /// `source` or `target`.
    end: &'static str,
    #[source]
    source: keystore::Error,
}

/// A run: made, then driven by [`Migration::run`], and meanwhile asked for its progress or to stop.
pub struct Migration {
    source: Source,
    target: Target,
    options: Options,
    found: AtomicUsize,
    /// The next name to take.
    next: AtomicUsize,
    done: AtomicUsize,
    migrated: AtomicUsize,
    interrupted: AtomicBool,
    failed: AtomicBool,
}

impl Migration {
    /// A run from `source` to `target`, which must not be the same store.
    pub fn new(source: Arc<dyn Keystore>, target: Arc<dyn Keystore>, options: Options) -> Self {
        Self {
            source: Source::new(source),
            target: Target::new(target),
            options,
            found: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            migrated: AtomicUsize::new(0),
            interrupted: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        Progress {
            found: self.found.load(Ordering::Relaxed),
            done: self.done.load(Ordering::Relaxed),
            migrated: self.migrated.load(Ordering::Relaxed),
        }
    }

    /// Lets it finish the keys that it is at, and take no more.
    pub fn stop(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
    }

    /// Copies. To be called once. Dropping it is as safe as ending the process.
    ///
    /// # Errors
    /// If one of the stores cannot be listed. What goes wrong with a key is in the report.
    pub async fn run(self: Arc<Self>) -> Result<Report, Unlisted> {
        let (restored, mut failures) = self.recover().await?;
        if !failures.is_empty() {
            self.failed.store(true, Ordering::Relaxed);
        }
        let names: Arc<[KeyName]> = self.wanted().await?.into();
        self.found.store(names.len(), Ordering::Relaxed);
        let mut report = Report {
            found: names.len(),
            restored,
            ..Report::default()
        };
        let mut workers = JoinSet::new();
        for _ in 0..self.options.concurrency.get().min(names.len()) {
            workers.spawn(Arc::clone(&self).work(Arc::clone(&names)));
        }
        while let Some(done) = workers.join_next().await {
            // A worker that panicked took its count with it: its keys remain, and the run is not complete.
            let done = done.unwrap_or_default();
            report.tried += done.tried;
            report.copied += done.copied;
            report.present += done.present;
            report.kept += done.kept;
            report.replaced += done.replaced;
            failures.extend(done.failures);
        }
        report.interrupted = self.interrupted.load(Ordering::Relaxed);
        report.failures = failures;
        if report.remaining() == 0 && !self.options.dry_run {
            let missing = self.missing(&names, &report).await?;
            report.failures.extend(missing);
        }
        report.failures.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(report)
    }

    /// Takes one name after the other until there is none, or a reason to stop.
    async fn work(self: Arc<Self>, names: Arc<[KeyName]>) -> Report {
        let mut report = Report::default();
        while !self.stops() {
            let Some(name) = names.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            let outcome = self.migrate(name).await;
            report.tried += 1;
            self.done.fetch_add(1, Ordering::Relaxed);
            if matches!(outcome, Ok(Outcome::Copied | Outcome::Replaced)) {
                self.migrated.fetch_add(1, Ordering::Relaxed);
            }
            match outcome {
                Ok(Outcome::Copied) => report.copied += 1,
                Ok(Outcome::Kept) => report.kept += 1,
                Ok(Outcome::Present) => report.present += 1,
                Ok(Outcome::Replaced) => report.replaced += 1,
                Err(problem) => {
                    self.failed.store(true, Ordering::Relaxed);
                    report.failures.push(Failure {
                        name: name.clone(),
                        problem,
                    });
                }
            }
        }
        report
    }

    fn stops(&self) -> bool {
        let goes_on = self.options.keep_going || self.options.dry_run;
        self.interrupted.load(Ordering::Relaxed)
            || (self.failed.load(Ordering::Relaxed) && !goes_on)
    }

    /// The names at the source that are asked for.
    async fn wanted(&self) -> Result<Vec<KeyName>, Unlisted> {
        let listed = self.source.names().await;
        let mut names = listed.map_err(|source| Unlisted {
            end: "source",
            source,
        })?;
        if let Some(pattern) = &self.options.pattern {
            names.retain(|name| pattern.matches(name.as_str()));
        }
        Ok(names)
    }

    /// Compares what there is at both ends when all is done: keys that the target does not list, and keys that came to the source
    /// meanwhile.
    async fn missing(&self, names: &[KeyName], report: &Report) -> Result<Vec<Failure>, Unlisted> {
        let there = self.target.names("").await;
        let there: BTreeSet<KeyName> = there
            .map_err(|source| Unlisted {
                end: "target",
                source,
            })?
            .into_iter()
            .collect();
        let told: BTreeSet<&KeyName> = report.failures.iter().map(|it| &it.name).collect();
        let before: BTreeSet<&KeyName> = names.iter().collect();
        let now = self.wanted().await?;
        let lost = names
            .iter()
            .filter(|name| !there.contains(*name) && !told.contains(name))
            .map(|name| (name, Problem::Missing));
        let new = now
            .iter()
            .filter(|name| !before.contains(*name) && !there.contains(*name))
            .map(|name| (name, Problem::Late));
        Ok(lost
            .chain(new)
            .map(|(name, problem)| Failure {
                name: name.clone(),
                problem,
            })
            .collect())
    }
}
