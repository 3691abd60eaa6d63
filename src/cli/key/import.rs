//! `kes key import`.

use std::path::PathBuf;

use serde::Serialize;

use super::{context, doing};
use crate::{
    cli::{
        connect::{self, ConnectArgs},
        error::Error,
        file,
        output::Output,
        settings::Environment,
    },
    secret::Secret,
};

/// Length of a key in bytes.
pub(super) const KEY_LEN: usize = 32;
/// The cipher of a key unless another one is asked for.
pub(super) const AES256: &str = "AES256";

/// Arguments of `kes key import`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes key import my-key --file key.base64
  openssl rand -base64 32 | kes key import my-key -
  kes key import my-key --generate --cipher ChaCha20")]
pub(super) struct Args {
    /// Name of the new key
    name: String,
    /// The key: 32 bytes in base64; '-' or nothing reads it from standard input
    #[arg(conflicts_with_all = ["file", "generate"])]
    key: Option<String>,
    /// Read the key from this file, in base64
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Make the key here, and show it to nobody
    #[arg(long, conflicts_with = "file")]
    generate: bool,
    /// Read the HMAC key, too, from this file, in base64 [default: a random one]
    #[arg(long, value_name = "FILE")]
    hmac_file: Option<PathBuf>,
    /// Cipher the key is for
    #[arg(long, value_parser = [AES256, "ChaCha20"], default_value = AES256)]
    cipher: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let key = args.key()?;
    let hmac = match &args.hmac_file {
        Some(path) => Some(key_of("the HMAC key", &file::read(path)?)?),
        None => None,
    };
    let session = args.connect.session(env, out)?;
    connect::run(async {
        let hmac = hmac.as_ref().map(Secret::expose);
        let call = session
            .client
            .import_key(&args.name, key.expose(), &args.cipher, hmac);
        session.call(doing("import key", &args.name), call).await
    })?;
    if args.key.as_deref().is_some_and(|key| key != "-") {
        out.note("others on this computer can see a key on the command line; --file or standard input hide it");
    }
    report(&args.name, out)
}

/// Tells programs what was made.
pub(super) fn report(name: &str, out: &Output) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Report<'a> {
        name: &'a str,
        imported: bool,
    }
    let report = Report {
        name,
        imported: true,
    };
    out.show(&report, || Ok(()))
}

impl Args {
    fn key(&self) -> Result<Secret, Error> {
        if self.generate {
            return Ok(Secret::random(KEY_LEN)?);
        }
        let text = file::input("the key", self.key.as_deref(), self.file.as_deref())?;
        key_of("the key", &text)
    }
}

/// The 32 bytes of a key in base64.
fn key_of(what: &str, text: &[u8]) -> Result<Secret, Error> {
    let text = std::str::from_utf8(text).unwrap_or("?");
    let key = context::decode(what, text)?;
    if key.len() != KEY_LEN {
        return Err(Error::Invalid(format!(
            "{what} has {} bytes instead of {KEY_LEN}",
            key.len()
        )));
    }
    Ok(Secret::copy_from(&key))
}
