//! [`View`]: what `kes top` shows, as lines of at most the width of the screen, or as a document.

use std::{collections::VecDeque, fmt::Write as _};

use serde::Serialize;

use super::{
    caller::Caller,
    sample::{Change, Sample},
};
use crate::wire::response::Status;

/// Rates that are remembered for the line of their course.
const COURSE: usize = 240;
/// Bars, and the share of the highest rate from which they are drawn.
const BARS: [(f64, char); 8] = [
    (0.0, '▁'),
    (0.125, '▂'),
    (0.25, '▃'),
    (0.375, '▄'),
    (0.5, '▅'),
    (0.625, '▆'),
    (0.75, '▇'),
    (0.875, '█'),
];

/// All that is shown.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) server: String,
    pub(super) sample: Option<Sample>,
    pub(super) change: Option<Change>,
    /// What the server says of itself, if this client may ask.
    pub(super) status: Option<Status>,
    /// The busiest clients; `None` if this client may not read the audit log.
    pub(super) callers: Option<Vec<Caller>>,
    /// Why the figures are old.
    pub(super) trouble: Option<String>,
    course: VecDeque<f64>,
}

/// The same for programs.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    server: &'a str,
    /// Requests a second: all, and those answered with 2xx, 4xx and 5xx.
    requests_per_second: f64,
    success_per_second: f64,
    error_per_second: f64,
    failure_per_second: f64,
    active: f64,
    /// Milliseconds that half, 90 % and 99 % of requests did not exceed; `null` without requests, or beyond the last bound.
    latency_ms: Option<[Option<f64>; 3]>,
    audit_events_per_second: f64,
    error_events_per_second: f64,
    uptime: f64,
    heap: f64,
    stack: f64,
    cpus: f64,
    threads: f64,
    /// `ok`, `unreachable`, `unavailable`, or `null` if it is not known.
    keystore: Option<&'static str>,
    keystore_latency_ms: Option<u64>,
    callers: Option<&'a [Caller]>,
}

impl View {
    /// An empty view of a server.
    pub(super) fn of(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            ..Self::default()
        }
    }

    /// Takes in a new sample.
    pub(super) fn take(&mut self, sample: Sample) {
        self.change = self
            .sample
            .as_ref()
            .map(|before| Change::between(before, &sample));
        if let Some(change) = &self.change {
            self.course.push_back(change.rate());
            if self.course.len() > COURSE {
                self.course.pop_front();
            }
        }
        self.sample = Some(sample);
        self.trouble = None;
    }

    /// The figures for programs, once there are two samples.
    pub(super) fn document(&self) -> Option<Document<'_>> {
        let (sample, change) = (self.sample.as_ref()?, self.change.as_ref()?);
        let [success, error, failure] = change.rates;
        let millis = |seconds: f64| seconds.is_finite().then_some(seconds * 1e3);
        let latency = self.status.as_ref().map(|status| status.keystore_latency);
        Some(Document {
            server: &self.server,
            requests_per_second: change.rate(),
            success_per_second: success,
            error_per_second: error,
            failure_per_second: failure,
            active: sample.active,
            latency_ms: change.quantiles.map(|quantiles| quantiles.map(millis)),
            audit_events_per_second: change.audit,
            error_events_per_second: change.errors,
            uptime: sample.up_time,
            heap: sample.heap,
            stack: sample.stack,
            cpus: sample.cpus,
            threads: sample.threads,
            keystore: self.keystore(),
            keystore_latency_ms: latency.filter(|latency| *latency > 0),
            callers: self.callers.as_deref(),
        })
    }

    fn keystore(&self) -> Option<&'static str> {
        let status = self.status.as_ref()?;
        Some(if status.keystore_unreachable {
            "unreachable"
        } else if status.keystore_unavailable {
            "unavailable"
        } else {
            "ok"
        })
    }

    /// The lines for a screen of this size.
    pub(super) fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let mut lines = vec![self.title()];
        if let Some(trouble) = &self.trouble {
            lines.push(format!("! {trouble}"));
        }
        let Some(sample) = &self.sample else {
            return fit(lines, width, height);
        };
        lines.push(String::new());
        let rate = self.change.as_ref();
        let number = |value: Option<f64>| value.map_or("-".to_owned(), decimal);
        lines.push(format!(
            "Requests  {}/s, {} active",
            number(rate.map(Change::rate)),
            sample.active
        ));
        lines.push(format!("Answers   {}", rate.map_or("-".to_owned(), shares)));
        let quantiles = rate.and_then(|change| change.quantiles);
        lines.push(format!(
            "Latency   {}",
            quantiles.map_or("-".to_owned(), latencies)
        ));
        lines.push(format!(
            "Course    {}",
            self.course(width.saturating_sub(10))
        ));
        lines.push(format!("Keystore  {}", self.keystore_line()));
        lines.push(format!(
            "Events    audit {}/s, errors {}/s",
            number(rate.map(|change| change.audit)),
            number(rate.map(|change| change.errors))
        ));
        lines.push(format!(
            "Memory    heap {}, stack {}",
            size(sample.heap),
            size(sample.stack)
        ));
        lines.push(format!(
            "CPUs      {}, {} threads",
            sample.cpus, sample.threads
        ));
        lines.push(String::new());
        match &self.callers {
            None => lines.push("Clients   this client may not read /v1/log/audit".to_owned()),
            Some(callers) => {
                // As much of the identity as fits.
                let shown = width.saturating_sub(30).clamp(8, 64);
                lines.push(format!(
                    "{:shown$} {:>9} {:>9} {:>9}",
                    "Client", "Now", "Requests", "Errors"
                ));
                lines.extend(callers.iter().map(|caller| {
                    let identity: String = caller.identity.chars().take(shown).collect();
                    let Caller {
                        recent,
                        requests,
                        errors,
                        ..
                    } = caller;
                    format!("{identity:shown$} {recent:>9} {requests:>9} {errors:>9}")
                }));
            }
        }
        fit(lines, width, height)
    }

    fn title(&self) -> String {
        let mut title = format!("kes top   {}", self.server);
        if let Some(status) = &self.status {
            let _ = write!(title, "   {}", status.version);
        }
        if let Some(sample) = &self.sample {
            let _ = write!(title, "   up {}", span(sample.up_time));
        }
        title.retain(|c| !c.is_control());
        title
    }

    fn keystore_line(&self) -> String {
        match (self.keystore(), &self.status) {
            (Some("ok"), Some(status)) if status.keystore_latency > 0 => {
                format!("ok, {} ms", status.keystore_latency)
            }
            (Some(state), _) => state.to_owned(),
            (None, _) => "this client may not read /v1/status".to_owned(),
        }
    }

    /// The rates of before, the newest at the right, the highest as a full bar.
    fn course(&self, width: usize) -> String {
        let shown = self.course.len().min(width);
        let rates = self.course.iter().skip(self.course.len() - shown);
        let highest = rates.clone().copied().fold(0.0, f64::max);
        let bars = rates.map(|rate| {
            let share = if highest > 0.0 { rate / highest } else { 0.0 };
            let bar = BARS.iter().rev().find(|(from, _)| share >= *from);
            bar.map_or(' ', |(_, bar)| *bar)
        });
        bars.collect()
    }
}

