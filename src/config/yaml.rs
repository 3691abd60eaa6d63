//! YAML to a tree that knows its lines (config.md 1): the first document of a stream, with anchors and merge keys resolved.
//!
//! Every resource is bounded: the size of the file before it is parsed, the depth, and what aliases blow up. No message holds
//! text of the file but keys: a value may be a secret.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_saphyr::granit_parser::{
    Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag,
};
use zeroize::Zeroizing;

use super::report::{Report, quoted};

/// Deepest nesting that is read; the configuration needs six.
const MAX_DEPTH: usize = 64;

/// Most bytes that the tree may take, aliases resolved.
const MAX_WEIGHT: usize = 64 << 20;

/// What a node weighs apart from its text.
const NODE_WEIGHT: usize = 64;

/// A value and the line where it starts, counted from 1. Has no `Debug`: it may hold secrets.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Clone)]
pub(super) enum Value {
    /// Something that a message was already written about.
    Invalid,
    List(Vec<Node>),
    Map(Vec<Entry>),
    Null,
    Text(Text),
}

/// A scalar that is not null. Its type is decided by who reads it.
#[derive(Clone)]
#[expect(
    clippy::struct_field_names,
    reason = "the text of a text is its text, as everywhere in this module"
)]
pub(super) struct Text {
    pub(super) text: Zeroizing<String>,
    /// Where it comes from, once references are expanded. Few scalars have one.
    pub(super) reference: Option<Box<Reference>>,
    /// Whether it must never be shown, which the table knows.
    pub(super) is_secret: bool,
}

/// References to the environment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// The names of the variables.
    pub(super) names: Vec<String>,
    /// The text with the references, as it stands in the file.
    pub(super) written: String,
}

impl Reference {
    /// The references as they may be shown: of a secret, what stands between them is left out.
    pub(super) fn shown(&self, is_secret: bool) -> String {
        if is_secret {
            let names = self.names.iter().map(|name| format!("${{{name}}}"));
            return names.collect();
        }
        self.written.trim().to_owned()
    }
}

/// A key with its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) node: Node,
}

impl Text {
    /// Text as it is written.
    fn written(text: Zeroizing<String>) -> Self {
        Self {
            text,
            reference: None,
            is_secret: false,
        }
    }

    /// The text for a message: never the value of a variable, nor a secret.
    pub(super) fn shown(&self) -> String {
        match &self.reference {
            Some(reference) => {
                format!("from the variable {}", quoted(&reference.names.join(", ")))
            }
            None if self.is_secret => "(hidden)".to_owned(),
            None => quoted(&self.text),
        }
    }
}

impl Node {
    /// Whether nothing is set here: null, empty text, or a collection of such.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Invalid => false,
            Value::List(nodes) => nodes.iter().all(Node::is_empty),
            Value::Map(entries) => entries.iter().all(|entry| entry.node.is_empty()),
            Value::Null => true,
            Value::Text(text) => text.text.is_empty(),
        }
    }

    fn weight(&self) -> usize {
        NODE_WEIGHT
            + match &self.value {
                Value::Invalid | Value::Null => 0,
                Value::List(nodes) => nodes.iter().map(Self::weight).sum(),
                Value::Map(entries) => entries
                    .iter()
                    .map(|entry| entry.key.len() + entry.node.weight())
                    .sum(),
                Value::Text(text) => text.text.len(),
            }
    }

    fn depth(&self) -> usize {
        match &self.value {
            Value::Invalid | Value::Null | Value::Text(_) => 0,
            Value::List(nodes) => 1 + nodes.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(entries) => {
                let depths = entries.iter().map(|entry| entry.node.depth());
                1 + depths.max().unwrap_or(0)
            }
        }
    }
}

/// Appends a step to the path of a key, as messages show it. What cannot be part of a known key is cut off: `password:secret`
/// written without a space is a key to YAML.
pub(super) fn join(path: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let end = key.find(|c: char| !plain(c)).unwrap_or(key.len());
    let (shown, rest) = key.split_at(end.min(100));
    let dot = if path.is_empty() { "" } else { "." };
    let more = if rest.is_empty() { "" } else { "…" };
    format!("{path}{dot}{shown}{more}")
}

/// The path of a key while a file is walked. It becomes text only when somebody is told of it: a file has tens of thousands of places.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(path, key) => f.write_str(&join(&path.to_string(), key)),
            Self::Item(path, index) => write!(f, "{path}[{index}]"),
        }
    }
}

/// Reads the first document. `None` if that is impossible; the report says why.
pub(super) fn parse(text: &str, report: &mut Report) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut options = serde_saphyr::granit_parser::options! {};
    // Else a file with many comments in a row would be refused.
    options.set_emit_comments(false);
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        left: MAX_WEIGHT,
        report,
    };
    match builder.document() {
        Ok(Some(node)) if !matches!(node.value, Value::Null) => Some(node),
        Ok(_) => {
            report.error(None, "", "the file is empty");
            None
        }
        Err(stop) => {
            report.error(stop.line, &stop.path, stop.reason);
            None
        }
    }
}

/// Why the rest of the file cannot be read.
struct Stop {
    line: usize,
    path: String,
    reason: String,
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self {
            line: error.marker().line(),
            path: String::new(),
            reason: format!("invalid YAML: {}", error.info()),
        }
    }
}

struct Builder<'a, 'r> {
    parser: Parser<'a, StrInput<'a>>,
    /// Anchored nodes; `None` while their end has not been read.
    anchors: HashMap<usize, Option<Node>>,
    /// What the tree may still take.
    left: usize,
    report: &'r mut Report,
}

