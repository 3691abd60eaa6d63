//! Files of any size through the chunks of [`crypto::file`](crate::crypto::file), in constant memory.
//!
//! One buffer holds the chunk that is worked on, and is wiped at the end. A byte more than a chunk is read, so that it is known
//! whether the chunk is the last one.

use std::io::{self, ErrorKind, Read, Write};

use zeroize::Zeroizing;

use crate::crypto::file::{Damaged, Header, MAX_HEADER, Malformed, Opener, Sealer, TAG};

/// Why a file did not come through.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("cannot read")]
    Read(#[source] io::Error),
    #[error("cannot write")]
    Write(#[source] io::Error),
}

/// A file as it is read: what was read beyond the header comes first.
pub(super) struct Source<R> {
    ahead: Zeroizing<Vec<u8>>,
    from: R,
}

impl<R: Read> Source<R> {
    /// All of `from`.
    pub(super) fn new(from: R) -> Self {
        Self {
            ahead: Zeroizing::default(),
            from,
        }
    }

    /// Reads the header at the beginning.
    pub(super) fn header(&mut self) -> Result<Header, StreamError> {
        let mut start = Zeroizing::new(vec![0; MAX_HEADER]);
        let len = self.fill(&mut start)?;
        start.truncate(len);
        let (header, end) = Header::parse(&start)?;
        self.ahead = Zeroizing::new(start.split_off(end));
        Ok(header)
    }

    /// Fills `buffer`; how much of it, if the end comes first.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        let known = self.ahead.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(self.ahead.drain(..known)) {
            *to = from;
        }
        let mut filled = known;
        while let Some(space) = buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
            match self.from.read(space) {
                Ok(0) => break,
                Ok(len) => filled += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(StreamError::Read(error)),
            }
        }
        Ok(filled)
    }

    /// Gives pieces of `len` bytes to `work`, all but the last, which it returns. After it is space for [`TAG`] bytes.
    fn pieces(
        &mut self,
        len: usize,
        mut work: impl FnMut(&mut [u8]) -> Result<(), StreamError>,
    ) -> Result<(Zeroizing<Vec<u8>>, usize), StreamError> {
        let mut buffer = Zeroizing::new(vec![0; len + TAG + 1]);
        let mut carried = 0;
        loop {
            let unread = buffer.get_mut(carried..=len).unwrap_or_default();
            let filled = carried + self.fill(unread)?;
            if filled <= len {
                return Ok((buffer, filled));
            }
            // The byte beyond the piece makes room for the tag, and begins the next piece.
            let next = buffer.get(len).copied().unwrap_or_default();
            work(buffer.get_mut(..len + TAG).unwrap_or_default())?;
            if let Some(first) = buffer.first_mut() {
                *first = next;
            }
            carried = 1;
        }
    }
}

/// Encrypts `from` to `to`. Returns the bytes of plaintext.
pub(super) fn seal<R: Read>(
    mut sealer: Sealer,
    from: &mut Source<R>,
    to: &mut impl Write,
) -> Result<u64, StreamError> {
    let len = sealer.chunk_len();
    let mut total = 0;
    let (mut buffer, rest) = from.pieces(len, |piece| {
        if let Some((chunk, space)) = piece.split_last_chunk_mut::<TAG>() {
            *space = sealer.seal(chunk);
        }
        total += length(len);
        to.write_all(piece).map_err(StreamError::Write)
    })?;
    let piece = buffer.get_mut(..rest + TAG).unwrap_or_default();
    if let Some((chunk, space)) = piece.split_last_chunk_mut::<TAG>() {
        *space = sealer.seal_last(chunk);
    }
    to.write_all(piece).map_err(StreamError::Write)?;
    Ok(total + length(rest))
}

