//! Old spellings become the current ones in the text of a file, where everything else stays as it is: comments, order, references,
//! quotes.
//!
//! Each step edits the text and is then checked: the file must mean the same as before. A step that cannot be made, or would not pass, is
//! left out and told; the old spelling goes on working.

use std::{collections::HashSet, path::Path};

use lines::Lines;

use super::{
    Errors, Note,
    layout::{self, Entry, Value},
    normalise::{self, Alias, Clash},
    read,
    report::Report,
    tree, unreadable,
    yaml::{self, Node, join},
};

mod lines;

/// How often the whole file is looked through; each time the spellings of one level become current.
const ROUNDS: usize = 1000;

/// What became of a file.
pub struct Migration {
    /// The file in current spelling. May hold secrets.
    pub text: String,
    /// What was changed, in order.
    pub changed: Vec<Note>,
    /// Old spellings that are still there, and why.
    pub left: Vec<Note>,
}

/// Rewrites the file at `path`; nothing is written. `routes` are the paths of all routes.
///
/// # Errors
/// Why it cannot be read as YAML.
pub fn migrate(path: &Path, routes: &[&str]) -> Result<Migration, Errors> {
    let file = path.display().to_string();
    let bytes = read(path).map_err(|error| unreadable(&file, &error))?;
    migrate_bytes(&file, &bytes, routes)
}

/// Rewrites the content of a file that messages call `file`. `routes` are the paths of all routes.
///
/// # Errors
/// Why it cannot be read as YAML.
pub fn migrate_bytes(file: &str, bytes: &[u8], routes: &[&str]) -> Result<Migration, Errors> {
    let mut report = Report::new(file);
    let before = tree(bytes, &mut report);
    let (Some(before), Ok(text), true) = (before, std::str::from_utf8(bytes), report.is_clean())
    else {
        return Err(report.into_errors());
    };
    let (mark, text) = match text.strip_prefix('\u{feff}') {
        Some(rest) => ("\u{feff}", rest),
        None => ("", text),
    };
    let mut work = Work {
        file: file.into(),
        text: text.to_owned(),
        meaning: meaning(before, routes),
        routes,
        changed: Vec::new(),
        left: Vec::new(),
        given_up: HashSet::new(),
    };
    for _ in 0..ROUNDS {
        if !work.round() {
            break;
        }
    }
    Ok(Migration {
        text: format!("{mark}{}", work.text),
        changed: work.changed,
        left: work.left,
    })
}

/// One step: what it changes, and the text afterwards; `None` if it cannot be made.
struct Step {
    old: Vec<String>,
    new: Vec<String>,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// The key gets another name in its place.
    Rename,
    /// The entry moves to another section.
    Move,
    /// The entry becomes a comment: its current spelling is there.
    Drop,
    /// Both spellings are there, and neither wins.
    Clash,
}

struct Work<'a> {
    file: std::sync::Arc<str>,
    text: String,
    /// What the file means, which must not change.
    meaning: Node,
    routes: &'a [&'a str],
    changed: Vec<Note>,
    left: Vec<Note>,
    /// Paths that are left as they are.
    given_up: HashSet<String>,
}

