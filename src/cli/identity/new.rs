//! `kes identity new`: an API key, or a private key and a self-signed certificate in files (cli.md 9.2).

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::password::{EncryptArgs, Sealing};
use crate::{
    apikey::ApiKey,
    certificate::{SelfSigned, Usage},
    cli::{
        duration,
        error::Error,
        file::{self, Pending},
        output::Output,
    },
    clock::Clock,
    identity::Identity,
    pem,
    secret::Secret,
};

/// How far the beginning of a certificate's life lies back: clocks differ.
const BACK_DATED: time::Duration = time::Duration::minutes(5);
/// A server's certificate that lives no longer than this is worth a warning.
const SHORT_LIFE: Duration = Duration::from_hours(30 * 24);

/// Arguments of `kes identity new`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes identity new
  kes identity new --key private.key --cert public.crt my-app
  kes identity new --key private.key --cert public.crt --encrypt my-app
  kes identity new --key server.key --cert server.crt --dns kes.example.org --ip 10.1.2.3 --expiry 365d")]
#[expect(
    clippy::doc_markdown,
    clippy::struct_excessive_bools,
    reason = "a command line has as many switches as it has, and its texts are shown as they are"
)]
pub(super) struct Args {
    /// Common name of the certificate [default: the identity]
    subject: Option<String>,
    /// Write the private key to this file
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Write the certificate to this file
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// IP addresses the certificate is valid for
    #[arg(long, value_name = "IP", value_delimiter = ',', value_parser = ip_address)]
    ip: Vec<IpAddr>,
    /// DNS names the certificate is valid for
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = dns_name)]
    dns: Vec<String>,
    /// Add localhost, 127.0.0.1 and ::1 to the names
    #[arg(long)]
    san_localhost: bool,
    /// Life time of the certificate, as 720h or 30d [default: 720h]
    #[arg(long, alias = "time", short_alias = 't', value_name = "DURATION", value_parser = duration::parse, allow_hyphen_values = true)]
    expiry: Option<Duration>,
    /// For servers only
    #[arg(long, conflicts_with = "client")]
    server: bool,
    /// For clients only
    #[arg(long)]
    client: bool,
    /// Use the private key of this API key; '-' reads it from standard input
    #[arg(long, value_name = "KEY")]
    from_api_key: Option<String>,
    #[command(flatten)]
    encryption: EncryptArgs,
    /// Replace existing files
    #[arg(short, long)]
    force: bool,
    /// Write files even if nothing else asks for them, as 'kes tool identity new' did
    #[arg(long, hide = true)]
    in_files: bool,
    /// Print the API key although it is in the key file
    #[arg(long, conflicts_with_all = ["encrypt", "legacy_encrypt", "password_file"])]
    show_api_key: bool,
    /// Print the API key only, or with files the identity only
    #[arg(short, long)]
    quiet: bool,
}

/// The files a certificate and its key go to.
struct Files {
    key: PathBuf,
    cert: PathBuf,
}

/// What was made, for programs.
#[derive(Serialize)]
struct Report<'a> {
    identity: &'a str,
    key_file: String,
    cert_file: String,
    not_before: String,
    not_after: String,
}

pub(super) fn run(mut args: Args, out: &Output) -> Result<(), Error> {
    if args.expiry == Some(Duration::ZERO) {
        return Err(Error::Usage(
            "--expiry must be longer than nothing".to_owned(),
        ));
    }
    if args.san_localhost {
        args.dns.push("localhost".to_owned());
        args.ip.extend([
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([0_u16, 0, 0, 0, 0, 0, 0, 1]),
        ]);
    }
    let files = args.files(out)?;
    let key = match args.from_api_key.as_deref() {
        None => ApiKey::generate()?,
        Some(text) => read_key(text)?,
    };
    match files {
        None => args.report_key(&key, out),
        Some(files) => {
            let certificate = args.certificate(&key)?;
            refuse_existing(&files, args.force)?;
            let sealing = args.encryption.sealing()?;
            write(&files, &key, sealing.as_ref(), &certificate, args.force)?;
            args.warn(&certificate, out);
            args.report_files(&key, &files, &certificate, out)
        }
    }
}

