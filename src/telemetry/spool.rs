//! [`Spool`]: takes lines from any thread without waiting, and hands them to one thread that may wait.
//!
//! Each thread appends to a buffer of its own, under a lock that it shares with the spool's thread alone (and with other threads
//! only when there are more threads than buffers), and only for as long as a line takes to format. The spool's thread swaps the
//! buffers for empty ones, brings the lines in order of time, and delivers them as one batch. It is woken for the first line after
//! a pause, at once; then it rests between batches, so that under load a line costs no system call.
//!
//! A buffer that is full takes no more lines: they are counted, and the count goes with the next batch. So memory stays bounded
//! when nobody takes the batches, whatever the load.

use std::{
    io, mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use time::OffsetDateTime;

use super::shard::Sharded;

/// How many bytes a buffer takes before it is full, and the longest line. Room for what a busy core says in 40 ms: on a machine
/// without an idle core the spool's thread may have to wait for its turn that long.
const FULL: usize = 1024 * 1024;

/// What a buffer may keep allocated while there is nothing to do.
const KEPT: usize = 8 * 1024;

/// How long the thread leaves lines lying to gather some, after it delivered a batch.
const REST: Duration = Duration::from_millis(5);

/// The thread's stack: it calls nothing deep.
const STACK: usize = 128 * 1024;

/// Where lines end up. All calls come from the spool's thread.
pub(super) trait Sink: Send + 'static {
    /// Takes the batch; may wait as long as it likes. Returns how many lines, or lines already missing, it could not pass on:
    /// they count as missing from the next batch.
    fn deliver(&mut self, batch: &mut Batch) -> u64;

    /// [`Spool::finish`] was called; every line from before has been delivered. May be called more than once.
    fn finish(&mut self) {}
}

/// Lines in order of time, each with its newline.
#[derive(Default)]
pub(super) struct Batch {
    /// The lines.
    pub(super) text: Vec<u8>,
    /// Where each line ends in `text`, and the era it comes from.
    pub(super) ends: Vec<(usize, u64)>,
    /// How many lines are missing since the last batch, for want of room.
    pub(super) missing: u64,
}

/// The taking end. Dropping it lets the thread deliver what is there and end.
pub(super) struct Spool {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Buffer {
    text: Vec<u8>,
    marks: Vec<Mark>,
    missing: u64,
}

#[derive(Clone, Copy)]
struct Mark {
    end: usize,
    era: u64,
    /// The line's time in nanoseconds.
    time: i128,
}

struct Shared {
    buffers: Sharded<Mutex<Buffer>>,
    era: AtomicU64,
    /// The thread has seen all buffers empty after it set this, and sleeps until somebody unsets it and wakes it.
    idle: AtomicBool,
    state: AtomicU8,
    flushes_asked: AtomicU64,
    flushes_done: Mutex<u64>,
    flushed: Condvar,
}

const OPEN: u8 = 0;
const FINISHED: u8 = 1;
const ABANDONED: u8 = 2;

impl Spool {
    /// Starts the thread `name` that hands lines to `sink`.
    ///
    /// # Errors
    /// The system's error if it gives no thread.
    pub(super) fn start(name: &str, sink: impl Sink) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            buffers: Sharded::new(),
            era: AtomicU64::new(0),
            idle: AtomicBool::new(false),
            state: AtomicU8::new(OPEN),
            flushes_asked: AtomicU64::new(0),
            flushes_done: Mutex::new(0),
            flushed: Condvar::new(),
        });
        let pump = Pump {
            spare: shared.buffers.iter().map(|_| Buffer::default()).collect(),
            shared: Arc::clone(&shared),
            batch: Batch::default(),
            order: Vec::new(),
        };
        let handle = thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK)
            .spawn(move || pump.run(sink))?;
        Ok(Self {
            shared,
            thread: handle.thread().clone(),
        })
    }

    /// Takes the line that `write` appends, newline included, or counts it as missing. Never waits for the sink.
    pub(super) fn push(&self, time: OffsetDateTime, write: impl FnOnce(&mut Vec<u8>)) {
        let mut buffer = lock(self.shared.buffers.local());
        let start = buffer.marks.last().map_or(0, |mark| mark.end);
        buffer.text.truncate(start);
        if start >= FULL {
            buffer.missing += 1;
            return;
        }
        write(&mut buffer.text);
        let end = buffer.text.len();
        if end - start > FULL {
            buffer.text.truncate(start);
            buffer.text.shrink_to(FULL);
            buffer.missing += 1;
            return;
        }
        // Under the lock: the thread cannot deliver a line without having seen all lines of an earlier era in this buffer.
        let era = self.shared.era.load(Ordering::Acquire);
        let time = time.unix_timestamp_nanos();
        buffer.marks.push(Mark { end, era, time });
        drop(buffer);

        let half_full = start < FULL / 2 && end >= FULL / 2;
        // If the thread looked into this buffer before the line was there, it had said before that it would be idle, and the
        // lock makes that visible here.
        let idle = self.shared.idle.load(Ordering::Acquire)
            && self.shared.idle.swap(false, Ordering::AcqRel);
        if half_full || idle {
            self.thread.unpark();
        }
    }

    /// Begins a new era and returns it: lines pushed from now on belong to it or to a later one.
    pub(super) fn next_era(&self) -> u64 {
        self.shared.era.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Has the thread tell the sink, when all lines pushed so far have been delivered, that it is finished.
    pub(super) fn finish(&self) {
        self.shared.state.store(FINISHED, Ordering::Release);
        self.thread.unpark();
    }

    /// Waits until every line pushed so far has been delivered, at most for `limit`. Returns whether that came to pass.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let ticket = self.shared.flushes_asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.thread.unpark();
        let done = lock(&self.shared.flushes_done);
        let waited = self
            .shared
            .flushed
            .wait_timeout_while(done, limit, |done| *done < ticket);
        let (_done, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.state.store(ABANDONED, Ordering::Release);
        self.thread.unpark();
    }
}

