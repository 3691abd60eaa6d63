//! [`Clock`]: the system's time, or a test's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use time::OffsetDateTime;

/// Where the time comes from. Cheap to clone; clones of a test clock move together.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Instant,
    test: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self {
            start: Instant::now(),
            test: None,
        }
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn test() -> Self {
        Self {
            start: Instant::now(),
            test: Some(Arc::default()),
        }
    }

    /// Monotonic time since this clock was made.
    pub fn elapsed(&self) -> Duration {
        match &self.test {
            None => self.start.elapsed(),
            Some(nanos) => Duration::from_nanos(nanos.load(Ordering::SeqCst)),
        }
    }

    /// Wall-clock time, UTC. A test clock starts at 2024-01-01T00:00:00Z.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the system for the time of day"
    )]
    pub fn now_utc(&self) -> OffsetDateTime {
        match &self.test {
            None => OffsetDateTime::now_utc(),
            Some(_) => time::macros::datetime!(2024-01-01 0:00 UTC) + self.elapsed(),
        }
    }

    /// Moves a test clock forward. Does nothing to the system's clock.
    pub fn advance(&self, by: Duration) {
        if let Some(nanos) = &self.test {
            let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            nanos.fetch_add(by, Ordering::SeqCst);
        }
    }
}
