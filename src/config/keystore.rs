//! Which keystore the file asks for (config.md 9): one section is in use, and a forgotten or misspelled one must never end in
//! memory.

use crate::keystore::{self, fs};

mod remote;

use super::{
    report::{Note, Report},
    resolve::Unknown,
    shape::Shape,
    table::Kind as Type,
    view::View,
    yaml::{Node, Value},
};

/// One kind of keystore.
struct Kind {
    /// Where its section is, under `keystore`.
    section: &'static [&'static str],
    /// The key that says whether the section is in use.
    key: &'static str,
    /// What that key is to people.
    what: &'static str,
    title: &'static str,
}

/// In the order in which the predecessor looked.
const KINDS: [Kind; 8] = [
    kind(&["fs"], "path", "path", "filesystem"),
    kind(&["vault"], "endpoint", "endpoint", "HashiCorp Vault"),
    kind(
        &["fortanix", "sdkms"],
        "endpoint",
        "endpoint",
        "Fortanix SDKMS",
    ),
    kind(
        &["gemalto", "keysecure"],
        "endpoint",
        "endpoint",
        "Gemalto KeySecure",
    ),
    kind(
        &["gcp", "secretmanager"],
        "project_id",
        "project ID",
        "GCP SecretManager",
    ),
    kind(
        &["aws", "secretsmanager"],
        "endpoint",
        "endpoint",
        "AWS SecretsManager",
    ),
    kind(
        &["azure", "keyvault"],
        "endpoint",
        "endpoint",
        "Azure KeyVault",
    ),
    kind(
        &["entrust", "keycontrol"],
        "endpoint",
        "endpoint",
        "Entrust KeyControl",
    ),
];

const fn kind(
    section: &'static [&'static str],
    key: &'static str,
    what: &'static str,
    title: &'static str,
) -> Kind {
    Kind {
        section,
        key,
        what,
        title,
    }
}

/// Sections that older releases knew. To ignore one would be to start without the keys that are stored there (config.md 9.3).
const REMOVED: [(&str, &str); 4] = [
    (
        "keystore.generic",
        "keystore plugins were removed in 2023; copy the keys to another keystore with the release that wrote them",
    ),
    (
        "keystore.kes",
        "another server cannot be a keystore; name the keystore of that server",
    ),
    (
        "keystore.etcd",
        "etcd was never a keystore of a release; name another keystore",
    ),
    (
        "kms",
        "keys that a KMS encrypted (v0.7) cannot be read; copy them with the release that wrote them",
    ),
];

/// What a file says about its keystore, if nothing is wrong with it.
pub(super) enum Choice {
    /// To be opened.
    Open(keystore::Settings),
    /// This build cannot open it.
    Refused(Note),
}

/// The keystore of the file. `None` if something is wrong, which was reported; so were the unknown keys that it takes out of
/// `unknown`.
pub(super) fn select(
    file: &View<'_>,
    unknown: &mut Vec<Unknown>,
    report: &mut Report,
) -> Option<Choice> {
    let keystore = file.get("keystore");
    let sections: Vec<Section<'_>> = KINDS
        .iter()
        .map(|kind| Section::of(kind, &keystore))
        .collect();
    let active: Vec<_> = sections
        .iter()
        .filter(|section| section.is_active())
        .collect();

    let before = unknown.len();
    unknown.retain(|key| {
        let removed = REMOVED.iter().find(|(path, _)| *path == key.path);
        let ignored = key.is_empty && active.len() == 1;
        match removed {
            Some((_, hint)) if !ignored => {
                report.error_with_hint(key.line, &key.path, "no longer supported", *hint);
                false
            }
            _ => true,
        }
    });
    if unknown.len() < before || sections.iter().any(Section::is_broken) {
        return None;
    }
    match active.as_slice() {
        [] if forgotten(&sections, report) || suspect(unknown, report) => None,
        [] => {
            report.warn(
                keystore.line,
                "keystore",
                "no keystore specified: keys are kept in memory and ARE LOST when the server stops",
                Some("to keep keys in files, set 'keystore.fs.path'".to_owned()),
            );
            Some(Choice::Open(keystore::Settings::Mem))
        }
        [section] => section.settings(report),
        [first, second, ..] => {
            let (first, second) = (&first.view, &second.view);
            let line = |view: &View<'_>| {
                view.line
                    .map_or(String::new(), |line| format!(" in line {line}"))
            };
            report.error_with_hint(
                second.line,
                &second.path,
                format!(
                    "more than one keystore specified: '{}'{} and '{}'{}",
                    first.path,
                    line(first),
                    second.path,
                    line(second)
                ),
                "keep the section of one keystore",
            );
            None
        }
    }
}

