//! `kes key encrypt`.

use std::path::PathBuf;

use super::{context::ContextArgs, doing};
use crate::cli::{
    completion,
    connect::{self, ConnectArgs},
    error::Error,
    file,
    output::Output,
    settings::Environment,
};

/// Arguments of `kes key encrypt`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes key encrypt my-key 'a message'
  kes key encrypt my-key --file secret.txt --context-raw bucket/object | jq -r .ciphertext")]
pub(super) struct Args {
    /// Name of the key
    #[arg(add = completion::keys())]
    name: String,
    /// The message, as it is; '-' or nothing reads it from standard input
    message: Option<String>,
    /// Read the message from this file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let context = args.context.bytes(None)?;
    let message = file::input("the message", args.message.as_deref(), args.file.as_deref())?;
    let session = args.connect.session(env, out)?;
    let encrypted = connect::run(async {
        let call = session.client.encrypt(&args.name, &message, &context);
        session
            .call(doing("encrypt with key", &args.name), call)
            .await
    })?;
    let fields: &[(&str, &[u8])] = &[("ciphertext", &encrypted.ciphertext)];
    out.bytes(fields, &encrypted.version)
}
