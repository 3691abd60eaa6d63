//! [`Level`]: how much a log record matters (api.md 10.2, config.md 10).

use std::fmt;

/// A text is no log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a log level")]
pub struct InvalidLevel;

/// The weight of a log record, or the least weight a log writes. Higher is graver; between the named levels every number is a
/// level of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(i32);

impl Level {
    /// For who looks for the cause of something.
    pub const DEBUG: Self = Self(-4);
    /// Worth knowing, nothing to do.
    pub const INFO: Self = Self(0);
    /// May need somebody.
    pub const WARN: Self = Self(4);
    /// Something failed.
    pub const ERROR: Self = Self(8);
    /// As the least weight: nothing is written. One above [`Level::ERROR`].
    pub const OFF: Self = Self(9);

    /// The level with this number.
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// Reads `on`, `off`, a name, a name with `+` and a number, or a number; any capitals, white space around it ignored.
    ///
    /// # Errors
    /// [`InvalidLevel`] if it is something else.
    pub fn parse(text: &str) -> Result<Self, InvalidLevel> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "on" => return Ok(Self::INFO),
            "off" => return Ok(Self::OFF),
            _ => {}
        }
        if let Ok(number) = text.parse() {
            return Ok(Self(number));
        }
        let (name, above) = match text.split_once('+') {
            Some((name, above)) => (name, above.parse().map_err(|_| InvalidLevel)?),
            None => (text.as_str(), 0_i32),
        };
        let base = match name {
            "debug" => Self::DEBUG,
            "info" => Self::INFO,
            "warn" => Self::WARN,
            "error" => Self::ERROR,
            _ => return Err(InvalidLevel),
        };
        base.0.checked_add(above).map(Self).ok_or(InvalidLevel)
    }

    /// Its number: `INFO` is 0, `ERROR` is 8.
    pub const fn number(self) -> i32 {
        self.0
    }
}

/// The named level at or below it, with the distance: `INFO`, `INFO+3`, `ERROR+1`. Below `DEBUG` the distance is negative.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, base) = match self.0 {
            ..0 => ("DEBUG", Self::DEBUG),
            0..4 => ("INFO", Self::INFO),
            4..8 => ("WARN", Self::WARN),
            8.. => ("ERROR", Self::ERROR),
        };
        match self.0.saturating_sub(base.0) {
            0 => f.write_str(name),
            distance => write!(f, "{name}{distance:+}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_read_as_go_writes_them() {
        let table = [
            (i32::MIN, "DEBUG-2147483644"),
            (-5, "DEBUG-1"),
            (-4, "DEBUG"),
            (-1, "DEBUG+3"),
            (0, "INFO"),
            (1, "INFO+1"),
            (3, "INFO+3"),
            (4, "WARN"),
            (7, "WARN+3"),
            (8, "ERROR"),
            (9, "ERROR+1"),
            (i32::MAX, "ERROR+2147483639"),
        ];
        for (number, text) in table {
            assert_eq!(Level::new(number).to_string(), text);
        }
    }

    #[test]
    fn graver_is_greater() {
        assert!(Level::DEBUG < Level::INFO && Level::WARN < Level::ERROR);
        assert!(Level::ERROR < Level::OFF);
    }

    #[test]
    fn levels_are_read_and_shown() {
        for (text, level, shown) in [
            ("on", 0, "INFO"),
            ("OFF", 9, "ERROR+1"),
            (" debug ", -4, "DEBUG"),
            ("Info", 0, "INFO"),
            ("warn", 4, "WARN"),
            ("error", 8, "ERROR"),
            ("warn+1", 5, "WARN+1"),
            ("info+-2", -2, "DEBUG+2"),
            ("-4", -4, "DEBUG"),
            ("-6", -6, "DEBUG-2"),
            ("6", 6, "WARN+2"),
            ("+5", 5, "WARN+1"),
            ("-2147483648", i32::MIN, "DEBUG-2147483644"),
        ] {
            assert_eq!(Level::parse(text), Ok(Level(level)), "{text}");
            assert_eq!(Level(level).to_string(), shown);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "warning",
            "debug-1",
            "yes",
            "true",
            "on+1",
            "info+",
            "info+x",
            "1.5",
            "error+2147483647",
        ] {
            assert_eq!(Level::parse(text), Err(InvalidLevel), "{text}");
        }
    }
}
