//! [`Console`]: a log's lines on standard output or standard error (api.md 10.1).
//!
//! Who logs never waits for the terminal, pipe or file behind it: a thread writes. When that does not keep up, lines are dropped,
//! and a line says how many as soon as there is room again.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicI32, Ordering},
    thread,
    time::Duration,
};

use time::{OffsetDateTime, UtcOffset};

use super::{
    format::{Format, SharedFormat, push_json_line},
    level::Level,
    spool::{Batch, Sink, Spool},
    text::{Fraction, push_time, push_value},
};
use crate::clock::Clock;

/// How long to wait before writing again to what takes nothing at the moment and cannot be waited for.
const AGAIN: Duration = Duration::from_millis(10);

/// Where lines are written, by a thread of its own.
pub(super) struct Console {
    level: AtomicI32,
    look: Look,
    spool: Spool,
}

/// How lines are written.
#[derive(Clone)]
pub(super) struct Look {
    pub(super) format: SharedFormat,
    /// The local time zone.
    pub(super) offset: UtcOffset,
}

impl Console {
    /// Starts the thread `name` that writes to `out`.
    ///
    /// # Errors
    /// The system's error if it gives no thread.
    pub(super) fn start(
        name: &str,
        out: Box<dyn Write + Send>,
        level: Level,
        look: Look,
        clock: Clock,
    ) -> io::Result<Self> {
        let writer = Writer {
            out,
            look: look.clone(),
            clock,
        };
        Ok(Self {
            level: AtomicI32::new(level.number()),
            look,
            spool: Spool::start(name, writer)?,
        })
    }

    /// Whether a record of `level` is written.
    pub(super) fn takes(&self, level: Level) -> bool {
        level.number() >= self.level.load(Ordering::Relaxed)
    }

    /// Writes records from `level` on from now on, in this format.
    pub(super) fn set(&self, level: Level, format: Format) {
        self.level.store(level.number(), Ordering::Relaxed);
        self.look.format.set(format);
    }

    /// How lines are written now.
    pub(super) fn format(&self) -> Format {
        self.look.format.get()
    }

    /// The local time zone.
    pub(super) fn offset(&self) -> UtcOffset {
        self.look.offset
    }

    /// Writes the line that `write` appends, newline included, sooner or later.
    pub(super) fn write(&self, time: OffsetDateTime, write: impl FnOnce(&mut Vec<u8>)) {
        self.spool.push(time, write);
    }

    /// Waits until all lines so far are written, at most for `limit`. Returns whether that came to pass.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        self.spool.flush(limit)
    }
}

/// Appends what every line begins with: time, level and message.
pub(super) fn push_head(
    out: &mut Vec<u8>,
    time: OffsetDateTime,
    offset: UtcOffset,
    level: Level,
    message: &str,
) {
    out.extend_from_slice(b"time=");
    push_time(out, time, offset, Fraction::Millis);
    // Writing to a vector cannot fail.
    let _ = write!(out, " level={level} msg=");
    push_value(out, message);
}

/// Appends ` key=value`, the value in quotes if need be.
pub(super) fn push_field(out: &mut Vec<u8>, key: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(key.as_bytes());
    out.push(b'=');
    push_value(out, value);
}

/// The spool's end of a console.
struct Writer {
    out: Box<dyn Write + Send>,
    look: Look,
    clock: Clock,
}

impl Sink for Writer {
    fn deliver(&mut self, batch: &mut Batch) -> u64 {
        if batch.missing > 0 {
            let message = format!(
                "{} log lines were dropped, they were not read in time",
                batch.missing
            );
            let (out, now, offset) = (&mut batch.text, self.clock.now_utc(), self.look.offset);
            match self.look.format.get() {
                Format::Json => {
                    push_json_line(out, (now, offset), Level::WARN, &message, None, None);
                }
                Format::Text => push_head(out, now, offset, Level::WARN, &message),
            }
            out.push(b'\n');
        }
        match self.write(&batch.text) {
            Ok(()) => 0,
            Err(_) => batch.missing + batch.ends.len() as u64,
        }
    }
}

impl Writer {
    fn write(&mut self, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            match self.out.write(text) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => text = text.get(len..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody who shares the terminal or pipe made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    thread::park_timeout(AGAIN);
                }
                Err(error) => return Err(error),
            }
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