impl Args {
    /// Where to write, if at all.
    fn files(&self, out: &Output) -> Result<Option<Files>, Error> {
        match (&self.key, &self.cert) {
            (Some(key), Some(cert)) => {
                if is_same(key, cert) {
                    return Err(Error::Usage(
                        "--key and --cert name the same file: the certificate would replace the key".to_owned(),
                    ));
                }
                Ok(Some(Files {
                    key: key.clone(),
                    cert: cert.clone(),
                }))
            }
            (Some(_), None) => Err(Error::Usage("--key needs --cert FILE beside it".to_owned())),
            (None, Some(_)) => Err(Error::Usage("--cert needs --key FILE beside it".to_owned())),
            (None, None) if self.is_about_certificates() => {
                out.note(
                    "writing ./private.key and ./public.crt, as --key and --cert are not given",
                );
                Ok(Some(Files {
                    key: "private.key".into(),
                    cert: "public.crt".into(),
                }))
            }
            (None, None) => {
                if self.subject.is_some() {
                    out.warning("a subject has no effect without --key and --cert");
                }
                Ok(None)
            }
        }
    }

    /// Whether an option is given that makes sense for a certificate only.
    fn is_about_certificates(&self) -> bool {
        !self.ip.is_empty()
            || !self.dns.is_empty()
            || self.expiry.is_some()
            || self.force
            || self.encryption.is_given()
            || self.in_files
            || self.server
            || self.client
    }

    fn certificate(&self, key: &ApiKey) -> Result<SelfSigned, Error> {
        let now = Clock::system().now_utc();
        let now = now.replace_nanosecond(0).unwrap_or(now);
        let expiry = self.expiry.unwrap_or(SHORT_LIFE);
        let not_after = time::Duration::try_from(expiry)
            .ok()
            .and_then(|expiry| now.checked_add(expiry))
            .ok_or_else(|| Error::Usage("--expiry is too long".to_owned()))?;
        Ok(SelfSigned {
            subject: self
                .subject
                .clone()
                .filter(|subject| !subject.is_empty())
                .or_else(|| Some(key.identity().to_string())),
            dns: self.dns.clone(),
            ip: self.ip.clone(),
            usage: match (self.client, self.server) {
                (true, false) => Usage::Client,
                (false, true) => Usage::Server,
                _ => Usage::Both,
            },
            not_before: now - BACK_DATED,
            not_after,
        })
    }

    /// Tells of certificates that will not do what they seem to be for.
    fn warn(&self, certificate: &SelfSigned, out: &Output) {
        let named = !self.ip.is_empty() || !self.dns.is_empty();
        let subject = self.subject.as_deref().unwrap_or_default();
        let host =
            subject == "localhost" || subject.contains('.') || subject.parse::<IpAddr>().is_ok();
        if named && self.expiry.unwrap_or(SHORT_LIFE) <= SHORT_LIFE {
            let day = certificate.not_after.date();
            out.warning(&format!(
                "the certificate seems to be a server's and expires on {day}; --expiry makes it last longer"
            ));
        } else if !named && (host || self.server) {
            out.warning("the certificate names no host: a server needs --dns or --ip, clients look at nothing else");
        }
    }

    /// Shows a key that exists nowhere else.
    fn report_key(&self, key: &ApiKey, out: &Output) -> Result<(), Error> {
        let text = key.text();
        let identity = key.identity();
        if out.wants_document() {
            let tail = format!("\",\"identity\":\"{identity}\"}}\n");
            return out.secret(&[b"{\"api_key\":\"", text.expose(), tail.as_bytes()]);
        }
        if self.quiet {
            return out.secret(&[text.expose(), b"\n"]);
        }
        out.secret(&[
            &prose_of_key(&text),
            prose_of_identity(&identity).as_bytes(),
            b"\nThe identity can be computed again with:\n\n   kes identity of ",
            text.expose(),
            b"\n",
        ])
    }

