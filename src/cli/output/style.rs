//! Colours, and when there are any (cli.md 2.3 and 4).

use clap::ValueEnum;

use crate::cli::settings::Environment;

/// Ends a style.
pub(super) const RESET: &str = "\x1b[0m";

/// When output is styled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum When {
    /// On terminals.
    #[default]
    #[value(alias = "")]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// How a word is styled.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) enum Style {
    Bold,
    Cyan,
    Faint,
    Green,
    Red,
    Underline,
    Yellow,
}

impl Style {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Cyan => "36",
            Self::Faint => "2",
            Self::Green => "32",
            Self::Red => "31",
            Self::Underline => "4",
            Self::Yellow => "33",
        }
    }
}

/// Whether a stream is styled, from the flag, from what it is, and from the environment.
pub(super) fn is_styled(when: When, terminal: bool, env: &Environment) -> bool {
    match when {
        When::Always => return true,
        When::Never => return false,
        When::Auto => {}
    }
    if env.get("NO_COLOR").is_some() {
        return false;
    }
    if env.get("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    let refused = env.get("CLICOLOR").is_some_and(|value| value == "0");
    let dumb = env.get("TERM").is_some_and(|value| value == "dumb");
    terminal && !refused && !dumb
}
