//! [`Record`]: what is written down about one request that reached a route: its audit event, its line in the error log, its place
//! in the metrics. Written once, whatever way the request ends.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hyper::StatusCode;

use super::{error::Error, forwarded::Caller, route::Route};
use crate::{
    state::State,
    telemetry::{Active, AuditEvent, Level, Request, Telemetry, chain},
};

/// Status under which a request is recorded whose client went away before there was an answer.
const CLIENT_GONE: u16 = 499;

/// What happened to one request. Dropped unfinished, the client has gone away.
pub(super) struct Record<'a> {
    state: &'a State,
    caller: &'a Caller<'a>,
    route: &'static Route,
    method: &'a str,
    path: &'a str,
    began: Duration,
    counted: Option<Active<'a>>,
    finished: bool,
}

impl<'a> Record<'a> {
    /// Opens the record of a request that just reached `route` under the canonical `path`.
    pub(super) fn open(
        state: &'a State,
        caller: &'a Caller<'a>,
        route: &'static Route,
        method: &'a str,
        path: &'a str,
    ) -> Self {
        Self {
            state,
            caller,
            route,
            method,
            path,
            began: state.clock.elapsed(),
            counted: None,
            finished: false,
        }
    }

    /// The request passed the door: from here on it counts, where the route's requests are counted (api.md 11.3).
    pub(super) fn passed(&mut self) {
        if self.route.counted {
            self.counted = Some(self.state.telemetry.metrics.begin());
        }
    }

    /// Closes the record of a request that was served. `message` is the route's own, for the console.
    pub(super) fn served(&mut self, message: Option<&str>) {
        self.close(StatusCode::OK.as_u16(), message.unwrap_or("request served"));
    }

    /// Closes the record of a request that failed, and writes why to the error log: the server's own failures as errors, the
    /// client's only for those who look for them.
    pub(super) fn failed(&mut self, error: &Error) {
        let status = error.status();
        let level = match error {
            Error::Forwarded(refusal) => refusal.level(),
            Error::LostBody | Error::NotReady { .. } => Level::WARN,
            _ if status.is_server_error() && !matches!(error, Error::Retired) => Level::ERROR,
            _ => Level::DEBUG,
        };
        let log = &self.state.telemetry.log;
        if log.wants(level) {
            let request = Request {
                method: self.method,
                path: self.path,
                ip: Some(self.caller.recorded().ip()),
                identity: self.identity(),
            };
            let mut message = match error {
                Error::Forwarded(refusal) => refusal.reason(),
                error => chain(error),
            };
            self.caller.push_proxy(&mut message);
            log.log(level, &message, Some(request));
        }
        let message = match error {
            Error::Forwarded(refusal) => refusal.reason(),
            error => error.to_string(),
        };
        self.close(status.as_u16(), &message);
    }

    /// Who reads the stream that this request was answered with.
    pub(super) fn reader(&self) -> Reader {
        Reader {
            telemetry: self.state.telemetry.clone(),
            method: self.method.to_owned(),
            path: self.path.to_owned(),
            ip: self.caller.recorded().ip(),
            identity: self.identity().map(str::to_owned),
        }
    }

    fn identity(&self) -> Option<&str> {
        self.caller
            .recorded()
            .identity()
            .ok()
            .map(crate::identity::Identity::as_str)
    }

    fn close(&mut self, status: u16, message: &str) {
        self.finished = true;
        let took = self.state.clock.elapsed().saturating_sub(self.began);
        if let Some(counted) = self.counted.take() {
            counted.finish(status, took);
        }
        if self.route.audited {
            let event = || AuditEvent {
                time: self.state.clock.now_utc(),
                ip: Some(self.caller.recorded().ip()),
                method: self.method,
                path: self.path,
                identity: self.identity(),
                status,
                duration: took,
                message,
            };
            self.state.telemetry.audit.record(event);
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.close(CLIENT_GONE, "client closed the connection");
        }
    }
}

/// The reader of a log stream, for as long as it reads.
pub(super) struct Reader {
    telemetry: Arc<Telemetry>,
    method: String,
    path: String,
    ip: IpAddr,
    identity: Option<String>,
}

impl Reader {
    /// Writes to the error log that this one was too slow.
    pub(super) fn cut_off(&self) {
        let request = Request {
            method: &self.method,
            path: &self.path,
            ip: Some(self.ip),
            identity: self.identity.as_deref(),
        };
        let message = "the reader of a log stream was cut off: it did not keep up";
        self.telemetry.log.log(Level::WARN, message, Some(request));
    }
}
