//! Durations as users write them: `720h`, `1h30m`, `1.5h`, `30d` (cli.md 1).

use std::time::Duration;

/// Nanoseconds of each unit. Days and weeks are ours, the rest is Go's.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// Reads one or more `<decimal><unit>`, or a bare `0`. Not negative. Parts of a nanosecond are cut off.
///
/// # Errors
/// A text for the user.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    const WANTED: &str = "a duration is written as 720h, 1h30m or 30d";
    let wanted = || WANTED.to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, tail) = rest.split_at(end.unwrap_or(rest.len()));
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, tail) = tail.split_at(end.unwrap_or(tail.len()));
        let scale = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, scale) = scale.ok_or_else(wanted)?;
        let part = scaled(number, *scale).ok_or_else(wanted)?;
        total = total.checked_add(part).ok_or_else(wanted)?;
        rest = tail;
    }
    let total = u64::try_from(total).ok().filter(|_| !text.is_empty());
    total.map(Duration::from_nanos).ok_or_else(wanted)
}

/// The same, but not nothing.
///
/// # Errors
/// A text for the user.
pub(super) fn positive(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        Duration::ZERO => Err("it must be longer than nothing".to_owned()),
        duration => Ok(duration),
    }
}

/// A decimal times `scale`, exactly.
fn scaled(number: &str, scale: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u128>().ok()
        }
    };
    // More digits than these are below a nanosecond of a week.
    let fraction = fraction.get(..fraction.len().min(18))?;
    let power = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let whole = digits(whole)?.checked_mul(u128::from(scale))?;
    let fraction = digits(fraction)?.checked_mul(u128::from(scale))? / power;
    whole.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_durations_days_and_weeks_are_read() {
        for (text, seconds) in [
            ("0", 0.0),
            ("720h", 2_592_000.0),
            ("1h30m", 5_400.0),
            ("1.5h", 5_400.0),
            (".5s", 0.5),
            ("1.s", 1.0),
            ("30d", 2_592_000.0),
            ("1w1d", 691_200.0),
            ("1ms", 0.001),
            ("2µs", 0.000_002),
        ] {
            let expected = Duration::from_secs_f64(seconds);
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            "1",
            "h",
            ".h",
            "-1h",
            "1 h",
            "1y",
            "1.2.3s",
            "999999999999w",
            "1h2",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
