//! Bytes in, bytes out: HTTP that no library would send.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{Client, server::PATIENCE};

/// A TLS connection for bytes.
pub(crate) struct Raw {
    stream: TlsStream<TcpStream>,
    seen: Vec<u8>,
}

/// A response, read by hand.
#[derive(Debug)]
pub(crate) struct RawReply {
    /// The status line and the headers, each with its line end.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl RawReply {
    /// The status.
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// A header's value; empty if there is none. `name` is in lower case.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value.trim())
    }
}

impl Raw {
    /// Connects without ALPN.
    pub(crate) async fn connect(client: &Client) -> Self {
        Self {
            stream: client.handshake(Vec::new()).await.unwrap(),
            seen: Vec::new(),
        }
    }

    /// Writes.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_write(bytes).await.unwrap();
    }

    /// Writes, or tells that nobody reads any more.
    pub(crate) async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Reads more; false at the end.
    async fn more(&mut self) -> bool {
        let mut piece = vec![0; 16 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await;
        let Ok(count) = read.expect("no bytes") else {
            return false;
        };
        self.seen.extend_from_slice(&piece[..count]);
        count > 0
    }

    /// The next response, with a body of declared length or none.
    pub(crate) async fn reply(&mut self) -> RawReply {
        let end = loop {
            if let Some(at) = find(&self.seen, b"\r\n\r\n") {
                break at + 4;
            }
            assert!(
                self.more().await,
                "the connection ended within {:?}",
                String::from_utf8_lossy(&self.seen)
            );
        };
        let head = String::from_utf8(self.seen.drain(..end).collect()).unwrap();
        let mut reply = RawReply {
            head,
            body: Vec::new(),
        };
        let length: usize = reply.header("content-length").parse().unwrap_or(0);
        while self.seen.len() < length {
            assert!(self.more().await, "the connection ended within a body");
        }
        reply.body = self.seen.drain(..length).collect();
        reply
    }

    /// Everything until the connection ends.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.seen)
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
