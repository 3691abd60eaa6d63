//! [`Sample`]: the figures of a server at one moment, from its metrics page (api.md 11), and what lies between two of them.

use std::time::{Duration, Instant};

/// The figures that are shown. Counters only grow while the server lives.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// When they were asked for.
    pub(super) at: Instant,
    /// Requests answered with 2xx, 4xx and 5xx.
    pub(super) answered: [f64; 3],
    pub(super) active: f64,
    /// Upper bounds in seconds, ascending, and how many requests took no longer.
    pub(super) buckets: Vec<(f64, f64)>,
    pub(super) audit_events: f64,
    pub(super) error_events: f64,
    /// Seconds.
    pub(super) up_time: f64,
    /// Bytes.
    pub(super) heap: f64,
    pub(super) stack: f64,
    pub(super) cpus: f64,
    pub(super) threads: f64,
}

impl Sample {
    /// Reads the Prometheus text format. What is not there is zero: a labelled family is absent until its first request.
    pub(super) fn parse(page: &str, at: Instant) -> Self {
        let mut sample = Self {
            at,
            answered: [0.0; 3],
            active: 0.0,
            buckets: Vec::new(),
            audit_events: 0.0,
            error_events: 0.0,
            up_time: 0.0,
            heap: 0.0,
            stack: 0.0,
            cpus: 0.0,
            threads: 0.0,
        };
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, labels, value)) = split(line) else {
                continue;
            };
            let [success, error, failure] = &mut sample.answered;
            match name {
                "kes_http_request_success" => *success += value,
                "kes_http_request_error" => *error += value,
                "kes_http_request_failure" => *failure += value,
                "kes_http_request_active" => sample.active += value,
                "kes_http_response_time_bucket" => {
                    if let Some(bound) = bound(labels) {
                        sample.buckets.push((bound, value));
                    }
                }
                "kes_log_audit_events" => sample.audit_events += value,
                "kes_log_error_events" => sample.error_events += value,
                "kes_system_up_time" => sample.up_time = value,
                "kes_system_mem_heap_used" => sample.heap = value,
                "kes_system_mem_stack_used" => sample.stack = value,
                "kes_system_num_cpu_used" => sample.cpus = value,
                "kes_system_num_threads" => sample.threads = value,
                _ => {}
            }
        }
        sample
            .buckets
            .sort_by(|(one, _), (other, _)| one.total_cmp(other));
        sample
    }
}

/// Name, labels without their braces, and value.
fn split(line: &str) -> Option<(&str, &str, f64)> {
    let (name, rest) = line.split_at(line.find(['{', ' '])?);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => rest.split_once('}')?,
        None => ("", rest),
    };
    // A time stamp may follow.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some((name, labels, value))
}

/// The bound of a bucket.
fn bound(labels: &str) -> Option<f64> {
    let (_, rest) = labels.split_once("le=\"")?;
    let (bound, _) = rest.split_once('"')?;
    match bound {
        "+Inf" => Some(f64::INFINITY),
        bound => bound.parse().ok(),
    }
}

/// What happened between two samples.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// Requests a second, answered with 2xx, 4xx and 5xx.
    pub(super) rates: [f64; 3],
    /// Bounds in seconds that half, nine tenths and 99 of a hundred requests did not exceed; `None` without requests.
    pub(super) quantiles: Option<[f64; 3]>,
    /// Events a second.
    pub(super) audit: f64,
    pub(super) errors: f64,
}

