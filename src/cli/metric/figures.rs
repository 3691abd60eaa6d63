//! The figures of a server, read from the Prometheus text format (api.md 11.2).

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

/// What a server counts. The names of the members, and their units, are those that programs know.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Figures {
    #[serde(rename = "kes_http_request_success")]
    pub(super) success: u64,
    #[serde(rename = "kes_http_request_error")]
    pub(super) error: u64,
    #[serde(rename = "kes_http_request_failure")]
    pub(super) failure: u64,
    #[serde(rename = "kes_http_request_active")]
    pub(super) active: u64,
    #[serde(rename = "kes_log_audit_events")]
    pub(super) audit_events: u64,
    #[serde(rename = "kes_log_error_events")]
    pub(super) error_events: u64,
    /// How many requests took no longer than so many nanoseconds. Empty buckets are left out.
    #[serde(rename = "kes_http_response_time")]
    pub(super) response_time: BTreeMap<u64, u64>,
    /// Nanoseconds, of whole seconds.
    #[serde(rename = "kes_system_up_time")]
    pub(super) up_time: u64,
    #[serde(rename = "kes_system_num_cpu")]
    pub(super) cpus: u64,
    #[serde(rename = "kes_system_num_cpu_used")]
    pub(super) cpus_used: u64,
    #[serde(rename = "kes_system_num_threads")]
    pub(super) threads: u64,
    #[serde(rename = "kes_system_mem_heap_used")]
    pub(super) heap: u64,
    #[serde(rename = "kes_system_mem_heap_objects")]
    pub(super) heap_objects: u64,
    #[serde(rename = "kes_system_mem_stack_used")]
    pub(super) stack: u64,
    /// Requests that were timed, and all their seconds; servers that do not say leave these at zero.
    #[serde(skip)]
    pub(super) timed: (u64, f64),
}

impl Figures {
    /// Reads what is known and skips everything else.
    pub(super) fn parse(text: &str) -> Self {
        let mut figures = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.trim().rsplit_once(' ') else {
                continue;
            };
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            let Ok(value) = value.parse::<f64>() else {
                continue;
            };
            figures.take(name.trim(), labels, value);
        }
        figures
    }

    fn take(&mut self, name: &str, labels: &str, value: f64) {
        let whole = whole(value);
        let sum = match name {
            "kes_http_request_success" => &mut self.success,
            "kes_http_request_error" => &mut self.error,
            "kes_http_request_failure" => &mut self.failure,
            "kes_http_request_active" => &mut self.active,
            "kes_log_audit_events" => &mut self.audit_events,
            "kes_log_error_events" => &mut self.error_events,
            "kes_system_num_cpu" => &mut self.cpus,
            "kes_system_num_cpu_used" => &mut self.cpus_used,
            "kes_system_num_threads" => &mut self.threads,
            "kes_system_mem_heap_used" => &mut self.heap,
            "kes_system_mem_heap_objects" => &mut self.heap_objects,
            "kes_system_mem_stack_used" => &mut self.stack,
            "kes_system_up_time" => {
                self.up_time = whole.saturating_mul(1_000_000_000);
                return;
            }
            "kes_http_response_time_bucket" => {
                let bound = labels
                    .split("le=\"")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next());
                let bound = bound.and_then(|bound| bound.parse::<f64>().ok());
                if let Some(bound) = bound.filter(|bound| bound.is_finite())
                    && whole > 0
                {
                    self.response_time.insert(nanos(bound), whole);
                }
                return;
            }
            "kes_http_response_time_count" => {
                self.timed.0 = whole;
                return;
            }
            "kes_http_response_time_sum" => {
                self.timed.1 = value;
                return;
            }
            _ => return,
        };
        *sum = sum.saturating_add(whole);
    }

    /// All requests that were answered.
    pub(super) fn requests(&self) -> u64 {
        self.success + self.error + self.failure
    }

    /// How long a request takes on average; `None` before the first one.
    pub(super) fn latency(&self) -> Option<Duration> {
        let (count, seconds) = self.timed;
        let count = u32::try_from(count).ok().filter(|count| *count > 0)?;
        let total = Duration::try_from_secs_f64(seconds).ok()?;
        Some(total / count)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float is cut off at the ends of the range, and counts are whole"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

fn nanos(seconds: f64) -> u64 {
    whole((seconds * 1e9).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP kes_http_request_success x
# TYPE kes_http_request_success counter
kes_http_request_success{code=\"200\"} 7
kes_http_request_success{code=\"204\"} 1
kes_http_request_error{code=\"404\"} 2
kes_http_request_active 1
kes_http_response_time_bucket{le=\"0.01\"} 0
kes_http_response_time_bucket{le=\"0.05\"} 9
kes_http_response_time_bucket{le=\"+Inf\"} 10
kes_http_response_time_sum 0.5
kes_http_response_time_count 10
kes_system_up_time 12.34
kes_system_mem_heap_used 1.048576e+06
something_else 3
";

    #[test]
    fn families_are_summed_over_their_labels() {
        let figures = Figures::parse(TEXT);
        assert_eq!((figures.success, figures.error, figures.failure), (8, 2, 0));
        assert_eq!(figures.requests(), 10);
        assert_eq!(figures.heap, 1_048_576);
        assert_eq!(figures.latency(), Some(Duration::from_millis(50)));
        assert_eq!(Figures::parse("").latency(), None);
    }

    #[test]
    fn times_are_nanoseconds_and_empty_buckets_are_left_out() {
        let json = serde_json::to_value(Figures::parse(TEXT)).unwrap();
        assert_eq!(json["kes_system_up_time"], 12_000_000_000_u64);
        assert_eq!(
            json["kes_http_response_time"],
            serde_json::json!({"50000000": 9})
        );
    }
}
