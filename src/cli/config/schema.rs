//! `kes config schema`: what a configuration file may hold, for editors and for programs.

use crate::{
    cli::{error::Error, output::Output},
    config,
};

/// Arguments of `kes config schema`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes config schema > kes.schema.json")]
pub(super) struct Args {
    /// Print the page docs/configuration.md instead
    #[arg(long, hide = true)]
    markdown: bool,
    /// Print the file config/kes.yaml instead
    #[arg(long, hide = true, conflicts_with = "markdown")]
    sample: bool,
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    if args.markdown {
        return out.raw(config::markdown().as_bytes());
    }
    if args.sample {
        return out.raw(config::sample().as_bytes());
    }
    let schema = serde_json::to_string_pretty(&config::schema())
        .map_err(|error| Error::Setup(Box::new(error)))?;
    out.text(&schema)
}
