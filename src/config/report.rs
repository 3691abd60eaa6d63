//! [`Errors`] and [`Note`]: what is wrong in a file, where, and what to do about it. All of it is collected before anything is said.
//!
//! No text here holds the value of an environment variable or of a secret.

use std::{fmt, sync::Arc};

/// Most problems, and most warnings, that are kept; a generated file could have a hundred thousand.
const MAX_NOTES: usize = 100;

/// Something about one place of the file. Reads `FILE:LINE: KEY: text`; what is not known is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The path of the key, like `policy.my-app.allow[0]`; empty if it is about the whole file.
    pub key: String,
    /// What is the matter.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.text)
    }
}

/// Everything that is wrong with a configuration, sorted by line; never empty. Displayed one problem a line, each followed by
/// its `Hint: ` line if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    /// The problems.
    pub problems: Vec<Note>,
    /// The warnings that were collected on the way; they often name the typing error behind a problem.
    pub warnings: Vec<Note>,
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, note) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{note}")?;
            if let Some(hint) = &note.hint {
                write!(f, "\nHint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Collects notes while a file is read.
pub(super) struct Report {
    file: Arc<str>,
    problems: Vec<Note>,
    warnings: Vec<Note>,
}

impl Report {
    pub(super) fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Notes a problem. The file will not be loaded.
    pub(super) fn error(
        &mut self,
        line: impl Into<Option<usize>>,
        key: &str,
        text: impl Into<String>,
    ) {
        let note = self.note(line.into(), key, text.into(), None);
        push(&mut self.problems, note);
    }

    /// Notes a problem and its remedy.
    pub(super) fn error_with_hint(
        &mut self,
        line: impl Into<Option<usize>>,
        key: &str,
        text: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let note = self.note(line.into(), key, text.into(), Some(hint.into()));
        push(&mut self.problems, note);
    }

    /// Notes something that does not keep the file from being loaded.
    pub(super) fn warn(
        &mut self,
        line: impl Into<Option<usize>>,
        key: &str,
        text: impl Into<String>,
        hint: Option<String>,
    ) {
        let note = self.note(line.into(), key, text.into(), hint);
        push(&mut self.warnings, note);
    }

    /// Keeps a note as a problem.
    pub(super) fn refuse(&mut self, note: Note) {
        push(&mut self.problems, note);
    }

    /// Whether there is no problem.
    pub(super) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// The warnings, sorted by line.
    pub(super) fn into_warnings(self) -> Vec<Note> {
        self.into_errors().warnings
    }

    /// Everything, sorted by line.
    pub(super) fn into_errors(mut self) -> Errors {
        self.problems.sort_by_key(|note| note.line);
        self.warnings.sort_by_key(|note| note.line);
        Errors {
            problems: self.problems,
            warnings: self.warnings,
        }
    }

    /// Something about one place of the file, which is not kept.
    pub(super) fn note(
        &self,
        line: Option<usize>,
        key: &str,
        text: String,
        hint: Option<String>,
    ) -> Note {
        Note {
            file: self.file.clone(),
            line,
            key: key.to_owned(),
            text,
            hint,
        }
    }
}

fn push(notes: &mut Vec<Note>, note: Note) {
    if notes.len() < MAX_NOTES {
        notes.push(note);
    }
}

/// `text` in quotes, in one line of readable length.
pub(super) fn quoted(text: &str) -> String {
    const MAX_CHARS: usize = 100;
    let mut shown = String::from("'");
    for (i, c) in text.chars().enumerate() {
        if i == MAX_CHARS {
            shown.push('…');
            break;
        }
        if c == '\'' {
            shown.push(c);
        } else {
            shown.extend(c.escape_debug());
        }
    }
    shown.push('\'');
    shown
}
