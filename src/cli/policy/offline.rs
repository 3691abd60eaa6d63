//! What a configuration file decides, by the server's own door.

use std::collections::HashMap;

use crate::{
    api::{Auth, Door, Route, Takes},
    config::{Inspection, List, Note},
    identity::Identity,
    name::PolicyName,
    policy::{Pattern, Policy},
};

/// A file, and what the door has to know of it.
pub(super) struct Offline<'a> {
    pub(super) file: &'a Inspection,
    owners: HashMap<&'a str, &'a PolicyName>,
}

/// A rule and where it stands.
pub(super) struct Rule {
    pub(super) text: String,
    pub(super) list: List,
    pub(super) place: Note,
}

impl<'a> Offline<'a> {
    pub(super) fn new(file: &'a Inspection) -> Self {
        let mut owners = HashMap::new();
        for (name, entry) in file.policies() {
            owners.extend(
                entry
                    .identities
                    .iter()
                    .map(|identity| (identity.as_str(), name)),
            );
        }
        Self { file, owners }
    }

    /// The policy of an identity, with its name.
    pub(super) fn assigned(&self, identity: &Identity) -> Option<(&'a PolicyName, &'a Policy)> {
        let name = *self.owners.get(identity.as_str())?;
        let entry = self.file.policies().get(name)?;
        Some((name, &entry.policy))
    }

    /// Where a rule of a policy stands.
    pub(super) fn rule(&self, name: &PolicyName, rule: &Pattern) -> Option<Rule> {
        let policy = &self.file.policies().get(name)?.policy;
        // By its address: two rules may have the same text.
        let at = |rules: &[Pattern]| rules.iter().position(|it| std::ptr::eq(it, rule));
        let (list, index) = match at(policy.deny()) {
            Some(index) => (List::Deny, index),
            None => (List::Allow, at(policy.allow())?),
        };
        Some(Rule {
            text: rule.as_str().to_owned(),
            list,
            place: self.file.place_of_rule(name, list, index),
        })
    }
}

impl Door for Offline<'_> {
    fn admin(&self) -> &Identity {
        self.file.admin()
    }

    fn policy_of(&self, identity: &Identity) -> Option<&Policy> {
        self.assigned(identity).map(|(_, policy)| policy)
    }

    fn is_open(&self, path: &str) -> bool {
        let mut entries = self.file.api().iter();
        entries.any(|entry| entry.path == path && entry.skip_auth)
    }
}

/// What a policy says about all paths of a route.
pub(super) enum Reach<'a> {
    /// All of them, by this rule.
    All(&'a Pattern),
    /// None of them; by this deny rule, if it takes one.
    None(Option<&'a Pattern>),
    /// What these allow, less what those deny.
    Some {
        allow: Vec<&'a Pattern>,
        deny: Vec<&'a Pattern>,
    },
}

/// What `policy` says about a route that asks for a policy.
pub(super) fn reach<'a>(policy: &'a Policy, route: &Route) -> Reach<'a> {
    debug_assert!(route.auth == Auth::Policy);
    let reaching = |rules: &'a [Pattern]| -> Vec<&'a Pattern> {
        let reaching = rules.iter().filter(|rule| rule.reaches(route.path));
        reaching.collect()
    };
    let (allow, deny) = (reaching(policy.allow()), reaching(policy.deny()));
    let whole = |rules: &[&'a Pattern]| {
        let mut rules = rules.iter();
        let is_whole =
            |rule: &&&Pattern| route.takes == Takes::Nothing || rule.covers_route(route.path);
        rules.find(is_whole).copied()
    };
    match (whole(&deny), whole(&allow)) {
        (Some(rule), _) => Reach::None(Some(rule)),
        (None, Some(rule)) if deny.is_empty() => Reach::All(rule),
        _ if allow.is_empty() => Reach::None(None),
        _ => Reach::Some { allow, deny },
    }
}
