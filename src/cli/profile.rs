//! `kes profile`: servers and credentials under a name, for those who work with several.
//!
//! A profile is the lowest tier of settings: flags beat the environment, the environment beats the profile, and that beats the
//! default (cli.md 2.1). What weakens the trust in servers, `insecure` and `ca`, holds for the profile's own servers only.

use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

pub(super) use self::store::Profile;
use self::store::Store;
use super::{
    error::Error,
    file::{self, Pending},
    output::Output,
    settings::Environment,
};
use crate::apikey::ApiKey;

mod store;

/// Arguments of `kes profile`.
#[derive(clap::Args)]
#[command(
    after_help = "Profiles are kept in $XDG_CONFIG_HOME/kes/profiles.yaml, or ~/.config/kes/profiles.yaml, which only its owner may read. It names files \
                        of credentials and holds none. KES_PROFILE or --profile choose one; flags and other variables beat it.\n\n\
                        Examples:\n  \
                        kes profile add prod --server kes.example.com:7373 --client-cert me.crt --client-key me.key\n  \
                        kes profile add lab --server 10.0.0.7:7373 --ca lab.crt --api-key-file - < lab.key\n  \
                        kes profile use prod"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Add a profile, or replace it with --force
    Add(AddArgs),
    /// List the profiles
    #[command(after_help = "Examples:\n  kes profile ls")]
    Ls,
    /// Show a profile
    #[command(after_help = "Examples:\n  kes profile show\n  kes profile show prod --json")]
    Show {
        /// Its name; by default that of the one in use
        name: Option<String>,
    },
    /// Remove a profile; files that it names stay
    #[command(after_help = "Examples:\n  kes profile rm lab")]
    Rm {
        /// Its name
        name: String,
    },
    /// Use a profile when none is named
    #[command(after_help = "Examples:\n  kes profile use prod\n  kes profile use --none")]
    Use {
        /// Its name
        #[arg(required_unless_present = "none")]
        name: Option<String>,
        /// Use none
        #[arg(long, conflicts_with = "name")]
        none: bool,
    },
}

/// Arguments of `kes profile add`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  kes profile add prod --server kes.example.com:7373 --api-key-file prod.key"
)]
struct AddArgs {
    /// Its name
    name: String,
    /// Servers to ask
    #[arg(short, long, value_name = "HOST[:PORT],...")]
    server: Option<String>,
    /// File with the API key; '-' reads the key from standard input and keeps it in a file of its own
    #[arg(long, value_name = "FILE", conflicts_with_all = ["client_key", "client_cert"])]
    api_key_file: Option<PathBuf>,
    /// Private key of the client certificate
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Client certificate
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// File with the password of the private key
    #[arg(long, value_name = "FILE", requires = "client_key")]
    key_password_file: Option<PathBuf>,
    /// Also trust the certificates in this file or directory
    #[arg(long, value_name = "PATH")]
    ca: Option<PathBuf>,
    /// Trust only what --ca names
    #[arg(long, requires = "ca")]
    ca_only: bool,
    /// Talk to the servers whoever they are
    #[arg(short = 'k', long)]
    insecure: bool,
    /// Replace a profile of this name
    #[arg(short, long)]
    force: bool,
}

/// A profile for programs.
#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    #[serde(flatten)]
    profile: &'a Profile,
    in_use: bool,
}

/// What became of a profile.
#[derive(Serialize)]
struct Report<'a> {
    name: Option<&'a str>,
    #[serde(flatten)]
    done: Done,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Done {
    Added(bool),
    Removed(bool),
    InUse(bool),
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    match &args.command {
        Command::Add(args) => add(args, env, out),
        Command::Ls => ls(env, out),
        Command::Show { name } => show(name.as_deref(), env, out),
        Command::Rm { name } => rm(name, env, out),
        Command::Use { name, none } => choose(name.as_deref().filter(|_| !none), env, out),
    }
}

/// The profile that `flag` or the environment names, or that is in use; `None` if there is none.
///
/// # Errors
/// If a profile is named that does not exist, or the file of profiles cannot be used.
pub(super) fn chosen(flag: Option<&str>, env: &Environment) -> Result<Option<Profile>, Error> {
    let named = flag.filter(|name| !name.is_empty()).map(str::to_owned);
    let named = named.or_else(|| env.get("KES_PROFILE"));
    if named.is_none() && store::path(env).is_err() {
        // Without a home there are no profiles, which nobody asked for.
        return Ok(None);
    }
    let store = Store::read(env)?;
    match named.or_else(|| store.default.clone()) {
        None => Ok(None),
        Some(name) => store.get(&name).cloned().map(Some),
    }
}

