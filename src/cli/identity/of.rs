//! `kes identity of`: the identity of API keys, certificates, private and public keys (cli.md 9.3).

use serde::Serialize;

use super::{show_identity, source};
use crate::cli::{error::Error, output::Output};

/// Arguments of `kes identity of`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes identity of public.crt
  kes identity of kes:v1:AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
  openssl s_client -connect kes:7373 </dev/null | kes identity of -")]
pub(super) struct Args {
    /// API keys or PEM files; '-' reads one from standard input
    #[arg(value_name = "API-KEY|FILE", required = true)]
    sources: Vec<String>,
    /// Hash function of the identity; there is only one
    #[arg(long, value_name = "HASH", hide = true, value_parser = ["SHA256", "SHA-256"])]
    hash: Option<String>,
}

/// The identity of one source, as earlier releases wrote it.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    identity: &'a str,
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    let single = args.sources.len() == 1;
    for argument in &args.sources {
        let (name, identity) = source::identity_of(argument)?;
        if out.wants_document() {
            out.document(&Line {
                name: &name,
                identity: identity.as_str(),
            })?;
        } else if single {
            show_identity(&identity, out)?;
        } else if out.is_terminal() {
            out.text(&format!("{name}: {identity}"))?;
        } else {
            out.text(identity.as_str())?;
        }
    }
    Ok(())
}
