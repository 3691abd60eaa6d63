//! `kes key rm`.

use serde::Serialize;

use super::doing;
use crate::cli::{
    completion,
    confirm::Confirm,
    connect::{self, ConnectArgs},
    error::Error,
    output::Output,
    settings::Environment,
};

/// Arguments of `kes key rm`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes key rm my-key
  kes key rm tenant-1 tenant-2 --yes --ignore-missing")]
pub(super) struct Args {
    /// Names of the keys
    #[arg(value_name = "NAME", required = true, add = completion::keys())]
    names: Vec<String>,
    /// A key that is not there is no failure
    #[arg(long)]
    ignore_missing: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What became of a name.
#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    deleted: bool,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let session = args.connect.session(env, out)?;
    let (question, expected) = question(&args.names);
    let warning = "Whatever was encrypted with a deleted key is lost for ever.";
    args.confirm.ask(warning, &question, expected, out)?;
    connect::run(async {
        for name in &args.names {
            let call = session.client.delete_key(name);
            let outcome = session.call(doing("delete key", name), call).await;
            let deleted = match outcome {
                Ok(()) => true,
                Err(error) if args.ignore_missing && error.is_missing_key() => false,
                Err(error) => return Err(error),
            };
            if out.wants_document() {
                out.document(&Report { name, deleted })?;
            }
        }
        Ok(())
    })
}

/// What to ask before keys are deleted, and the answer that lets it happen.
fn question(names: &[String]) -> (String, &str) {
    if let [name] = names {
        let text = format!("Type the name of the key '{name}' to delete it:");
        (text, name.as_str())
    } else {
        let text = format!("Type 'yes' to delete the keys {}:", names.join(", "));
        (text, "yes")
    }
}
