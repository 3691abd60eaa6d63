//! Policies: which API paths a client may use (api.md 3, decision 4). Pure: text in, verdict out.
//!
//! A rule is one of three kinds, told apart by its characters alone:
//!
//! | rule | matches |
//! |---|---|
//! | without `*` `?` `[` `\` | the equal path; an empty rule matches nothing |
//! | a single `*`, last | every path that starts with the text before the star |
//! | anything else | as a glob, segment by segment: `*` and `?` do not cross `/` |
//!
//! A deny rule of the third kind matches if *either* the glob or the plain reading (equality, or prefix with a star at the end)
//! does: releases of the predecessor read such rules one way or the other, and what somebody meant to deny stays denied. An
//! allow rule of that kind grants by the glob alone.

use std::fmt;

pub use glob::Glob;

mod glob;

/// A rule cannot be read: its glob is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a pattern: a '[' class is unclosed, empty or malformed, or a '\\' is last")]
pub struct InvalidPattern(pub String);

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    kind: Kind,
}

/// How a rule is read; decided once, when it is parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Glob(Glob),
    Literal,
    Prefix,
}

/// What should be said about a rule that is valid, but may not do what its author thinks (decision 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The rule is a glob, which releases of the predecessor since 2023-10-24 took literally.
    Glob,
    /// The rule matches the path of no API.
    NoRoute {
        /// What its author probably meant.
        instead: Option<String>,
    },
}

/// A set of allow and deny rules.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
}

/// What a policy says to a request. Names the rule that decided, so that it can be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict<'a> {
    /// This allow rule matches and no deny rule does.
    Allowed(&'a Pattern),
    /// This deny rule matches.
    Denied(&'a Pattern),
    /// No rule matches.
    NoRule,
}

impl Pattern {
    /// Reads a rule.
    ///
    /// # Errors
    /// [`InvalidPattern`] if it is neither plain text, nor a prefix with a star, nor a well-formed glob.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let kind = match text.find(['*', '?', '[', '\\']) {
            None => Kind::Literal,
            Some(at) if at + 1 == text.len() && text.ends_with('*') => Kind::Prefix,
            Some(_) => {
                Kind::Glob(Glob::parse(text).ok_or_else(|| InvalidPattern(text.to_owned()))?)
            }
        };
        Ok(Self {
            text: text.into(),
            kind,
        })
    }

    /// The rule as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the rule is of the third kind: neither plain text nor a prefix.
    pub fn is_glob(&self) -> bool {
        matches!(self.kind, Kind::Glob(_))
    }

    /// What to warn about, given the paths of all routes. A route path that ends in `/` takes one more segment, which may be empty.
    pub fn doubts(&self, routes: &[&str]) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        if self.is_glob() {
            doubts.push(Doubt::Glob);
        }
        if !routes.iter().any(|route| self.reaches(route)) {
            let instead = routes.iter().find_map(|route| {
                (route.trim_end_matches('/') == self.text.trim_end_matches('/'))
                    .then(|| format!("{route}{}", if route.ends_with('/') { "*" } else { "" }))
            });
            doubts.push(Doubt::NoRoute { instead });
        }
        doubts
    }

    /// Whether an allow rule of this text matches `path`.
    pub(crate) fn grants(&self, path: &str) -> bool {
        match &self.kind {
            Kind::Glob(glob) => glob.matches(path),
            Kind::Literal | Kind::Prefix => self.matches_plainly(path),
        }
    }

    /// Whether a deny rule of this text matches `path`.
    fn forbids(&self, path: &str) -> bool {
        self.matches_plainly(path) || matches!(&self.kind, Kind::Glob(glob) if glob.matches(path))
    }

    /// The plain reading: a star at the end makes a prefix, any other text is equality, and the empty text matches nothing.
    fn matches_plainly(&self, path: &str) -> bool {
        match self.text.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => !self.text.is_empty() && *self.text == *path,
        }
    }

    /// Whether this rule, sure enough, matches every path that `other` can match: `false` if that takes more than a look.
    pub fn covers(&self, other: &Self) -> bool {
        // What every path that `other` matches starts with.
        let start = match other.kind {
            Kind::Literal => &*other.text,
            Kind::Prefix | Kind::Glob(_) => {
                let end = other.text.find(['*', '?', '[', '\\']);
                other
                    .text
                    .get(..end.unwrap_or_default())
                    .unwrap_or_default()
            }
        };
        match &self.kind {
            Kind::Prefix => start.starts_with(self.text.trim_end_matches('*')),
            Kind::Literal => self.text == other.text,
            Kind::Glob(glob) => {
                self.text == other.text
                    || (other.kind == Kind::Literal && glob.matches(&other.text))
            }
        }
    }

    /// Whether this rule matches every path below a route that ends in `/`, sure enough.
    pub fn covers_route(&self, route: &str) -> bool {
        match &self.kind {
            Kind::Prefix => route.starts_with(self.text.trim_end_matches('*')),
            Kind::Literal => false,
            Kind::Glob(glob) => glob.covers(route),
        }
    }

    /// Whether any path that `route` serves can match, in either reading. A route that ends in `/` takes one more segment.
    pub fn reaches(&self, route: &str) -> bool {
        if self.text.is_empty() {
            return false;
        }
        let below = |text: &str| {
            route.ends_with('/')
                && text
                    .strip_prefix(route)
                    .is_some_and(|rest| !rest.contains('/'))
        };
        let plainly = match self.text.strip_suffix('*') {
            Some(prefix) => route.starts_with(prefix) || below(prefix),
            None => *self.text == *route || below(&self.text),
        };
        match &self.kind {
            Kind::Glob(glob) => glob.reaches(route) || plainly,
            Kind::Literal | Kind::Prefix => plainly,
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Glob => "is read as a glob, in which '*' and '?' do not cross '/'",
            Self::NoRoute { .. } => "matches no API path",
        })
    }
}

impl Policy {
    /// A policy of these rules. Deny wins over allow; without any rule nothing is allowed.
    pub fn new(allow: Vec<Pattern>, deny: Vec<Pattern>) -> Self {
        Self { allow, deny }
    }

    /// The allow rules, as written.
    pub fn allow(&self) -> &[Pattern] {
        &self.allow
    }

    /// The deny rules, as written.
    pub fn deny(&self) -> &[Pattern] {
        &self.deny
    }

    /// Whether a request for the canonical `path` (decoded, without query) is allowed. Does not allocate.
    pub fn judge(&self, path: &str) -> Verdict<'_> {
        if let Some(rule) = self.deny.iter().find(|rule| rule.forbids(path)) {
            return Verdict::Denied(rule);
        }
        self.allow
            .iter()
            .find(|rule| rule.grants(path))
            .map_or(Verdict::NoRule, Verdict::Allowed)
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
