//! References to environment variables (config.md 2): the only place that reads the environment.
//!
//! Values of variables are secrets: no message holds one, only the names of variables.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// Where variables are looked up.
#[derive(Clone)]
pub struct Env(Source);

#[derive(Clone)]
enum Source {
    Map(BTreeMap<String, Zeroizing<String>>),
    Process,
}

/// Why a variable has no value that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoValue {
    /// Its value is not Unicode.
    #[error("is not valid UTF-8")]
    NotUnicode,
    /// It is not set. (A variable set to the empty text has a value.)
    #[error("is not set")]
    Unset,
}

impl Env {
    /// The environment of this process.
    pub fn process() -> Self {
        Self(Source::Process)
    }

    /// Exactly these variables.
    pub fn of<K: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        Self(Source::Map(
            variables
                .map(|(name, value)| (name.into(), Zeroizing::new(value.into())))
                .collect(),
        ))
    }

    /// The value of the variable `name`.
    ///
    /// # Errors
    /// [`NoValue`] if it is unset or not text.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub fn value(&self, name: &str) -> Result<Zeroizing<String>, NoValue> {
        match &self.0 {
            Source::Map(map) => map.get(name).cloned().ok_or(NoValue::Unset),
            // These names make the system's look-up fail or panic.
            Source::Process if name.is_empty() || name.contains(['=', '\0']) => Err(NoValue::Unset),
            Source::Process => match std::env::var(name) {
                Ok(value) => Ok(Zeroizing::new(value)),
                Err(std::env::VarError::NotPresent) => Err(NoValue::Unset),
                Err(std::env::VarError::NotUnicode(_)) => Err(NoValue::NotUnicode),
            },
        }
    }
}

/// What stands in a scalar.
pub(super) enum Expansion {
    /// Text without a reference.
    Literal,
    /// Text that contains `${` but is no reference: it stays as it is, and somebody should be told.
    LiteralWithDollar,
    /// A reference to a variable that has no value.
    Missing { name: String, why: NoValue },
    /// References; the text that replaces the whole scalar, and the names of the variables.
    Value {
        text: Zeroizing<String>,
        names: Vec<String>,
    },
}

/// Expands the references in `text`.
///
/// A text that, trimmed, starts with `${` and ends with `}` is one reference; if it has more than one `${`, each `${NAME}` in it is
/// one (releases of the predecessor up to v0.21.1 did that). The replacement is neither expanded again nor parsed.
pub(super) fn expand(text: &str, env: &Env) -> Expansion {
    let trimmed = text.trim();
    let Some(inner) = trimmed
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
    else {
        return if text.contains("${") {
            Expansion::LiteralWithDollar
        } else {
            Expansion::Literal
        };
    };
    if !inner.contains("${") {
        let name = inner.trim();
        return match env.value(name) {
            Ok(text) => Expansion::Value {
                text,
                names: vec![name.to_owned()],
            },
            Err(why) => Expansion::Missing {
                name: name.to_owned(),
                why,
            },
        };
    }
    let mut out = Zeroizing::new(String::new());
    let mut names = Vec::new();
    let mut rest = trimmed;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let name = name.trim();
        match env.value(name) {
            Ok(value) => append(&mut out, &[before, &value]),
            Err(why) => {
                return Expansion::Missing {
                    name: name.to_owned(),
                    why,
                };
            }
        }
        names.push(name.to_owned());
        rest = after;
    }
    append(&mut out, &[rest]);
    Expansion::Value { text: out, names }
}

/// Appends without leaving an unwiped copy behind when the text has to move.
fn append(out: &mut Zeroizing<String>, parts: &[&str]) {
    let len = out.len() + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut longer = Zeroizing::new(String::with_capacity(len));
    longer.push_str(out);
    for part in parts {
        longer.push_str(part);
    }
    *out = longer;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Env {
        Env::of([
            ("STR", "hello"),
            ("EMPTY", ""),
            ("HOST", "127.0.0.1"),
            ("PORT", "7373"),
            ("NEST", "${STR}"),
        ])
    }

    fn expanded(text: &str) -> Option<String> {
        match expand(text, &env()) {
            Expansion::Value { text, .. } => Some(text.to_string()),
            _ => None,
        }
    }

    fn missing(text: &str) -> Option<String> {
        match expand(text, &env()) {
            Expansion::Missing { name, .. } => Some(name),
            _ => None,
        }
    }

    #[test]
    fn references_are_replaced_whole_and_once() {
        for (text, value) in [
            ("${STR}", "hello"),
            ("${ STR }", "hello"),
            (" ${STR} ", "hello"),
            ("${EMPTY}", ""),
            ("${NEST}", "${STR}"),
            ("${HOST}:${PORT}", "127.0.0.1:7373"),
            (" ${STR}${STR} ", "hellohello"),
            ("${STR} and ${EMPTY}${ STR }", "hello and hello"),
        ] {
            assert_eq!(expanded(text).as_deref(), Some(value), "{text}");
        }
    }

    #[test]
    fn text_that_only_contains_a_reference_stays() {
        for text in ["x${STR}", "${STR}x", "https://${STR}:8200", "${"] {
            assert!(
                matches!(expand(text, &env()), Expansion::LiteralWithDollar),
                "{text}"
            );
        }
        for text in ["$STR", "", "{STR}", "$ {STR}", "}"] {
            assert!(matches!(expand(text, &env()), Expansion::Literal), "{text}");
        }
    }

    #[test]
    fn an_unset_variable_is_named_and_never_empty() {
        for (text, name) in [
            ("${NOPE}", "NOPE"),
            ("${}", ""),
            ("${STR:-dflt}", "STR:-dflt"),
            ("${STR}x}", "STR}x"),
            ("${STR}${NOPE}", "NOPE"),
            ("${STR${STR}}", "STR${STR"),
        ] {
            assert_eq!(missing(text).as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn the_process_can_be_asked_for_any_name() {
        let env = Env::process();
        assert!(env.value("PATH").is_ok());
        for name in ["", "A=B", "A\0B", "KES_SURELY_NOT_SET_ANYWHERE"] {
            assert_eq!(env.value(name), Err(NoValue::Unset), "{name:?}");
        }
    }
}
