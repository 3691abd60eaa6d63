//! [`Check`]: one thing that was looked at, what was seen, and what to do about it.

use serde::Serialize;

use crate::cli::{
    error::Error,
    output::{Output, Style},
};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// It works, but somebody should know.
    Warning,
    Failed,
    /// It could not be looked at, or makes no sense here.
    Skipped,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    /// What was looked at: one word for programs, the same in every release.
    pub(super) name: &'static str,
    /// The server or file it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    pub(super) state: State,
    pub(super) detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

impl Check {
    pub(super) fn new(name: &'static str, state: State, detail: impl Into<String>) -> Self {
        Self {
            name,
            subject: None,
            state,
            detail: detail.into(),
            remedy: None,
        }
    }

    pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, State::Ok, detail)
    }

    pub(super) fn failed(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, State::Failed, detail)
    }

    pub(super) fn warning(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, State::Warning, detail)
    }

    pub(super) fn skipped(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, State::Skipped, detail)
    }

    /// What failed, with the causes and the remedy that the command's own errors have.
    pub(super) fn of_error(name: &'static str, error: &Error) -> Self {
        Self::failed(name, error.text()).remedy(error.hint())
    }

    pub(super) fn remedy(self, remedy: impl Into<Option<String>>) -> Self {
        Self {
            remedy: remedy.into(),
            ..self
        }
    }

    pub(super) fn about(self, subject: &str) -> Self {
        Self {
            subject: Some(subject.to_owned()),
            ..self
        }
    }
}

/// All of them, for programs.
#[derive(Serialize)]
struct Report<'a> {
    checks: &'a [Check],
    failed: usize,
}

/// Shows what was seen: a line for each check, the remedy below it.
pub(super) fn show(checks: &[Check], out: &Output) -> Result<(), Error> {
    let failed = checks.iter().filter(|check| check.state == State::Failed);
    let report = Report {
        checks,
        failed: failed.count(),
    };
    out.show(&report, || {
        let mut subject: Option<&Option<String>> = None;
        let mut lines = Vec::new();
        for check in checks {
            if subject != Some(&check.subject) {
                subject = Some(&check.subject);
                let title = check.subject.as_deref().unwrap_or("this client");
                lines.push(out.styled(Style::Bold, title));
            }
            let (sign, style) = match check.state {
                State::Ok => ("✓", Style::Green),
                State::Warning => ("!", Style::Yellow),
                State::Failed => ("✗", Style::Red),
                State::Skipped => ("–", Style::Faint),
            };
            let sign = out.styled(style, sign);
            lines.push(format!("  {sign} {:13} {}", check.name, check.detail));
            if let Some(remedy) = &check.remedy {
                lines.push(format!("    {:13} → {remedy}", ""));
            }
        }
        out.text(&lines.join("\n"))
    })?;
    match (report.failed, checks.len()) {
        (0, _) => Ok(()),
        (failed, all) => Err(Error::Invalid(format!("{failed} of {all} checks failed"))),
    }
}
