//! The line on a terminal that says how far a migration is.

use std::time::{Duration, Instant};

use super::report::keys;
use crate::{cli::output::Output, migrate::Progress};

/// How often it is written anew.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// Moves to the begin of the line and empties it.
const EMPTY: &str = "\r\x1b[K";

/// One line of standard error, written over and over.
pub(super) struct Line {
    start: Instant,
    shows: bool,
    is_there: bool,
}

impl Line {
    /// A line that is written if `shows`.
    pub(super) fn new(shows: bool) -> Self {
        Self {
            start: Instant::now(),
            shows,
            is_there: false,
        }
    }

    /// Writes how far it is.
    pub(super) fn show(&mut self, progress: &Progress, out: &Output) {
        if self.shows {
            out.progress(&format!("{EMPTY}{}", text(progress, self.start.elapsed())));
            self.is_there = true;
        }
    }

    /// Makes room for what else is to be said.
    pub(super) fn clear(&mut self, out: &Output) {
        if std::mem::take(&mut self.is_there) {
            out.progress(EMPTY);
        }
    }
}

fn text(progress: &Progress, time: Duration) -> String {
    let Progress {
        found,
        done,
        migrated,
    } = *progress;
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = u64::try_from(done).unwrap_or(u64::MAX).saturating_mul(1000) / millis;
    format!(
        "Migrated {migrated:>6} {} ... {done} of {found} done, {rate} per second",
        keys(migrated)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_count_total_and_rate() {
        let progress = |found, done, migrated| Progress {
            found,
            done,
            migrated,
        };
        assert_eq!(
            text(&progress(5000, 1200, 1100), Duration::from_secs(2)),
            "Migrated   1100 keys ... 1200 of 5000 done, 600 per second"
        );
        assert_eq!(
            text(&progress(0, 0, 1), Duration::ZERO),
            "Migrated      1 key ... 0 of 0 done, 0 per second"
        );
    }
}
