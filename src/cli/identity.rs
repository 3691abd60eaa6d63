//! `kes identity`: make API keys and certificates, tell whose they are, and what a server knows of them (cli.md 9).

use std::path::Path;

use clap::Subcommand as _;

use super::{
    error::Error,
    file,
    ls::ListArgs,
    output::{Output, Style},
    retired,
    settings::Environment,
};
use crate::{apikey::ApiKey, client::listing::Kind, identity::Identity};

mod info;
mod new;
mod of;
mod password;
mod rotate;
mod source;

/// Arguments of `kes identity`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// An API key or a PEM file to show the identity of; without it a new API key is made
    #[arg(value_name = "API-KEY|FILE")]
    source: Option<String>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make an API key, or a private key and a certificate
    New(new::Args),
    /// Show the identity of API keys, certificates and keys
    Of(of::Args),
    /// Make a new key pair beside the one in use, and let it take its place
    Rotate(rotate::Args),
    /// Show what a server knows of an identity
    Info(info::Args),
    /// List identities
    Ls(LsArgs),
    #[command(flatten)]
    Retired(retired::IdentityCommand),
}

/// Arguments of `kes identity ls`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes identity ls
  kes identity ls --long
  kes identity ls a050 --json")]
struct LsArgs {
    #[command(flatten)]
    list: ListArgs,
}

pub(super) fn run(args: Args, env: &Environment, out: &Output) -> Result<(), Error> {
    match (args.command, args.source) {
        (Some(Command::New(args)), _) => new::run(args, out),
        (Some(Command::Of(args)), _) => of::run(&args, out),
        (Some(Command::Rotate(args)), _) => rotate::run(&args, out),
        (Some(Command::Info(args)), _) => info::run(&args, env, out),
        (Some(Command::Ls(args)), _) => args.list.run(Kind::Identities, true, env, out),
        (Some(Command::Retired(command)), _) => command.run(out),
        (None, None) => show_key(&ApiKey::generate()?, out),
        (None, Some(source)) => show(&source, out),
    }
}

/// The short form: an API key or a certificate gives its identity, a private key its API key.
fn show(source: &str, out: &Output) -> Result<(), Error> {
    if let Ok(key) = ApiKey::parse(source) {
        return show_identity(&key.identity(), out);
    }
    let path = Path::new(source);
    if !path.exists() {
        return Err(unknown(source));
    }
    let text = file::read(path)?;
    let blocks = source::blocks(&text, source)?;
    let block = blocks
        .iter()
        .find(|block| block.is_certificate() || block.is_private_key());
    match block {
        None => Err(Error::Invalid(format!(
            "there is no certificate and no private key in '{source}'"
        ))),
        Some(block) if block.is_certificate() => {
            show_identity(&source::identity_of_block(block, source)?, out)
        }
        Some(block) if block.is_encrypted() => Err(source::encrypted(source)),
        Some(block) => {
            let key = ApiKey::from_pkcs8(block.der()).map_err(|_| {
                Error::Invalid(format!(
                    "the private key in '{source}' is no Ed25519 key, and only those can be API keys"
                ))
            })?;
            show_key(&key, out)
        }
    }
}

/// Neither a subcommand nor anything else; maybe one with a slip.
fn unknown(source: &str) -> Error {
    let text = format!("'{source}' is neither an API key nor a file, nor a subcommand");
    let near = Command::augment_subcommands(clap::Command::new("identity"))
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(|command| {
            (
                strsim::osa_distance(command.get_name(), source),
                command.get_name().to_owned(),
            )
        })
        .min();
    Error::Unknown {
        text,
        near: near
            .filter(|(distance, _)| *distance <= 2)
            .map(|(_, name)| name),
    }
}

fn show_identity(identity: &Identity, out: &Output) -> Result<(), Error> {
    if out.is_terminal() {
        let identity = out.styled(Style::Bold, identity.as_str());
        out.text(&format!("Identity:\n\n   {identity}"))
    } else {
        out.text(identity.as_str())
    }
}

fn show_key(key: &ApiKey, out: &Output) -> Result<(), Error> {
    let text = key.text();
    if !out.is_terminal() {
        return out.secret(&[text.expose(), b"\n"]);
    }
    let (on, off) = out.marks(Style::Bold);
    let identity = key.identity();
    out.secret(&[
        format!("\n Your API key:\n\n   {on}").as_bytes(),
        text.expose(),
        format!("{off}\n\n This is the only time it is shown. Keep it secret.\n\n Your Identity:\n\n   {identity}\n\n")
            .as_bytes(),
        b" To compute it again: kes identity of API-KEY\n\n",
    ])
}
