//! [`Output`]: every word that a command says goes through here (cli.md 4 to 6).
//!
//! Results go to standard output, everything else to standard error. Whether output is for people or for programs depends on
//! standard output alone; each stream is styled by its own terminal. Both are written without a buffer, which would keep copies
//! of secrets.

use std::{
    fs::File,
    io::{self, IsTerminal, Write as _},
    os::fd::AsFd,
};

use clap::ValueEnum;
use serde::Serialize;
use time::{OffsetDateTime, UtcOffset, macros::format_description};
use zeroize::Zeroizing;

use super::{error::Error, settings::Environment};
use crate::wire::{base64, write};

/// Width of the labels of a list of fields.
const LABEL: usize = 11;

/// Ends a style.
const RESET: &str = "\x1b[0m";

/// When output is styled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
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
pub(super) enum Style {
    Bold,
    Faint,
    Green,
    Red,
    Underline,
    Yellow,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Faint => "2",
            Self::Green => "32",
            Self::Red => "31",
            Self::Underline => "4",
            Self::Yellow => "33",
        }
    }
}

/// Standard output and standard error.
pub(super) struct Output {
    out: Stream<io::Stdout>,
    err: Stream<io::Stderr>,
    notes: bool,
    zone: UtcOffset,
}

struct Stream<T> {
    handle: T,
    terminal: bool,
    styled: bool,
}

impl<T: AsFd + IsTerminal> Stream<T> {
    fn new(handle: T, color: When, env: &Environment) -> Self {
        let terminal = handle.is_terminal();
        let styled = match color {
            When::Always => true,
            When::Never => false,
            When::Auto => is_styled(terminal, env),
        };
        Self {
            handle,
            terminal,
            styled,
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        File::from(self.handle.as_fd().try_clone_to_owned()?).write_all(bytes)
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.styled {
            format!("\x1b[{}m{text}{RESET}", style.code())
        } else {
            text.to_owned()
        }
    }
}

impl Output {
    /// To be called while the process has one thread, as only then the local time zone can be read.
    pub(super) fn new(color: When, env: &Environment) -> Self {
        let silenced = env.get("KES_NO_DEPRECATION_NOTES");
        Self {
            out: Stream::new(io::stdout(), color, env),
            err: Stream::new(io::stderr(), color, env),
            notes: silenced.is_none_or(|value| value != "1"),
            zone: UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC),
        }
    }

    /// Whether a person reads standard output.
    pub(super) fn is_terminal(&self) -> bool {
        self.out.terminal
    }

    /// Whether standard output is styled.
    pub(super) fn is_styled(&self) -> bool {
        self.out.styled
    }

    /// Writes `bytes` to standard output, as they are.
    pub(super) fn raw(&self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.stream()?.write_all(bytes);
        written.map_err(|source| Error::Io {
            doing: "write to standard output",
            source,
        })
    }

    /// Standard output as a stream, for what goes on for long.
    pub(super) fn stream(&self) -> Result<File, Error> {
        let copy = self.out.handle.as_fd().try_clone_to_owned();
        copy.map(File::from).map_err(|source| Error::Io {
            doing: "write to standard output",
            source,
        })
    }

    /// Writes lines of text.
    pub(super) fn text(&self, lines: &str) -> Result<(), Error> {
        self.raw(format!("{lines}\n").as_bytes())
    }

    /// Writes secret text between other text, in one piece and without leaving a copy.
    pub(super) fn secret(&self, parts: &[&[u8]]) -> Result<(), Error> {
        let mut all = Zeroizing::new(Vec::with_capacity(
            parts.iter().map(|part| part.len()).sum(),
        ));
        for part in parts {
            all.extend_from_slice(part);
        }
        self.raw(&all)
    }

    /// Writes a JSON document on one line.
    pub(super) fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Error> {
        self.document(serde_json::to_string(value))
    }

    /// Writes a JSON document, over several lines if a person reads it.
    pub(super) fn json_for_reading<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Error> {
        if self.out.terminal {
            self.document(serde_json::to_string_pretty(value))
        } else {
            self.json(value)
        }
    }

    fn document(&self, json: serde_json::Result<String>) -> Result<(), Error> {
        let json = json.map_err(|error| Error::Setup(Box::new(error)))?;
        // These stand in strings only; whoever puts the document into HTML is safe.
        let escaped = json
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026");
        self.text(&escaped)
    }

