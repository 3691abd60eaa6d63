//! `kes update`: how to get another release. It fetches nothing itself (cli.md 16.1).

use std::path::Path;

use serde::Serialize;

use super::{error::Error, globals::OtherFormat, output::Output, settings::Environment};

/// Arguments of `kes update`. What earlier releases took is taken, and does nothing.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes update
  kes update --json")]
pub(super) struct Args {
    /// Release to update to
    #[arg(hide = true)]
    version: Option<String>,
    #[arg(short, long, hide = true)]
    downgrade: bool,
    #[command(flatten)]
    format: OtherFormat,
    #[arg(short = 'o', long = "output", hide = true, value_name = "FILE")]
    file: Option<String>,
    #[arg(long, hide = true)]
    os: Option<String>,
    #[arg(long, hide = true)]
    arch: Option<String>,
    #[arg(long, hide = true)]
    minisign_key: Option<String>,
    #[arg(short = 'k', long, hide = true)]
    insecure: bool,
}

/// How this program came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Installation {
    Cargo,
    Container,
    File,
    Nix,
    Package,
}

impl Installation {
    /// Judged by where the program is, and by what containers set up.
    fn of(program: &Path, container: bool) -> Self {
        let is_in = |folder: &str| program.starts_with(folder);
        if container {
            Self::Container
        } else if is_in("/nix") {
            Self::Nix
        } else if program.to_string_lossy().contains("/.cargo/bin/") {
            Self::Cargo
        } else if is_in("/usr/bin") || is_in("/usr/sbin") {
            Self::Package
        } else {
            Self::File
        }
    }

    fn advice(self, program: &str) -> String {
        match self {
            Self::Cargo => "run 'cargo install kes --locked --force'".to_owned(),
            Self::Container => {
                "run a newer image: a program that is changed in a container is gone with it"
                    .to_owned()
            }
            Self::File => format!(
                "replace {program} by that of another release, whose checksum you have verified, and start the server anew"
            ),
            Self::Nix => "update the input that kes comes from, and rebuild".to_owned(),
            Self::Package => "use the package manager that installed it".to_owned(),
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    version: &'a str,
    commit: &'a str,
    installation: Installation,
    program: &'a str,
}

pub(super) fn run(env: &Environment, out: &Output) -> Result<(), Error> {
    let program = std::env::current_exe().unwrap_or_else(|_| "kes".into());
    let container = ["/.dockerenv", "/run/.containerenv"]
        .iter()
        .any(|file| Path::new(file).exists())
        || env.get("KUBERNETES_SERVICE_HOST").is_some();
    let installation = Installation::of(&program, container);
    let program = program.display().to_string();
    let report = Report {
        version: crate::VERSION,
        commit: crate::COMMIT,
        installation,
        program: &program,
    };
    out.show(&report, || {
        out.fields(&[
            ("Version", crate::VERSION),
            ("Commit", crate::COMMIT),
            ("Program", &program),
        ])
    })?;
    Err(Error::Retired {
        text: "this program does not update itself".to_owned(),
        hint: installation.advice(&program),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_the_program_tells_how_it_came_there() {
        for (program, container, expected) in [
            ("/usr/bin/kes", false, Installation::Package),
            ("/usr/bin/kes", true, Installation::Container),
            ("/home/a/.cargo/bin/kes", false, Installation::Cargo),
            ("/nix/store/x/bin/kes", false, Installation::Nix),
            ("/opt/kes", false, Installation::File),
        ] {
            assert_eq!(Installation::of(Path::new(program), container), expected);
        }
    }
}