    /// Shows what was written to files; the key is in one of them.
    fn report_files(
        &self,
        key: &ApiKey,
        files: &Files,
        certificate: &SelfSigned,
        out: &Output,
    ) -> Result<(), Error> {
        let identity = key.identity();
        let shown = self.show_api_key.then(|| key.text());
        if out.wants_document() {
            let report = Report {
                identity: identity.as_str(),
                key_file: files.key.display().to_string(),
                cert_file: files.cert.display().to_string(),
                not_before: rfc3339(certificate.not_before),
                not_after: rfc3339(certificate.not_after),
            };
            return match shown {
                None => out.document(&report),
                Some(text) => {
                    let report = serde_json::to_string(&report);
                    let report = report.map_err(|error| Error::Setup(Box::new(error)))?;
                    let rest = report.strip_prefix('{').unwrap_or_default();
                    out.secret(&[
                        b"{\"api_key\":\"",
                        text.expose(),
                        b"\",",
                        rest.as_bytes(),
                        b"\n",
                    ])
                }
            };
        }
        if self.quiet {
            return out.text(identity.as_str());
        }
        let prose = shown.as_ref().map(prose_of_key);
        let (key, cert) = (files.key.display(), files.cert.display());
        let rest = format!(
            "{}\nThe private key and the certificate are in:\n\n   {key}\n   {cert}\n\n\
             The identity can be computed again with:\n\n   kes identity of {cert}\n",
            prose_of_identity(&identity)
        );
        let prose: &[u8] = prose.as_ref().map_or(&[], |prose| prose);
        out.secret(&[prose, rest.as_bytes()])
    }
}

fn prose_of_key(text: &Secret) -> zeroize::Zeroizing<Vec<u8>> {
    let parts: [&[u8]; 3] = [
        b"Your API key:\n\n   ",
        text.expose(),
        b"\n\nThis is the only time it is shown. Keep it secret.\n\n",
    ];
    zeroize::Zeroizing::new(parts.concat())
}

fn prose_of_identity(identity: &Identity) -> String {
    format!(
        "Your Identity:\n\n   {identity}\n\n\
         The identity is no secret. Give it to the server's operator, who assigns a policy to it.\n"
    )
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

fn read_key(text: &str) -> Result<ApiKey, Error> {
    let invalid = |error: crate::apikey::InvalidApiKey| Error::Invalid(error.to_string());
    if text != "-" {
        return ApiKey::parse(text).map_err(invalid);
    }
    let text = file::stdin()?;
    let text = std::str::from_utf8(&text).unwrap_or_default();
    ApiKey::parse(text.trim()).map_err(invalid)
}

/// Nothing is asked for, or written, if it cannot be written in the end.
fn refuse_existing(files: &Files, force: bool) -> Result<(), Error> {
    for path in [&files.key, &files.cert] {
        if !force && fs::symlink_metadata(path).is_ok() {
            return Err(Error::Exists(path.display().to_string()));
        }
    }
    Ok(())
}

/// Writes both files or none.
fn write(
    files: &Files,
    key: &ApiKey,
    sealing: Option<&Sealing>,
    certificate: &SelfSigned,
    force: bool,
) -> Result<(), Error> {
    let pkcs8 = key.pkcs8();
    let failed = |error| Error::Setup(Box::new(error));
    let private = match sealing {
        None => pem::encode("PRIVATE KEY", pkcs8.expose()),
        Some(Sealing::Now(password)) => pem::seal(pkcs8.expose(), password).map_err(failed)?,
        Some(Sealing::Before(password)) => {
            let text = pem::seal_as_before(pkcs8.expose(), password).map_err(failed)?;
            Secret::copy_from(text.as_bytes())
        }
    };
    let public = pem::encode("CERTIFICATE", &certificate.sign(key)?);
    let private = Pending::write(&files.key, private.expose(), file::PRIVATE)?;
    let public = Pending::write(&files.cert, public.expose(), 0o644)?;
    private.place(force)?;
    public.place(force).inspect_err(|_| {
        if !force {
            drop(fs::remove_file(&files.key));
        }
    })
}

/// Whether two paths lead to one file, existing or not.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| {
        fs::canonicalize(path).ok().or_else(|| {
            let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
            let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
            Some(folder.join(path.file_name()?))
        })
    };
    match (real(one), real(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// Quotes around an address are removed, as configuration management writes them.
fn ip_address(text: &str) -> Result<IpAddr, String> {
    let text = text.trim().trim_matches('"');
    text.parse().map_err(|_| "not an IP address".to_owned())
}

fn dns_name(text: &str) -> Result<String, String> {
    let text = text.trim().trim_matches('"');
    if text.is_empty()
        || !text.is_ascii()
        || text.contains(|c: char| c.is_ascii_whitespace() || c.is_control())
    {
        return Err("not a DNS name in ASCII".to_owned());
    }
    Ok(text.to_owned())
}
