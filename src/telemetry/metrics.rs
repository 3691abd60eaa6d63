//! [`Metrics`]: the counters of the process and their page in Prometheus's text format (api.md 11).
//!
//! The page holds exactly the families of api.md 11.2: client SDKs refuse labelled families that they do not know (11.4).
//! Counting takes no lock and no allocation: each thread adds to a copy of its own, and a reader sums the copies. A page is not
//! a snapshot of one instant, but each number on it was exact at some instant while it was made.

use std::{
    fmt::{self, Write as _},
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{shard::Sharded, system::System};

/// The media type of [`Metrics::render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// The upper bounds of the response time's buckets, in milliseconds. Beyond them is only `+Inf`.
const BOUNDS: [u16; 10] = [10, 50, 100, 250, 500, 1000, 1500, 3000, 5000, 10_000];

/// The lowest status there is.
const FIRST_STATUS: u16 = 100;

/// How many different statuses are told apart: 100 to 599.
const STATUSES: usize = 500;

/// What the process counts. One per process; a reload does not reset it.
pub struct Metrics {
    shards: Sharded<Counters>,
}

struct Counters {
    active: AtomicI64,
    audit_events: AtomicU64,
    error_events: AtomicU64,
    /// By status, from [`FIRST_STATUS`] on.
    requests: [AtomicU64; STATUSES],
    /// Not cumulative; the last one has no bound.
    times: [AtomicU64; BOUNDS.len() + 1],
    time_nanos: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            active: AtomicI64::new(0),
            audit_events: AtomicU64::new(0),
            error_events: AtomicU64::new(0),
            requests: [const { AtomicU64::new(0) }; STATUSES],
            times: [const { AtomicU64::new(0) }; BOUNDS.len() + 1],
            time_nanos: AtomicU64::new(0),
        }
    }
}

/// A counted request in progress. However it ends, it stops being active when this is dropped: a request whose client went away
/// leaves no other trace.
#[must_use = "the request counts as active only while this lives"]
pub struct Active<'a> {
    counters: &'a Counters,
}

impl Active<'_> {
    /// The request was answered with `status`, `time` after it came in. A status that is no success, no error and no failure
    /// (1xx, 3xx) shows in the response times only.
    pub fn finish(self, status: u16, time: Duration) {
        let counters = self.counters;
        let bucket = BOUNDS
            .iter()
            .position(|&bound| time <= Duration::from_millis(bound.into()))
            .unwrap_or(BOUNDS.len());
        if let Some(count) = counters.times.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        counters.time_nanos.fetch_add(nanos, Relaxed);
        let requests = status
            .checked_sub(FIRST_STATUS)
            .and_then(|place| counters.requests.get(usize::from(place)));
        if let Some(count) = requests {
            count.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        // The copy that was incremented, whatever thread this is: so no copy is ever negative, and no sum of them.
        self.counters.active.fetch_sub(1, Relaxed);
    }
}

impl Metrics {
    /// All counters at zero.
    pub(super) fn new() -> Self {
        Self {
            shards: Sharded::new(),
        }
    }

