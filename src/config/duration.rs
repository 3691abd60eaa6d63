//! Durations as they stand in the file (config.md 3.1): `5m0s`, `1h30m`, `1.5h`, `100ms`.

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDuration {
    /// It is a bare number.
    #[error("a duration needs a unit")]
    NoUnit,
    /// It is more than 292 years.
    #[error("the duration is too long")]
    Overflow,
    /// It is anything else.
    #[error("not a duration")]
    Syntax,
}

/// Units by name, in nanoseconds; longer names first where one starts with another. The micro sign and the Greek letter both
/// stand for 10⁻⁶. `d` is an extension: the predecessor's documentation described it, its parser did not know it.
const UNITS: [(&str, i128); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Reads a duration; nanoseconds, perhaps negative.
///
/// # Errors
/// [`InvalidDuration`] if `text` is not an optional sign and then `0`, or one or more groups of a decimal number and a unit
/// without spaces; or if it does not fit 64 bits.
pub fn parse(text: &str) -> Result<i64, InvalidDuration> {
    let (sign, magnitude) = match text.as_bytes().first() {
        Some(b'-') => (-1, text.get(1..)),
        Some(b'+') => (1, text.get(1..)),
        _ => (1, Some(text)),
    };
    let mut rest = magnitude.unwrap_or_default();
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(InvalidDuration::Syntax);
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let (nanos, after) = group(rest)?;
        // One group has at most 64 bits times a day, so the sum cannot overflow before it is checked.
        total += nanos;
        if total > i128::from(i64::MAX) + 1 {
            return Err(InvalidDuration::Overflow);
        }
        rest = after;
    }
    i64::try_from(sign * total).map_err(|_| InvalidDuration::Overflow)
}

/// Reads one number with its unit; nanoseconds, and what follows.
fn group(text: &str) -> Result<(i128, &str), InvalidDuration> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(InvalidDuration::Syntax);
    }
    if rest.is_empty() {
        return Err(InvalidDuration::NoUnit);
    }
    let (scale, rest) = UNITS
        .iter()
        .find_map(|(name, scale)| Some((*scale, unit(rest, name)?)))
        .ok_or(InvalidDuration::Syntax)?;
    let whole: i128 = match whole {
        "" => 0,
        // More than 64 bits of any unit are more than 64 bits of nanoseconds.
        whole => i128::from(
            whole
                .parse::<u64>()
                .map_err(|_| InvalidDuration::Overflow)?,
        ),
    };
    // Digits beyond the fifteenth are less than a nanosecond of the longest unit.
    let mut part = 0;
    let mut divisor = 1;
    for digit in fraction.bytes().take(15) {
        part = part * 10 + i128::from(digit - b'0');
        divisor *= 10;
    }
    Ok((whole * scale + part * scale / divisor, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

/// What follows the unit `name`, if that is what the letters at the start of `text` are.
fn unit<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let end = text
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(text.len());
    let (letters, rest) = text.split_at(end);
    (letters == name).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn durations_are_read_to_the_nanosecond() {
        for (text, nanos) in [
            ("10s", 10 * SECOND),
            ("5m0s", 300 * SECOND),
            ("1h30m", 5_400 * SECOND),
            ("1.5h", 5_400 * SECOND),
            ("100ms", SECOND / 10),
            (".5s", SECOND / 2),
            ("1.s", SECOND),
            ("+5s", 5 * SECOND),
            ("-5s", -5 * SECOND),
            ("0", 0),
            ("+0", 0),
            ("-0", 0),
            ("0s", 0),
            ("1us", 1_000),
            ("1\u{b5}s", 1_000),
            ("1\u{3bc}s", 1_000),
            ("7ns", 7),
            ("1.9ns", 1),
            ("0.333333333333333333333h", 1_199_999_999_999),
            ("1d", 86_400 * SECOND),
            ("1s1s1ms", 2 * SECOND + SECOND / 1000),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        use InvalidDuration::{NoUnit, Overflow, Syntax};
        for (text, reason) in [
            ("10", NoUnit),
            ("10.0", NoUnit),
            ("00", NoUnit),
            ("1h30", NoUnit),
            ("", Syntax),
            ("-", Syntax),
            ("s", Syntax),
            (".s", Syntax),
            ("1S", Syntax),
            ("1 s", Syntax),
            (" 1s ", Syntax),
            ("--1s", Syntax),
            ("1sec", Syntax),
            ("1h-5m", Syntax),
            ("9223372036854775808ns", Overflow),
            ("-9223372036854775809ns", Overflow),
            ("300000h300000h2600000h", Overflow),
            ("99999999999999999999s", Overflow),
            ("18446744073709551615d", Overflow),
        ] {
            assert_eq!(parse(text), Err(reason), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_sum_of_groups_is_read_back(hours in 0_i64..2_000_000, minutes in 0_i64..60, millis in 0_i64..60_000) {
            let text = format!("{hours}h{minutes}m{}.{:03}s", millis / 1000, millis % 1000);
            let nanos = ((hours * 60 + minutes) * 60_000 + millis) * 1_000_000;
            prop_assert_eq!(parse(&text), Ok(nanos));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.nuµmshd ]{0,40}|.*") {
            let _ = parse(&text);
        }
    }
}
