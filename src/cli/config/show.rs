//! `kes config show`: what a configuration file amounts to, in current spelling and with all defaults. Secrets are masked.

use std::path::PathBuf;

use super::inspect;
use crate::cli::{error::Error, output::Output};

/// Arguments of `kes config show`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes config show /etc/kes/config.yaml")]
pub(super) struct Args {
    /// Configuration file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    let file = inspect(&args.file)?;
    if out.wants_document() {
        out.document_for_reading(&file.shown_json())
    } else {
        out.raw(file.shown().as_bytes())
    }
}