/// The section of one kind, whether or not it is there.
struct Section<'a> {
    kind: &'static Kind,
    view: View<'a>,
    /// Whether it is there: not null, or a provider without anything, like `aws: {}`.
    is_present: bool,
}

impl<'a> Section<'a> {
    fn of(kind: &'static Kind, keystore: &View<'a>) -> Self {
        let view = keystore.find(kind.section);
        let is_bare = match kind.section {
            [provider, _] => {
                let provider = keystore.get(provider);
                provider.is_present() && provider.entries().next().is_none()
            }
            _ => false,
        };
        Self {
            kind,
            is_present: is_bare || view.is_present(),
            view,
        }
    }

    fn is_active(&self) -> bool {
        self.view.get(self.kind.key).text().is_some()
    }

    fn is_broken(&self) -> bool {
        self.view.get(self.kind.key).is_broken()
    }

    /// Whether a value in it means something, so that it cannot be a left-over of a template.
    fn says_something(&self) -> bool {
        self.view
            .node()
            .is_some_and(|node| says_something(node, self.view.shape()))
    }

    fn settings(&self, report: &mut Report) -> Option<Choice> {
        if self.kind.section == ["fs"] {
            let path = self.view.get(self.kind.key).text()?.text.as_str().into();
            return Some(Choice::Open(keystore::Settings::Fs(fs::Settings { path })));
        }
        remote::read(self.kind.section, self.view.clone(), report)?;
        let reason = format!("this build has no {} keystore yet", self.kind.title);
        let (line, path) = (self.view.line, &self.view.path);
        Some(Choice::Refused(report.note(line, path, reason, None)))
    }
}

/// Whether `node` holds anything but durations and empty values. Templates are full of those.
pub(super) fn says_something(node: &Node, shape: Option<&Shape>) -> bool {
    match (&node.value, shape) {
        (_, Some(Shape::Leaf(row))) if matches!(row.kind, Type::Ignored | Type::Duration) => false,
        (Value::Map(entries), shape) => entries.iter().any(|entry| {
            let shape = shape.and_then(|shape| shape.child(&entry.key));
            says_something(&entry.node, shape)
        }),
        _ => !node.is_empty(),
    }
}

/// Reports sections that were filled in without the one key that puts them in use. No section is in use.
fn forgotten(sections: &[Section<'_>], report: &mut Report) -> bool {
    let mut meant: Vec<_> = sections
        .iter()
        .filter(|section| section.says_something())
        .collect();
    if meant.is_empty() {
        meant = sections
            .iter()
            .filter(|section| section.is_present)
            .collect();
        if meant.len() > 1 {
            // The template with every section, none filled in.
            return false;
        }
    }
    for section in &meant {
        let key = section.view.get(section.kind.key);
        report.error(
            key.line,
            &key.path,
            format!("no {} specified", section.kind.what),
        );
    }
    !meant.is_empty()
}

/// Reports unknown keys, and takes them out, that may be a misspelled keystore (config.md 9.1, rule 5). No section is in use.
fn suspect(unknown: &mut Vec<Unknown>, report: &mut Report) -> bool {
    let before = unknown.len();
    unknown.retain(|key| {
        let suspicious = key.depth == 1 || key.path.starts_with("keystore.");
        if suspicious {
            report.error_with_hint(
                key.line,
                &key.path,
                "unknown key, and no keystore is specified",
                match key.nearest {
                    Some(nearest) => format!("did you mean '{nearest}'?"),
                    None => "specify a keystore; or remove this key, and keys are kept in memory"
                        .to_owned(),
                },
            );
        }
        !suspicious
    });
    unknown.len() < before
}