impl Work<'_> {
    /// Makes the steps that can be made now. `false` if there are none.
    fn round(&mut self) -> bool {
        let Some(layout) = layout::read(&self.text) else {
            return false;
        };
        let steps = self.steps(&layout);
        let renames: Vec<&Step> = steps
            .iter()
            .filter(|step| step.what == What::Rename)
            .collect();
        if !renames.is_empty() {
            let mut texts: Vec<_> = renames
                .iter()
                .filter_map(|step| {
                    let entry = layout.find(&step.old)?;
                    Some((entry.span.clone(), step.new.last()?.as_str()))
                })
                .collect();
            texts.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
            let mut edited = self.text.clone();
            for (span, key) in texts {
                edited.replace_range(span, key);
            }
            if self.keeps_meaning(&edited) {
                for step in renames {
                    self.tell(step);
                }
                self.text = edited;
                return true;
            }
        }
        for step in &steps {
            let lines = Lines::of(&self.text);
            let edited = step.apply(&lines, &layout);
            match edited.filter(|edited| self.keeps_meaning(edited)) {
                Some(edited) => {
                    self.tell(step);
                    self.text = edited;
                    return true;
                }
                None => self.give_up(step, &layout),
            }
        }
        false
    }

    /// Old spellings that are there, with what to do about each.
    fn steps(&self, layout: &Value) -> Vec<Step> {
        let mut steps = Vec::new();
        for alias in normalise::aliases() {
            let star = alias.old.iter().position(|step| *step == "*");
            let stars: Vec<&str> = match star.and_then(|at| alias.old.get(..at)) {
                None => vec![""],
                Some(before) => {
                    let entries = layout.find(before).map(|entry| entry.value.entries());
                    entries
                        .unwrap_or_default()
                        .iter()
                        .map(|entry| entry.key.as_str())
                        .collect()
                }
            };
            for star in stars {
                steps.extend(self.step(layout, alias, star));
            }
        }
        let entries = layout.find(&["api"]).map(|entry| entry.value.entries());
        for entry in entries.unwrap_or_default() {
            let bare = entry.key.trim().trim_matches('/');
            let known = self
                .routes
                .iter()
                .find(|route| route.trim_matches('/') == bare);
            if let Some(route) = known.filter(|route| **route != entry.key) {
                steps.push(Step {
                    old: vec!["api".to_owned(), entry.key.clone()],
                    new: vec!["api".to_owned(), (*route).to_owned()],
                    what: What::Rename,
                });
            }
        }
        steps.retain(|step| !self.given_up.contains(&shown(&step.old)));
        steps
    }

    fn step(&self, layout: &Value, alias: &Alias, star: &str) -> Option<Step> {
        let concrete = |path: &[&'static str]| -> Vec<String> {
            let step = |step: &&'static str| if *step == "*" { star } else { step }.to_owned();
            path.iter().map(step).collect()
        };
        let (old, new) = (concrete(alias.old), concrete(alias.new));
        let entry = layout.find(&old)?;
        // A list under `keys` names keys to create.
        if alias.old == ["keys"] && !matches!(entry.value, Value::Map { .. }) {
            return None;
        }
        let current = layout
            .find(&new)
            .filter(|current| !current.value.is_empty(&self.text, current));
        let same_parent = old.split_last().map(|it| it.1) == new.split_last().map(|it| it.1);
        let what = match (current, alias.clash) {
            (None, _) if same_parent && layout.find(&new).is_none() => What::Rename,
            (None, _) => What::Move,
            (Some(_), Clash::Refused) if !entry.value.is_empty(&self.text, entry) => What::Clash,
            (Some(_), _) => What::Drop,
        };
        Some(Step { old, new, what })
    }

    /// Whether `text` says what the file said.
    fn keeps_meaning(&self, text: &str) -> bool {
        let mut report = Report::new("");
        let after = yaml::parse(text, &mut report);
        let Some(after) = after.filter(|_| report.is_clean()) else {
            return false;
        };
        same(&self.meaning, &meaning(after, self.routes))
    }

    fn tell(&mut self, step: &Step) {
        let text = if step.what == What::Drop {
            format!(
                "is a comment now: '{}' is its current spelling",
                shown(&step.new)
            )
        } else {
            format!("is '{}' now", shown(&step.new))
        };
        let note = self.note(step, None, text, None);
        // A step may take two edits.
        if !self.changed.contains(&note) {
            self.changed.push(note);
        }
        // What did not work before may work now.
        self.given_up.clear();
        self.left.clear();
    }

    fn give_up(&mut self, step: &Step, layout: &Value) {
        let line = layout.find(&step.old).map(|entry| {
            let lines = Lines::of(&self.text);
            lines.number(entry.span.start) + 1
        });
        let text = if step.what == What::Clash {
            format!(
                "stays: it is the same as '{}', which is there too",
                shown(&step.new)
            )
        } else {
            "stays: it cannot be changed without writing its surroundings anew".to_owned()
        };
        let hint = match step.what {
            What::Clash => format!("keep '{}'", shown(&step.new)),
            _ => format!("it goes on working; by hand: write '{}'", shown(&step.new)),
        };
        let note = self.note(step, line, text, Some(hint));
        self.left.push(note);
        self.given_up.insert(shown(&step.old));
    }

    fn note(&self, step: &Step, line: Option<usize>, text: String, hint: Option<String>) -> Note {
        Note {
            file: self.file.clone(),
            line,
            key: shown(&step.old),
            text,
            hint,
        }
    }
}

