//! [`Wiped`]: a stream that leaves nothing behind in the buffers of who reads from it.
//!
//! TLS decrypts records where it received them, and HTTP hands out parts of its buffer as bodies; both keep the buffer while the
//! connection lives, with the last requests in it: keys that were imported, plaintexts that were encrypted. But both offer that same
//! room for the next bytes. So a read that finds nothing, which is how every connection comes to rest, overwrites the room it was
//! offered.
//!
//! It reaches what is offered only. HTTP/2 offers the rest of its buffer behind what it has received: what it received lies there
//! until the buffer is used up or the connection ends, and its write buffer keeps small responses likewise. These are overwritten
//! when they are freed ([`crate::memory::Wiping`]).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose readers' free room is wiped whenever there is nothing to read.
pub(super) struct Wiped<S>(S);

impl<S> Wiped<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wiped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(cx, room);
        if read.is_pending() {
            let written = room.initialized().len() - room.filled().len();
            // What was not written yet, as far as the reader says, becomes zeroes here.
            let free = room.initialize_unfilled();
            free.iter_mut().take(written).for_each(|byte| *byte = 0);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wiped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;

    /// Has these bytes to read, and then nothing.
    struct Bytes(&'static [u8]);

    impl AsyncRead for Bytes {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            room: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.0.is_empty() {
                return Poll::Pending;
            }
            room.put_slice(std::mem::take(&mut self.0));
            Poll::Ready(Ok(()))
        }
    }

    fn read(stream: &mut Wiped<Bytes>, room: &mut ReadBuf<'_>) -> bool {
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        Pin::new(stream).poll_read(cx, room).is_ready()
    }

    #[test]
    fn free_room_is_wiped_when_there_is_nothing_to_read_and_only_then() {
        let mut stream = Wiped::new(Bytes(b"new"));
        let mut bytes = *b"old old old";
        assert!(read(&mut stream, &mut ReadBuf::new(&mut bytes)));
        assert_eq!(&bytes, b"new old old");
        assert!(!read(&mut stream, &mut ReadBuf::new(&mut bytes[3..])));
        assert_eq!(&bytes, b"new\0\0\0\0\0\0\0\0");
    }

    #[test]
    fn room_that_counts_as_never_written_is_wiped_too() {
        let mut bytes = b"old old".map(MaybeUninit::new);
        let mut room = ReadBuf::uninit(&mut bytes);
        room.put_slice(b"new");
        assert!(!read(&mut Wiped::new(Bytes(b"")), &mut room));
        assert_eq!(
            (room.filled(), room.initialized()),
            (&b"new"[..], &b"new\0\0\0\0"[..])
        );
    }
}
