//! `kes key dek`.

use super::{context::ContextArgs, doing};
use crate::cli::{
    completion,
    connect::{self, ConnectArgs},
    error::Error,
    output::Output,
    settings::Environment,
};

/// Arguments of `kes key dek`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes key dek my-key
  kes key dek my-key --context-raw bucket/object | jq -r .ciphertext")]
pub(super) struct Args {
    /// Name of the key
    #[arg(add = completion::keys())]
    name: String,
    /// The context in base64
    #[arg(value_name = "CONTEXT")]
    bound_to: Option<String>,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let context = args.context.bytes(args.bound_to.as_deref())?;
    let session = args.connect.session(env, out)?;
    let generated = connect::run(async {
        let call = session.client.generate(&args.name, &context);
        session
            .call(doing("make a data key with key", &args.name), call)
            .await
    })?;
    let fields: &[(&str, &[u8])] = &[
        ("plaintext", generated.plaintext.expose()),
        ("ciphertext", &generated.ciphertext),
    ];
    out.bytes(fields, &generated.version)
}
