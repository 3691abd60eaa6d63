//! `kes key decrypt-file`: what `kes key encrypt-file` made (`docs/file-format.md`).

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    doing,
    sealed_file::{ENDING, FileArgs, Sink},
    stream::{self, Source},
};
use crate::cli::{
    connect::{self, ConnectArgs},
    error::Error,
    file,
    output::Output,
    settings::Environment,
};

/// Arguments of `kes key decrypt-file`.
#[derive(clap::Args)]
#[command(
    after_help = "The file names its key. FILE.kes goes to FILE, which only its owner can read; standard input to standard output.\n\n\
                        A file that was cut, extended, reordered or altered fails. With -o FILE nothing is written then. To standard output go the \
                        parts before the damage: they are genuine, but whoever reads them has to heed the exit code, 1, before taking them for all.\n\n\
                        Examples:\n  \
                        kes key decrypt-file backup.tar.kes\n  \
                        kes key decrypt-file --check backup.tar.kes"
)]
pub(super) struct Args {
    #[command(flatten)]
    file: FileArgs,
    /// Use this key, whatever the file says
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Read and verify all of the file, and write nothing
    #[arg(long, conflicts_with = "force")]
    check: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What was read, for programs.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    key: &'a str,
    cipher: &'static str,
    /// Bytes after decryption.
    size: u64,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let mut job = if args.check {
        args.file.check()?
    } else {
        args.file.job(decrypted, file::PRIVATE, out)?
    };
    let session = args.connect.session(env, out)?;
    let (header, size) = connect::run(async {
        let mut source = Source::new(job.input()?);
        let reading = job.read(move || source.header().map(|header| (header, source)));
        let (header, mut source) = reading.await?;
        let key = args.key.as_deref().unwrap_or(header.key().as_str());
        let call = session
            .client
            .decrypt(key, header.wrapped(), header.context());
        let data_key = session.call(doing("decrypt with key", key), call).await?;
        let opener = header
            .open(data_key.plaintext)
            .map_err(|damaged| Error::Invalid(format!("'{}': {damaged}", job.from)))?;
        let work = move |to: &mut Sink| stream::open(opener, &mut source, to);
        let size = job.finish(out, work).await?;
        Ok((header, size))
    })?;
    if out.wants_document() && (args.check || job.to.is_some()) {
        return out.document(&Report {
            file: job.to.as_deref(),
            key: header.key().as_str(),
            cipher: header.cipher().as_str(),
            size,
        });
    }
    Ok(())
}

fn decrypted(input: &Path) -> Result<PathBuf, Error> {
    let name = input.to_str().and_then(|name| name.strip_suffix(ENDING));
    let name = name.filter(|name| !name.is_empty() && !name.ends_with('/'));
    name.map(PathBuf::from).ok_or_else(|| {
        let name = input.display();
        Error::Usage(format!(
            "'{name}' does not end in '{ENDING}': say where to write with -o FILE, or '-o -'"
        ))
    })
}
