//! `kes version` and `kes --version`: what this program is (cli.md 7).

use serde::Serialize;

use super::{
    error::Error,
    output::{Output, Style},
};

/// Arguments of `kes version`.
#[derive(clap::Args, Default)]
pub(super) struct Args {
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    commit: &'static str,
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("KES_COMMIT"),
    };
    if args.json {
        return out.json(&report);
    }
    let platform = format!("rust {}/{}", std::env::consts::OS, arch());
    let commit = format!("commit={}", report.commit);
    let lines = [
        ("Version", report.version, commit.as_str()),
        ("Runtime", platform.as_str(), "compiler=rustc"),
        (
            "License",
            "Apache-2.0",
            "https://www.apache.org/licenses/LICENSE-2.0",
        ),
        ("Copyright", "the authors of kes", ""),
    ]
    .map(|(label, value, comment)| {
        let comment = out.styled(Style::Faint, comment);
        format!("{label:11} {value:22} {comment}")
            .trim_end()
            .to_owned()
    });
    out.text(&lines.join("\n"))
}

/// The processor under its Go name, as in the API (api.md 7.3).
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
