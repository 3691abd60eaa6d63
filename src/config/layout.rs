//! Where keys and values stand in the text of a file, byte by byte, so that it can be edited without being written anew. Unlike
//! `yaml`, which reads values, this keeps what was written: aliases are not followed, nothing is decoded.

use std::ops::Range;

use serde_saphyr::granit_parser::{
    Event, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle,
};

/// A key with its value, as they stand in the text.
pub(super) struct Entry {
    /// The key as YAML reads it.
    pub(super) key: String,
    /// Where the key stands, with its quotes.
    pub(super) span: Range<usize>,
    pub(super) value: Value,
    /// Where the value ends, or the key if nothing follows it.
    pub(super) end: usize,
}

/// What stands at a key, as far as editing needs to know.
pub(super) enum Value {
    /// A mapping. `span` is that of the braces, if it has them.
    Map {
        entries: Vec<Entry>,
        braces: Option<Range<usize>>,
    },
    Null,
    /// Anything else.
    Other,
}

impl Value {
    /// Finds the entry at the end of `path`.
    pub(super) fn find(&self, path: &[impl AsRef<str>]) -> Option<&Entry> {
        let (key, rest) = path.split_first()?;
        let Self::Map { entries, .. } = self else {
            return None;
        };
        let entry = entries.iter().find(|entry| entry.key == key.as_ref())?;
        if rest.is_empty() {
            Some(entry)
        } else {
            entry.value.find(rest)
        }
    }

    /// The entries, if it is a mapping.
    pub(super) fn entries(&self) -> &[Entry] {
        match self {
            Self::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// Whether nothing is set here.
    pub(super) fn is_empty(&self, text: &str, at: &Entry) -> bool {
        match self {
            Self::Null => true,
            Self::Map { entries, .. } => entries
                .iter()
                .all(|entry| entry.value.is_empty(text, entry)),
            Self::Other => {
                let written = text.get(at.span.end..at.end).unwrap_or_default();
                let written = written.trim_start_matches([':', ' ']).trim();
                matches!(written, "''" | "\"\"" | "[]")
            }
        }
    }
}

/// Reads the layout of the first document of a text that `yaml` can read. `None` if it is no mapping, or if the parser cannot tell
/// where things stand.
pub(super) fn read(text: &str) -> Option<Value> {
    let mut options = serde_saphyr::granit_parser::options! {};
    options.set_emit_comments(false);
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(text, options),
    };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (event, span) => return reader.value(&event, &span).map(|(value, _)| value),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        let event: Result<_, ScanError> = self.parser.next_event()?;
        event.ok()
    }

    /// The value that starts with `event`, and where it ends; 0 if nothing is written.
    fn value(&mut self, event: &Event<'a>, span: &Span) -> Option<(Value, usize)> {
        let bytes = bytes(span)?;
        match event {
            Event::Scalar(text, style, _, tag) => {
                if *style == ScalarStyle::Plain && text.is_empty() {
                    return Some((Value::Null, 0));
                }
                let is_null = tag.is_none()
                    && *style == ScalarStyle::Plain
                    && matches!(text.as_ref(), "~" | "null" | "Null" | "NULL");
                let value = if is_null { Value::Null } else { Value::Other };
                Some((value, bytes.end))
            }
            Event::Alias(_) => Some((Value::Other, bytes.end)),
            Event::SequenceStart(style, ..) => {
                let mut last = 0;
                loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        let end = self::bytes(&span)?.end;
                        let end = if *style == StructureStyle::Flow {
                            end
                        } else {
                            last
                        };
                        return Some((Value::Other, end));
                    }
                    let (_, end) = self.value(&event, &span)?;
                    last = last.max(end).max(self::bytes(&span)?.start);
                }
            }
            Event::MappingStart(style, ..) => self.map(*style == StructureStyle::Flow, bytes.start),
            _ => None,
        }
    }

    fn map(&mut self, is_flow: bool, start: usize) -> Option<(Value, usize)> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                let end = bytes(&span)?.end;
                let braces = is_flow.then_some(start..end);
                let last = entries.iter().map(|entry| entry.end).max().unwrap_or(0);
                return Some((
                    Value::Map { entries, braces },
                    if is_flow { end } else { last },
                ));
            }
            let key = match &event {
                Event::Scalar(text, ..) => text.to_string(),
                _ => return None,
            };
            let place = bytes(&span)?;
            let (event, span) = self.next()?;
            let (value, end) = self.value(&event, &span)?;
            entries.push(Entry {
                key,
                end: end.max(place.end),
                span: place,
                value,
            });
        }
    }
}

fn bytes(span: &Span) -> Option<Range<usize>> {
    Some(span.start.byte_offset()?..span.end.byte_offset()?)
}
