//! `kes key create`.

use serde::Serialize;
use zeroize::Zeroizing;

use super::{doing, import};
use crate::{
    cli::{
        connect::{self, ConnectArgs},
        error::Error,
        output::Output,
        settings::Environment,
    },
    wire::base64,
};

/// Arguments of `kes key create`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes key create my-key
  kes key create tenant-1 tenant-2 --if-not-exists")]
pub(super) struct Args {
    /// Names of the new keys
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// A key that is there already is no failure
    #[arg(long)]
    if_not_exists: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What became of a name.
#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    created: bool,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let session = args.connect.session(env, out)?;
    connect::run(async {
        if let [name, key] = args.names.as_slice()
            && let Some(key) = as_key(key)
        {
            out.note("'kes key create NAME KEY' is deprecated, use 'kes key import NAME KEY'");
            let call = session.client.import_key(name, &key, import::AES256, None);
            session.call(doing("import key", name), call).await?;
            return import::report(name, out);
        }
        for name in &args.names {
            let call = session.client.create_key(name);
            let outcome = session.call(doing("create key", name), call).await;
            let created = match outcome {
                Ok(()) => true,
                Err(error) if args.if_not_exists && error.code() == "exists" => false,
                Err(error) => return Err(error),
            };
            if out.wants_document() {
                out.document(&Report { name, created })?;
            }
        }
        Ok(())
    })
}

/// The 32 bytes that a second argument once was. Such a text is no valid name, as it ends in `=`.
fn as_key(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let key = base64::decode(text).ok()?;
    (key.len() == import::KEY_LEN && text.ends_with('=')).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_32_bytes_of_base64_are_a_key() {
        assert!(as_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").is_some());
        for name in ["my-key", "AAAA", "AAA=", &"A".repeat(44)] {
            assert!(as_key(name).is_none(), "{name}");
        }
    }
}
