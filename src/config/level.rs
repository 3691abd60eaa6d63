//! [`Level`]: what the console logs (config.md 10).

use std::fmt;

/// A text is no log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a log level")]
pub struct InvalidLevel;

/// A log level: records of at least this number are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub i32);

impl Level {
    /// `debug`.
    pub const DEBUG: Self = Self(-4);
    /// `info` and `on`.
    pub const INFO: Self = Self(0);
    /// `warn`.
    pub const WARN: Self = Self(4);
    /// `error`.
    pub const ERROR: Self = Self(8);
    /// `off`: above every record.
    pub const OFF: Self = Self(9);

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
}

impl fmt::Display for Level {
    /// The name below or at this level, with `+n` when in between: `INFO+1`; `ERROR+1` is off. Below `DEBUG` the number is negative.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, base) = match *self {
            level if level < Self::INFO => ("DEBUG", Self::DEBUG),
            level if level < Self::WARN => ("INFO", Self::INFO),
            level if level < Self::ERROR => ("WARN", Self::WARN),
            _ => ("ERROR", Self::ERROR),
        };
        f.write_str(name)?;
        match i64::from(self.0) - i64::from(base.0) {
            0 => Ok(()),
            above => write!(f, "{above:+}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