/// Decrypts `from`, behind its header, to `to`. Returns the bytes of plaintext. What was written is genuine also if this fails, but
/// it is not all.
pub(super) fn open<R: Read>(
    mut opener: Opener,
    from: &mut Source<R>,
    to: &mut impl Write,
) -> Result<u64, StreamError> {
    let len = opener.sealed_len();
    let mut total = 0;
    let (mut buffer, rest) = from.pieces(len, |piece| {
        let sealed = piece.get_mut(..len).unwrap_or_default();
        let chunk = opener.open(sealed)?;
        total += length(chunk.len());
        to.write_all(chunk).map_err(StreamError::Write)
    })?;
    let sealed = buffer.get_mut(..rest).unwrap_or_default();
    let chunk = opener.open_last(sealed)?;
    to.write_all(chunk).map_err(StreamError::Write)?;
    Ok(total + length(chunk.len()))
}

fn length(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::{Cipher, file::Draft},
        name::KeyName,
        secret::Secret,
    };

    /// Hands out few bytes at a time, and is interrupted in between.
    struct Trickle<'a> {
        rest: &'a [u8],
        step: usize,
        turn: bool,
    }

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.turn = !self.turn;
            if self.turn {
                return Err(ErrorKind::Interrupted.into());
            }
            let len = self.step.min(buffer.len()).min(self.rest.len());
            let (now, later) = self.rest.split_at(len);
            buffer[..len].copy_from_slice(now);
            self.rest = later;
            Ok(len)
        }
    }

    fn trickle(bytes: &[u8], step: usize) -> Source<Trickle<'_>> {
        Source::new(Trickle {
            rest: bytes,
            step,
            turn: false,
        })
    }

    fn sealed(plaintext: &[u8], step: usize) -> Vec<u8> {
        let draft = Draft::new(&KeyName::parse("k").unwrap(), Cipher::for_this_cpu()).unwrap();
        let data_key = Secret::copy_from(&[1; 32]);
        let (mut file, sealer) = draft.finish(data_key, b"wrapped").unwrap();
        let len = seal(sealer, &mut trickle(plaintext, step), &mut file).unwrap();
        assert_eq!(len, length(plaintext.len()));
        file
    }

    fn opened(file: &[u8], step: usize) -> Result<Vec<u8>, StreamError> {
        let mut source = trickle(file, step);
        let opener = source.header()?.open(Secret::copy_from(&[1; 32]))?;
        let mut plaintext = Vec::new();
        let len = open(opener, &mut source, &mut plaintext)?;
        assert_eq!(len, length(plaintext.len()));
        Ok(plaintext)
    }

    #[test]
    fn files_around_the_borders_of_chunks_come_back_however_they_trickle_in() {
        const CHUNK: usize = 65536;
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1] {
            let plaintext: Vec<u8> = (0..len).map(|at| (at * at / 7).to_le_bytes()[0]).collect();
            for step in [4093, CHUNK + TAG, usize::MAX] {
                let file = sealed(&plaintext, step);
                let chunks = len.div_ceil(CHUNK).max(1);
                let header = Header::parse(&file).unwrap().1;
                assert_eq!(file.len(), header + len + chunks * TAG);
                assert!(opened(&file, step).unwrap() == plaintext, "{len}, {step}");
            }
        }
    }

    #[test]
    fn a_cut_or_extended_file_fails_however_it_trickles_in() {
        let file = sealed(&vec![5; 65536 + 10], usize::MAX);
        for len in [0, 20, file.len() - 1, file.len() - 26] {
            assert!(opened(&file[..len], 1000).is_err(), "{len}");
        }
        let longer = [&file[..], &[0]].concat();
        assert!(opened(&longer, 1000).is_err());
    }

    #[test]
    fn a_target_that_takes_no_more_ends_it() {
        let file = sealed(&vec![5; 3 * 65536], usize::MAX);
        let mut source = trickle(&file, usize::MAX);
        let header = source.header().unwrap();
        let opener = header.open(Secret::copy_from(&[1; 32])).unwrap();
        let mut full = vec![0; 70_000];
        let error = open(opener, &mut source, &mut &mut full[..]).unwrap_err();
        assert!(matches!(error, StreamError::Write(_)), "{error}");
    }
}
