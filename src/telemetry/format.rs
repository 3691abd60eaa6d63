//! [`Format`]: how console lines are written; and the JSON form, in which a line has the fields of the text form under the same names:
//!
//! ```json
//! {"time":"2024-09-11T08:00:01.937Z","level":"INFO","msg":"secret key 'k1' created",
//!  "req":{"method":"POST","path":"/v1/key/create/k1","ip":"127.0.0.1","identity":"3ecf…"},"res":{"code":200,"time":1590131}}
//! ```
//!
//! on one line. `req` stands where there is a request, `res` in the audit log; `ip` and `identity` where they are known; `res.time` is in
//! nanoseconds, as in the audit stream. Streams have one form, which this does not change.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use time::{OffsetDateTime, UtcOffset};

use super::{
    level::Level,
    log::Request,
    text::{Fraction, push_printable_json, push_time},
};

/// How console lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// `key=value` pairs, as the predecessor wrote them (api.md 10.1).
    #[default]
    Text,
}

/// A format that can be changed while others read it.
#[derive(Clone)]
pub(super) struct SharedFormat(Arc<AtomicBool>);

impl SharedFormat {
    pub(super) fn new(format: Format) -> Self {
        Self(Arc::new(AtomicBool::new(format == Format::Json)))
    }

    pub(super) fn set(&self, format: Format) {
        self.0.store(format == Format::Json, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Format {
        if self.0.load(Ordering::Relaxed) {
            Format::Json
        } else {
            Format::Text
        }
    }
}

/// Appends a line without its newline. `result` is the status and the time it took.
pub(super) fn push_json_line(
    out: &mut Vec<u8>,
    time: (OffsetDateTime, UtcOffset),
    level: Level,
    message: &str,
    request: Option<Request<'_>>,
    result: Option<(u16, Duration)>,
) {
    out.extend_from_slice(b"{\"time\":\"");
    push_time(out, time.0, time.1, Fraction::Millis);
    // Writing to a vector cannot fail, here and below.
    let _ = write!(out, "\",\"level\":\"{level}\",\"msg\":");
    push_printable_json(out, message);
    if let Some(request) = request {
        push_request(out, request);
    }
    if let Some((status, took)) = result {
        let took = took.as_nanos();
        let _ = write!(out, ",\"res\":{{\"code\":{status},\"time\":{took}}}");
    }
    out.push(b'}');
}

fn push_request(out: &mut Vec<u8>, request: Request<'_>) {
    out.extend_from_slice(b",\"req\":{\"method\":");
    push_printable_json(out, request.method);
    out.extend_from_slice(b",\"path\":");
    push_printable_json(out, request.path);
    if let Some(ip) = request.ip {
        let _ = write!(out, ",\"ip\":\"{}\"", ip.to_canonical());
    }
    if let Some(identity) = request.identity.filter(|identity| !identity.is_empty()) {
        out.extend_from_slice(b",\"identity\":");
        push_printable_json(out, identity);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use time::macros::{datetime, offset};

    use super::*;

    const TIME: (OffsetDateTime, UtcOffset) =
        (datetime!(2024-09-11 8:00:01.937_123 UTC), UtcOffset::UTC);

    #[test]
    fn a_line_has_all_that_is_known() {
        let request = Request {
            method: "POST",
            path: "/v1/key/create/k1",
            ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            identity: Some("3ecf"),
        };
        let mut out = Vec::new();
        let result = Some((200, Duration::from_nanos(1_590_131)));
        let message = "secret key 'k1' created";
        push_json_line(&mut out, TIME, Level::INFO, message, Some(request), result);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"time\":\"2024-09-11T08:00:01.937Z\",\"level\":\"INFO\",\"msg\":\"secret key 'k1' created\",\
             \"req\":{\"method\":\"POST\",\"path\":\"/v1/key/create/k1\",\"ip\":\"127.0.0.1\",\"identity\":\"3ecf\"},\
             \"res\":{\"code\":200,\"time\":1590131}}"
        );
    }

    #[test]
    fn a_line_lacks_what_is_not_known_and_cannot_drive_a_terminal() {
        let request = Request {
            method: "GET",
            path: "/\u{1b}[2J\u{202e}\"\\\n\u{9b}\u{e0001}é",
            ip: None,
            identity: Some(""),
        };
        let mut out = Vec::new();
        let time = (TIME.0, offset!(+2));
        push_json_line(
            &mut out,
            time,
            Level::new(5),
            "a\tb\u{7f}",
            Some(request),
            None,
        );
        let line = String::from_utf8(out).unwrap();
        assert_eq!(
            line,
            "{\"time\":\"2024-09-11T10:00:01.937+02:00\",\"level\":\"WARN+1\",\"msg\":\"a\\tb\\u007f\",\
             \"req\":{\"method\":\"GET\",\"path\":\"/\\u001b[2J\\u202e\\\"\\\\\\n\\u009b\\udb40\\udc01é\"}}"
        );
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["req"]["path"], request.path);
        assert_eq!(value["msg"], "a\tb\u{7f}");
    }
}
