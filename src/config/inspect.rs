//! [`Inspection`]: a file that was read by a command that tells about it, rather than by a server.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use crate::{identity::Identity, keystore::Settings, name::PolicyName};

use super::{
    ApiEntry, Config, Context, Errors, Note, Parsed, PolicyEntry, Tls, read, read_config,
    report::Report, shape::Shape, unreadable, view::View, yaml::Node,
};

/// A file in which nothing is wrong, with what stands where. Unlike [`Config`] there is one also if this build cannot open the keystore
/// that the file names. Has no `Debug`: it holds secrets.
pub struct Inspection {
    file: Arc<str>,
    /// Its keystore counts only if nothing is refused.
    config: Config,
    tree: Node,
    refused: Option<Note>,
}

/// The two lists of rules of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// What is allowed.
    Allow,
    /// What is denied.
    Deny,
}

impl List {
    /// The key of the list.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// Reads the file at `path` for a command.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn inspect(path: &Path, context: &Context<'_>) -> Result<Inspection, Errors> {
    let file = path.display().to_string();
    let bytes = read(path).map_err(|error| unreadable(&file, &error))?;
    inspect_bytes(&file, &bytes, context)
}

/// Reads the content of a file that messages call `file`, for a command.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn inspect_bytes(
    file: &str,
    bytes: &[u8],
    context: &Context<'_>,
) -> Result<Inspection, Errors> {
    let Parsed {
        config,
        tree,
        refused,
    } = read_config(file, bytes, context)?;
    Ok(Inspection {
        file: file.into(),
        config,
        tree,
        refused,
    })
}

impl Inspection {
    /// Who may do everything.
    pub fn admin(&self) -> &Identity {
        &self.config.admin
    }

    /// The policies by name.
    pub fn policies(&self) -> &BTreeMap<PolicyName, PolicyEntry> {
        &self.config.policies
    }

    /// The settings of single routes.
    pub fn api(&self) -> &[ApiEntry] {
        &self.config.api
    }

    /// Certificates and what is asked of clients.
    pub fn tls(&self) -> &Tls {
        &self.config.tls
    }

    /// The keystore; `None` if this build cannot open it.
    pub fn keystore(&self) -> Option<&Settings> {
        self.refused.is_none().then_some(&self.config.keystore)
    }

    /// Why this build cannot open the keystore.
    pub fn refused(&self) -> Option<&Note> {
        self.refused.as_ref()
    }

    /// What a start would warn of, sorted by line.
    pub fn warnings(&self) -> &[Note] {
        &self.config.warnings
    }

    /// Something about the key at the end of `path`.
    pub fn note(&self, path: &[&str], text: impl Into<String>, hint: Option<String>) -> Note {
        let view = self.view().find(path);
        self.note_at(&view, text.into(), hint)
    }

    /// Where a rule stands: its line and its path.
    pub fn place_of_rule(&self, policy: &PolicyName, list: List, index: usize) -> Note {
        let rules = self
            .view()
            .find(&["policy", policy.as_str(), list.as_str()]);
        let rule = rules.items().nth(index);
        let rule = rule.unwrap_or(rules);
        self.note_at(&rule, String::new(), None)
    }

    /// Where a secret stands in the file itself, rather than in the environment.
    pub fn literal_secret(&self) -> Option<Note> {
        let view = self.view();
        let secret = view
            .shape()
            .and_then(|shape| literal_secret(&view, shape))?;
        Some(self.note_at(&secret, String::new(), None))
    }

    /// The whole file.
    pub(super) fn view(&self) -> View<'_> {
        View::of(&self.tree)
    }

    pub(super) fn note_at(&self, view: &View<'_>, text: String, hint: Option<String>) -> Note {
        Note {
            file: self.file.clone(),
            line: view.line,
            key: view.path.clone(),
            text,
            hint,
        }
    }

    /// An empty report about this file.
    pub(super) fn report(&self) -> Report {
        Report::new(&self.file)
    }
}

fn literal_secret<'a>(view: &View<'a>, shape: &Shape) -> Option<View<'a>> {
    match shape {
        Shape::Leaf(_) => {
            let text = view.text()?;
            (text.is_secret && text.reference.is_none()).then(|| view.clone())
        }
        Shape::Section(keys) => keys
            .iter()
            .find_map(|(key, shape)| literal_secret(&view.get(key), shape)),
        // No list and no mapping of the user's names holds secrets.
        Shape::List(_) | Shape::Map(_) => None,
    }
}
