//! What a connection is doing, and when that takes too long (api.md 1.4).
//!
//! The HTTP library's own header limit also runs while a kept connection is idle, so the limits are kept here: a connection is either
//! new, idle, receiving a request's headers, or busy with requests. A busy one is bounded by its routes' limits.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::clock::Clock;

/// Longest time to receive a request's headers: on a new connection from the end of the handshake, on a kept one from the first byte.
pub(super) const HEADERS: Duration = Duration::from_secs(5);
/// Longest time a kept connection may be idle.
pub(super) const IDLE: Duration = Duration::from_secs(90);

/// After how many looks, one every [`HEADERS`], a connection that takes none of its responses is over: a minute.
const PATIENCE: u32 = 12;

/// Top bit of the mark: headers are expected or coming in. The rest is since when, in milliseconds of the clock.
const RECEIVING: u64 = 1 << 63;

/// What one connection is doing. Shared by the connection and its requests; all on one core, so that nothing is contended.
pub(super) struct Activity {
    clock: Clock,
    mark: AtomicU64,
    requests: AtomicU32,
    /// Responses that are ready and that the client has not let us send: with HTTP/2 it may give them no room.
    waiting: AtomicU32,
    /// How many responses have gone out, at all and when it was last looked; and how often in a row it was the same.
    sent: AtomicU32,
    sent_before: AtomicU32,
    looks: AtomicU32,
    /// Whether a request has ever begun.
    asked: AtomicBool,
    /// With HTTP/2, bytes between requests are often no headers (pings, windows): then only the first ones have a limit.
    multiplexed: bool,
}

impl Activity {
    /// A connection whose handshake has just ended.
    pub(super) fn new(clock: Clock, multiplexed: bool) -> Arc<Self> {
        let activity = Self {
            mark: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            sent: AtomicU32::new(0),
            sent_before: AtomicU32::new(0),
            looks: AtomicU32::new(0),
            asked: AtomicBool::new(false),
            multiplexed,
            clock,
        };
        activity.mark(RECEIVING);
        Arc::new(activity)
    }

    /// How long the connection may stay as it is; `None` if its time is over. A busy connection is looked at again later: each look
    /// counts.
    pub(super) fn time_left(&self) -> Option<Duration> {
        if self.requests.load(Ordering::Relaxed) > 0 {
            return (!self.is_stuck()).then_some(HEADERS);
        }
        let mark = self.mark.load(Ordering::Relaxed);
        let limit = if mark & RECEIVING == 0 { IDLE } else { HEADERS };
        let end = Duration::from_millis(mark & !RECEIVING) + limit;
        end.checked_sub(self.clock.elapsed())
            .filter(|left| !left.is_zero())
    }

    /// Whether the client has asked, and then for [`PATIENCE`] looks taken nothing of what was answered.
    fn is_stuck(&self) -> bool {
        let sent = self.sent.load(Ordering::Relaxed);
        let moves = self.sent_before.swap(sent, Ordering::Relaxed) != sent;
        if moves || self.waiting.load(Ordering::Relaxed) == 0 {
            self.looks.store(0, Ordering::Relaxed);
            return false;
        }
        self.looks.fetch_add(1, Ordering::Relaxed) + 1 >= PATIENCE
    }

    /// Whether headers are still expected: then there is nobody to say goodbye to.
    pub(super) fn is_receiving(&self) -> bool {
        self.mark.load(Ordering::Relaxed) & RECEIVING != 0
    }

    /// Whether the client has connected and not asked for anything yet.
    pub(super) fn is_new(&self) -> bool {
        !self.asked.load(Ordering::Relaxed)
    }

    /// A request's headers are complete.
    pub(super) fn request(self: &Arc<Self>) -> Busy {
        self.asked.store(true, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    fn received(&self) {
        if self.requests.load(Ordering::Relaxed) > 0 {
            return;
        }
        let receiving = self.mark.load(Ordering::Relaxed) & RECEIVING != 0;
        if self.multiplexed {
            if receiving {
                self.mark(0);
            }
        } else if !receiving {
            self.mark(RECEIVING);
        }
    }

    fn mark(&self, flag: u64) {
        let now = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(0);
        self.mark.store(now | flag, Ordering::Relaxed);
    }
}

/// A request under way, until its response has been sent.
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.mark(0);
        }
    }
}

