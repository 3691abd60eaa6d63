//! [`AuditLog`]: who did what, and how it ended (api.md 10, D-14).
//!
//! An event is written to the console if the audit level lets it, and to every reader of the stream in any case (D-29). It is
//! counted once, whoever listens (D-15), and formatted only if somebody does.

use std::{io::Write as _, net::IpAddr, sync::Arc, time::Duration};

use time::{OffsetDateTime, UtcOffset};

use super::{
    console::{Console, push_field, push_head},
    format::{Format, push_json_line},
    level::Level,
    log::Request,
    metrics::Metrics,
    stream::{Stream, Subscription},
    text::{Fraction, GoDuration, push_json, push_time},
};

/// A request and how it ended.
#[derive(Clone, Copy, Debug)]
pub struct AuditEvent<'a> {
    /// When the event is recorded.
    pub time: OffsetDateTime,
    /// Where the request came from, if known.
    pub ip: Option<IpAddr>,
    /// The request's method.
    pub method: &'a str,
    /// The decoded path.
    pub path: &'a str,
    /// Who sent it, if known.
    pub identity: Option<&'a str>,
    /// The final status.
    pub status: u16,
    /// From receipt to just before the response.
    pub duration: Duration,
    /// A short text for the console; streams do not carry it.
    pub message: &'a str,
}

/// The audit log. Its events are all of level [`Level::INFO`].
pub struct AuditLog {
    console: Console,
    metrics: Arc<Metrics>,
    stream: Stream,
}

impl AuditLog {
    pub(super) fn new(console: Console, stream: Stream, metrics: Arc<Metrics>) -> Self {
        Self {
            console,
            metrics,
            stream,
        }
    }

    /// Records the event that `event` makes, which is asked only if somebody listens. Never waits for who reads it.
    pub fn record<'a>(&self, event: impl FnOnce() -> AuditEvent<'a>) {
        self.metrics.count_audit_event();
        if !self.console.takes(Level::INFO) && !self.stream.is_heard() {
            return;
        }
        let event = event();
        if self.console.takes(Level::INFO) {
            let offset = self.console.offset();
            let format = self.console.format();
            self.console.write(event.time, |out| match format {
                Format::Json => event.push_json_line(out, offset),
                Format::Text => event.push_line(out, offset),
            });
        }
        if self.stream.is_heard() {
            self.stream.publish(event.time, |out| event.push_json(out));
        }
    }

    /// A new reader of the events recorded from now on.
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

impl AuditEvent<'_> {
    /// Appends the console's line (api.md 10.1).
    fn push_line(&self, out: &mut Vec<u8>, offset: UtcOffset) {
        push_head(out, self.time, offset, Level::INFO, self.message);
        push_field(out, "req.method", self.method);
        push_field(out, "req.path", self.path);
        push_ip(out, self.ip);
        push_field(out, "req.identity", self.identity.unwrap_or_default());
        // Writing to a vector cannot fail, here and below.
        let _ = writeln!(
            out,
            " res.code={} res.time={}",
            self.status,
            GoDuration(self.duration)
        );
    }

    /// Appends the console's line as JSON.
    fn push_json_line(&self, out: &mut Vec<u8>, offset: UtcOffset) {
        let request = Request {
            method: self.method,
            path: self.path,
            ip: self.ip,
            identity: self.identity,
        };
        let result = Some((self.status, self.duration));
        let time = (self.time, offset);
        push_json_line(out, time, Level::INFO, self.message, Some(request), result);
        out.push(b'\n');
    }

    /// Appends the stream's line (api.md 10.3).
    fn push_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        push_time(out, self.time, UtcOffset::UTC, Fraction::Nanos);
        out.extend_from_slice(b"\",\"request\":{");
        if let Some(ip) = self.ip {
            let _ = write!(out, "\"ip\":\"{}\",", ip.to_canonical());
        }
        out.extend_from_slice(b"\"path\":");
        push_json(out, self.path);
        if let Some(identity) = self.identity.filter(|identity| !identity.is_empty()) {
            out.extend_from_slice(b",\"identity\":");
            push_json(out, identity);
        }
        let _ = writeln!(
            out,
            "}},\"response\":{{\"code\":{},\"time\":{}}}}}",
            self.status,
            self.duration.as_nanos(),
        );
    }
}

/// Appends the client's address, an IPv4-mapped one in dotted form, an unknown one empty.
pub(super) fn push_ip(out: &mut Vec<u8>, ip: Option<IpAddr>) {
    let _ = match ip {
        // An address needs no quotes.
        Some(ip) => write!(out, " req.ip={}", ip.to_canonical()),
        None => write!(out, " req.ip=\"\""),
    };
}

#[cfg(test)]
mod tests;
