//! HTTP/2 frames written by hand (RFC 9113 section 4.1, RFC 7541).

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::client::TlsStream;

use crate::support::{Client, server::PATIENCE};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// A frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The headers of a request without more: GET (or POST) of `path`.
pub(super) fn request(post: bool, path: &str) -> Vec<u8> {
    // Indexed `:method` and `:scheme`, then `:authority` and `:path` as literals that are not remembered.
    let mut block = vec![0x82 + u8::from(post), 0x87, 1, 1, b'x', 4];
    block.push(u8::try_from(path.len()).unwrap());
    block.extend(path.as_bytes());
    block
}

/// What a connection of frames brought.
pub(super) struct Outcome {
    /// Kind, stream and payload of each frame of the server.
    pub(super) frames: Vec<(u8, u32, Vec<u8>)>,
    /// Whether the server stopped reading before all was sent.
    pub(super) cut: bool,
}

impl Outcome {
    /// How many frames of a kind came.
    pub(super) fn count(&self, kind: u8) -> usize {
        self.frames.iter().filter(|(k, ..)| *k == kind).count()
    }

    /// Whether the server said goodbye because of `code`.
    pub(super) fn goodbye(&self, code: u8) -> bool {
        let mut frames = self.frames.iter();
        frames.any(|(kind, _, payload)| *kind == GOAWAY && payload.get(7) == Some(&code))
    }
}

/// An HTTP/2 connection whose frames the test writes. All that the server says is kept.
pub(super) struct Frames {
    writer: WriteHalf<TlsStream<TcpStream>>,
    reader: JoinHandle<Vec<u8>>,
    cut: bool,
}

impl Frames {
    /// Connects, and sends what every client begins with.
    pub(super) async fn connect(client: &Client) -> Self {
        let stream = client.handshake(vec![b"h2".to_vec()]).await.unwrap();
        let (reader, writer) = tokio::io::split(stream);
        let mut frames = Self {
            writer,
            reader: tokio::spawn(read(reader)),
            cut: false,
        };
        let mut start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        start.extend(frame(SETTINGS, 0, 0, &[]));
        frames.write(&start).await;
        frames
    }

    /// Writes, unless the server does not read any more.
    pub(super) async fn write(&mut self, bytes: &[u8]) {
        if self.cut {
            return;
        }
        let write = async {
            self.writer.write_all(bytes).await?;
            self.writer.flush().await
        };
        let written = tokio::time::timeout(PATIENCE, write).await;
        self.cut = written.expect("neither read nor closed").is_err();
    }

    /// Writes `times` frames, each made by `make`.
    pub(super) async fn flood(&mut self, times: u32, mut make: impl FnMut(u32) -> Vec<u8>) {
        let mut bytes = Vec::new();
        for number in 0..times {
            bytes.extend(make(number));
            if bytes.len() > 64 << 10 {
                self.write(&bytes).await;
                bytes.clear();
            }
        }
        self.write(&bytes).await;
    }

    /// Says no more, and waits until the server has closed.
    pub(super) async fn end(mut self) -> Outcome {
        let _ = self.writer.shutdown().await;
        let all = tokio::time::timeout(PATIENCE, self.reader).await;
        let all = all.expect("the connection does not end").unwrap();
        let mut frames = Vec::new();
        let mut rest = &all[..];
        while let [l1, l2, l3, kind, _, s1, s2, s3, s4, more @ ..] = rest {
            let length = u32::from_be_bytes([0, *l1, *l2, *l3]) as usize;
            let stream = u32::from_be_bytes([*s1, *s2, *s3, *s4]);
            let Some(payload) = more.get(..length) else {
                break;
            };
            frames.push((*kind, stream, payload.to_vec()));
            rest = &more[length..];
        }
        Outcome {
            frames,
            cut: self.cut,
        }
    }
}

async fn read(mut reader: ReadHalf<TlsStream<TcpStream>>) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset is an end, too.
    let _ = reader.read_to_end(&mut all).await;
    all
}
