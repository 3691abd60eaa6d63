//! `kes key hmac`: a message under the HMAC key of a key, the same each time.

use std::path::PathBuf;

use super::doing;
use crate::cli::{
    completion,
    connect::{self, ConnectArgs},
    error::Error,
    file,
    output::Output,
    settings::Environment,
};

/// Arguments of `kes key hmac`.
#[derive(clap::Args)]
#[command(
    after_help = "The same message and key give the same HMAC. A key that the predecessor made before 2024-02-29 has none.\n\n\
                        Examples:\n  \
                        kes key hmac my-key 'some text'\n  \
                        sha256sum < big.iso | kes key hmac my-key"
)]
pub(super) struct Args {
    /// Name of the key
    #[arg(add = completion::keys())]
    name: String,
    /// The message, as it is; '-' or nothing reads it from standard input
    message: Option<String>,
    /// Read the message from this file
    #[arg(long, value_name = "FILE", conflicts_with = "message")]
    file: Option<PathBuf>,
    /// Print the 32 bytes as they are
    #[arg(long, conflicts_with_all = ["json", "format"])]
    raw: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let message = file::input("the message", args.message.as_deref(), args.file.as_deref())?;
    let session = args.connect.session(env, out)?;
    let answer = connect::run(async {
        let call = session.client.hmac(&args.name, &message);
        session
            .call(doing("authenticate with key", &args.name), call)
            .await
    })?;
    if args.raw {
        return out.raw(answer.hmac.expose());
    }
    out.bytes(&[("hmac", answer.hmac.expose())], &answer.version)
}
