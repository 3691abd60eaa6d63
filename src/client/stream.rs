//! A TLS stream that remembers why TLS ended it.
//!
//! A server that refuses a client's certificate says so in an alert after the client's handshake is over. HTTP/2 turns that error
//! into text and HTTP/1.1 into "connection closed"; who has to tell the user needs the alert itself.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::error;

/// The TLS error that ended a connection, once there is one.
pub(super) type LastWords = Arc<OnceLock<rustls::Error>>;

pub(super) struct Stream {
    tls: TlsStream<TcpStream>,
    last_words: LastWords,
}

impl Stream {
    pub(super) fn new(tls: TlsStream<TcpStream>) -> (Self, LastWords) {
        let last_words = LastWords::default();
        let stream = Self {
            tls,
            last_words: last_words.clone(),
        };
        (stream, last_words)
    }

    fn note<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &outcome
            && let Some(tls) = error::tls_error(error)
        {
            // The first error is the cause, later ones follow from it.
            drop(self.last_words.set(tls));
        }
        outcome
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.tls).poll_read(cx, buf);
        self.note(outcome)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tls).poll_write(cx, buf);
        self.note(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tls).poll_write_vectored(cx, bufs);
        self.note(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.tls).poll_flush(cx);
        self.note(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.tls).poll_shutdown(cx);
        self.note(outcome)
    }
}
