//! [`View`]: a place in a resolved tree, whether or not anything stands there.

use super::{
    duration,
    resolve::boolean,
    shape::{FILE, Shape},
    yaml::{Node, Text, Value, join},
};

/// A place in a tree whose types were checked.
#[derive(Clone)]
pub(super) struct View<'a> {
    node: Option<&'a Node>,
    /// What the table says of it; `None` if nothing.
    shape: Option<&'static Shape>,
    /// Where it stands; if it does not, where the section stands that it is missing in.
    pub(super) line: Option<usize>,
    /// Its path, for messages.
    pub(super) path: String,
    /// Whether it, or what should contain it, was reported already.
    broken: bool,
}

impl<'a> View<'a> {
    /// The whole file.
    pub(super) fn of(root: &'a Node) -> Self {
        Self::at(root, Some(&FILE), String::new(), None)
    }

    fn at(
        node: &'a Node,
        shape: Option<&'static Shape>,
        path: String,
        line: Option<usize>,
    ) -> Self {
        Self {
            node: Some(node),
            shape,
            line,
            path,
            broken: matches!(node.value, Value::Invalid),
        }
    }

    /// What stands at `key` in this mapping.
    pub(super) fn get(&self, key: &str) -> Self {
        let path = join(&self.path, key);
        let shape = self.shape.and_then(|shape| shape.child(key));
        let mut entries = self.map().iter();
        match entries.find(|entry| entry.key == key) {
            Some(entry) => Self::at(&entry.node, shape, path, Some(entry.line)),
            None => Self {
                node: None,
                shape,
                line: self.line,
                path,
                broken: self.broken,
            },
        }
    }

    /// What stands at the end of `path`.
    pub(super) fn find(&self, path: &[&str]) -> Self {
        path.iter().fold(self.clone(), |view, key| view.get(key))
    }

    /// The keys of this mapping and what stands there, in the order of the file.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> {
        self.map().iter().map(|entry| {
            let path = join(&self.path, &entry.key);
            let shape = self.shape.and_then(|shape| shape.child(&entry.key));
            let view = Self::at(&entry.node, shape, path, Some(entry.line));
            (entry.key.as_str(), view)
        })
    }

    /// The elements of this list.
    pub(super) fn items(&self) -> impl Iterator<Item = Self> {
        let (path, shape) = (self.path.clone(), self.shape.and_then(Shape::item));
        self.nodes().iter().enumerate().map(move |(i, node)| {
            let path = format!("{path}[{i}]");
            Self::at(node, shape, path, Some(node.line))
        })
    }

    /// The elements of this list, as nodes.
    pub(super) fn nodes(&self) -> &'a [Node] {
        match self.node.map(|node| &node.value) {
            Some(Value::List(nodes)) => nodes,
            _ => &[],
        }
    }

    /// The place of `node`, which is the element `index` of this list.
    pub(super) fn item(&self, index: usize, node: &'a Node) -> Self {
        let path = format!("{}[{index}]", self.path);
        Self::at(
            node,
            self.shape.and_then(Shape::item),
            path,
            Some(node.line),
        )
    }

    /// The node, if there is one.
    pub(super) fn node(&self) -> Option<&'a Node> {
        self.node
    }

    /// What the table says of this place.
    pub(super) fn shape(&self) -> Option<&'static Shape> {
        self.shape
    }

    /// Whether anything but null stands here.
    pub(super) fn is_present(&self) -> bool {
        self.node
            .is_some_and(|node| !matches!(node.value, Value::Null))
    }

    /// Whether a message about this place was written already.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The scalar; `None` also if it is empty.
    pub(super) fn text(&self) -> Option<&'a Text> {
        match self.node.map(|node| &node.value) {
            Some(Value::Text(text)) if !text.text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Nanoseconds, if set.
    pub(super) fn nanos(&self) -> Option<i64> {
        duration::parse(&self.text()?.text).ok()
    }

    /// The switch; off if unset.
    pub(super) fn is_on(&self) -> bool {
        self.text()
            .and_then(|text| boolean(&text.text))
            .unwrap_or(false)
    }

    /// The mapping's entries; empty if it is none.
    fn map(&self) -> &'a [super::yaml::Entry] {
        match self.node.map(|node| &node.value) {
            Some(Value::Map(entries)) => entries,
            _ => &[],
        }
    }

    /// The scalar for a message, also if it is empty: never the value of a variable.
    pub(super) fn shown(&self) -> String {
        match self.node.map(|node| &node.value) {
            Some(Value::Text(text)) => text.shown(),
            _ => "''".to_owned(),
        }
    }

    /// Whether a reference to the environment stands here.
    pub(super) fn is_from_env(&self) -> bool {
        matches!(self.node.map(|node| &node.value), Some(Value::Text(text)) if text.reference.is_some())
    }
}
