//! `kes key rm`.

use super::doing;
use crate::cli::{
    connect::{self, ConnectArgs},
    error::Error,
    file,
    output::Output,
    settings::Environment,
};

/// Arguments of `kes key rm`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Names of the keys
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let session = args.connect.session(env, out)?;
    if !args.yes && file::stdin_is_terminal() {
        confirm(&args.names, out)?;
    }
    connect::run(async {
        for name in &args.names {
            let call = session.client.delete_key(name);
            session.call(doing("delete key", name), call).await?;
        }
        Ok(())
    })
}

/// Has a person type the name of a single key, or `yes` for several.
fn confirm(names: &[String], out: &Output) -> Result<(), Error> {
    out.warning("whatever was encrypted with a deleted key is lost for ever");
    let (question, expected) = if let [name] = names {
        (
            format!("Type the name of the key '{name}' to delete it:"),
            name.as_str(),
        )
    } else {
        (
            format!("Type 'yes' to delete the keys {}:", names.join(", ")),
            "yes",
        )
    };
    out.question(&question);
    if file::line()? == expected {
        Ok(())
    } else {
        Err(Error::Aborted)
    }
}