fn add(args: &AddArgs, env: &Environment, out: &Output) -> Result<(), Error> {
    store::check_name(&args.name)?;
    let mut store = Store::read(env)?;
    if store.profiles.contains_key(&args.name) && !args.force {
        return Err(Error::Invalid(format!(
            "the profile '{}' exists; --force replaces it",
            args.name
        )));
    }
    let api_key_file = match args.api_key_file.as_deref() {
        Some(path) if path.as_os_str() == "-" => Some(keep_key(&args.name, args.force, env)?),
        Some(path) => Some(absolute(path)?),
        None => None,
    };
    let path = |path: &Option<PathBuf>| path.as_deref().map(absolute).transpose();
    let profile = Profile {
        server: args.server.clone(),
        api_key_file,
        client_key: path(&args.client_key)?,
        client_cert: path(&args.client_cert)?,
        key_password_file: path(&args.key_password_file)?,
        ca: path(&args.ca)?,
        ca_only: args.ca_only,
        insecure: args.insecure,
    };
    if profile == Profile::default() {
        let reason = "a profile needs at least a server or a credential";
        return Err(Error::Usage(reason.to_owned()));
    }
    if profile.insecure {
        out.warning("with this profile anybody can pass for the server");
    }
    store.profiles.insert(args.name.clone(), profile);
    store.write(env)?;
    report(Some(&args.name), Done::Added(true), out)
}

/// Puts an API key from standard input into a file of its own.
fn keep_key(name: &str, force: bool, env: &Environment) -> Result<String, Error> {
    let text = file::stdin()?;
    let text = std::str::from_utf8(&text).unwrap_or_default().trim();
    let key = ApiKey::parse(text).map_err(|error| Error::Invalid(error.to_string()))?;
    let folder = store::folder(env)?;
    store::create_folder(&folder)?;
    let path = folder.join(format!("{name}.key"));
    let line = Zeroizing::new([key.text().expose(), b"\n"].concat());
    Pending::write(&path, &line, file::PRIVATE)?.place(force)?;
    absolute(&path)
}

/// A path that leads to the same file from anywhere, and is text.
fn absolute(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::File {
        doing: "find",
        path: path.display().to_string(),
        source,
    };
    let whole = std::path::absolute(path).map_err(failed)?;
    std::fs::metadata(&whole).map_err(failed)?;
    whole
        .into_os_string()
        .into_string()
        .map_err(|_| Error::Invalid(format!("the path '{}' is no text", path.display())))
}

fn ls(env: &Environment, out: &Output) -> Result<(), Error> {
    let store = Store::read(env)?;
    let all: Vec<_> = store
        .profiles
        .iter()
        .map(|(name, profile)| shown(name, profile, &store))
        .collect();
    out.show(&all, || {
        let names: Vec<_> = all
            .iter()
            .map(|shown| {
                let mark = if shown.in_use { '*' } else { ' ' };
                let server = shown.profile.server.as_deref().unwrap_or("-");
                format!("{mark} {:20} {server}", shown.name)
                    .trim_end()
                    .to_owned()
            })
            .collect();
        out.table(&format!("  {:20} {}", "Profile", "Server"), &names)
    })
}

fn show(name: Option<&str>, env: &Environment, out: &Output) -> Result<(), Error> {
    let store = Store::read(env)?;
    let named = name.map(str::to_owned).or_else(|| env.get("KES_PROFILE"));
    let named = named.or_else(|| store.default.clone()).ok_or_else(|| {
        let reason = "no profile is in use: name one, or choose with 'kes profile use NAME'";
        Error::Usage(reason.to_owned())
    })?;
    let profile = store.get(&named)?;
    let shown = shown(&named, profile, &store);
    out.show(&shown, || {
        let is = |on: bool| on.then_some("yes");
        let fields = [
            ("Profile", Some(named.as_str())),
            ("Server", profile.server.as_deref()),
            ("API key", profile.api_key_file.as_deref()),
            ("Key", profile.client_key.as_deref()),
            ("Certificate", profile.client_cert.as_deref()),
            ("Password", profile.key_password_file.as_deref()),
            ("CA", profile.ca.as_deref()),
            ("CA only", is(profile.ca_only)),
            ("Insecure", is(profile.insecure)),
            ("In use", is(shown.in_use)),
        ];
        let fields: Vec<_> = fields
            .into_iter()
            .filter_map(|(label, value)| Some((label, value?)))
            .collect();
        out.fields(&fields)
    })
}

fn shown<'a>(name: &'a str, profile: &'a Profile, store: &Store) -> Shown<'a> {
    Shown {
        name,
        profile,
        in_use: store.default.as_deref() == Some(name),
    }
}

fn rm(name: &str, env: &Environment, out: &Output) -> Result<(), Error> {
    let mut store = Store::read(env)?;
    store.get(name)?;
    store.profiles.remove(name);
    store.default = store.default.filter(|default| default != name);
    store.write(env)?;
    report(Some(name), Done::Removed(true), out)
}

fn choose(name: Option<&str>, env: &Environment, out: &Output) -> Result<(), Error> {
    let mut store = Store::read(env)?;
    if let Some(name) = name {
        store.get(name)?;
    }
    store.default = name.map(str::to_owned);
    store.write(env)?;
    report(name, Done::InUse(name.is_some()), out)
}

/// Programs read what was done; a person sees that nothing went wrong.
fn report(name: Option<&str>, done: Done, out: &Output) -> Result<(), Error> {
    out.show(&Report { name, done }, || Ok(()))
}
