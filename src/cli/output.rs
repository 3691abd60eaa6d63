//! [`Output`]: every word that a command says goes through here (cli.md 4 to 6).
//!
//! Results go to standard output, everything else to standard error. Whether output is for people or for programs depends on
//! standard output alone; each stream is styled by its own terminal. Both are written without a buffer, which would keep copies
//! of secrets.

use std::{
    fs::File,
    io::{self, IsTerminal, Write as _},
    os::fd::AsFd,
    sync::Arc,
};

use serde::Serialize;
use time::{OffsetDateTime, UtcOffset, macros::format_description};
use zeroize::Zeroizing;

use self::style::{RESET, is_styled};
pub(super) use self::{
    format::Format,
    style::{Style, When},
};
use super::{
    error::{Error, Report},
    globals::Globals,
    settings::Environment,
};
use crate::{
    client::Watch,
    wire::{base64, response::timestamp, write},
};

mod format;
mod style;

/// Width of the labels of a list of fields.
const LABEL: usize = 11;

/// Standard output and standard error.
pub(super) struct Output {
    out: Stream<io::Stdout>,
    err: Stream<io::Stderr>,
    format: Option<Format>,
    notes: bool,
    quiet: bool,
    verbose: bool,
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
        let styled = is_styled(color, terminal, env);
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
        let (before, after) = self.marks(style);
        format!("{before}{text}{after}")
    }

    /// What stands before and after text in a style.
    fn marks(&self, style: Style) -> (String, &'static str) {
        if self.styled {
            (format!("\x1b[{}m", style.code()), RESET)
        } else {
            (String::new(), "")
        }
    }
}

