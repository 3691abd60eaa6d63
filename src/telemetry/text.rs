//! How values look on a log line: quoting, times and durations, as Go's `slog` text handler writes them (api.md 10.1).

use std::{fmt, io::Write as _, time::Duration};

use time::{OffsetDateTime, UtcOffset};

/// How many digits a second's fraction has.
#[derive(Clone, Copy)]
pub(super) enum Fraction {
    /// Always three, cut and not rounded.
    Millis,
    /// Up to nine, without zeroes at the end; none at all for a whole second.
    Nanos,
}

/// Writes `time` as RFC 3339 in the zone `offset`, with `Z` for UTC.
pub(super) fn push_time(
    out: &mut Vec<u8>,
    time: OffsetDateTime,
    offset: UtcOffset,
    fraction: Fraction,
) {
    // There is no such time in the zone only at the ends of the calendar.
    let time = time.checked_to_offset(offset).unwrap_or(time);
    let (year, month, day) = time.to_calendar_date();
    push_digits(out, year.unsigned_abs(), 4);
    for (mark, number) in [
        (b'-', u8::from(month)),
        (b'-', day),
        (b'T', time.hour()),
        (b':', time.minute()),
        (b':', time.second()),
    ] {
        out.push(mark);
        push_digits(out, u32::from(number), 2);
    }
    match (fraction, time.nanosecond()) {
        (Fraction::Millis, nanos) => {
            out.push(b'.');
            push_digits(out, nanos / 1_000_000, 3);
        }
        (Fraction::Nanos, 0) => {}
        (Fraction::Nanos, nanos) => {
            out.push(b'.');
            push_digits(out, nanos, 9);
            while out.last() == Some(&b'0') {
                out.pop();
            }
        }
    }
    push_offset(out, time.offset());
}

fn push_offset(out: &mut Vec<u8>, offset: UtcOffset) {
    if offset.is_utc() {
        out.push(b'Z');
        return;
    }
    let (hours, minutes, _) = offset.as_hms();
    out.push(if offset.is_negative() { b'-' } else { b'+' });
    push_digits(out, u32::from(hours.unsigned_abs()), 2);
    out.push(b':');
    push_digits(out, u32::from(minutes.unsigned_abs()), 2);
}

/// Writes `number` with at least `width` digits.
pub(super) fn push_digits(out: &mut Vec<u8>, mut number: u32, width: usize) {
    let start = out.len();
    while number > 0 || out.len() < start + width {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// Writes `value`, in quotes where api.md 10.1 asks for them. One value never takes more than one line, and no control or
/// invisible character of it reaches a terminal.
pub(super) fn push_value(out: &mut Vec<u8>, value: &str) {
    if !needs_quotes(value) {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    out.push(b'"');
    for c in value.chars() {
        push_escaped(out, c);
    }
    out.push(b'"');
}

/// A lone backslash asks for no quotes, as in Go. U+FFFD does: it usually stands for bytes that were no UTF-8.
fn needs_quotes(value: &str) -> bool {
    // Nearly every value is plain ASCII, and this is asked for each value of each line.
    if value.bytes().all(|b| b.is_ascii_graphic()) {
        return value.is_empty() || value.bytes().any(|b| b == b'=' || b == b'"');
    }
    value
        .chars()
        .any(|c| matches!(c, ' ' | '=' | '"' | char::REPLACEMENT_CHARACTER) || !is_printable(c))
}

fn push_escaped(out: &mut Vec<u8>, c: char) {
    if let (Ok(b' '..=b'~'), false) = (u8::try_from(c), matches!(c, '"' | '\\')) {
        out.push(c as u8);
        return;
    }
    let short = match c {
        '"' | '\\' => Some(c),
        '\x07' => Some('a'),
        '\x08' => Some('b'),
        '\t' => Some('t'),
        '\n' => Some('n'),
        '\x0b' => Some('v'),
        '\x0c' => Some('f'),
        '\r' => Some('r'),
        _ => None,
    };
    // Writing to a vector cannot fail.
    let _ = match (short, u32::from(c)) {
        (Some(short), _) => write!(out, "\\{short}"),
        (None, _) if is_printable(c) => write!(out, "{c}"),
        (None, code @ ..0x80) => write!(out, "\\x{code:02x}"),
        (None, code @ ..0x1_0000) => write!(out, "\\u{code:04x}"),
        (None, code) => write!(out, "\\U{code:08x}"),
    };
}

/// Whether `c` shows as itself: a letter, mark, number, sign or the ASCII space.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // The standard library keeps its table of printable characters to itself, but escapes by it. Behind another letter it
    // leaves combining marks alone, which are printable.
    let mut pair = [b'a', 0, 0, 0, 0];
    let (_, rest) = pair.split_at_mut(1);
    let len = 1 + c.encode_utf8(rest).len();
    pair.get(..len)
        .and_then(|pair| str::from_utf8(pair).ok())
        .is_some_and(|pair| pair.escape_debug().nth(1) == Some(c))
}

/// A duration as Go prints it: `42.123µs`, `1.590131ms`, `2.5s`, `1m0.5s`, `0s`.
pub fn go_duration(duration: Duration) -> String {
    GoDuration(duration).to_string()
}

/// Shows a duration as [`go_duration`] does, without an allocation.
pub(super) struct GoDuration(pub(super) Duration);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        match (secs, nanos) {
            (0, 0) => f.write_str("0s"),
            (0, ..1_000) => write!(f, "{nanos}ns"),
            (0, ..1_000_000) => decimal(f, u64::from(nanos / 1_000), nanos % 1_000, 3, "µs"),
            (0, _) => decimal(f, u64::from(nanos / 1_000_000), nanos % 1_000_000, 6, "ms"),
            _ => {
                let (hours, minutes) = (secs / 3600, secs / 60 % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                decimal(f, secs % 60, nanos, 9, "s")
            }
        }
    }
}

/// `whole`, the digits of `fraction` (which has `width` of them) without zeroes at the end, `unit`.
fn decimal(
    f: &mut fmt::Formatter<'_>,
    whole: u64,
    mut fraction: u32,
    mut width: usize,
    unit: &str,
) -> fmt::Result {
    if fraction == 0 {
        return write!(f, "{whole}{unit}");
    }
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        width -= 1;
    }
    write!(f, "{whole}.{fraction:0width$}{unit}")
}

/// Writes `text` as a JSON string.
pub(super) fn push_json(out: &mut Vec<u8>, text: &str) {
    // A string always has a JSON form, and writing to a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Writes `text` as a JSON string in which no control or invisible character stands as itself: for terminals.
pub(super) fn push_printable_json(out: &mut Vec<u8>, text: &str) {
    if text.chars().all(is_printable) {
        return push_json(out, text);
    }
    out.push(b'"');
    for c in text.chars() {
        // Writing to a vector cannot fail.
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            c if is_printable(c) => write!(out, "{c}"),
            c => c
                .encode_utf16(&mut [0; 2])
                .iter()
                .try_for_each(|unit| write!(out, "\\u{unit:04x}")),
        };
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
