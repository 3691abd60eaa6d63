//! The password that a new private key is encrypted with: from a file, or typed twice (cli.md 9.2).

use std::{io, path::PathBuf};

use crate::{
    cli::{error::Error, file, password::ask},
    secret::Secret,
};

/// Flags that have a private key encrypted.
#[derive(clap::Args)]
#[expect(
    clippy::doc_markdown,
    reason = "these are texts of the help, shown as they are"
)]
pub(super) struct EncryptArgs {
    /// Encrypt the private key with a password, which is asked for
    #[arg(long)]
    encrypt: bool,
    /// The same in the old form, which MinIO servers with MINIO_KMS_KES_KEY_PASSWORD read
    #[arg(long)]
    legacy_encrypt: bool,
    /// Take the first line of this file as the password; '-' is standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// How a private key is encrypted, and with what.
pub(super) enum Sealing {
    /// PKCS #8.
    Now(Secret),
    /// RFC 1423.
    Before(Secret),
}

impl EncryptArgs {
    /// Whether a key file is asked for.
    pub(super) fn is_given(&self) -> bool {
        self.encrypt || self.legacy_encrypt || self.password_file.is_some()
    }

    /// Reads or asks for the password, if one is needed.
    pub(super) fn sealing(&self) -> Result<Option<Sealing>, Error> {
        if !self.is_given() {
            return Ok(None);
        }
        let password = match &self.password_file {
            Some(path) => read(path)?,
            None => ask_twice()?,
        };
        if password.is_empty() {
            return Err(Error::Invalid("the password is empty".to_owned()));
        }
        Ok(Some(if self.legacy_encrypt {
            Sealing::Before(password)
        } else {
            Sealing::Now(password)
        }))
    }
}

fn read(path: &std::path::Path) -> Result<Secret, Error> {
    let text = if path.as_os_str() == "-" {
        file::stdin()?
    } else {
        file::read(path)?
    };
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(Secret::copy_from(line.strip_suffix(b"\r").unwrap_or(line)))
}

fn ask_twice() -> Result<Secret, Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::Interrupted => Error::Interrupted,
        _ => Error::Io {
            doing: "ask for the password: there is no terminal; use --password-file",
            source,
        },
    };
    let first = ask("Password of the new private key: ").map_err(failed)?;
    let second = ask("The same once more: ").map_err(failed)?;
    if *first != *second {
        return Err(Error::Invalid(
            "the two passwords differ, nothing was written".to_owned(),
        ));
    }
    Ok(Secret::copy_from(first.as_bytes()))
}