impl Step {
    /// The text after this step.
    fn apply(&self, lines: &Lines<'_>, layout: &Value) -> Option<String> {
        let entry = layout.find(&self.old)?;
        match self.what {
            What::Clash => None,
            What::Drop => lines.comment_out(entry),
            What::Rename => {
                let mut text = lines.text.to_owned();
                text.replace_range(entry.span.clone(), self.new.last()?);
                Some(text)
            }
            What::Move => self.shift(lines, layout, entry),
        }
    }

    fn shift(&self, lines: &Lines<'_>, layout: &Value, entry: &Entry) -> Option<String> {
        // An empty section in the way says nothing.
        for depth in 1..=self.new.len() {
            let way = layout.find(self.new.get(..depth)?);
            let says_nothing = |way: &&Entry| {
                matches!(way.value, Value::Null)
                    || (depth == self.new.len() && way.value.is_empty(lines.text, way))
            };
            if let Some(way) = way.filter(says_nothing) {
                return lines.comment_out(way);
            }
        }
        // The longest part of the new path that is there already.
        let there = (0..self.new.len())
            .rev()
            .find_map(|depth| Some((depth, layout.find(self.new.get(..depth)?)?)));
        let shared = self
            .old
            .iter()
            .zip(&self.new)
            .take_while(|(old, new)| old == new)
            .count();
        let (depth, target) = match there {
            Some((depth, target)) if depth > shared => (depth, Some(target)),
            _ => (shared, None),
        };
        let keys = self.new.get(depth..)?;
        match target {
            None => lines.wrap(entry, keys),
            Some(target) => lines.move_into(entry, target, keys),
        }
    }
}

/// A tree in current spelling.
fn meaning(mut tree: Node, routes: &[&str]) -> Node {
    normalise::normalise(&mut tree, &mut Report::new(""));
    if let yaml::Value::Map(entries) = &mut tree.value {
        let api = entries.iter_mut().find(|entry| entry.key == "api");
        if let Some(yaml::Value::Map(paths)) = api.map(|entry| &mut entry.node.value) {
            for path in paths {
                let bare = path.key.trim().trim_matches('/');
                if let Some(route) = routes.iter().find(|route| route.trim_matches('/') == bare) {
                    (*route).clone_into(&mut path.key);
                }
            }
        }
    }
    tree
}

/// Whether two trees say the same, wherever it stands. What says nothing may as well be missing.
pub(super) fn same(a: &Node, b: &Node) -> bool {
    use yaml::Value::{Invalid, List, Map, Null, Text};
    match (&a.value, &b.value) {
        (Invalid, Invalid) | (Null, Null) => true,
        (Text(a), Text(b)) => a.text == b.text && a.reference == b.reference,
        (List(a), List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Map(a), Map(b)) => {
            fn sorted(entries: &[yaml::Entry]) -> Vec<&yaml::Entry> {
                let says = |entry: &&yaml::Entry| !matches!(entry.node.value, Null);
                let mut entries: Vec<_> = entries.iter().filter(says).collect();
                entries.sort_by(|a, b| a.key.cmp(&b.key));
                entries
            }
            let (a, b) = (sorted(a), sorted(b));
            a.len() == b.len()
                && a.iter()
                    .zip(&b)
                    .all(|(a, b)| a.key == b.key && same(&a.node, &b.node))
        }
        _ => a.is_empty() && b.is_empty() && (matches!(a.value, Null) || matches!(b.value, Null)),
    }
}

fn shown(path: &[String]) -> String {
    path.iter()
        .fold(String::new(), |path, key| join(&path, key))
}

#[cfg(test)]
mod tests;