/// A response's body that keeps its request busy until it has been sent, or will not be.
pub(super) struct Sending<B> {
    body: B,
    busy: Busy,
    /// Whether it counts as waiting. A stream does not: it may have nothing to say for long.
    waiting: bool,
}

impl<B: Body> Sending<B> {
    pub(super) fn new(body: B, busy: Busy) -> Self {
        let waiting = !body.is_end_stream() && body.size_hint().exact().is_some();
        if waiting {
            busy.0.waiting.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            body,
            busy,
            waiting,
        }
    }
}

impl<B> Sending<B> {
    fn is_taken(&mut self) {
        if std::mem::take(&mut self.waiting) {
            self.busy.0.waiting.fetch_sub(1, Ordering::Relaxed);
            self.busy.0.sent.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<B> Drop for Sending<B> {
    fn drop(&mut self) {
        self.is_taken();
    }
}

impl<B: Body + Unpin> Body for Sending<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            self.is_taken();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes when bytes arrive.
pub(super) struct Watched<T> {
    stream: T,
    activity: Arc<Activity>,
}

impl<T> Watched<T> {
    pub(super) fn new(stream: T, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.activity.received();
        }
        read
    }
}

impl<T: Write + Unpin> Write for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_new_connection_has_five_seconds_and_a_used_one_ninety() {
        let clock = Clock::test();
        let activity = Activity::new(clock.clone(), false);
        clock.advance(4 * SECOND);
        assert_eq!(activity.time_left(), Some(SECOND));
        drop(activity.request());
        assert_eq!(activity.time_left(), Some(IDLE));
        clock.advance(IDLE);
        assert_eq!(activity.time_left(), None);
    }

    #[test]
    fn the_headers_of_a_later_request_have_five_seconds_from_their_first_byte() {
        let clock = Clock::test();
        let activity = Activity::new(clock.clone(), false);
        drop(activity.request());
        clock.advance(60 * SECOND);
        activity.received();
        clock.advance(3 * SECOND);
        activity.received();
        assert_eq!(activity.time_left(), Some(2 * SECOND));
        clock.advance(2 * SECOND);
        assert_eq!(activity.time_left(), None);
    }

    #[test]
    fn a_connection_is_new_until_its_first_request_begins() {
        let activity = Activity::new(Clock::test(), true);
        activity.received();
        assert!(activity.is_new());
        drop(activity.request());
        assert!(!activity.is_new());
    }

    #[test]
    fn a_busy_connection_is_never_over() {
        let clock = Clock::test();
        let activity = Activity::new(clock.clone(), false);
        let busy = activity.request();
        clock.advance(1000 * SECOND);
        activity.received();
        assert!(activity.time_left().is_some());
        drop(busy);
        assert_eq!(activity.time_left(), Some(IDLE));
    }

    #[test]
    fn a_client_that_takes_no_response_is_left_after_a_minute() {
        let activity = Activity::new(Clock::test(), true);
        let body = |text: &'static str| http_body_util::Full::new(bytes::Bytes::from(text));
        let first = Sending::new(body("a"), activity.request());
        let second = Sending::new(body("b"), activity.request());
        for _ in 1..PATIENCE {
            assert!(activity.time_left().is_some());
        }
        drop(first);
        for _ in 0..PATIENCE {
            assert!(activity.time_left().is_some(), "it had taken one");
        }
        assert_eq!(activity.time_left(), None);
        drop(second);
        assert!(activity.time_left().is_some());
    }

    #[test]
    fn a_handler_that_takes_long_is_not_the_clients_fault() {
        let activity = Activity::new(Clock::test(), true);
        let _busy = activity.request();
        for _ in 0..3 * PATIENCE {
            assert!(activity.time_left().is_some());
        }
    }

    #[test]
    fn pings_between_requests_are_no_headers() {
        let clock = Clock::test();
        let activity = Activity::new(clock.clone(), true);
        activity.received();
        clock.advance(80 * SECOND);
        activity.received();
        assert_eq!(activity.time_left(), Some(10 * SECOND));
    }
}