/// The delivering end.
struct Pump {
    shared: Arc<Shared>,
    /// Empty buffers to give for full ones, one for each.
    spare: Vec<Buffer>,
    batch: Batch,
    order: Vec<Line>,
}

/// Where a line lies among the spare buffers, which hold what was collected.
struct Line {
    place: usize,
    start: usize,
    mark: Mark,
}

impl Pump {
    fn run(mut self, mut sink: impl Sink) {
        loop {
            // Before the buffers, so that what was pushed before these were set is in the batch.
            let state = self.shared.state.load(Ordering::Acquire);
            let asked = self.shared.flushes_asked.load(Ordering::Acquire);
            self.collect();
            let any = !self.batch.ends.is_empty();
            let flush = asked > *lock(&self.shared.flushes_done);
            if any || (self.batch.missing > 0 && (flush || state != OPEN)) {
                self.batch.missing = sink.deliver(&mut self.batch);
            }
            if state != OPEN {
                sink.finish();
            }
            if flush {
                *lock(&self.shared.flushes_done) = asked;
                self.shared.flushed.notify_all();
            }
            if state == ABANDONED {
                return;
            }
            if any {
                thread::park_timeout(REST);
            } else {
                self.wait();
            }
        }
    }

    /// Fills the batch with all there is. Lines missing that the last batch could not tell stay missing.
    fn collect(&mut self) {
        self.batch.text.clear();
        self.batch.ends.clear();
        self.order.clear();
        for (place, (buffer, spare)) in self.shared.buffers.iter().zip(&mut self.spare).enumerate()
        {
            spare.text.clear();
            spare.marks.clear();
            mem::swap(&mut *lock(buffer), spare);
            self.batch.missing += mem::take(&mut spare.missing);
            let mut start = 0;
            for &mark in &spare.marks {
                self.order.push(Line { place, start, mark });
                start = mark.end;
            }
        }
        // Stable: lines of one thread and one time stay in their order.
        self.order.sort_by_key(|line| line.mark.time);
        for line in &self.order {
            let buffer = self.spare.get(line.place);
            let text = buffer.and_then(|buffer| buffer.text.get(line.start..line.mark.end));
            self.batch.text.extend_from_slice(text.unwrap_or_default());
            self.batch.ends.push((self.batch.text.len(), line.mark.era));
        }
    }

    /// Gives memory back and sleeps until there is something to do. May return early.
    fn wait(&mut self) {
        self.batch.text = Vec::new();
        self.batch.ends = Vec::new();
        self.order = Vec::new();
        for spare in &mut self.spare {
            spare.shrink();
        }
        self.shared.idle.store(true, Ordering::Release);
        let mut empty = true;
        for buffer in self.shared.buffers.iter() {
            let mut buffer = lock(buffer);
            empty &= buffer.marks.is_empty();
            buffer.shrink();
        }
        if empty {
            thread::park();
        }
        self.shared.idle.store(false, Ordering::Release);
    }
}

impl Buffer {
    fn shrink(&mut self) {
        if self.text.capacity() > KEPT {
            self.text.shrink_to(KEPT);
            self.marks.shrink_to(KEPT / 128);
        }
    }
}

/// Locks also what a panicking thread left locked: a line is whole once its mark is there, and text without a mark is cut off.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
