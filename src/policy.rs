//! Policies: which API paths a client may use (api.md 3, decision 4). Pure: text in, verdict out.

/// A rule cannot be read: its glob is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a pattern: unclosed '[' or trailing '\\'")]
pub struct InvalidPattern(pub String);

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
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
        Ok(Self { text: text.into() })
    }

    /// The rule as written.
    pub fn as_str(&self) -> &str {
        &self.text
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

    /// Whether a request for the canonical `path` (decoded, without query) is allowed.
    pub fn judge(&self, path: &str) -> Verdict<'_> {
        let is = |rule: &&Pattern| rule.as_str() == path;
        if let Some(rule) = self.deny.iter().find(is) {
            return Verdict::Denied(rule);
        }
        self.allow
            .iter()
            .find(is)
            .map_or(Verdict::NoRule, Verdict::Allowed)
    }
}