    /// Writes bytes, maybe secret ones, in base64: as labelled lines for a person, else as a JSON object. `version` is left out
    /// if empty.
    pub(super) fn bytes(
        &self,
        fields: &[(&str, &[u8])],
        version: &str,
        json: bool,
    ) -> Result<(), Error> {
        if json || !self.out.terminal {
            let object = write::secrets(fields);
            if version.is_empty() {
                return self.raw(&object);
            }
            let body = object.strip_suffix(b"}\n").unwrap_or(&object);
            let version = serde_json::Value::from(version).to_string();
            return self.secret(&[body, b",\"version\":", version.as_bytes(), b"}\n"]);
        }
        let width = fields.iter().map(|(label, _)| label.len()).max();
        let width = width.unwrap_or_default() + 1;
        let mut texts = Vec::new();
        for (label, value) in fields {
            let mut base64 = Zeroizing::new(Vec::with_capacity(base64::encoded_len(value.len())));
            base64::encode_into(value, &mut base64);
            texts.push((format!("{:width$} ", format!("{label}:")), base64));
        }
        let mut parts: Vec<&[u8]> = vec![b"\n"];
        for (label, base64) in &texts {
            parts.extend([label.as_bytes(), base64, b"\n"]);
        }
        self.secret(&parts)
    }

    /// Writes labels and values, one pair a line.
    pub(super) fn fields(&self, fields: &[(&str, &str)]) -> Result<(), Error> {
        let lines: Vec<_> = fields
            .iter()
            .map(|(label, value)| {
                let label = self.styled(Style::Faint, &format!("{label:LABEL$}"));
                format!("{label} {value}")
            })
            .collect();
        self.text(&lines.join("\n"))
    }

    /// Writes a header and names below it, and nothing if there are no names.
    pub(super) fn table(&self, header: &str, names: &[String]) -> Result<(), Error> {
        if names.is_empty() {
            return Ok(());
        }
        let header = self.styled(Style::Underline, header);
        self.text(&format!("{header}\n{}", names.join("\n")))
    }

    /// `text` in a style, if standard output is styled.
    pub(super) fn styled(&self, style: Style, text: &str) -> String {
        self.out.paint(style, text)
    }

    /// What to write before and after text in a style, if standard output is styled.
    pub(super) fn marks(&self, style: Style) -> (String, &'static str) {
        if self.out.styled {
            (format!("\x1b[{}m", style.code()), RESET)
        } else {
            (String::new(), "")
        }
    }

    /// A time for people, in the local zone or in UTC, with its offset.
    pub(super) fn time(&self, at: OffsetDateTime, utc: bool) -> String {
        let zone = if utc { UtcOffset::UTC } else { self.zone };
        let format = format_description!(
            "[year]-[month]-[day] [hour]:[minute]:[second] [offset_hour sign:mandatory]:[offset_minute]"
        );
        // A time at the edge of what can be expressed stays where it is.
        let at = at.checked_to_offset(zone).unwrap_or(at);
        at.format(format).unwrap_or_default()
    }

    /// Tells of something outdated that still works.
    pub(super) fn note(&self, text: &str) {
        if self.notes {
            self.aside(&format!("Note: {text}\n"));
        }
    }

    /// Warns of something that is probably not meant.
    pub(super) fn warning(&self, text: &str) {
        let label = self.err.paint(Style::Yellow, "Warning:");
        self.aside(&format!("{label} {text}\n"));
    }

    /// Asks a question; the answer is read elsewhere.
    pub(super) fn question(&self, text: &str) {
        self.aside(&format!("{text} "));
    }

    /// Tells why the command failed, and the remedy if there is one.
    pub(super) fn error(&self, error: &Error) {
        if error.is_silent() {
            return;
        }
        let label = self.err.paint(Style::Red, "Error:");
        self.aside(&format!("{label} {}\n", error.text()));
        if let Some(hint) = error.hint() {
            let label = self.err.paint(Style::Bold, "Hint:");
            self.aside(&format!("{label} {hint}\n"));
        }
    }

    /// Shows what commands there are to who named none.
    pub(super) fn usage(&self, help: &str) {
        self.aside(help);
    }

    /// Tells what is wrong with the command line, from the parser's text: `error: …`, maybe `tip: …`, usage.
    pub(super) fn misuse(&self, text: &str) {
        let error = self.err.paint(Style::Red, "Error:");
        let hint = self.err.paint(Style::Bold, "Hint:");
        let text = text.replacen("error:", &error, 1).replace("  tip:", &hint);
        self.aside(&text);
    }

    /// Writes to standard error. If that is gone, there is nobody left to tell.
    fn aside(&self, text: &str) {
        drop(self.err.write(text.as_bytes()));
    }
}

/// What the environment says about styling (cli.md 2.3).
fn is_styled(terminal: bool, env: &Environment) -> bool {
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
