//! `kes key encrypt-file`: a file of any size under a data key of the server (`docs/file-format.md`).

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    doing,
    sealed_file::{ENDING, FileArgs},
    stream::{self, Source, StreamError},
};
use crate::{
    cli::{
        completion,
        connect::{self, ConnectArgs},
        error::Error,
        output::Output,
        settings::Environment,
    },
    crypto::{Cipher, file::Draft},
    name::KeyName,
};

/// Arguments of `kes key encrypt-file`.
#[derive(clap::Args)]
#[command(
    after_help = "The file goes to FILE.kes, or from standard input to standard output. What is written appears at its place \
                        when it is whole. 'kes key decrypt-file' makes the file again.\n\n\
                        Examples:\n  \
                        kes key encrypt-file my-key backup.tar\n  \
                        tar c data | kes key encrypt-file my-key > backup.tar.kes"
)]
pub(super) struct Args {
    /// Name of the key
    #[arg(add = completion::keys())]
    name: String,
    #[command(flatten)]
    file: FileArgs,
    /// Cipher of the file; by default the faster one on this computer
    #[arg(long, value_parser = ["AES256", "ChaCha20"])]
    cipher: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What was made, for programs.
#[derive(Serialize)]
struct Report<'a> {
    file: &'a str,
    key: &'a str,
    cipher: &'static str,
    /// Bytes before encryption.
    size: u64,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let name = KeyName::parse_old(&args.name)
        .map_err(|source| Error::Invalid(format!("the key name '{}' is {source}", args.name)))?;
    let cipher = args.cipher.as_deref().and_then(Cipher::parse);
    let cipher = cipher.unwrap_or_else(Cipher::for_this_cpu);
    let mut job = args.file.job(|input| Ok(encrypted(input)), 0o644, out)?;
    let draft = Draft::new(&name, cipher)?;
    let session = args.connect.session(env, out)?;
    let size = connect::run(async {
        let call = session.client.generate(name.as_str(), draft.context());
        let what = doing("make a data key with key", name.as_str());
        let data_key = session.call(what, call).await?;
        let finished = draft.finish(data_key.plaintext, &data_key.ciphertext);
        let (header, sealer) = finished.map_err(|error| {
            Error::Invalid(format!("the server's data key is of no use: {error}"))
        })?;
        let mut source = Source::new(job.input()?);
        let work = move |to: &mut super::sealed_file::Sink| {
            use std::io::Write as _;
            to.write_all(&header).map_err(StreamError::Write)?;
            stream::seal(sealer, &mut source, to)
        };
        job.finish(out, work).await
    })?;
    match &job.to {
        Some(file) if out.wants_document() => out.document(&Report {
            file,
            key: name.as_str(),
            cipher: cipher.as_str(),
            size,
        }),
        _ => Ok(()),
    }
}

fn encrypted(input: &Path) -> PathBuf {
    let mut name = input.as_os_str().to_owned();
    name.push(ENDING);
    name.into()
}