/// Lines that are no longer and no more than the screen.
fn fit(mut lines: Vec<String>, width: usize, height: usize) -> Vec<String> {
    lines.truncate(height);
    let cut = |line: String| line.chars().take(width).collect();
    lines.into_iter().map(cut).collect()
}

/// Shares of answers by class.
fn shares(change: &Change) -> String {
    let total = change.rate();
    let share = |rate: f64| {
        if total > 0.0 {
            format!("{:.2} %", rate / total * 100.0)
        } else {
            "-".to_owned()
        }
    };
    let [success, error, failure] = change.rates.map(share);
    format!("2xx {success}, 4xx {error}, 5xx {failure}")
}

/// Bounds that half, nine tenths and 99 of a hundred did not exceed.
fn latencies(quantiles: [f64; 3]) -> String {
    let [half, most, nearly_all] = quantiles.map(|bound| {
        if bound.is_infinite() {
            "> 10 s".to_owned()
        } else if bound < 1.0 {
            format!("≤ {} ms", (bound * 1e3).round())
        } else {
            format!("≤ {bound} s")
        }
    });
    format!("50 % {half}, 90 % {most}, 99 % {nearly_all}")
}

/// A rate with as many decimals as tell something.
fn decimal(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

/// Days and hours, hours and minutes, or minutes and seconds.
fn span(seconds: f64) -> String {
    let seconds = std::time::Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    if days > 0 {
        format!("{days} d {} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {} min", minutes % 60)
    } else {
        format!("{minutes} min {} s", seconds % 60)
    }
}

/// Bytes in decimal units.
fn size(bytes: f64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "KB")];
    let unit = units.into_iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes:.0} B"),
        |(unit, name)| format!("{:.1} {name}", bytes / unit),
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn view() -> View {
        let start = Instant::now();
        let mut view = View {
            server: "127.0.0.1:7373".into(),
            status: serde_json::from_str(r#"{"version":"1.2.3","keystore_latency":4}"#).ok(),
            callers: Some(vec![Caller {
                identity: "a".repeat(64),
                requests: 7,
                errors: 1,
                recent: 3,
            }]),
            ..View::default()
        };
        let page = |count: u32, up: u32| {
            format!(
                "kes_http_request_success{{code=\"200\"}} {count}\nkes_http_response_time_bucket{{le=\"0.01\"}} {count}\n\
                 kes_http_response_time_bucket{{le=\"+Inf\"}} {count}\nkes_system_up_time {up}\nkes_system_mem_heap_used 3100000\n"
            )
        };
        for (count, second) in [(0, 3600), (100, 3601), (300, 3602)] {
            let at = start + Duration::from_secs(second - 3600);
            view.take(Sample::parse(
                &page(count, u32::try_from(second).unwrap()),
                at,
            ));
        }
        view
    }

    #[test]
    fn a_frame_fits_every_screen() {
        for (width, height) in [(200, 60), (80, 24), (40, 12), (20, 5), (1, 1), (0, 0)] {
            let lines = view().lines(width, height);
            assert!(lines.len() <= height);
            for line in &lines {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn a_frame_tells_what_goes_on() {
        let text = view().lines(100, 50).join("\n");
        for expected in [
            "kes top   127.0.0.1:7373   1.2.3   up 1 h 0 min",
            "Requests  200/s",
            "2xx 100.00 %, 4xx 0.00 %",
            "99 % ≤ 10 ms",
            "Course    ▅█",
            "Keystore  ok, 4 ms",
            "heap 3.1 MB",
            &format!("{}         3         7         1", "a".repeat(64)),
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        assert!(!text.contains("NaN"));
    }

    #[test]
    fn before_there_are_two_samples_nothing_is_made_up() {
        let mut view = View::default();
        assert!(view.document().is_none());
        assert_eq!(view.lines(80, 24).len(), 1);
        view.take(Sample::parse("", Instant::now()));
        assert!(view.document().is_none());
        let text = view.lines(80, 24).join("\n");
        assert!(
            text.contains("Requests  -/s") && text.contains("Latency   -"),
            "{text}"
        );
        assert!(text.contains("may not read /v1/log/audit"), "{text}");
    }
}
