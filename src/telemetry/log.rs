//! [`ErrorLog`]: what went wrong, for the operator (api.md 10).
//!
//! A record is written to the console if the error level lets it, and to every reader of the stream from [`Level::INFO`] on,
//! whatever the console's level (D-29). It carries at most method, path, address and identity of a request (D-5): whoever logs
//! keeps secrets out of the message.

use std::{net::IpAddr, sync::Arc};

use super::{
    audit::push_ip,
    console::{Console, push_field, push_head},
    format::{Format, push_json_line},
    level::Level,
    metrics::Metrics,
    stream::{Stream, Subscription},
    text::push_json,
};
use crate::clock::Clock;

/// The request a record is about.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its decoded path.
    pub path: &'a str,
    /// Where it came from, if known.
    pub ip: Option<IpAddr>,
    /// Who sent it, if known.
    pub identity: Option<&'a str>,
}

/// The error log.
pub struct ErrorLog {
    clock: Clock,
    console: Console,
    metrics: Arc<Metrics>,
    stream: Stream,
}

impl ErrorLog {
    pub(super) fn new(
        console: Console,
        stream: Stream,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        Self {
            clock,
            console,
            metrics,
            stream,
        }
    }

    /// Records `message`. Never waits for who reads it.
    ///
    /// Counts as an event if it is one: if the console or a stream would show it, whether or not anybody reads the stream.
    pub fn log(&self, level: Level, message: &str, request: Option<Request<'_>>) {
        let console = self.console.takes(level);
        if !console && level < Level::INFO {
            return;
        }
        self.metrics.count_error_event();
        let stream = level >= Level::INFO && self.stream.is_heard();
        if !console && !stream {
            return;
        }
        let time = self.clock.now_utc();
        let offset = self.console.offset();
        let format = self.console.format();
        let mut line = Vec::with_capacity(256);
        if stream || format == Format::Text {
            push_head(&mut line, time, offset, level, message);
            if let Some(request) = request {
                request.push_fields(&mut line);
            }
        }
        if stream && let Ok(line) = str::from_utf8(&line) {
            self.stream.publish(time, |out| push_message(out, line));
        }
        if console {
            if format == Format::Json {
                line.clear();
                push_json_line(&mut line, (time, offset), level, message, request, None);
            }
            line.push(b'\n');
            self.console.write(time, |out| out.extend_from_slice(&line));
        }
    }

    /// Whether [`Self::log`] would record anything of this level: to be asked where the message takes work.
    pub fn wants(&self, level: Level) -> bool {
        level >= Level::INFO || self.console.takes(level)
    }

    /// A new reader of what is recorded from now on, from [`Level::INFO`] up.
    pub fn subscribe(&self) -> Subscription {
        self.stream.subscribe()
    }

    pub(super) fn console(&self) -> &Console {
        &self.console
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }
}

/// An error and all its causes in one line, as the log shows them.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl Request<'_> {
    fn push_fields(&self, out: &mut Vec<u8>) {
        push_field(out, "req.method", self.method);
        push_field(out, "req.path", self.path);
        push_ip(out, self.ip);
        let identity = self.identity.filter(|identity| !identity.is_empty());
        push_field(out, "req.identity", identity.unwrap_or("<unknown>"));
    }
}

/// Appends the stream's form of a console line.
fn push_message(out: &mut Vec<u8>, line: &str) {
    out.extend_from_slice(b"{\"message\":");
    push_json(out, line);
    out.extend_from_slice(b"}\n");
}
