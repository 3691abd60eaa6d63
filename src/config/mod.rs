//! The configuration file: text to types (config.md).
//!
//! [`load`] reads a file in the steps of config.md 18.4, and collects everything that is wrong on the way:
//!
//! 1. `yaml`: text to a tree with line numbers
//! 2. `normalise`: old spellings to current ones, on the tree
//! 3. `resolve`: references to the environment, types and unknown keys, by the `table` of all keys
//! 4. `validate`, `access` and `keystore`: tree to [`Config`]; afterwards nobody asks again
//!
//! For commands there is more: `inspect` (a file and what stands where), `review` (what is probably not meant), `show` (what a file
//! amounts to), `migrate` and `layout` (old spellings in the text itself), `document` and `schema` (what is made from the table).
//!
//! Nothing else in the crate knows YAML or reads the environment. Neither a value of the environment nor a password ever
//! stands in a message.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path, path::PathBuf, time::Duration};

use ipnet::IpNet;
use zeroize::Zeroizing;

use crate::{
    compat::Compat,
    identity::Identity,
    keyring,
    keystore::Settings,
    name::{KeyName, PolicyName},
    policy::Policy,
    secret::Secret,
    telemetry,
};
use keystore::Choice;
use report::Report;

pub use document::markdown;
pub use env::{Env, NoValue};
pub use inspect::{Inspection, List, inspect, inspect_bytes};
pub use migrate::{Migration, migrate, migrate_bytes};
pub use report::{Errors, Note};
pub use sample::sample;
pub use schema::schema;

mod access;
pub mod address;
pub mod defaults;
mod document;
pub mod duration;
mod env;
mod inspect;
mod keystore;
mod layout;
mod migrate;
#[cfg(test)]
mod needle;
mod network;
mod normalise;
mod proxy;
mod report;
mod resolve;
mod review;
mod sample;
mod schema;
mod shape;
mod show;
mod table;
mod validate;
mod view;
mod yaml;

/// Largest file that is read, in bytes: thousands of policies with dozens of rules each fit several times.
pub const MAX_SIZE: usize = 16 << 20;

/// Longest time that a stop may wait for requests. Who waits longer has no server, and service managers kill it anyway.
pub const MAX_DRAIN: Duration = Duration::from_mins(10);

/// Everything the file says, checked and completed. Has no `Debug`: it holds secrets.
pub struct Config {
    /// Where to listen: `HOST:PORT` with a numeric port; see [`address::parse`].
    pub address: String,
    /// Who may do everything. Not necessarily a hash: any other text matches nobody.
    pub admin: Identity,
    /// The server's certificate and what it demands of clients'.
    pub tls: Tls,
    /// Settings of single routes; each path is one of the known routes, and there once.
    pub api: Vec<ApiEntry>,
    /// The policies by name. No identity is in two of them, and none is the admin.
    pub policies: BTreeMap<PolicyName, PolicyEntry>,
    /// How long keys stay in the cache.
    pub cache: keyring::Expiry,
    /// What the console logs.
    pub log: telemetry::Settings,
    /// Keys to create, where they do not exist, before the server accepts requests; each name once.
    pub keys: Vec<KeyName>,
    /// Where keys rest.
    pub keystore: Settings,
    /// Switches for clients of old releases.
    pub compat: Compat,
    /// `proxy_protocol.from`: load balancers that send the PROXY protocol before everything else. From their addresses it is
    /// required, from others it is never read.
    pub proxy_protocol: Vec<IpNet>,
    /// `shutdown.drain`: how long requests under way may go on when the server stops; above zero and at most [`MAX_DRAIN`].
    pub drain: Duration,
    /// What did not keep the file from being loaded but should be read, sorted by line.
    pub warnings: Vec<Note>,
}

