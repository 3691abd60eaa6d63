//! [`Subscription`]: the events of a log, live, for one reader (api.md 10.3).
//!
//! A stream is complete until it ends: a reader sees every event from after it subscribed, in order, and never a gap. A reader
//! that does not keep up is **cut off**: what waits for it is freed and its stream ends. It can subscribe again. So a slow or dead
//! reader costs others nothing and holds a bounded amount of memory, which it shares with the other readers of the same events.
//!
//! Publishing without readers costs one relaxed load. With readers, the event is formatted once, into a spool whose thread hands
//! it to all of them.

use std::{
    collections::VecDeque,
    future, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use time::OffsetDateTime;

use super::spool::{Batch, Sink, Spool};

/// How much may wait for a reader, in bytes, if anything waits for it at all.
const LIMIT: usize = 4 * 1024 * 1024;

/// What a chunk that waits counts beyond its length, so that the limit bounds their number, too.
const CHUNK: usize = 128;

/// The publishing side of one log's streams.
pub(super) struct Stream {
    hub: Arc<Hub>,
    spool: Spool,
}

/// All readers of one log.
#[derive(Default)]
struct Hub {
    /// How many readers there are: what a publisher looks at.
    count: AtomicUsize,
    readers: Mutex<Readers>,
}

#[derive(Default)]
struct Readers {
    closed: bool,
    list: Vec<Reader>,
}

struct Reader {
    /// The first era that this reader is to see.
    since: u64,
    queue: Arc<Queue>,
}

/// What waits for one reader.
#[derive(Default)]
struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    chunks: VecDeque<Bytes>,
    /// The chunks' lengths, and [`CHUNK`] for each.
    size: usize,
    cut_off: bool,
    ended: bool,
    waker: Option<Waker>,
}

impl Stream {
    /// Starts the thread `name` that serves the readers.
    ///
    /// # Errors
    /// The system's error if it gives no thread.
    pub(super) fn start(name: &str) -> io::Result<Self> {
        let hub = Arc::<Hub>::default();
        let spool = Spool::start(name, Distributor(Arc::clone(&hub)))?;
        Ok(Self { hub, spool })
    }

    /// Whether anybody reads.
    pub(super) fn is_heard(&self) -> bool {
        self.hub.count.load(Ordering::Relaxed) > 0
    }

    /// Sends all readers the line that `write` appends, newline included. Never waits for one of them.
    pub(super) fn publish(&self, time: OffsetDateTime, write: impl FnOnce(&mut Vec<u8>)) {
        self.spool.push(time, write);
    }

    /// A new reader, who sees what is published from now on.
    pub(super) fn subscribe(&self) -> Subscription {
        let since = self.spool.next_era();
        let queue = Arc::<Queue>::default();
        let mut readers = lock(&self.hub.readers);
        if readers.closed {
            lock(&queue.0).ended = true;
        } else {
            readers.list.push(Reader {
                since,
                queue: Arc::clone(&queue),
            });
            self.hub.count.store(readers.list.len(), Ordering::Release);
        }
        drop(readers);
        Subscription {
            hub: Arc::clone(&self.hub),
            queue,
        }
    }

    /// Ends all streams behind the last event published, and those of later readers at once.
    pub(super) fn close(&self) {
        lock(&self.hub.readers).closed = true;
        self.spool.finish();
    }

    /// Waits until all events so far wait for their readers, at most for `limit`. Returns whether that came to pass.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        self.spool.flush(limit)
    }
}

/// The spool's end of the hub.
struct Distributor(Arc<Hub>);

impl Sink for Distributor {
    fn deliver(&mut self, batch: &mut Batch) -> u64 {
        let missing = batch.missing > 0;
        let mut shared = None;
        self.0.retain(|reader| {
            if missing {
                return reader.queue.cut_off();
            }
            let all = batch.ends.iter().all(|&(_, era)| era >= reader.since);
            let chunk = if all {
                shared
                    .get_or_insert_with(|| Bytes::copy_from_slice(&batch.text))
                    .clone()
            } else {
                since(batch, reader.since)
            };
            reader.queue.push(chunk)
        });
        // Nobody is left to miss them.
        0
    }

    fn finish(&mut self) {
        self.0.retain(|reader| reader.queue.end());
    }
}

/// The batch's lines of `era` and later ones.
fn since(batch: &Batch, first: u64) -> Bytes {
    let mut text = Vec::new();
    let mut start = 0;
    for &(end, era) in &batch.ends {
        if era >= first {
            text.extend_from_slice(batch.text.get(start..end).unwrap_or_default());
        }
        start = end;
    }
    text.into()
}

impl Hub {
    fn retain(&self, keep: impl FnMut(&Reader) -> bool) {
        let mut readers = lock(&self.readers);
        readers.list.retain(keep);
        self.count.store(readers.list.len(), Ordering::Release);
    }
}

impl Queue {
    /// Adds `chunk`, or cuts the reader off. Returns whether the reader stays.
    fn push(&self, chunk: Bytes) -> bool {
        if chunk.is_empty() {
            return true;
        }
        let mut waiting = lock(&self.0);
        let size = waiting.size + chunk.len() + CHUNK;
        if size > LIMIT && !waiting.chunks.is_empty() {
            drop(waiting);
            return self.cut_off();
        }
        waiting.size = size;
        waiting.chunks.push_back(chunk);
        wake(waiting);
        true
    }

    /// Ends the stream now. Returns `false`: the reader does not stay.
    fn cut_off(&self) -> bool {
        let mut waiting = lock(&self.0);
        waiting.chunks = VecDeque::new();
        waiting.size = 0;
        waiting.cut_off = true;
        waiting.ended = true;
        wake(waiting);
        false
    }

    /// Ends the stream behind what waits. Returns `false`: the reader does not stay.
    fn end(&self) -> bool {
        let mut waiting = lock(&self.0);
        waiting.ended = true;
        wake(waiting);
        false
    }
}

/// Wakes the reader if it waits; not under the lock, which it wants.
fn wake(mut waiting: MutexGuard<'_, Waiting>) {
    let waker = waiting.waker.take();
    drop(waiting);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The reading side of a stream. Dropping it ends it.
pub struct Subscription {
    hub: Arc<Hub>,
    queue: Arc<Queue>,
}

impl Subscription {
    /// The next events: one JSON object and a newline for each, never a part of one. `None` when the stream has ended: the
    /// server stops, or this reader was cut off.
    ///
    /// Cancel safe: events are taken when this returns them, and not before.
    pub async fn next(&mut self) -> Option<Bytes> {
        future::poll_fn(|context| self.poll_next(context)).await
    }

    /// [`Subscription::next`] for who polls.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut waiting = lock(&self.queue.0);
        if let Some(chunk) = waiting.chunks.pop_front() {
            waiting.size -= chunk.len() + CHUNK;
            return Poll::Ready(Some(chunk));
        }
        if waiting.ended {
            return Poll::Ready(None);
        }
        if !waiting
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(context.waker()))
        {
            waiting.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Whether the stream ended because this reader did not keep up.
    pub fn was_cut_off(&self) -> bool {
        lock(&self.queue.0).cut_off
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub
            .retain(|reader| !Arc::ptr_eq(&reader.queue, &self.queue));
    }
}

/// Locks also what a panicking thread left locked: nothing here is ever half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
