//! Events as lines, for people and for programs.

use std::{cell::Cell, time::Duration};

use super::{
    Args, UNREADABLE,
    event::{Audit, Filter, Message},
};
use crate::{
    cli::{
        connect::Session,
        error::Error,
        output::{Output, Style},
    },
    client::{self, follow::Log},
    telemetry,
};

/// Longest part of an identity that is shown.
const IDENTITY: usize = 20;

/// Writes events.
pub(super) struct Printer<'a> {
    session: &'a Session,
    out: &'a Output,
    utc: bool,
    /// The header stands above the first event, once there is one.
    header: Cell<bool>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(args: &Args, audit: bool, session: &'a Session, out: &'a Output) -> Self {
        Self {
            session,
            out,
            utc: args.utc,
            header: Cell::new(audit && !out.wants_document()),
        }
    }

    /// Writes one line of a log, unless the filter holds it back.
    pub(super) fn print(&self, log: Log, line: &[u8], filter: &Filter) -> Result<(), Error> {
        let failed = |error: serde_json::Error| {
            let malformed = client::error::Error::Malformed {
                request: format!("GET {}", log.paths()[0]),
                detail: format!("column {} of an event", error.column()),
            };
            self.session.failure(UNREADABLE, malformed)
        };
        match log {
            Log::Audit => {
                let event: Audit = serde_json::from_slice(line).map_err(failed)?;
                if filter.lets(&event) {
                    self.audit(&event)
                } else {
                    Ok(())
                }
            }
            Log::Error => {
                let message: Message = serde_json::from_slice(line).map_err(failed)?;
                self.out
                    .show(&message, || self.out.text(&printable(&message.message)))
            }
        }
    }

    fn audit(&self, event: &Audit) -> Result<(), Error> {
        self.out.show(event, || {
            if self.header.take() {
                let header = format!(
                    "{:26}    {:6}    {:IDENTITY$}    {:15}    {:30}    Latency",
                    "Time", "Status", "Identity", "IP", "API"
                );
                self.out.text(&self.out.styled(Style::Underline, &header))?;
            }
            let style = if event.response.code == 200 {
                Style::Green
            } else {
                Style::Red
            };
            let identity: String = event.request.identity.chars().take(IDENTITY).collect();
            let ip = match event.request.ip.as_str() {
                "" => "<unknown>",
                ip => ip,
            };
            self.out.text(&format!(
                "{:26}    {}    {:IDENTITY$}    {:15}    {:30}    {}",
                self.out.time(event.time, self.utc),
                self.out
                    .styled(style, &format!("{:<6}", event.response.code)),
                printable(&identity),
                printable(ip),
                printable(&event.request.path),
                latency(Duration::from_nanos(event.response.time)),
            ))
        })
    }
}

/// Without what a terminal would act on.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A duration with as many digits as mean something.
fn latency(duration: Duration) -> String {
    const STEPS: &[(Duration, Duration)] = &[
        (Duration::from_secs(1), Duration::from_millis(100)),
        (Duration::from_millis(10), Duration::from_millis(1)),
        (Duration::from_millis(1), Duration::from_micros(100)),
        (Duration::from_micros(10), Duration::from_micros(1)),
    ];
    let step = STEPS.iter().find(|(from, _)| duration >= *from);
    let rounded = match step {
        None => duration,
        Some((_, step)) => {
            let (nanos, step) = (duration.as_nanos(), step.as_nanos());
            let rounded = (nanos + step / 2) / step * step;
            Duration::from_nanos(u64::try_from(rounded).unwrap_or(u64::MAX))
        }
    };
    telemetry::go_duration(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_rounded_to_what_means_something() {
        for (nanos, text) in [
            (0, "0s"),
            (12, "12ns"),
            (9_999, "9.999µs"),
            (42_123, "42µs"),
            (1_590_131, "1.6ms"),
            (12_345_678, "12ms"),
            (2_549_000_000, "2.5s"),
        ] {
            assert_eq!(latency(Duration::from_nanos(nanos)), text);
        }
    }
}