/// `tls`. Paths are relative to the working directory.
pub struct Tls {
    /// The file with the private key.
    pub key: PathBuf,
    /// The file with the certificate chain.
    pub cert: PathBuf,
    /// What the private key is encrypted with.
    pub password: Option<Secret>,
    /// The file whose first line is that, if it is not `password`.
    pub password_file: Option<PathBuf>,
    /// Whether clients' certificates must chain to a trusted root.
    pub auth: bool,
    /// File or directory with roots to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// Proxies that forward clients' certificates.
    pub proxy: Proxy,
}

/// `tls.proxy`.
#[derive(Debug)]
pub struct Proxy {
    /// Whose forwarded certificates are believed; each once, and none of them the admin or in a policy.
    pub identities: Vec<Identity>,
    /// The header with the certificate: the name of an HTTP header, as written; always there if there are identities.
    pub header: Option<String>,
}

/// One entry of `api`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiEntry {
    /// The path of the route, spelled as in the list of routes.
    pub path: String,
    /// Where the entry stands.
    pub line: usize,
    /// Whether the route is open to everybody.
    pub skip_auth: bool,
    /// What replaces the route's own time-out.
    pub timeout: Option<Duration>,
}

/// One entry of `policy`.
#[derive(Debug)]
pub struct PolicyEntry {
    /// The rules.
    pub policy: Policy,
    /// To whom they apply.
    pub identities: Vec<Identity>,
}

/// What flags of `kes server` say in place of the file (decision 6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fallback {
    /// `--key`, used if the file has no `tls.key`.
    pub key: Option<PathBuf>,
    /// `--cert`, used if the file has no `tls.cert`.
    pub cert: Option<PathBuf>,
    /// `--root`, used if the file has no `admin.identity`.
    pub root: Option<String>,
    /// `--auth on` or `off`; the stricter of flag and file wins.
    pub auth: Option<bool>,
}

/// What a file is read in.
pub struct Context<'a> {
    /// Where references are looked up.
    pub env: &'a Env,
    /// The paths of all routes, as in the route table. A path that ends in `/` takes one more segment.
    pub routes: &'a [&'a str],
    /// What the command line says.
    pub fallback: Fallback,
}

/// Reads the file at `path`. Asks no keystore, and opens no other file but that of a token for Vault, to see that it can be read.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(path: &Path, context: &Context<'_>) -> Result<Config, Errors> {
    let file = path.display().to_string();
    let bytes = read(path).map_err(|error| unreadable(&file, &error))?;
    parse(&file, &bytes, context)
}

/// Reads which keystore the file at `path` names, and nothing else of it: the other sections need not be complete, nor right
/// (config.md 19).
///
/// # Errors
/// Everything that is wrong with the section `keystore`, at once.
pub fn load_keystore(path: &Path, env: &Env) -> Result<(Settings, Vec<Note>), Errors> {
    let file = path.display().to_string();
    let bytes = read(path).map_err(|error| unreadable(&file, &error))?;
    parse_keystore(&file, &bytes, env)
}

/// Reads which keystore the content of a file names that messages call `file`; see [`load_keystore`].
///
/// # Errors
/// Everything that is wrong with the section `keystore`, at once.
pub fn parse_keystore(
    file: &str,
    bytes: &[u8],
    env: &Env,
) -> Result<(Settings, Vec<Note>), Errors> {
    let mut report = Report::new(file);
    let Some(mut root) = tree(bytes, &mut report) else {
        return Err(report.into_errors());
    };
    normalise::keep_keystore(&mut root);
    match select(&mut root, env, &mut report) {
        Some(Choice::Open(keystore)) if report.is_clean() => {
            return Ok((keystore, report.into_warnings()));
        }
        Some(Choice::Refused(note)) => report.refuse(note),
        _ => {}
    }
    Err(report.into_errors())
}

fn unreadable(file: &str, error: &std::io::Error) -> Errors {
    let mut report = Report::new(file);
    report.error(None, "", format!("the file cannot be read: {error}"));
    report.into_errors()
}

/// Reads the content of a file that messages call `file`.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn parse(file: &str, bytes: &[u8], context: &Context<'_>) -> Result<Config, Errors> {
    let read = read_config(file, bytes, context)?;
    match read.refused {
        None => Ok(read.config),
        Some(note) => Err(Errors {
            problems: vec![note],
            warnings: read.config.warnings,
        }),
    }
}