impl<'a> Builder<'a, '_> {
    fn document(&mut self) -> Result<Option<Node>, Stop> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(None),
                (event, span) => return self.node(event, span, &Path::Root, 0).map(Some),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.parser.next_event() {
            Some(event) => Ok(event?),
            None => Ok((Event::StreamEnd, Span::empty(Marker::default()))),
        }
    }

    /// Reads the node that starts with `event`.
    fn node(
        &mut self,
        event: Event<'a>,
        span: Span,
        path: &Path<'_>,
        depth: usize,
    ) -> Result<Node, Stop> {
        let line = span.start.line();
        let stop = |reason: &str| Stop {
            line,
            path: path.to_string(),
            reason: reason.to_owned(),
        };
        if depth > MAX_DEPTH {
            return Err(stop("nested too deep"));
        }
        let (value, anchor) = match event {
            Event::Alias(id) => {
                let Some(Some(node)) = self.anchors.get(&id) else {
                    return Err(stop("an alias must not stand inside of what it names"));
                };
                if depth + node.depth() > MAX_DEPTH {
                    return Err(stop("nested too deep"));
                }
                let weight = node.weight();
                let value = (weight <= self.left).then(|| node.value.clone());
                self.left = self.left.saturating_sub(weight);
                return match value {
                    Some(value) => Ok(Node { line, value }),
                    None => Err(stop("aliases make the file too large")),
                };
            }
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(text, style, tag.as_deref(), line, path), anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(anchor);
                (self.list(path, depth)?, anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(anchor);
                (self.map(path, depth)?, anchor)
            }
            _ => return Err(stop("invalid YAML")),
        };
        let node = Node { line, value };
        let text = match &node.value {
            Value::Text(text) => text.text.len(),
            _ => 0,
        };
        match self.left.checked_sub(NODE_WEIGHT + text) {
            Some(left) => self.left = left,
            None => return Err(stop("the file is too large")),
        }
        if anchor != 0 {
            let weight = node.weight();
            if weight > self.left {
                return Err(stop("anchors make the file too large"));
            }
            self.left -= weight;
            self.anchors.insert(anchor, Some(node.clone()));
        }
        Ok(node)
    }

    /// Remembers that an anchored collection has begun: an alias to it may only come behind its end.
    fn open(&mut self, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        line: usize,
        path: &Path<'_>,
    ) -> Value {
        let core = tag.and_then(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:"));
        match (tag, core.as_deref()) {
            (Some(_), Some("null")) => return Value::Null,
            (Some(_), Some("binary")) => {
                let Some(text) = binary(&text) else {
                    let reason = "'!!binary' needs base64 of UTF-8 text";
                    self.report.error(line, &path.to_string(), reason);
                    return Value::Invalid;
                };
                return Value::Text(Text::written(text));
            }
            // Any other tag of ours or of nobody makes text; those of numbers and booleans change nothing.
            (Some(_), Some("bool" | "int" | "float")) | (None, _) => {
                let null = matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                if null && style == ScalarStyle::Plain {
                    return Value::Null;
                }
            }
            (Some(_), _) => {}
        }
        Value::Text(Text::written(Zeroizing::new(text.into_owned())))
    }

    fn list(&mut self, path: &Path<'_>, depth: usize) -> Result<Value, Stop> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(nodes)),
                (event, span) => {
                    let here = Path::Item(path, nodes.len());
                    nodes.push(self.node(event, span, &here, depth + 1)?);
                }
            }
        }
    }

    fn map(&mut self, path: &Path<'_>, depth: usize) -> Result<Value, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Option<(usize, Node)> = None;
        // Where each key is defined.
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd, _) => break,
                next => next,
            };
            let line = span.start.line();
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = match self.node(event, span, path, depth + 1)?.value {
                Value::Text(text) => String::clone(&text.text),
                Value::Null => String::new(),
                _ => {
                    return Err(Stop {
                        line,
                        path: path.to_string(),
                        reason: "a key must be text".to_owned(),
                    });
                }
            };
            let here = Path::Key(path, &key);
            let (event, span) = self.next()?;
            let node = self.node(event, span, &here, depth + 1)?;
            if let Some(&first) = lines.get(&key) {
                self.report.error_with_hint(
                    line,
                    &here.to_string(),
                    format!("defined twice, in lines {first} and {line}"),
                    "check the indentation: what is indented too deep becomes part of the section above it",
                );
            } else if is_merge {
                lines.insert(key, line);
                merged = Some((line, node));
            } else {
                lines.insert(key.clone(), line);
                entries.push(Entry { key, line, node });
            }
        }
        if let Some((line, node)) = merged {
            merge(&mut entries, node).ok_or_else(|| Stop {
                line,
                path: Path::Key(path, "<<").to_string(),
                reason: "only a mapping or a list of mappings can be merged".to_owned(),
            })?;
        }
        Ok(Value::Map(entries))
    }
}

/// Adds what `entries` do not say themselves; of several mappings the first wins. `None` if `from` is something else.
fn merge(entries: &mut Vec<Entry>, from: Node) -> Option<()> {
    let maps = match from.value {
        Value::List(maps) => maps,
        _ => vec![from],
    };
    let mut known: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
    for map in maps {
        let Value::Map(more) = map.value else {
            return None;
        };
        let new = |entry: &Entry| known.insert(entry.key.clone());
        entries.extend(more.into_iter().filter(new));
    }
    Some(())
}

fn binary(text: &str) -> Option<Zeroizing<String>> {
    let digits: Zeroizing<String> = Zeroizing::new(text.split_whitespace().collect());
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(digits.as_bytes()).ok()?);
    std::str::from_utf8(&bytes)
        .ok()
        .map(|text| Zeroizing::new(text.to_owned()))
}