impl Change {
    /// From `before` to `after`. A server that was started anew in between counts from zero.
    pub(super) fn between(before: &Sample, after: &Sample) -> Self {
        let seconds = after
            .at
            .duration_since(before.at)
            .max(Duration::from_millis(1));
        let seconds = seconds.as_secs_f64();
        let restarted = after.up_time < before.up_time;
        let grown = |before: f64, after: f64| {
            if restarted || after < before {
                after
            } else {
                after - before
            }
        };
        let [success, error, failure] = before.answered;
        let [now_success, now_error, now_failure] = after.answered;
        let buckets = after.buckets.iter().map(|(bound, count)| {
            let old = before
                .buckets
                .iter()
                .find(|(old, _)| old.total_cmp(bound).is_eq());
            (*bound, grown(old.map_or(0.0, |(_, count)| *count), *count))
        });
        let buckets: Vec<_> = buckets.collect();
        let total = buckets.last().map_or(0.0, |(_, count)| *count);
        let quantile = |share: f64| {
            let reached = buckets.iter().find(|(_, count)| *count >= share * total);
            reached.map_or(f64::INFINITY, |(bound, _)| *bound)
        };
        Self {
            rates: [
                grown(success, now_success) / seconds,
                grown(error, now_error) / seconds,
                grown(failure, now_failure) / seconds,
            ],
            quantiles: (total > 0.0).then(|| [0.5, 0.9, 0.99].map(quantile)),
            audit: grown(before.audit_events, after.audit_events) / seconds,
            errors: grown(before.error_events, after.error_events) / seconds,
        }
    }

    /// Requests a second.
    pub(super) fn rate(&self) -> f64 {
        self.rates.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP kes_http_request_success x\n# TYPE kes_http_request_success counter\n\
        kes_http_request_success{code=\"200\"} 90\nkes_http_request_success{code=\"201\"} 10\n\
        kes_http_request_error{code=\"404\"} 5\nkes_http_request_active 2\n\
        kes_http_response_time_bucket{le=\"0.01\"} 90\nkes_http_response_time_bucket{le=\"0.05\"} 99\n\
        kes_http_response_time_bucket{le=\"+Inf\"} 100\nkes_http_response_time_sum 1.5\n\
        kes_http_response_time_count 100\nkes_log_audit_events 105\nkes_log_error_events 0\n\
        kes_system_up_time 12.34\nkes_system_mem_heap_used 3.1e+06\nkes_system_num_cpu 8\n\
        kes_system_num_cpu_used 4\nkes_system_num_threads 9\nother{a=\"b\"} NaN\nrubbish\n";

    #[test]
    fn a_page_is_read() {
        let sample = Sample::parse(PAGE, Instant::now());
        assert_eq!(Some(sample.answered), Some([100.0, 5.0, 0.0]));
        assert_eq!((sample.active, sample.audit_events), (2.0, 105.0));
        let buckets = [(0.01, 90.0), (0.05, 99.0), (f64::INFINITY, 100.0)];
        assert_eq!(sample.buckets, buckets);
        let system = (sample.up_time, sample.heap, sample.cpus, sample.threads);
        assert_eq!(system, (12.34, 3.1e6, 4.0, 9.0));
    }

    #[test]
    fn rates_and_quantiles_are_of_the_time_between() {
        let start = Instant::now();
        let mut before = Sample::parse("", start);
        before.up_time = 1.0;
        let mut after = Sample::parse(PAGE, start + Duration::from_secs(10));
        let change = Change::between(&before, &after);
        assert_eq!(Some(change.rates), Some([10.0, 0.5, 0.0]));
        assert_eq!(change.quantiles, Some([0.01, 0.01, 0.05]));
        assert_eq!((change.audit, change.errors), (10.5, 0.0));
        // Nothing happened since.
        let before = after.clone();
        after.at += Duration::from_secs(1);
        let change = Change::between(&before, &after);
        assert_eq!((change.rate(), change.quantiles), (0.0, None));
        // What took longer than the last bound.
        let last = after.buckets.last_mut().unwrap();
        last.1 += 100.0;
        let change = Change::between(&before, &after);
        assert_eq!(change.quantiles, Some([f64::INFINITY; 3]));
    }

    #[test]
    fn a_server_that_was_started_anew_counts_from_zero() {
        let start = Instant::now();
        let mut before = Sample::parse(PAGE, start);
        before.answered = [1000.0, 0.0, 0.0];
        before.up_time = 1000.0;
        let after = Sample::parse(PAGE, start + Duration::from_secs(1));
        let change = Change::between(&before, &after);
        assert_eq!(Some(change.rates), Some([100.0, 5.0, 0.0]));
    }
}
