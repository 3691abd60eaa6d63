//! `kes migrate`: keys from one keystore to another, without a server (cli.md 15). What is done to keys is in [`crate::migrate`].

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc};

use clap::ArgAction;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{error::Error, file, output::Output, settings::Environment};
use crate::{
    migrate::{Conflict, Migration, Options, Report},
    policy::Glob,
};

mod ends;
mod progress;
mod report;

/// Keys on their way at once, unless told otherwise: enough for files to share flushes, and not enough to trouble a service.
const CONCURRENCY: &str = "16";

/// Most keys on their way at once.
const MOST: usize = 256;

/// Arguments of `kes migrate`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes migrate --from old.yaml --to new.yaml --dry-run
  kes migrate --from old.yaml --to new.yaml 'my-app-*'")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags are independent of each other"
)]
pub(super) struct Args {
    /// Configuration file with the keystore to copy from, which is only read
    #[arg(long, visible_alias = "source", value_name = "FILE")]
    from: PathBuf,
    /// Configuration file with the keystore to copy to
    #[arg(long, visible_alias = "target", value_name = "FILE")]
    to: Option<PathBuf>,
    /// Replace other values that the target has
    #[arg(short, long, conflicts_with = "merge")]
    force: bool,
    /// Leave keys alone that the target has with other values
    #[arg(long)]
    merge: bool,
    /// Change nothing, and tell what would be done
    #[arg(long)]
    dry_run: bool,
    /// Read each key back and compare
    #[arg(
        long,
        value_name = "true|false",
        action = ArgAction::Set,
        default_value_t = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        hide_default_value = true
    )]
    verify: bool,
    /// Do not read keys back
    #[arg(long, conflicts_with = "verify")]
    no_verify: bool,
    /// Go on with other keys after a failure
    #[arg(long)]
    continue_on_error: bool,
    /// Copy entries, too, that cannot be read as keys
    #[arg(long)]
    allow_unreadable: bool,
    /// How many keys are on their way at once
    #[arg(long, value_name = "N", default_value = CONCURRENCY, value_parser = concurrency)]
    concurrency: NonZeroUsize,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Names of the keys, like 'my-app-*': '*', '?', '[a-z]', '[^a-z]' and '\x' as in a shell [default: all]
    #[arg(value_name = "PATTERN", value_parser = pattern)]
    pattern: Option<Glob>,
    #[command(flatten)]
    successor: Successor,
}

/// Flags that name the vendor's newer server as target. They are read to be declined.
#[derive(clap::Args)]
struct Successor {
    #[arg(short, long, value_name = "HOST", hide = true)]
    server: Option<String>,
    #[arg(short, long, value_name = "ENCLAVE", hide = true)]
    enclave: Option<String>,
    #[arg(short, long, value_name = "KEY", hide = true)]
    api_key: Option<String>,
    #[arg(short = 'k', long, hide = true)]
    insecure: bool,
}

/// The variables that do the same.
const SUCCESSOR: [&str; 3] = ["MINIO_KMS_SERVER", "MINIO_KMS_ENCLAVE", "MINIO_KMS_API_KEY"];

fn pattern(text: &str) -> Result<Glob, String> {
    Glob::parse(text)
        .ok_or_else(|| "a '[' class is unclosed, empty or malformed, or a '\\' is last".to_owned())
}

fn concurrency(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|n: &NonZeroUsize| n.get() <= MOST);
    number.ok_or_else(|| format!("not a number from 1 to {MOST}"))
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let to = args.target(env)?;
    let files = ends::Files::read(&args.from, to, out)?;
    if args.force && !args.dry_run && !args.yes && file::stdin_is_terminal() {
        confirm(&files, out)?;
    }
    let shows = !args.quiet && out.error_is_terminal();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Setup(Box::new(source)))?;
    let done: Result<_, Error> = runtime.block_on(async {
        // From here on a signal is a wish, and not the end.
        let mut signals = Signals::new()?;
        let ends = files.open(args.dry_run, out).await?;
        let migration = Arc::new(Migration::new(
            Arc::clone(&ends.source),
            Arc::clone(&ends.target),
            args.options(),
        ));
        let report = drive(&migration, &mut signals, shows, out).await?;
        Ok((report, ends))
    });
    // Does not wait for a store that hangs.
    runtime.shutdown_background();
    let (report, ends) = done?;
    report::tell(&report, &ends, args, out)
}

impl Args {
    /// The target's file, or why there is none.
    fn target(&self, env: &Environment) -> Result<&PathBuf, Error> {
        let flags = &self.successor;
        let flagged = flags.server.is_some()
            || flags.enclave.is_some()
            || flags.api_key.is_some()
            || flags.insecure;
        let meant = || SUCCESSOR.iter().any(|name| env.get(name).is_some());
        match &self.to {
            Some(to) if !flagged => Ok(to),
            None if !flagged && !meant() => Err(Error::Usage(
                "--to FILE is missing: the configuration file with the keystore to copy to".to_owned(),
            )),
            _ => Err(Error::Invalid(
                "kes does not migrate to the vendor's newer key server (-s, -e, -a, -k, MINIO_KMS_SERVER): it is another product with a \
                 protocol of its own; use --to FILE to migrate to another keystore"
                    .to_owned(),
            )),
        }
    }

    fn options(&self) -> Options {
        Options {
            allow_unreadable: self.allow_unreadable,
            concurrency: self.concurrency,
            conflict: match (self.force, self.merge) {
                (true, _) => Conflict::Replace,
                (_, true) => Conflict::Keep,
                _ => Conflict::Fail,
            },
            dry_run: self.dry_run,
            keep_going: self.continue_on_error,
            pattern: self.pattern.clone(),
            verify: self.verify && !self.no_verify,
        }
    }
}

fn confirm(files: &ends::Files, out: &Output) -> Result<(), Error> {
    out.warning(
        "--force replaces keys: whatever was encrypted with a key that is replaced is lost for ever",
    );
    out.question(&format!(
        "Type 'yes' to replace keys in the keystore of '{}':",
        files.target_file()
    ));
    if file::line()? == "yes" {
        Ok(())
    } else {
        Err(Error::Aborted)
    }
}

/// What ends a program from outside.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(|error| Error::Setup(Box::new(error)));
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hang_up] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}

/// Runs a migration, shows how far it is, and lets it end in order at the first signal. The second one ends it at once, which loses
/// nothing either.
async fn drive(
    migration: &Arc<Migration>,
    signals: &mut Signals,
    shows: bool,
    out: &Output,
) -> Result<Report, Error> {
    let mut running = tokio::spawn(Arc::clone(migration).run());
    let mut second = tokio::time::interval(progress::EVERY);
    let mut line = progress::Line::new(shows);
    let mut asked = false;
    loop {
        tokio::select! {
            ended = &mut running => {
                line.clear(out);
                let ended = ended.map_err(|error| Error::Setup(Box::new(error)))?;
                return ended.map_err(|error| Error::Invalid(report::chain(&error)));
            }
            _ = second.tick() => line.show(&migration.progress(), out),
            () = signals.next() => {
                if asked {
                    return Err(Error::Interrupted);
                }
                asked = true;
                migration.stop();
                line.clear(out);
                out.warning("stopping when the keys that are on their way have arrived; once more stops at once");
            }
        }
    }
}