    /// A request that counts (api.md 11.3) begins.
    pub fn begin(&self) -> Active<'_> {
        let counters = self.shards.local();
        counters.active.fetch_add(1, Relaxed);
        Active { counters }
    }

    pub(super) fn count_audit_event(&self) {
        self.shards.local().audit_events.fetch_add(1, Relaxed);
    }

    pub(super) fn count_error_event(&self) {
        self.shards.local().error_events.fetch_add(1, Relaxed);
    }

    /// The page: families sorted by name, a family without samples left out.
    pub fn render(&self, system: &System) -> String {
        let mut page = Page(String::with_capacity(4096));
        let active: i64 = self.shards.iter().map(|c| c.active.load(Relaxed)).sum();
        let (active, requests) = (unsigned(active), self.requests());
        page.gauge(
            "kes_http_request_active",
            "Number of requests in progress.",
            active,
        );
        page.statuses(
            "kes_http_request_error",
            "Number of requests answered with 4xx.",
            &requests,
            400..500,
        );
        page.statuses(
            "kes_http_request_failure",
            "Number of requests answered with 5xx.",
            &requests,
            500..600,
        );
        page.statuses(
            "kes_http_request_success",
            "Number of requests answered with 2xx.",
            &requests,
            200..300,
        );
        let (times, nanos) = (self.times(), self.sum(|c| &c.time_nanos));
        page.histogram(
            "kes_http_response_time",
            "Seconds it took to answer a request.",
            &times,
            nanos,
        );
        let (audit, error) = (self.sum(|c| &c.audit_events), self.sum(|c| &c.error_events));
        page.counter("kes_log_audit_events", "Number of audit log events.", audit);
        page.counter("kes_log_error_events", "Number of error log events.", error);
        page.gauge(
            "kes_system_mem_heap_objects",
            "Estimated number of live heap objects.",
            system.heap_objects,
        );
        page.gauge(
            "kes_system_mem_heap_used",
            "Bytes of memory in use.",
            system.mem_heap,
        );
        page.gauge(
            "kes_system_mem_stack_used",
            "Estimated bytes of memory in use by stacks.",
            system.mem_stack,
        );
        page.gauge(
            "kes_system_num_cpu",
            "Number of logical CPUs of the machine.",
            system.num_cpu,
        );
        page.gauge(
            "kes_system_num_cpu_used",
            "Number of CPUs the process may use.",
            system.num_cpu_used,
        );
        page.gauge(
            "kes_system_num_threads",
            "Number of threads of the process.",
            system.threads,
        );
        page.head(
            "kes_system_up_time",
            "Seconds since the server started.",
            "gauge",
        );
        let hundredths = system.uptime.as_millis() / 10;
        page.sample("kes_system_up_time", "", Float(lossy(hundredths) / 100.0));
        page.0
    }

    fn sum(&self, counter: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        let counts = self.shards.iter().map(|c| counter(c).load(Relaxed));
        counts.fold(0, u64::wrapping_add)
    }

    /// Requests by status, without those that never happened.
    fn requests(&self) -> Vec<(u16, u64)> {
        let mut sums = vec![0; STATUSES];
        for counters in self.shards.iter() {
            for (sum, count) in sums.iter_mut().zip(&counters.requests) {
                *sum += count.load(Relaxed);
            }
        }
        let by_status = (FIRST_STATUS..).zip(sums);
        by_status.filter(|&(_, count)| count > 0).collect()
    }

    fn times(&self) -> [u64; BOUNDS.len() + 1] {
        let mut sums = [0; BOUNDS.len() + 1];
        for counters in self.shards.iter() {
            for (sum, count) in sums.iter_mut().zip(&counters.times) {
                *sum += count.load(Relaxed);
            }
        }
        sums
    }
}

/// A page in the making.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, suffix: &str, value: impl fmt::Display) {
        let _ = writeln!(self.0, "{name}{suffix} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        self.sample(name, "", Float(lossy(value)));
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        self.sample(name, "", Float(lossy(value)));
    }

    fn statuses(
        &mut self,
        name: &str,
        help: &str,
        requests: &[(u16, u64)],
        range: std::ops::Range<u16>,
    ) {
        let mut head = Some(());
        for (status, count) in requests.iter().filter(|(status, _)| range.contains(status)) {
            if head.take().is_some() {
                self.head(name, help, "counter");
            }
            let _ = writeln!(
                self.0,
                "{name}{{code=\"{status}\"}} {}",
                Float(lossy(*count))
            );
        }
    }

    fn histogram(&mut self, name: &str, help: &str, buckets: &[u64; BOUNDS.len() + 1], nanos: u64) {
        self.head(name, help, "histogram");
        let bounds = BOUNDS.map(|millis| f64::from(millis) / 1000.0);
        let mut count = 0;
        for (bound, bucket) in bounds.into_iter().chain([f64::INFINITY]).zip(buckets) {
            count += bucket;
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{}\"}} {count}", Float(bound));
        }
        self.sample(name, "_sum", Float(lossy(nanos) / 1e9));
        self.sample(name, "_count", count);
    }
}

/// A number as Prometheus's text format has it in the reference: the shortest text that reads back as the same number, with an
/// exponent of at least two digits outside of 0.0001 to 999999.
struct Float(f64);

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = *self;
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        if value == 0.0 || value.is_nan() || (1e-4..1e6).contains(&value.abs()) {
            return write!(f, "{value}");
        }
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        write!(f, "{digits}e{sign}{exponent:0>2}")
    }
}

/// As a floating-point number, exact up to 2^53, as every number of the text format is.
#[expect(
    clippy::cast_precision_loss,
    reason = "the text format has no other numbers"
)]
fn lossy(number: impl Into<u128>) -> f64 {
    number.into() as f64
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests;
