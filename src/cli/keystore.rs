//! `kes keystore`: look into a keystore without a server (cli.md 19.3).
//!
//! It opens the store as a server would, with the server's configuration, and reads. It shows names, ciphers and ages, and never key
//! material.

use std::path::PathBuf;

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{connect, error::Error, output::Output};
use crate::{
    api,
    clock::Clock,
    config::{self, Env, Fallback},
    crypto::KeyVersion,
    keystore::{self, Keystore, Settings},
    name::KeyName,
    wire::response::timestamp,
};

/// Names that are asked for at once.
const PAGE: usize = 1000;

/// Arguments of `kes keystore`.
#[derive(clap::Args)]
#[command(
    after_help = "The configuration file says where the keystore is and what opens it; no server is asked, and one may be running. Nothing is changed.\n\n\
                        Examples:\n  \
                        kes keystore ls --config /etc/kes/config.yml\n  \
                        kes keystore verify --config /etc/kes/config.yml --json"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the keys and what is known of each
    #[command(after_help = "Examples:\n  kes keystore ls --config /etc/kes/config.yml app-")]
    Ls(WhereArgs),
    /// Read every entry and tell which cannot be used
    #[command(after_help = "Examples:\n  kes keystore verify --config /etc/kes/config.yml --json")]
    Verify(WhereArgs),
}

/// Which keystore, and which of its keys.
#[derive(clap::Args)]
struct WhereArgs {
    /// Configuration file of the server
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Start of the names
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
}

/// An entry of a keystore.
#[derive(Serialize)]
struct Entry {
    name: String,
    /// Why it cannot be used; the rest is unknown then.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<String>,
    /// Whether HMACs can be computed with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hmac: Option<bool>,
}

/// What was found.
#[derive(Serialize)]
struct Summary {
    keystore: String,
    keys: usize,
    unreadable: Vec<Entry>,
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    let (place, verify) = match &args.command {
        Command::Ls(place) => (place, false),
        Command::Verify(place) => (place, true),
    };
    let settings = settings(place, out)?;
    let (store, entries) = connect::run(async {
        let opened = keystore::open(&settings)
            .await
            .map_err(failed("open the keystore"))?;
        for warning in &opened.warnings {
            out.warning(warning);
        }
        let entries = read(&*opened.store, &place.prefix).await?;
        Ok((opened.store.to_string(), entries))
    })?;
    if verify {
        return summary(store, entries, out);
    }
    out.show(&entries, || {
        let now = Clock::system().now_utc();
        let lines: Vec<_> = entries.iter().map(|entry| line(entry, now)).collect();
        out.table(
            &format!("{:40} {:9} {:>9}  {}", "Key", "Algorithm", "Age", "Owner"),
            &lines,
        )
    })
}

fn settings(place: &WhereArgs, out: &Output) -> Result<Settings, Error> {
    let context = config::Context {
        env: &Env::process(),
        routes: &api::configurable(),
        fallback: Fallback::default(),
    };
    let config = config::load(&place.config, &context)
        .map_err(|errors| Error::Server(Box::new(crate::server::Error::Config(errors))))?;
    match &config.keystore {
        Settings::Mem => out.warning("the configuration names no keystore: keys are in the memory of the server, where nobody can look"),
        // Opening it would make it.
        Settings::Fs(fs) if !fs.path.exists() => {
            return Err(Error::Invalid(format!("the keystore '{}' does not exist", fs.path.display())));
        }
        Settings::Fs(_) => {}
    }
    Ok(config.keystore)
}

fn failed(what: &'static str) -> impl Fn(keystore::Error) -> Error {
    move |error| {
        let error: &dyn std::error::Error = &error;
        let mut text = format!("cannot {what}: {error}");
        let mut next = error.source();
        while let Some(cause) = next {
            text = format!("{text}: {cause}");
            next = cause.source();
        }
        Error::Invalid(text)
    }
}

/// All entries whose names start with `prefix`. One that cannot be read does not end it.
async fn read(store: &dyn Keystore, prefix: &str) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let mut from: Option<KeyName> = None;
    loop {
        let start = from.as_ref().map(KeyName::as_str);
        let page = store.list(prefix, start, PAGE).await;
        let page = page.map_err(failed("list the keystore"))?;
        for name in &page.names {
            match store.get(name).await {
                // Deleted since it was listed.
                Err(keystore::Error::NotFound) => {}
                outcome => entries.push(entry(name, outcome)),
            }
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(entries),
        }
    }
}

fn entry(name: &KeyName, value: Result<crate::secret::Secret, keystore::Error>) -> Entry {
    let mut entry = Entry {
        name: name.to_string(),
        error: None,
        algorithm: None,
        created_at: None,
        created_by: None,
        hmac: None,
    };
    let key = value
        .map_err(|error| error.to_string())
        .and_then(|value| KeyVersion::from_stored(&value).map_err(|error| error.to_string()));
    match key {
        Err(error) => entry.error = Some(error),
        Ok(key) => {
            entry.algorithm = Some(key.cipher().as_str());
            let made = Some(key.created_at()).filter(|at| *at != timestamp::none());
            entry.created_at = made.and_then(|at| at.format(&Rfc3339).ok());
            let owner = Some(key.created_by().to_owned());
            entry.created_by = owner.filter(|owner| !owner.is_empty());
            entry.hmac = Some(key.has_hmac());
        }
    }
    entry
}

fn line(entry: &Entry, now: OffsetDateTime) -> String {
    if let Some(error) = &entry.error {
        return format!("{:40} unreadable: {error}", entry.name);
    }
    let made = entry.created_at.as_deref();
    let made = made.and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    let age = made.map_or("-".to_owned(), |made| {
        format!("{} d", (now - made).whole_days())
    });
    let owner = entry.created_by.as_deref().unwrap_or("-");
    let algorithm = entry.algorithm.unwrap_or("-");
    format!("{:40} {algorithm:9} {age:>9}  {owner}", entry.name)
}

/// Counts, and the entries that cannot be used; there must be none.
fn summary(keystore: String, entries: Vec<Entry>, out: &Output) -> Result<(), Error> {
    let keys = entries.len();
    let unreadable: Vec<_> = entries
        .into_iter()
        .filter(|entry| entry.error.is_some())
        .collect();
    let summary = Summary {
        keystore,
        keys,
        unreadable,
    };
    out.show(&summary, || {
        let mut lines = vec![format!(
            "{}: {keys} keys, {} unreadable",
            summary.keystore,
            summary.unreadable.len()
        )];
        let bad = summary.unreadable.iter();
        lines.extend(bad.map(|entry| {
            format!(
                "  {}: {}",
                entry.name,
                entry.error.as_deref().unwrap_or("?")
            )
        }));
        out.text(&lines.join("\n"))
    })?;
    match summary.unreadable.len() {
        0 => Ok(()),
        1 => Err(Error::Invalid(format!(
            "1 of {keys} entries cannot be used"
        ))),
        bad => Err(Error::Invalid(format!(
            "{bad} of {keys} entries cannot be used"
        ))),
    }
}
