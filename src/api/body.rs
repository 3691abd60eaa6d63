//! Bodies: reading a request's within its limit, and what a response is made of.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use zeroize::Zeroizing;

use super::record::Reader;
use crate::{telemetry::Subscription, wire::scan::Scanner};

/// Most that is read and thrown away of a body nobody asked for, so that its connection can be used again. As much as any route takes:
/// who writes into a closed connection may never see the answer, and that must not happen to a body that is not too large.
const DRAIN: usize = 1 << 20;
/// Longest that this may take.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// The body of a request, as far as its route wants it.
pub(super) enum RequestBody {
    /// It has ended, properly, before its first byte.
    Nothing,
    /// It came in one piece, as nearly all do.
    Whole(Bytes),
    /// It came in several.
    Joined(Zeroizing<Vec<u8>>),
}

impl AsRef<[u8]> for RequestBody {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Whole(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }
}

/// Reads a body until its JSON value is complete, it ends, breaks off, or `limit` bytes are there. What is cut is no longer JSON, so
/// that a body over its limit is a malformed one (api.md 5.4).
pub(super) async fn read(body: &mut Incoming, limit: usize) -> RequestBody {
    let first = match data(body).await {
        Ok(Some(first)) => first,
        Ok(None) => return RequestBody::Nothing,
        // Whoever broke it off is gone, and needs no answer.
        Err(_) => return RequestBody::Whole(Bytes::new()),
    };
    if body.is_end_stream() || first.len() >= limit {
        return RequestBody::Whole(first.slice(..first.len().min(limit)));
    }
    let mut scanner = Scanner::default();
    if scanner.feed(&first) {
        return RequestBody::Whole(first);
    }
    // Room for all there may be: a buffer that grew would leave unwiped copies behind.
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    let mut all = Zeroizing::new(Vec::with_capacity(
        limit.min(first.len() + declared.max(limit / 16)),
    ));
    all.extend_from_slice(&first);
    while let Ok(Some(piece)) = data(body).await {
        let room = limit - all.len();
        let piece = piece.get(..room).unwrap_or(&piece);
        grow(&mut all, piece.len());
        all.extend_from_slice(piece);
        if all.len() >= limit || scanner.feed(piece) {
            break;
        }
    }
    RequestBody::Joined(all)
}

/// Makes room for `more` bytes, wiping the old buffer.
fn grow(all: &mut Zeroizing<Vec<u8>>, more: usize) {
    if all.capacity() - all.len() < more {
        let mut larger = Zeroizing::new(Vec::with_capacity((all.len() + more) * 2));
        larger.extend_from_slice(all);
        *all = larger;
    }
}

/// Throws away what is left of a body, within bounds. False if the connection cannot be used for another request afterwards.
pub(super) async fn drain(body: &mut Incoming) -> bool {
    if body.is_end_stream() {
        return true;
    }
    let rest = async {
        let mut seen = 0;
        // A chunked body says that it has ended only by having no further frame.
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > DRAIN {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(DRAIN_TIME, rest)
        .await
        .unwrap_or(false)
}

/// The next bytes; `None` at the end. An error is where the body breaks off.
async fn data(body: &mut Incoming) -> hyper::Result<Option<Bytes>> {
    loop {
        let Some(frame) = body.frame().await else {
            return Ok(None);
        };
        match frame?.into_data() {
            Ok(data) if !data.is_empty() => return Ok(Some(data)),
            // Trailers, and frames without data.
            Ok(_) | Err(_) => {}
        }
    }
}

/// The body of a response.
pub struct Body(Kind);

enum Kind {
    Full(Option<Bytes>),
    Stream {
        events: Subscription,
        reader: Option<Reader>,
    },
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self(Kind::Full(None))
    }

    /// These bytes.
    pub fn full(bytes: Bytes) -> Self {
        Self(Kind::Full((!bytes.is_empty()).then_some(bytes)))
    }

    /// What a log sends, until the subscription ends.
    pub fn stream(events: Subscription) -> Self {
        Self(Kind::Stream {
            events,
            reader: None,
        })
    }

    /// Says who reads, if this is a stream: whoever is cut off stands in the error log.
    pub(super) fn watch(&mut self, who: impl FnOnce() -> Reader) {
        if let Kind::Stream { reader, .. } = &mut self.0 {
            *reader = Some(who());
        }
    }
}

impl Drop for Kind {
    fn drop(&mut self) {
        if let Self::Stream {
            events,
            reader: Some(reader),
        } = self
            && events.was_cut_off()
        {
            reader.cut_off();
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.0 {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream { events, .. } => events
                .poll_next(cx)
                .map(|event| event.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Kind::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::Stream { .. } => SizeHint::default(),
        }
    }
}
