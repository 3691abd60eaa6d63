//! `kes version` and `kes --version`: what this program is (cli.md 7).

use serde::Serialize;

use super::{
    error::Error,
    output::{Output, Style},
};
use crate::telemetry;

/// Arguments of `kes version`.
#[derive(clap::Args, Default)]
#[command(after_help = "Examples:
  kes version
  kes version --json | jq -r .commit")]
pub(super) struct Args {}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    commit: &'static str,
}

pub(super) fn run(out: &Output) -> Result<(), Error> {
    let report = Report {
        version: crate::VERSION,
        commit: crate::COMMIT,
    };
    if out.wants_document() {
        return out.document(&report);
    }
    let platform = format!("rust {}/{}", telemetry::os(), telemetry::arch());
    let commit = format!("commit={}", report.commit);
    let lines = [
        ("Version", report.version, commit.as_str()),
        ("Runtime", platform.as_str(), "compiler=rustc"),
        (
            "License",
            "Apache-2.0",
            "https://www.apache.org/licenses/LICENSE-2.0",
        ),
        ("Copyright", "The kes authors", ""),
    ]
    .map(|(label, value, comment)| {
        let comment = out.styled(Style::Faint, comment);
        format!("{label:11} {value:22} {comment}")
            .trim_end()
            .to_owned()
    });
    out.text(&lines.join("\n"))
}
