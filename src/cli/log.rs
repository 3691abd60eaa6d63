//! `kes log`: the logs of a server as they are written (cli.md 12).

use std::time::Duration;

use clap::builder::BoolishValueParser;
use tokio::time::Instant;

use self::{event::Filter, line::Printer};
use super::{
    connect::{self, ConnectArgs, Session},
    error::Error,
    output::Output,
    settings::Environment,
};
use crate::client::follow::{Lines, Log};

mod event;
mod line;

/// Time before the first attempt to connect anew; it doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is said of a stream that breaks off.
const UNREADABLE: &str = "the stream cannot be read";

/// Arguments of `kes log`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes log
  kes log --audit --error
  kes log --json --path '/v1/key/decrypt/*' | jq .request.identity
  kes log --status 403")]
pub(super) struct Args {
    /// Show what is asked of the server [default, unless --error is given]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", value_parser = BoolishValueParser::new())]
    audit: Option<bool>,
    /// Show what goes wrong in the server
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", value_parser = BoolishValueParser::new())]
    error: Option<bool>,
    /// End when the server ends the stream, or the connection is lost
    #[arg(long)]
    no_reconnect: bool,
    /// Show times in UTC
    #[arg(long)]
    utc: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let error = args.error.unwrap_or(false);
    let audit = args.audit.unwrap_or(!error);
    let session = args.connect.session(env, out)?;
    let printer = Printer::new(args, audit, &session, out);
    connect::run_until_interrupt(async {
        match (audit, error) {
            (true, false) => follow(&session, Log::Audit, args, &printer, out).await,
            (false, true) => follow(&session, Log::Error, args, &printer, out).await,
            (true, true) => {
                let audit = follow(&session, Log::Audit, args, &printer, out);
                let error = follow(&session, Log::Error, args, &printer, out);
                // Whichever fails first ends both.
                tokio::try_join!(audit, error).map(drop)
            }
            (false, false) => Err(Error::Usage(
                "there is nothing to show: both streams are switched off".to_owned(),
            )),
        }
    })
}

/// Prints the lines of one log, over as many connections as it takes.
async fn follow(
    session: &Session,
    log: Log,
    args: &Args,
    printer: &Printer<'_>,
    out: &Output,
) -> Result<(), Error> {
    let mut lines = session.call("", session.client.follow(log)).await?;
    let name = match log {
        Log::Audit => "audit",
        Log::Error => "error",
    };
    let connected = |lines: &Lines| {
        out.remark(&format!(
            "Connected to {}, waiting for events of the {name} log.",
            lines.endpoint()
        ));
    };
    connected(&lines);
    loop {
        let ended = loop {
            match session.call(UNREADABLE, lines.next()).await {
                Ok(Some(line)) => printer.print(log, &line, &args.filter)?,
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        if args.no_reconnect {
            return ended.map_or(Ok(()), Err);
        }
        let reason = ended.map_or("the server ended it".to_owned(), |error| error.text());
        out.remark(&format!(
            "The stream of the {name} log broke off: {reason}. Connecting anew."
        ));
        lines = again(session, log).await?;
        connected(&lines);
    }
}

/// Connects until it succeeds. What a server refuses, it will refuse again.
async fn again(session: &Session, log: Log) -> Result<Lines, Error> {
    let mut pause = PAUSE;
    loop {
        tokio::time::sleep_until(Instant::now() + pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        match session.call("", session.client.follow(log)).await {
            Err(error) if error.may_pass() => {}
            outcome => return outcome,
        }
    }
}
