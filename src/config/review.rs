//! What is valid and probably not meant: more than a start would warn of.

use std::collections::HashMap;

use crate::policy::Pattern;

use super::{
    Inspection, Note, PolicyEntry,
    report::{Report, quoted},
    view::View,
};

impl Inspection {
    /// Looks for rules that say nothing, because others do, and for policies that do nothing. Sorted by line.
    pub fn review(&self) -> Vec<Note> {
        let mut report = self.report();
        for (name, entry) in self.policies() {
            let view = self.view().find(&["policy", name.as_str()]);
            policy(&view, entry, &mut report);
        }
        report.into_warnings()
    }
}

fn policy(view: &View<'_>, entry: &PolicyEntry, report: &mut Report) {
    let (allow, deny) = (entry.policy.allow(), entry.policy.deny());
    if entry.identities.is_empty() {
        report.warn(
            view.line,
            &view.path,
            "applies to nobody: it has no identities",
            None,
        );
    }
    if allow.is_empty() {
        report.warn(
            view.line,
            &view.path,
            "allows nothing: it has no allow rules",
            None,
        );
    }
    let places = |key: &str| -> Vec<View<'_>> { view.get(key).items().collect() };
    let (allow_places, deny_places) = (places("allow"), places("deny"));
    covered(allow, &allow_places, report);
    covered(deny, &deny_places, report);
    for (rule, place) in allow.iter().zip(&allow_places) {
        let denied = deny
            .iter()
            .zip(&deny_places)
            .find(|(deny, _)| deny.covers(rule));
        if let Some((by, at)) = denied {
            let text = format!(
                "the rule {} allows nothing: {} denies all of it",
                quoted(rule.as_str()),
                named(by, at)
            );
            report.warn(place.line, &place.path, text, None);
        }
    }
}

/// Warns of rules that another rule of the list makes needless.
fn covered(rules: &[Pattern], places: &[View<'_>], report: &mut Report) {
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (i, (rule, place)) in rules.iter().zip(places).enumerate() {
        let text = quoted(rule.as_str());
        if let Some(at) = first
            .get(rule.as_str())
            .and_then(|first| places.get(*first))
        {
            let line = at
                .line
                .map_or(String::new(), |line| format!(" in line {line}"));
            let text = format!("the rule {text} is in the list already{line}");
            report.warn(place.line, &place.path, text, None);
            continue;
        }
        first.insert(rule.as_str(), i);
        let other = rules
            .iter()
            .zip(places)
            .find(|(other, _)| other.as_str() != rule.as_str() && other.covers(rule));
        if let Some((by, at)) = other {
            let text = format!("the rule {text} is needless: {} covers it", named(by, at));
            report.warn(place.line, &place.path, text, None);
        }
    }
}

fn named(rule: &Pattern, at: &View<'_>) -> String {
    let line = at
        .line
        .map_or(String::new(), |line| format!(" in line {line}"));
    format!("{}{line}", quoted(rule.as_str()))
}
