//! `kes cert fetch`: the certificate that a server shows, to be trusted once its fingerprint was compared (cli.md 19.1).

use std::fmt::Write as _;

use super::{
    connect::{self, ConnectArgs},
    error::Error,
    output::Output,
    settings::Environment,
};
use crate::pem;

pub(super) mod shown;

use shown::Shown;

/// Arguments of `kes cert`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print the certificate that a server shows, and its fingerprint
    Fetch(FetchArgs),
}

/// Arguments of `kes cert fetch`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes cert fetch kes.example.org:7373 > ca.crt
  KES_CA=ca.crt kes status")]
struct FetchArgs {
    /// The server [default: that of the other commands]
    #[arg(value_name = "HOST[:PORT]")]
    host: Option<String>,
    /// Print all certificates that the server shows, not its own alone
    #[arg(long)]
    chain: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    match &args.command {
        Command::Fetch(args) => fetch(args, env, out),
    }
}

fn fetch(args: &FetchArgs, env: &Environment, out: &Output) -> Result<(), Error> {
    let session = args
        .connect
        .session_to_look(args.host.as_deref(), env, out)?;
    let (endpoint, chain) = connect::run(session.call("", session.client.presented()))?;
    let (Some(leaf), count) = (chain.first(), chain.len()) else {
        return Err(Error::Invalid(format!("{endpoint} shows no certificate")));
    };
    let shown = Shown::of(leaf)?;
    let mut text = String::new();
    for (label, value) in shown.fields() {
        let _ = writeln!(text, "{label:11} {value}");
    }
    out.remark(&format!(
        "{endpoint} shows this certificate{}:\n{text}Compare the fingerprint with that of the server before you trust it.",
        if count > 1 { ", and others that vouch for it" } else { "" }
    ));
    let printed = if args.chain { count } else { 1 };
    if out.wants_document() {
        return out.document(&shown);
    }
    for certificate in chain.iter().take(printed) {
        out.raw(pem::encode("CERTIFICATE", certificate).expose())?;
    }
    Ok(())
}
