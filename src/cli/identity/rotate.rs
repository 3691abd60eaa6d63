//! `kes identity rotate`: a new key pair beside the old one, both known to the server during the change, and then in its place.
//!
//! Nothing is destroyed. The new files are `FILE.new` until `--finish`, the old ones `FILE.old` after it, and whoever is stopped half-way
//! can run it again.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
use zeroize::Zeroizing;

use super::source;
use crate::{
    apikey::ApiKey,
    certificate::{SelfSigned, Usage},
    cli::{
        duration,
        error::Error,
        file::{self, Pending},
        output::Output,
    },
    client::credential::Credential,
    clock::Clock,
    identity::Identity,
    pem,
};

/// How far the beginning of a certificate's life lies back: clocks differ.
const BACK_DATED: time::Duration = time::Duration::minutes(5);
/// Mode of certificates.
const PUBLIC: u32 = 0o644;

/// Arguments of `kes identity rotate`.
#[derive(clap::Args)]
#[command(
    after_help = "Without --finish new files are made beside those in use: FILE.new. With it they take the place of the old ones, which become FILE.old.\n\n\
                        Examples:\n  \
                        kes identity rotate --key app.key --cert app.crt --policy my-app\n  \
                        kes identity rotate --key app.key --cert app.crt --finish\n  \
                        kes identity rotate --api-key-file app.key"
)]
pub(super) struct Args {
    /// Private key in use
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Certificate in use
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// File with the API key in use
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "key",
        required_unless_present = "key"
    )]
    api_key_file: Option<PathBuf>,
    /// Life time of the new certificate, as 90d [default: that of the old one]
    #[arg(long, value_name = "DURATION", value_parser = duration::positive, conflicts_with = "finish")]
    expiry: Option<Duration>,
    /// Policy that the identity has
    #[arg(long, value_name = "NAME", default_value = "my-policy")]
    policy: String,
    /// Put the new files in the place of the old ones
    #[arg(long)]
    finish: bool,
}

/// The files of one identity.
enum Files<'a> {
    ApiKey(&'a Path),
    Pair { key: &'a Path, cert: &'a Path },
}

/// What was done, for programs.
#[derive(Serialize)]
struct Report<'a> {
    finished: bool,
    old_identity: &'a str,
    new_identity: &'a str,
    /// Files of the old identity.
    old_files: Vec<String>,
    /// Files of the new identity.
    new_files: Vec<String>,
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    let files = match (&args.key, &args.cert, &args.api_key_file) {
        (Some(key), Some(cert), _) => Files::Pair { key, cert },
        (_, _, Some(path)) => Files::ApiKey(path),
        _ => {
            let reason = "name the files in use: --key and --cert, or --api-key-file";
            return Err(Error::Usage(reason.to_owned()));
        }
    };
    if args.finish {
        finish(&files, out)
    } else {
        begin(&files, args, out)
    }
}

impl Files<'_> {
    /// The files, in the order in which they are replaced.
    fn paths(&self) -> Vec<&Path> {
        match self {
            Self::ApiKey(path) => vec![path],
            Self::Pair { key, cert } => vec![cert, key],
        }
    }

    /// Their names with `ending` after them.
    fn names(&self, ending: &str) -> Vec<String> {
        let paths = self.paths().into_iter();
        paths
            .map(|path| beside(path, ending).display().to_string())
            .collect()
    }

    /// The identity of files, each of which `pick` chooses.
    fn identity(&self, pick: impl Fn(&Path) -> PathBuf) -> Result<Identity, Error> {
        match self {
            Self::ApiKey(path) => {
                let path = pick(path);
                let text = file::read(&path)?;
                let text = std::str::from_utf8(&text).unwrap_or_default();
                let key = ApiKey::parse(text.trim())
                    .map_err(|error| Error::Invalid(format!("'{}': {error}", path.display())))?;
                Ok(key.identity())
            }
            Self::Pair { key, cert } => {
                let (key, cert) = (pick(key), pick(cert));
                let (private, chain) = (file::read(&key)?, file::read(&cert)?);
                let name = key.display().to_string();
                let blocks = source::blocks(&private, &name)?;
                let mut keys = blocks.iter().filter(|block| block.is_private_key());
                if keys.any(pem::Block::is_encrypted) {
                    return Err(Error::Invalid(format!(
                        "the private key in '{name}' is encrypted, and the new one would not be: make one with 'kes identity new --encrypt'"
                    )));
                }
                let credential = Credential::from_pem(&chain, &private, None);
                let credential = credential.map_err(|source| Error::Credential {
                    certificate: cert.display().to_string(),
                    key: name,
                    source,
                })?;
                Ok(credential.identity().clone())
            }
        }
    }
}

