//! The flags that every command takes: what is printed, and how (cli.md 19.2).
//!
//! A command whose own flag has the same id replaces the common one, as `kes server -q` does.

use super::output::{Format, When};

/// Flags of every command.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a command line has as many switches as it has"
)]
pub(super) struct Globals {
    /// Print a JSON document, and errors as JSON on standard error
    #[arg(long, global = true)]
    json: bool,
    /// Form of the result: text, json, jsonl, yaml or table
    #[arg(
        id = "format",
        long = "output",
        global = true,
        value_name = "FORMAT",
        value_enum,
        ignore_case = true,
        conflicts_with = "json",
        hide_possible_values = true
    )]
    format: Option<Format>,
    /// Print one JSON object a line
    #[arg(long, global = true, hide = true, conflicts_with_all = ["json", "format"])]
    json_lines: bool,
    /// When output is styled: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        ignore_case = true,
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub(super) color: When,
    /// Leave out notes and warnings
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Tell on standard error what is asked of which server, and how long it takes
    #[arg(long, global = true)]
    pub(super) verbose: bool,
}

impl Globals {
    /// The form that was asked for; `None` leaves it to the command.
    pub(super) fn format(&self) -> Option<Format> {
        if self.json {
            Some(Format::Json)
        } else if self.json_lines {
            Some(Format::Jsonl)
        } else {
            self.format
        }
    }

    /// Styled as asked, and all else as usual.
    #[cfg(test)]
    pub(super) fn styled(color: When) -> Self {
        Self {
            color,
            ..Self::default()
        }
    }

    /// Nothing but what is asked for.
    pub(super) fn silent() -> Self {
        Self {
            quiet: true,
            ..Self::default()
        }
    }

    /// What can be told of a command line that could not be read: errors have to have the form that was meant.
    pub(super) fn guess(arguments: &[String]) -> Self {
        let has = |flags: &[&str]| {
            arguments
                .iter()
                .any(|argument| flags.contains(&argument.as_str()))
        };
        let format = arguments
            .windows(2)
            .any(|pair| matches!(pair, [flag, value] if flag == "--output" && matches!(value.as_str(), "json" | "jsonl")));
        Self {
            json: format
                || has(&[
                    "--json",
                    "--json=true",
                    "--output=json",
                    "--output=jsonl",
                    "--json-lines",
                ]),
            ..Self::default()
        }
    }
}

/// Flattened into commands whose `--output` has always named a file: there the form of the result is `--format`.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct OtherFormat {
    /// Form of the result: text, json, jsonl, yaml or table
    #[arg(
        id = "format",
        long = "format",
        value_name = "FORMAT",
        value_enum,
        ignore_case = true,
        conflicts_with = "json",
        hide_possible_values = true
    )]
    _format: Option<Format>,
}
