//! Tables of what Go prints for the same values.

use time::macros::datetime;

use super::*;

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn durations_read_as_go_prints_them() {
    let table = [
        (0, "0s"),
        (1, "1ns"),
        (999, "999ns"),
        (1_000, "1µs"),
        (1_001, "1.001µs"),
        (10_000, "10µs"),
        (42_123, "42.123µs"),
        (999_999, "999.999µs"),
        (1_000_000, "1ms"),
        (1_500_000, "1.5ms"),
        (1_590_131, "1.590131ms"),
        (999_999_999, "999.999999ms"),
        (1_000_000_000, "1s"),
        (2_500_000_000, "2.5s"),
        (60_000_000_000, "1m0s"),
        (60_500_000_000, "1m0.5s"),
        (3_600_000_000_000, "1h0m0s"),
        (3_661_000_000_001, "1h1m1.000000001s"),
        (86_400_000_000_000, "24h0m0s"),
        (i64::MAX.unsigned_abs(), "2562047h47m16.854775807s"),
    ];
    for (nanos, expected) in table {
        assert_eq!(go_duration(Duration::from_nanos(nanos)), expected);
    }
}

#[test]
fn values_are_quoted_as_slog_quotes_them() {
    let table = [
        ("", r#""""#),
        ("plain", "plain"),
        ("a b", r#""a b""#),
        ("a=b", r#""a=b""#),
        ("say \"hi\"", r#""say \"hi\"""#),
        (r"back\slash", r"back\slash"),
        (r"back\ slash", r#""back\\ slash""#),
        ("line\nbreak", r#""line\nbreak""#),
        ("tab\there", r#""tab\there""#),
        ("\x07\x08\x0c\r\x0b", r#""\a\b\f\r\v""#),
        ("nul\0", r#""nul\x00""#),
        ("esc\x1b[31m", r#""esc\x1b[31m""#),
        ("é", "é"),
        ("e\u{301}", "e\u{301}"),
        ("\u{301}x", "\u{301}x"),
        ("\u{85}", r#""\u0085""#),
        ("\u{a0}", r#""\u00a0""#),
        ("\u{ad}", r#""\u00ad""#),
        ("\u{200b}", r#""\u200b""#),
        ("\u{202e}", r#""\u202e""#),
        ("\u{2028}", r#""\u2028""#),
        ("\u{feff}", r#""\ufeff""#),
        ("\u{fffd}", "\"\u{fffd}\""),
        ("x\u{378}", r#""x\u0378""#),
        ("日本", "日本"),
        ("😀", "😀"),
        ("\u{e0001}", r#""\U000e0001""#),
        ("\u{e000}", r#""\ue000""#),
        ("a/b:c,d;e", "a/b:c,d;e"),
        ("<unknown>", "<unknown>"),
        ("'q'{}[]", "'q'{}[]"),
    ];
    for (value, expected) in table {
        assert_eq!(text(|out| push_value(out, value)), expected, "{value:?}");
    }
}

/// Go's `slog` lets it through bare; api.md 10.1 wants every control character in quotes.
#[test]
fn the_delete_character_is_quoted_too() {
    assert_eq!(text(|out| push_value(out, "del\x7f")), r#""del\x7f""#);
}

#[test]
fn console_times_have_three_digits_and_an_offset() {
    let table = [
        (
            datetime!(2024-09-11 8:00:01.937999 UTC),
            "2024-09-11T08:00:01.937Z",
        ),
        (
            datetime!(2024-09-11 8:00:02 UTC),
            "2024-09-11T08:00:02.000Z",
        ),
        (
            datetime!(0999-01-02 3:04:05.006 +5:30),
            "0999-01-02T03:04:05.006+05:30",
        ),
        (
            datetime!(2024-09-11 8:00:00 -3:30),
            "2024-09-11T08:00:00.000-03:30",
        ),
        (
            datetime!(2024-09-11 8:00:00 -0:30),
            "2024-09-11T08:00:00.000-00:30",
        ),
    ];
    for (time, expected) in table {
        assert_eq!(
            text(|out| push_time(out, time, time.offset(), Fraction::Millis)),
            expected
        );
    }
}

#[test]
fn stream_times_have_nanoseconds_without_zeroes_at_the_end() {
    let table = [
        (
            datetime!(2024-09-11 8:00:01.937_123_456 UTC),
            "2024-09-11T08:00:01.937123456Z",
        ),
        (
            datetime!(2024-09-11 8:00:01.5 UTC),
            "2024-09-11T08:00:01.5Z",
        ),
        (
            datetime!(2024-09-11 8:00:01.000_000_010 UTC),
            "2024-09-11T08:00:01.00000001Z",
        ),
        (datetime!(2024-09-11 8:00:10 UTC), "2024-09-11T08:00:10Z"),
    ];
    for (time, expected) in table {
        assert_eq!(
            text(|out| push_time(out, time, UtcOffset::UTC, Fraction::Nanos)),
            expected
        );
    }
}