/// The name of a file with `ending` after it.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Makes the new files.
fn begin(files: &Files<'_>, args: &Args, out: &Output) -> Result<(), Error> {
    for path in files.paths() {
        let new = beside(path, ".new");
        if fs::symlink_metadata(&new).is_ok() {
            return Err(Error::Invalid(format!(
                "'{}' exists: a change is under way; end it with --finish, or remove the file",
                new.display()
            )));
        }
    }
    let old = files.identity(Path::to_path_buf)?;
    let key = ApiKey::generate()?;
    match files {
        Files::ApiKey(path) => {
            let line = Zeroizing::new([key.text().expose(), b"\n"].concat());
            Pending::write(&beside(path, ".new"), &line, file::PRIVATE)?.place(false)?;
        }
        Files::Pair { key: private, cert } => {
            let certificate = successor(cert, &old, args.expiry)?;
            let public = pem::encode("CERTIFICATE", &certificate.sign(&key)?);
            let pkcs8 = pem::encode("PRIVATE KEY", key.pkcs8().expose());
            let public = Pending::write(&beside(cert, ".new"), public.expose(), PUBLIC)?;
            let private = Pending::write(&beside(private, ".new"), pkcs8.expose(), file::PRIVATE)?;
            public.place(false)?;
            private.place(false)?;
        }
    }
    let new = key.identity();
    report(files, false, &old, &new, out, || {
        let policy = &args.policy;
        let (try_it, finish) = match files {
            Files::ApiKey(path) => {
                let path = path.display();
                (
                    format!("--api-key-file {path}.new"),
                    format!("--api-key-file {path}"),
                )
            }
            Files::Pair { key, cert } => {
                let (key, cert) = (key.display(), cert.display());
                (
                    format!("--client-key {key}.new --client-cert {cert}.new"),
                    format!("--key {key} --cert {cert}"),
                )
            }
        };
        format!(
            "The new identity:\n\n   {new}\n\n\
             1. Let the server know both, and reload its configuration (SIGHUP):\n\n\
             policy:\n  {policy}:\n    identities:\n    - {old}\n    - {new}\n\n\
             2. See whether it does:\n\n   kes whoami {try_it}\n\n\
             3. Put the new files in the place of the old ones:\n\n   kes identity rotate {finish} --finish\n\n\
             4. When nobody uses the old identity any more, take it out of the policy.\n\n\
             A server has one admin: for its identity, step 1 is to change admin.identity, and step 3 follows at once."
        )
    })
}