/// A file in which nothing is wrong, except perhaps that this build cannot open its keystore.
struct Parsed {
    /// Its keystore counts only if nothing is refused.
    config: Config,
    /// What the file says, in current spelling and with its references expanded.
    tree: yaml::Node,
    refused: Option<Note>,
}

fn read_config(file: &str, bytes: &[u8], context: &Context<'_>) -> Result<Parsed, Errors> {
    let mut report = Report::new(file);
    let Some(mut tree) = tree(bytes, &mut report) else {
        return Err(report.into_errors());
    };
    let (keystore, refused) = match select(&mut tree, context.env, &mut report) {
        Some(Choice::Open(keystore)) => (Some(keystore), None),
        Some(Choice::Refused(note)) => (Some(Settings::Mem), Some(note)),
        None => (None, None),
    };
    match validate::config(&view::View::of(&tree), keystore, context, report) {
        Ok(config) => Ok(Parsed {
            config,
            tree,
            refused,
        }),
        Err(mut report) => {
            if let Some(note) = refused {
                report.refuse(note);
            }
            Err(report.into_errors())
        }
    }
}

/// Makes current spellings and values of what `root`, which stands for the whole file, says, and finds its keystore. `None` if
/// there is none to open, which was reported.
fn select(root: &mut yaml::Node, env: &Env, report: &mut Report) -> Option<Choice> {
    normalise::normalise(root, report);
    let mut unknown = resolve::resolve(root, &shape::FILE, env, report);
    let keystore = keystore::select(&view::View::of(root), &mut unknown, report);
    for key in unknown {
        let hint = key.nearest.map(|key| format!("did you mean '{key}'?"));
        report.warn(key.line, &key.path, "unknown key, ignored", hint);
    }
    keystore
}

/// Reads at most one byte more than is allowed, so that endless files end too.
fn read(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    // Of the right length at once: a buffer that grew would leave secrets behind.
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(MAX_SIZE);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size.min(MAX_SIZE) + 2));
    let limit = u64::try_from(MAX_SIZE).unwrap_or(u64::MAX);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The tree of the first document, which is a mapping.
fn tree(bytes: &[u8], report: &mut Report) -> Option<yaml::Node> {
    if bytes.len() > MAX_SIZE {
        report.error(
            None,
            "",
            format!("the file is larger than {MAX_SIZE} bytes"),
        );
        return None;
    }
    let line_of = |at: usize| {
        let before = bytes.get(..at).unwrap_or_default();
        before.split(|byte| *byte == b'\n').count()
    };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            report.error(
                line_of(error.valid_up_to()),
                "",
                "the text is not valid UTF-8",
            );
            return None;
        }
    };
    // YAML forbids them (5.1 of its specification), and the parser would take a zero for the end of the file.
    if let Some(at) = text.find(|c| !is_printable(c)) {
        report.error(line_of(at), "", "control characters are not allowed");
        return None;
    }
    let node = yaml::parse(text, report);
    let line = node.as_ref().map(|node| node.line);
    match node {
        Some(node) if matches!(node.value, yaml::Value::Map(_)) => return Some(node),
        _ if is_toml(text) => report.error_with_hint(
            line,
            "",
            "the file looks like TOML, which is not supported",
            "write it as YAML, like 'address: 0.0.0.0:7373'",
        ),
        Some(_) => report.error(
            line,
            "",
            "expected a mapping at the top of the file, like 'address: 0.0.0.0:7373'",
        ),
        // Reported already.
        None => {}
    }
    None
}

/// Whether YAML allows `c` in a file.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether the first line that says something is `[section]` or `key = value`.
fn is_toml(text: &str) -> bool {
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let is_key = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    first.is_some_and(|line| match line.split_once('=') {
        Some((key, _)) => is_key(key.trim_end()),
        None => line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
            .is_some_and(is_key),
    })
}
