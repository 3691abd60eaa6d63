//! What the server tells about itself: audit events, the error log, metrics (api.md 10, 11).
//!
//! One [`Telemetry`] serves the process and outlives every reload. Nothing here makes a request wait: counters are added to copies
//! that belong to the calling thread, log lines go to threads that write them, and who reads too slowly loses lines (a console,
//! which is told how many) or the stream (a [`Subscription`]).

mod audit;
mod console;
mod format;
mod level;
mod log;
mod metrics;
mod shard;
mod spool;
mod stream;
mod system;
mod text;

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use time::UtcOffset;

pub use self::{
    audit::{AuditEvent, AuditLog},
    format::Format,
    level::{InvalidLevel, Level},
    log::{ErrorLog, Request, chain},
    metrics::{Active, CONTENT_TYPE, Metrics},
    stream::Subscription,
    system::{System, arch, os},
    text::go_duration,
};
use self::{
    console::{Console, Look},
    format::SharedFormat,
    stream::Stream,
};
use crate::clock::Clock;

/// From which level on the consoles show records, and how (config.md 10). Streams do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Of the audit log, on standard output.
    pub audit: Level,
    /// Of the error log, on standard error.
    pub error: Level,
    /// How both are written.
    pub format: Format,
}

/// The error log on, the audit log off, as text: as documented to users.
impl Default for Settings {
    fn default() -> Self {
        Self {
            audit: Level::OFF,
            error: Level::INFO,
            format: Format::Text,
        }
    }
}

/// Where the consoles are.
pub struct Output {
    /// For the audit log.
    pub audit: Box<dyn Write + Send>,
    /// For the error log.
    pub error: Box<dyn Write + Send>,
}

impl Output {
    /// Standard output and standard error.
    pub fn standard() -> Self {
        Self {
            audit: Box::new(io::stdout()),
            error: Box::new(io::stderr()),
        }
    }
}

/// All that the process tells about itself.
pub struct Telemetry {
    /// Who did what.
    pub audit: AuditLog,
    /// What went wrong.
    pub log: ErrorLog,
    /// How much of what.
    pub metrics: Arc<Metrics>,
}

impl Telemetry {
    /// Starts the threads that write and distribute.
    ///
    /// `offset` is the local time zone as it is now; console lines keep it until the process ends, also across a change to or
    /// from daylight saving time, and carry it. It can only be found out safely while the process has one thread.
    ///
    /// # Errors
    /// The system's error if it gives no threads.
    pub fn start(
        settings: Settings,
        offset: UtcOffset,
        clock: &Clock,
        output: Output,
    ) -> io::Result<Arc<Self>> {
        let metrics = Arc::new(Metrics::new());
        let console = |name: &str, out, level| {
            let look = Look {
                format: SharedFormat::new(settings.format),
                offset,
            };
            Console::start(name, out, level, look, clock.clone())
        };
        Ok(Arc::new(Self {
            audit: AuditLog::new(
                console("audit-console", output.audit, settings.audit)?,
                Stream::start("audit-stream")?,
                Arc::clone(&metrics),
            ),
            log: ErrorLog::new(
                console("error-console", output.error, settings.error)?,
                Stream::start("error-stream")?,
                Arc::clone(&metrics),
                clock.clone(),
            ),
            metrics,
        }))
    }

    /// Takes over the levels and the format of a new configuration.
    pub fn set(&self, settings: Settings) {
        self.audit.console().set(settings.audit, settings.format);
        self.log.console().set(settings.error, settings.format);
    }

    /// Ends all log streams: each behind the last event recorded, new ones at once. To be called when the server begins to stop,
    /// since a stream ends by itself only with its reader.
    pub fn close_streams(&self) {
        self.audit.stream().close();
        self.log.stream().close();
    }

    /// Waits until all that was recorded so far is written, and with its readers, at most for `limit` in all. Returns whether
    /// that came to pass. Blocks the thread: for the end of the process, and for tests.
    pub fn flush(&self, limit: Duration) -> bool {
        let start = Instant::now();
        let left = || limit.saturating_sub(start.elapsed());
        // The error log first: what it has to say matters most when time is short.
        let error = self.log.console().flush(left());
        let audit = self.audit.console().flush(left());
        let streams = [
            self.audit.stream().flush(left()),
            self.log.stream().flush(left()),
        ];
        error && audit && !streams.contains(&false)
    }
}

#[cfg(test)]
mod tests;
