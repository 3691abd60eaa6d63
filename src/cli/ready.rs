//! `kes ready`: whether a server can serve, as an exit code; and how long it takes to say so.
//!
//! A container has no other program to ask with. The route may be open to everybody (`skip_auth`), so that no credential is needed.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::{
    connect::{self, ConnectArgs, Session},
    duration,
    error::Error,
    output::Output,
    settings::Environment,
};
use crate::client::error::{Cause, Error as Call};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);

/// Arguments of `kes ready`.
#[derive(clap::Args)]
#[command(
    after_help = "Exit code: 0 if the server and its keystore answer, else 1. No credential is needed if the server's configuration says\n\
                        'api: {/v1/ready: {skip_auth: true}}'.\n\n\
                        Examples:\n  \
                        kes ready\n  \
                        kes ready --wait 30s --quiet\n  \
                        kes ping --json"
)]
pub(super) struct Args {
    /// Wait so long for the server to become ready
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    wait: Option<Duration>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// How it went.
#[derive(Serialize)]
struct Report<'a> {
    ready: bool,
    server: &'a str,
    /// Milliseconds from the first byte to the last, connection included.
    latency_ms: f64,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let session = args.connect.session_of_anybody(env, out)?;
    let took = connect::run(async {
        match args.wait {
            None => once(&session).await.map_err(|error| *error),
            Some(limit) => wait(&session, limit).await,
        }
    })?;
    if out.is_quiet() && !out.wants_document() {
        return Ok(());
    }
    let report = Report {
        ready: true,
        server: session.servers(),
        latency_ms: (took.as_secs_f64() * 1e6).round() / 1e3,
    };
    out.show(&report, || {
        let (server, latency) = (report.server, report.latency_ms);
        out.text(&format!("{server} is ready ({latency} ms)"))
    })
}

/// One question, and how long the answer took.
async fn once(session: &Session) -> Result<Duration, Box<Error>> {
    let started = Instant::now();
    let call = session.client.ready();
    session
        .call("the server is not ready", call)
        .await
        .map_err(Box::new)?;
    Ok(started.elapsed())
}

/// Asks until the server is ready, for `limit` at most. What will not pass ends it at once.
async fn wait(session: &Session, limit: Duration) -> Result<Duration, Error> {
    let mut last = None;
    let asking = async {
        loop {
            match once(session).await {
                Ok(took) => return Ok(took),
                Err(error) if is_passing(&error) => last = Some(error),
                Err(error) => return Err(error),
            }
            sleep(PAUSE).await;
        }
    };
    match timeout(limit, asking).await {
        Ok(outcome) => outcome.map_err(|error| *error),
        Err(_) => Err(last.map_or_else(
            || Error::Invalid(format!("the server did not answer within {limit:?}")),
            |error| *error,
        )),
    }
}

/// Whether it can be otherwise in a moment: nobody listens yet, or the keystore does not answer. Certificates and permissions stay
/// as they are.
fn is_passing(error: &Error) -> bool {
    let Error::Call { source, .. } = error else {
        return false;
    };
    match source {
        Call::Answer(answer) => answer.status >= 500,
        Call::Connection { source, .. } => !matches!(source, Cause::Tls { .. }),
        _ => false,
    }
}
