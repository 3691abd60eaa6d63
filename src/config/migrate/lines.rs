//! [`Lines`]: edits of a text that leave whole lines whole.

use crate::config::layout::{Entry, Value};

/// A text by its lines.
pub(super) struct Lines<'a> {
    pub(super) text: &'a str,
    /// Where each line starts.
    starts: Vec<usize>,
    newline: &'static str,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(ends).collect(),
            newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
        }
    }

    /// The number of the line that `at` is in, from 0.
    pub(super) fn number(&self, at: usize) -> usize {
        self.starts
            .partition_point(|start| *start <= at)
            .saturating_sub(1)
    }

    /// A line with its end; that of the last one is made up.
    fn line(&self, number: usize) -> String {
        let start = self.starts.get(number).copied().unwrap_or(self.text.len());
        let end = self
            .starts
            .get(number + 1)
            .copied()
            .unwrap_or(self.text.len());
        let mut line = self.text.get(start..end).unwrap_or_default().to_owned();
        if !line.ends_with('\n') {
            line.push_str(self.newline);
        }
        line
    }

    /// The first and the last line of an entry that has them for itself, and how far it is indented.
    fn block(&self, entry: &Entry) -> Option<(usize, usize, usize)> {
        let first = self.number(entry.span.start);
        let start = *self.starts.get(first)?;
        let indent = self.text.get(start..entry.span.start)?;
        if !indent.bytes().all(|byte| byte == b' ') {
            return None;
        }
        let written = self.text.get(entry.span.start..entry.end)?.trim_end().len();
        let last = self.number(entry.span.start + written.saturating_sub(1));
        Some((first, last, indent.len()))
    }

    /// The text with the lines from `first` to `last` replaced.
    fn replaced(&self, first: usize, last: usize, by: &str) -> Option<String> {
        let start = *self.starts.get(first)?;
        let end = self
            .starts
            .get(last + 1)
            .copied()
            .unwrap_or(self.text.len());
        Some(format!(
            "{}{by}{}",
            self.text.get(..start)?,
            self.text.get(end..)?
        ))
    }

    /// The lines of an entry under another key, indented by `indent` in place of what they are.
    fn rewritten(&self, entry: &Entry, keys: &[String], indent: usize) -> Option<String> {
        let (first, last, was) = self.block(entry)?;
        let (key, sections) = keys.split_last()?;
        let mut out = String::new();
        for (depth, section) in sections.iter().enumerate() {
            out.push_str(&" ".repeat(indent + 2 * depth));
            out.push_str(section);
            out.push(':');
            out.push_str(self.newline);
        }
        let indent = indent + 2 * sections.len();
        let start = *self.starts.get(first)?;
        for number in first..=last {
            let mut line = self.line(number);
            if number == first {
                line.replace_range(entry.span.start - start..entry.span.end - start, key);
            }
            if line.trim().is_empty() {
                out.push_str(&line);
                continue;
            }
            let own = line.len() - line.trim_start_matches(' ').len();
            let own = (own + indent).checked_sub(was)?;
            out.push_str(&" ".repeat(own));
            out.push_str(line.trim_start_matches(' '));
        }
        Some(out)
    }

    /// Puts sections around an entry, where it stands.
    pub(super) fn wrap(&self, entry: &Entry, keys: &[String]) -> Option<String> {
        if let Some((first, last, indent)) = self.block(entry) {
            let lines = self.rewritten(entry, keys, indent)?;
            return self.replaced(first, last, &lines);
        }
        let mut text = self.text.to_owned();
        let (key, sections) = keys.split_last()?;
        text.insert_str(entry.end, &" }".repeat(sections.len()));
        let opened = opened(sections);
        text.replace_range(entry.span.clone(), &format!("{opened}{key}"));
        Some(text)
    }

    /// Takes an entry, and the comments right above it, to the end of a section.
    pub(super) fn move_into(
        &self,
        entry: &Entry,
        target: &Entry,
        keys: &[String],
    ) -> Option<String> {
        let (first, last, indent) = self.block(entry)?;
        let Value::Map { entries, braces } = &target.value else {
            return None;
        };
        if let Some(braces) = braces {
            return self.move_into_braces(entry, entries, braces.start, keys);
        }
        let (child, _, inner) = self.block(entries.first()?)?;
        let (_, end, _) = self.block(target)?;
        if child <= self.number(target.span.start) {
            return None;
        }
        let is_comment = |line: &str| {
            let text = line.trim_start_matches(' ');
            text.starts_with('#') && line.len() - text.len() == indent
        };
        let mut top = first;
        while top > 0 && is_comment(&self.line(top - 1)) {
            top -= 1;
        }
        // What stands at the head of the file is about all of it.
        if top == 0 && first > 0 {
            top = first;
        }
        let mut moved = String::new();
        for number in top..first {
            moved.push_str(&" ".repeat(inner));
            moved.push_str(self.line(number).trim_start_matches(' '));
        }
        moved.push_str(&self.rewritten(entry, keys, inner)?);
        let mut out = String::new();
        let count = self.starts.len();
        for number in 0..count {
            if !(top..=last).contains(&number) {
                let is_end = number + 1 == count;
                let line = self.line(number);
                // Where the text ends with a line's end, there is one empty line more.
                if !is_end || !line.trim().is_empty() {
                    out.push_str(&line);
                }
            }
            if number == end {
                out.push_str(&moved);
            }
        }
        Some(out)
    }

    /// Takes an entry of one line into a mapping in braces.
    fn move_into_braces(
        &self,
        entry: &Entry,
        entries: &[Entry],
        open: usize,
        keys: &[String],
    ) -> Option<String> {
        let (first, last, _) = self.block(entry)?;
        let (key, sections) = keys.split_last()?;
        let value = self.text.get(entry.span.end..entry.end)?;
        if first != last || value.contains('\n') {
            return None;
        }
        let opened = opened(sections);
        let closed = " }".repeat(sections.len());
        let inner = format!("{opened}{key}{value}{closed}");
        let (at, inner) = match entries.iter().map(|entry| entry.end).max() {
            Some(end) => (end, format!(", {inner}")),
            None => (open + 1, format!(" {inner} ")),
        };
        let start = *self.starts.get(first)?;
        let end = self
            .starts
            .get(last + 1)
            .copied()
            .unwrap_or(self.text.len());
        // A comment behind the value stays where it was.
        let rest = match self.text.get(entry.end..end)?.trim() {
            "" => String::new(),
            comment => format!("{comment}{}", self.newline),
        };
        let mut text = self.text.to_owned();
        if at <= start {
            text.replace_range(start..end, &rest);
            text.insert_str(at, &inner);
        } else {
            text.insert_str(at, &inner);
            text.replace_range(start..end, &rest);
        }
        Some(text)
    }

    /// Makes comments of the lines of an entry.
    pub(super) fn comment_out(&self, entry: &Entry) -> Option<String> {
        let (first, last, indent) = self.block(entry)?;
        let mut out = String::new();
        for number in first..=last {
            let line = self.line(number);
            let (before, rest) = line.split_at(line.len().min(indent));
            if rest.trim().is_empty() {
                out.push_str(&line);
            } else {
                out.extend([before, "# ", rest]);
            }
        }
        self.replaced(first, last, &out)
    }
}

/// Sections with braces, to be closed again.
fn opened(sections: &[String]) -> String {
    sections
        .iter()
        .fold(String::new(), |out, section| out + section + ": { ")
}
