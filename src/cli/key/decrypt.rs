//! `kes key decrypt`.

use std::path::{Path, PathBuf};

use super::{
    context::{self, ContextArgs},
    doing,
};
use crate::cli::{
    completion,
    connect::{self, ConnectArgs},
    error::Error,
    file::{self, Pending},
    globals::OtherFormat,
    output::Output,
    settings::Environment,
};

/// Arguments of `kes key decrypt`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes key decrypt my-key CIPHERTEXT
  kes key decrypt my-key --file ciphertext.base64 --raw
  kes key decrypt my-key CIPHERTEXT --context-raw bucket/object --output secret.txt")]
pub(super) struct Args {
    /// Name of the key
    #[arg(add = completion::keys())]
    name: String,
    /// The ciphertext in base64; '-' or nothing reads it from standard input
    ciphertext: Option<String>,
    /// The context in base64
    #[arg(value_name = "CONTEXT")]
    bound_to: Option<String>,
    /// Read the ciphertext from this file, in base64
    #[arg(long, value_name = "FILE", conflicts_with = "ciphertext")]
    file: Option<PathBuf>,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    format: OtherFormat,
    /// Print the plaintext as it is
    #[arg(long, conflicts_with_all = ["json", "format"])]
    raw: bool,
    /// Write the plaintext as it is to this file, which only its owner can read
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["json", "format", "raw"])]
    output: Option<PathBuf>,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let context = args.context.bytes(args.bound_to.as_deref())?;
    let file = args.file.as_deref();
    let text = file::input("the ciphertext", args.ciphertext.as_deref(), file)?;
    let text = std::str::from_utf8(&text).unwrap_or("?");
    let ciphertext = context::decode("the ciphertext", text)?;
    let session = args.connect.session(env, out)?;
    let plaintext = connect::run(async {
        let call = session.client.decrypt(&args.name, &ciphertext, &context);
        session
            .call(doing("decrypt with key", &args.name), call)
            .await
    })?
    .plaintext;
    match args.output.as_deref() {
        Some(path) => write(path, plaintext.expose()),
        None if args.raw => out.raw(plaintext.expose()),
        None => out.bytes(&[("plaintext", plaintext.expose())], ""),
    }
}

fn write(path: &Path, plaintext: &[u8]) -> Result<(), Error> {
    Pending::write(path, plaintext, file::PRIVATE)?.place(true)
}