/// What the new certificate says: the same as the old one, but for the key and the time.
fn successor(
    path: &Path,
    identity: &Identity,
    expiry: Option<Duration>,
) -> Result<SelfSigned, Error> {
    let malformed = || {
        Error::Invalid(format!(
            "the certificate in '{}' is malformed",
            path.display()
        ))
    };
    let text = file::read(path)?;
    let blocks = source::blocks(&text, &path.display().to_string())?;
    let block = blocks.iter().find(|block| block.is_certificate());
    let block = block.ok_or_else(malformed)?;
    let (_, old) = X509Certificate::from_der(block.der()).map_err(|_| malformed())?;
    if old.issuer() != old.subject() {
        return Err(Error::Invalid(format!(
            "the certificate in '{}' was signed by an authority: ask it for the new one",
            path.display()
        )));
    }
    let subject = old.subject().iter_common_name().next();
    let subject = subject.and_then(|name| name.as_str().ok());
    let names = old.subject_alternative_name().map_err(|_| malformed())?;
    let names = names.map_or(&[][..], |names| names.value.general_names.as_slice());
    let usage = old.extended_key_usage().map_err(|_| malformed())?;
    let usage = usage.map(|usage| (usage.value.client_auth, usage.value.server_auth));
    let dates = old.validity();
    let life = dates.not_after.timestamp() - dates.not_before.timestamp();
    let life = match expiry {
        Some(expiry) => time::Duration::try_from(expiry).ok(),
        None => Some(time::Duration::seconds(life) - BACK_DATED),
    };
    let now = Clock::system().now_utc();
    let now = now.replace_nanosecond(0).unwrap_or(now);
    let not_after = life.and_then(|life| OffsetDateTime::checked_add(now, life));
    Ok(SelfSigned {
        // Without a name of its own a certificate is called after its identity.
        subject: subject
            .filter(|subject| *subject != identity.as_str())
            .map(str::to_owned),
        dns: names.iter().filter_map(dns_name).collect(),
        ip: names.iter().filter_map(address).collect(),
        usage: match usage {
            Some((true, false)) => Usage::Client,
            Some((false, true)) => Usage::Server,
            _ => Usage::Both,
        },
        not_before: now - BACK_DATED,
        not_after: not_after.ok_or_else(|| Error::Usage("--expiry is too long".to_owned()))?,
    })
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    }
}

fn address(name: &GeneralName<'_>) -> Option<std::net::IpAddr> {
    let GeneralName::IPAddress(bytes) = name else {
        return None;
    };
    match bytes.len() {
        4 => Some(bytes.first_chunk::<4>().copied()?.into()),
        16 => Some(bytes.first_chunk::<16>().copied()?.into()),
        _ => None,
    }
}

/// Puts the new files in the place of the old ones.
fn finish(files: &Files<'_>, out: &Output) -> Result<(), Error> {
    let is_new = |path: &Path| beside(path, ".new").exists();
    if !files.paths().into_iter().any(is_new) {
        let reason = "there is nothing to finish: no file ends in '.new'; begin without --finish";
        return Err(Error::Invalid(reason.to_owned()));
    }
    // One that was put in its place before has no other name any more.
    let new = files.identity(|path| {
        let new = beside(path, ".new");
        if new.exists() { new } else { path.to_owned() }
    })?;
    for path in files.paths() {
        if is_new(path) {
            keep(path)?;
        }
    }
    let old = files.identity(|path| beside(path, ".old"))?;
    for path in files.paths() {
        let new = beside(path, ".new");
        if new.exists() {
            fs::rename(&new, path).map_err(|source| failure("write", path, source))?;
        }
    }
    report(files, true, &old, &new, out, || {
        let kept = files.names(".old").join(" and ");
        format!(
            "The new identity is in use:\n\n   {new}\n\n\
             The old one is in {kept}. When nobody uses it any more, take it out of the policy and remove the files:\n\n   {old}"
        )
    })
}

/// Gives the file in use its second name, which it keeps when it is replaced.
fn keep(path: &Path) -> Result<(), Error> {
    let old = beside(path, ".old");
    if let (Ok(kept), Ok(used)) = (fs::metadata(&old), fs::metadata(path)) {
        // An earlier run came as far as this.
        if (kept.dev(), kept.ino()) == (used.dev(), used.ino()) {
            return Ok(());
        }
        return Err(Error::Invalid(format!(
            "'{}' exists, from an earlier change: remove it if it is not needed any more",
            old.display()
        )));
    }
    fs::hard_link(path, &old).map_err(|source| failure("keep", path, source))
}

fn failure(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File {
        doing,
        path: path.display().to_string(),
        source,
    }
}

fn report(
    files: &Files<'_>,
    finished: bool,
    old: &Identity,
    new: &Identity,
    out: &Output,
    prose: impl FnOnce() -> String,
) -> Result<(), Error> {
    let (old_ending, new_ending) = if finished { (".old", "") } else { ("", ".new") };
    let report = Report {
        finished,
        old_identity: old.as_str(),
        new_identity: new.as_str(),
        old_files: files.names(old_ending),
        new_files: files.names(new_ending),
    };
    out.show(&report, || {
        if out.is_quiet() {
            out.text(new.as_str())
        } else {
            out.text(&prose())
        }
    })
}
