//! The page, to the letter, and exact totals whatever the threads do.

use std::thread;

use super::*;

fn system() -> System {
    System {
        uptime: Duration::from_millis(12_349),
        num_cpu: 8,
        num_cpu_used: 4,
        threads: 11,
        mem_heap: 2_733_312,
        heap_objects: 667,
        mem_stack: 393_216,
    }
}

fn value<'a>(page: &'a str, sample: &str) -> Option<&'a str> {
    page.lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))
}

#[test]
fn a_page_with_samples_reads_like_this() {
    let metrics = Metrics::new();
    for (status, millis) in [
        (200, 1),
        (200, 10),
        (201, 11),
        (404, 250),
        (502, 10_000),
        (504, 10_001),
    ] {
        metrics
            .begin()
            .finish(status, Duration::from_millis(millis));
    }
    let _active = metrics.begin();
    metrics.count_audit_event();
    metrics.count_audit_event();
    metrics.count_error_event();
    assert_eq!(metrics.render(&system()), include_str!("page.txt"));
}

#[test]
fn a_labelled_family_is_absent_until_its_first_request() {
    let metrics = Metrics::new();
    let page = metrics.render(&system());
    let families: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    assert_eq!(
        families,
        [
            "kes_http_request_active",
            "kes_http_response_time",
            "kes_log_audit_events",
            "kes_log_error_events",
            "kes_system_mem_heap_objects",
            "kes_system_mem_heap_used",
            "kes_system_mem_stack_used",
            "kes_system_num_cpu",
            "kes_system_num_cpu_used",
            "kes_system_num_threads",
            "kes_system_up_time",
        ]
    );
    metrics.begin().finish(403, Duration::ZERO);
    let page = metrics.render(&system());
    assert!(page.contains("# TYPE kes_http_request_error counter\n"));
    assert!(!page.contains("kes_http_request_success"));
    assert!(!page.contains("kes_http_request_failure"));
}

#[test]
fn a_status_of_no_family_shows_in_the_response_times_only() {
    let metrics = Metrics::new();
    for status in [0, 99, 100, 301, 600, 999, u16::MAX] {
        metrics.begin().finish(status, Duration::MAX);
    }
    let page = metrics.render(&system());
    assert!(!page.contains("code="));
    assert_eq!(value(&page, "kes_http_response_time_count"), Some("7"));
}

#[test]
fn a_request_that_is_given_up_is_no_longer_active_and_counts_nowhere() {
    let metrics = Metrics::new();
    let active = metrics.begin();
    assert_eq!(
        value(&metrics.render(&system()), "kes_http_request_active"),
        Some("1")
    );
    thread::scope(|scope| scope.spawn(move || drop(active)).join().unwrap());
    let page = metrics.render(&system());
    assert_eq!(value(&page, "kes_http_request_active"), Some("0"));
    assert_eq!(value(&page, "kes_http_response_time_count"), Some("0"));
    assert!(!page.contains("code="));
}

#[test]
fn totals_are_exact_when_many_threads_count() {
    const THREADS: u16 = 40;
    const EACH: u16 = 500;
    let metrics = Metrics::new();
    thread::scope(|scope| {
        for n in 0..THREADS {
            let metrics = &metrics;
            scope.spawn(move || {
                for _ in 0..EACH {
                    let request = metrics.begin();
                    metrics.count_audit_event();
                    request.finish(200 + n % 4, Duration::from_millis(250));
                }
            });
        }
        // Meanwhile no page ever shows more active requests than there are threads, nor fewer than none.
        for _ in 0..100 {
            let page = metrics.render(&system());
            let active: f64 = value(&page, "kes_http_request_active")
                .unwrap()
                .parse()
                .unwrap();
            assert!((0.0..=f64::from(THREADS)).contains(&active), "{active}");
        }
    });
    let page = metrics.render(&system());
    for code in 200..204 {
        let sample = format!("kes_http_request_success{{code=\"{code}\"}}");
        assert_eq!(value(&page, &sample), Some("5000"));
    }
    assert_eq!(value(&page, "kes_http_request_active"), Some("0"));
    assert_eq!(value(&page, "kes_log_audit_events"), Some("20000"));
    assert_eq!(
        value(&page, "kes_http_response_time_bucket{le=\"0.1\"}"),
        Some("0")
    );
    assert_eq!(
        value(&page, "kes_http_response_time_bucket{le=\"0.25\"}"),
        Some("20000")
    );
    assert_eq!(
        value(&page, "kes_http_response_time_bucket{le=\"+Inf\"}"),
        Some("20000")
    );
    assert_eq!(value(&page, "kes_http_response_time_sum"), Some("5000"));
}

#[test]
fn numbers_read_as_go_prints_them() {
    let table = [
        (0.0, "0"),
        (1.0, "1"),
        (0.1, "0.1"),
        (0.0001, "0.0001"),
        (0.000_01, "1e-05"),
        (0.000_012_345, "1.2345e-05"),
        (12.34, "12.34"),
        (100_000.0, "100000"),
        (999_999.99, "999999.99"),
        (1_000_000.0, "1e+06"),
        (2_733_312.0, "2.733312e+06"),
        (12_345_678_901_234.0, "1.2345678901234e+13"),
        (1e22, "1e+22"),
        (1e-10, "1e-10"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (f64::NAN, "NaN"),
    ];
    for (number, text) in table {
        assert_eq!(Float(number).to_string(), text);
    }
}

#[test]
fn the_up_time_goes_in_steps_of_a_hundredth() {
    for (millis, text) in [
        (0, "0"),
        (9, "0"),
        (10, "0.01"),
        (61_239, "61.23"),
        (3_600_000_000, "3.6e+06"),
    ] {
        let system = System {
            uptime: Duration::from_millis(millis),
            ..system()
        };
        let page = Metrics::new().render(&system);
        assert_eq!(value(&page, "kes_system_up_time"), Some(text));
    }
}
