//! Streams that go on until somebody ends them: the logs of a server, line by line (api.md 10.3).

use http::StatusCode;
use http_body_util::BodyExt as _;

use super::{
    Client, answer,
    endpoint::Endpoint,
    error::Error,
    get,
    transport::{Call, Followed, Reply, content_type},
};

/// Longest line; events are far shorter.
const LINE_LIMIT: usize = 1 << 20;

/// A log of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// What was asked, by whom, and how it ended.
    Audit,
    /// What went wrong.
    Error,
}

impl Log {
    /// The paths of its route, now and until v0.17.
    pub fn paths(self) -> [&'static str; 2] {
        match self {
            Self::Audit => ["/v1/log/audit", "/v1/log/audit/trace"],
            Self::Error => ["/v1/log/error", "/v1/log/error/trace"],
        }
    }
}

/// The lines of a log, as they come.
pub struct Lines {
    followed: Followed,
    /// What arrived and is not read yet.
    buffer: Vec<u8>,
}

impl Client {
    /// Follows a log. There is no limit in time.
    pub async fn follow(&self, log: Log) -> Result<Lines, Error> {
        let [current, old] = log.paths();
        match self.follow_at(current).await {
            Err(Error::Answer(answer)) if answer.status == 404 => self.follow_at(old).await,
            outcome => outcome,
        }
    }

    async fn follow_at(&self, path: &str) -> Result<Lines, Error> {
        let call = get(path.to_owned());
        let followed = Box::pin(self.transport.follow(&call)).await?;
        if followed.response.status() == StatusCode::OK {
            return Ok(Lines {
                followed,
                buffer: Vec::new(),
            });
        }
        Err(refusal(followed, &call).await)
    }
}

/// What the server said instead.
async fn refusal(followed: Followed, call: &Call) -> Error {
    let (head, mut incoming) = followed.response.into_parts();
    let mut body = zeroize::Zeroizing::new(Vec::new());
    while let Some(Ok(frame)) = incoming.frame().await {
        if let Ok(data) = frame.into_data()
            && body.len() + data.len() <= call.limit
        {
            body.extend_from_slice(&data);
        }
    }
    let reply = Reply {
        status: head.status,
        request: followed.request.clone(),
        content_type: content_type(&head.headers),
        body,
        endpoint: followed.endpoint,
        took: std::time::Duration::ZERO,
        repeated: false,
    };
    match answer::success(reply, call) {
        Ok(_) => answer::unreadable(&followed.request, "it is no stream"),
        Err(error) => error,
    }
}

impl Lines {
    /// The server that sends them.
    pub fn endpoint(&self) -> &Endpoint {
        &self.followed.endpoint
    }

    /// The next line that is not empty, without its end; `None` when the server ended the stream. May be dropped while waiting,
    /// nothing is lost then.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.truncate(line.trim_ascii_end().len());
                if line.is_empty() {
                    continue;
                }
                return Ok(Some(line));
            }
            if self.buffer.len() > LINE_LIMIT {
                return Err(Error::TooLarge {
                    request: self.followed.request.clone(),
                    limit: LINE_LIMIT,
                });
            }
            match self.followed.response.body_mut().frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    return Err(Error::Connection {
                        request: self.followed.request.clone(),
                        source: self.followed.connection.cause(error),
                    });
                }
            }
        }
    }
}
