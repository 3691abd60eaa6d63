//! [`Wiped`]: a stream that leaves nothing behind in the buffers of who reads from it.
//!
//! TLS decrypts records where it received them, and HTTP hands out parts of its buffer as bodies; both keep the buffer while the
//! connection lives, with the last requests in it: keys that were imported, plaintexts that were encrypted. But both offer that same
//! room for the next bytes. So a read that finds nothing, which is how every connection comes to rest, overwrites what was used of
//! the room it was offered.
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
pub(super) struct Wiped<S> {
    stream: S,
    buffer: Buffer,
}

impl<S> Wiped<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Buffer::default(),
        }
    }
}

/// What is known of the buffer that was offered last: how far into it anything can have been written. To overwrite all of it whenever
/// a connection comes to rest would cost more than all else that we do for a request.
///
/// A reader writes nothing behind what it was given to read, and moves that only towards the start of its buffer. When it takes
/// another buffer, it reads into that at once, and never goes back. A buffer that grows is another one: this heap never lets a block
/// grow where it is. HTTP/2 may take another buffer earlier, but see above.
#[derive(Default)]
struct Buffer {
    /// Lowest address of room in it.
    start: usize,
    /// Its end; all rooms of one buffer end there.
    end: usize,
    /// From here on to the end it is as clean as when it was offered first, or zeroes.
    clean: usize,
}

impl Buffer {
    /// Notes the room that is offered. Returns its start.
    fn offer(&mut self, room: &ReadBuf<'_>) -> usize {
        let start = room.filled().as_ptr_range().end.addr();
        let end = start + room.remaining();
        if end == self.end {
            self.start = self.start.min(start);
            // What stands before the room came from somewhere.
            self.clean = self.clean.max(start);
            return start;
        }
        let touches = start <= self.end && end >= self.start;
        let fresh = room.initialized().len() == room.filled().len();
        *self = Self {
            start,
            end,
            // Memory that counts as never written is new from the heap, which holds nothing that anybody left (memory::Wiping). A
            // buffer that was written may be a copy of another. What looks like a part of the one before is not trusted either.
            clean: if fresh && !touches { start } else { end },
        };
        start
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wiped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let start = self.buffer.offer(room);
        let read = Pin::new(&mut self.stream).poll_read(cx, room);
        let buffer = &mut self.buffer;
        if read.is_pending() {
            let used = buffer.clean.saturating_sub(start).min(room.remaining());
            // The part of it that counts as never written becomes zeroes by this alone.
            room.initialize_unfilled_to(used).fill(0);
            buffer.clean = start;
        } else {
            buffer.clean = buffer.clean.max(room.filled().as_ptr_range().end.addr());
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
        Pin::new(&mut self.stream).poll_write(cx, bytes)
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
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Nearly always a single record: the system takes a plain write of one piece with less ado.
        if let [slice] = slices {
            return Pin::new(&mut self.stream).poll_write(cx, slice);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
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
    fn what_was_read_is_wiped_when_its_room_is_offered_again_and_the_rest_is_left_alone() {
        let mut stream = Wiped::new(Bytes(b"secret"));
        let mut bytes = [MaybeUninit::new(b'-'); 9];
        assert!(read(&mut stream, &mut ReadBuf::uninit(&mut bytes)));
        let mut room = ReadBuf::uninit(&mut bytes);
        assert!(!read(&mut stream, &mut room));
        assert_eq!(room.initialized(), b"\0\0\0\0\0\0");
    }

    #[test]
    fn a_part_of_the_last_buffer_and_a_copy_of_it_are_wiped_whole() {
        let mut stream = Wiped::new(Bytes(b"secret"));
        let mut bytes = [MaybeUninit::new(b'-'); 9];
        assert!(read(&mut stream, &mut ReadBuf::uninit(&mut bytes)));
        let mut part = ReadBuf::uninit(&mut bytes[..8]);
        assert!(!read(&mut stream, &mut part));
        assert_eq!(part.initialized(), [0; 8]);
        let mut copy = *b"another buffer that was written";
        assert!(!read(&mut stream, &mut ReadBuf::new(&mut copy)));
        assert_eq!(copy, [0; 31]);
    }

    /// A reader as the HTTP library is: what it got stands in one block, which it leaves for another one when it needs room and others
    /// hold parts of it, and else begins anew from its front.
    struct Reader {
        block: Vec<MaybeUninit<u8>>,
        /// What it has not handed out yet.
        held: std::ops::Range<usize>,
        /// Which bytes of the block hold something that was read.
        dirty: Vec<bool>,
    }

    impl Reader {
        fn new(capacity: usize, held: usize) -> Self {
            Self {
                block: vec![MaybeUninit::new(b'-'); capacity],
                held: 0..held,
                dirty: (0..capacity).map(|at| at < held).collect(),
            }
        }

        /// Reads once, and looks what the stream has done to the room.
        fn read(&mut self, stream: &mut Wiped<Bytes>, bytes: &'static [u8]) {
            let end = self.held.end;
            let bytes = bytes.get(..self.block.len() - end).unwrap_or(bytes);
            stream.stream.0 = bytes;
            let mut room = ReadBuf::uninit(&mut self.block[end..]);
            let ready = read(stream, &mut room);
            assert_eq!(ready, !bytes.is_empty());
            if ready {
                self.held.end += bytes.len();
                self.dirty[end..end + bytes.len()].fill(true);
                return;
            }
            let wiped = room.initialized();
            assert!(wiped.iter().all(|byte| *byte == 0));
            self.dirty[end..end + wiped.len()].fill(false);
            assert!(!self.dirty[end..].contains(&true), "{:?}", self.dirty);
        }

        fn compact(&mut self) {
            let held = self.held.clone();
            self.dirty[..held.len()].fill(true);
            self.held = 0..held.len();
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_was_read_is_left_in_free_room(steps in proptest::collection::vec((0..6_u8, 0..40_usize), 1..100)) {
            let text = b"0123456789012345678901234567890123456789";
            let mut stream = Wiped::new(Bytes(b""));
            let mut reader = Reader::new(64, 0);
            // Blocks that others still hold.
            let mut left = Vec::new();
            for (step, n) in steps {
                match step {
                    0 | 1 => reader.read(&mut stream, &text[..n]),
                    2 => reader.read(&mut stream, b""),
                    3 => reader.held.start += n.min(reader.held.len()),
                    4 => reader.compact(),
                    _ => {
                        let held = reader.held.len();
                        let new = Reader::new(held + 64 + n, held);
                        left.push(std::mem::replace(&mut reader, new));
                        // It made room in order to read.
                        reader.read(&mut stream, &text[..n / 4]);
                        if n % 2 == 0 {
                            left.clear();
                        }
                    }
                }
            }
        }
    }
}
