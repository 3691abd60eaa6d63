//! `kes config migrate`: old spellings become current ones in the text of a configuration file; everything else stays.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use crate::{
    api,
    cli::{
        error::Error,
        file::{PRIVATE, Pending},
        globals::OtherFormat,
        output::Output,
    },
    config::{self, Migration},
};

/// Arguments of `kes config migrate`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes config migrate /etc/kes/config.yaml
  kes config migrate --in-place /etc/kes/config.yaml")]
pub(super) struct Args {
    /// Configuration file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to write the new file, which must not exist [default: standard output]
    #[arg(short, long, value_name = "FILE", conflicts_with = "in_place")]
    output: Option<PathBuf>,
    /// Replace the file; what it was is kept beside it, with '.bak' at the end of its name
    #[arg(long)]
    in_place: bool,
    #[command(flatten)]
    format: OtherFormat,
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    let migration =
        config::migrate(&args.file, &api::configurable()).map_err(Error::Configuration)?;
    tell(&migration, out);
    let bytes = migration.text.as_bytes();
    if let Some(path) = &args.output {
        return Pending::write(path, bytes, PRIVATE)?.place(false);
    }
    if !args.in_place {
        return out.raw(bytes);
    }
    if migration.changed.is_empty() {
        return Ok(());
    }
    replace(args, bytes)
}

/// Puts the new text in the place of the file, in one step, and the old beside it.
fn replace(args: &Args, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::File {
        doing: "replace",
        path: args.file.display().to_string(),
        source,
    };
    // The file itself, not a link to it.
    let path = fs::canonicalize(&args.file).map_err(failed)?;
    let permissions = fs::metadata(&path).map_err(failed)?.permissions();
    let mut backup = path.clone().into_os_string();
    backup.push(".bak");
    let backup = PathBuf::from(backup);
    let old = fs::read(&path).map_err(failed)?;
    match Pending::write(&backup, &old, PRIVATE)?.place(false) {
        Err(Error::Exists(name)) => {
            return Err(Error::Invalid(format!(
                "'{name}' exists, which keeps what the file was before: move it away, and try again"
            )));
        }
        placed => placed?,
    }
    let new = Pending::write(&path, bytes, PRIVATE)?;
    for file in [backup.as_path(), new.path()] {
        fs::set_permissions(file, fs::Permissions::from_mode(permissions.mode() & 0o777))
            .map_err(failed)?;
    }
    new.place(true)
}

fn tell(migration: &Migration, out: &Output) {
    for note in &migration.changed {
        out.note(&note.to_string());
    }
    for note in &migration.left {
        let hint = note.hint.as_ref().map(|hint| format!(": {hint}"));
        out.warning(&format!("{note}{}", hint.unwrap_or_default()));
    }
    if migration.changed.is_empty() && migration.left.is_empty() {
        out.note("no old spellings: nothing to change");
    }
}