impl Output {
    /// To be called while the process has one thread, as only then the local time zone can be read.
    pub(super) fn new(globals: &Globals, env: &Environment) -> Self {
        let silenced = env.get("KES_NO_DEPRECATION_NOTES");
        Self {
            out: Stream::new(io::stdout(), globals.color, env),
            err: Stream::new(io::stderr(), globals.color, env),
            format: globals.format(),
            notes: silenced.is_none_or(|value| value != "1"),
            quiet: globals.quiet,
            verbose: globals.verbose,
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

    /// The form that the user asked for, text if none was.
    pub(super) fn format(&self) -> Format {
        self.format.unwrap_or_default()
    }

    /// Whether the user asked for a document that programs read.
    pub(super) fn wants_document(&self) -> bool {
        self.format().is_document()
    }

    /// Whether a document is due where text is for terminals only: asked for, or no person reads.
    pub(super) fn prefers_document(&self) -> bool {
        self.format.map_or(!self.out.terminal, Format::is_document)
    }

    /// Whether notes and prose are left out.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether the user wants to see what goes over the wire.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Writes `value` as the document that the user asked for, or has `text` write for a person.
    pub(super) fn show<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.wants_document() {
            self.document(value)
        } else {
            text()
        }
    }

    /// Writes `value` as the document that the user asked for, on one line if JSON.
    pub(super) fn document<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Error> {
        self.text(&format::document(value, self.format(), false)?)
    }

    /// The same, but a person gets JSON over several lines.
    pub(super) fn document_for_reading<T: Serialize + ?Sized>(
        &self,
        value: &T,
    ) -> Result<(), Error> {
        let pretty = self.out.terminal && self.format() != Format::Jsonl;
        self.text(&format::document(value, self.format(), pretty)?)
    }

    /// Whether a person reads standard error, and may want to see how something goes on.
    pub(super) fn error_is_terminal(&self) -> bool {
        self.err.terminal
    }

    /// Writes what a person who waits sees, as it is.
    pub(super) fn progress(&self, text: &str) {
        self.aside(text);
    }

    /// Tells of one failure of several.
    pub(super) fn failure(&self, text: &str) {
        let label = self.err.paint(Style::Red, "Error:");
        self.aside(&format!("{label} {text}\n"));
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

    /// Writes bytes, maybe secret ones, in base64: as labelled lines for a person, else as a JSON object. `version` is left out
    /// if empty.
    pub(super) fn bytes(&self, fields: &[(&str, &[u8])], version: &str) -> Result<(), Error> {
        if self.format() == Format::Yaml {
            return self.labelled("", 0, fields, version);
        }
        if self.prefers_document() {
            let object = write::secrets(fields);
            if version.is_empty() {
                return self.raw(&object);
            }
            let body = object.strip_suffix(b"}\n").unwrap_or(&object);
            let version = serde_json::Value::from(version).to_string();
            return self.secret(&[body, b",\"version\":", version.as_bytes(), b"}\n"]);
        }
        let width = fields.iter().map(|(label, _)| label.len()).max();
        self.labelled("\n", width.unwrap_or_default() + 1, fields, "")
    }

    /// Labels, padded to `width`, with values in base64.
    fn labelled(
        &self,
        head: &str,
        width: usize,
        fields: &[(&str, &[u8])],
        version: &str,
    ) -> Result<(), Error> {
        let mut texts = Vec::new();
        for (label, value) in fields {
            let mut base64 = Zeroizing::new(Vec::with_capacity(base64::encoded_len(value.len())));
            base64::encode_into(value, &mut base64);
            texts.push((format!("{:width$} ", format!("{label}:")), base64));
        }
        let mut parts: Vec<&[u8]> = vec![head.as_bytes()];
        for (label, base64) in &texts {
            parts.extend([label.as_bytes(), base64, b"\n"]);
        }
        let version = serde_json::Value::from(version);
        let tail = format!("version: {version}\n");
        if version != "" {
            parts.push(tail.as_bytes());
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

    /// The same, without those whose value is empty.
    pub(super) fn known_fields(&self, fields: &[(&str, &str)]) -> Result<(), Error> {
        let known = fields.iter().filter(|(_, value)| !value.is_empty());
        self.fields(&known.copied().collect::<Vec<_>>())
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
        self.out.marks(style)
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

    /// The same, and nothing for a time that is not known.
    pub(super) fn known_time(&self, at: OffsetDateTime, utc: bool) -> String {
        if at == timestamp::none() {
            String::new()
        } else {
            self.time(at, utc)
        }
    }

    /// Tells of something outdated that still works.
    pub(super) fn note(&self, text: &str) {
        if self.notes && !self.quiet {
            self.aside(&format!("Note: {text}\n"));
        }
    }

    /// Tells what is under way, which is neither a result nor a failure.
    pub(super) fn remark(&self, text: &str) {
        if !self.quiet {
            self.aside(&format!("{text}\n"));
        }
    }

    /// Tells on standard error of every exchange with a server.
    pub(super) fn watch(&self) -> Watch {
        let (before, after) = self.err.marks(Style::Faint);
        Watch(Arc::new(move |exchange| {
            let text = format!(
                "{before}{}: {} in {:.1?}{}{}{after}\n",
                exchange.request,
                exchange.outcome,
                exchange.took,
                if exchange.protocol.is_empty() {
                    ""
                } else {
                    ", "
                },
                exchange.protocol,
            );
            drop(io::stderr().write_all(text.as_bytes()));
        }))
    }

    /// Warns of something that is probably not meant.
    pub(super) fn warning(&self, text: &str) {
        if self.quiet {
            return;
        }
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
        if matches!(self.format(), Format::Json | Format::Jsonl) {
            return self.failure_document(&error.report());
        }
        let label = self.err.paint(Style::Red, "Error:");
        self.aside(&format!("{label} {}\n", error.text()));
        if let Some(hint) = error.hint() {
            let label = self.err.paint(Style::Bold, "Hint:");
            self.aside(&format!("{label} {hint}\n"));
        }
    }

    /// A failure for programs, on standard error.
    fn failure_document(&self, report: &Report) {
        #[derive(Serialize)]
        struct Failure<'a> {
            error: &'a Report,
        }
        let json = format::document(&Failure { error: report }, Format::Jsonl, false);
        self.aside(&format!("{}\n", json.unwrap_or_default()));
    }

    /// Shows what commands there are to who named none.
    pub(super) fn usage(&self, help: &str) {
        self.aside(help);
    }

    /// Tells what is wrong with the command line, from the parser's text: `error: …`, maybe `tip: …`, usage.
    pub(super) fn misuse(&self, text: &str) {
        if self.wants_document() {
            return self.failure_document(&Report::of_misuse(text));
        }
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
