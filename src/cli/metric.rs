//! `kes metric`: figures of a server, once or again and again (cli.md 14).

use std::time::Duration;

use self::{figures::Figures, screen::Screen};
use super::{
    connect::{self, ConnectArgs},
    duration,
    error::Error,
    output::Output,
    settings::Environment,
};

mod figures;
mod screen;

/// Time between two questions.
const RATE: Duration = Duration::from_secs(5);
/// Longest time between two questions after failures.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Arguments of `kes metric`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes metric
  kes metric --once | jq .kes_http_request_success
  kes metric --prometheus
  kes metric --rate 1s > figures.jsonl")]
pub(super) struct Args {
    /// Time between two questions [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = duration::positive, allow_hyphen_values = true)]
    rate: Option<Duration>,
    /// Print the figures of now, and end
    #[arg(long)]
    once: bool,
    /// Print the figures of now as the server sends them
    #[arg(long, conflicts_with_all = ["json", "format", "rate"])]
    prometheus: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let session = args.connect.session(env, out)?;
    let rate = args.rate.unwrap_or(RATE);
    if args.prometheus {
        let text = connect::run(session.call("", session.client.metrics()))?;
        return out.raw(text.as_bytes());
    }
    let fetch = async || {
        let text = session.call("", session.client.metrics()).await?;
        Ok::<_, Error>(Figures::parse(&text))
    };
    if args.once {
        let figures = connect::run(fetch())?;
        return if out.prefers_document() {
            out.document(&figures)
        } else {
            out.text(
                screen::lines(&figures, None, rate, out)
                    .join("\n")
                    .trim_end(),
            )
        };
    }
    if out.prefers_document() {
        return connect::run_until_interrupt(async {
            loop {
                out.document(&fetch().await?)?;
                tokio::time::sleep(rate).await;
            }
        });
    }
    let screen = Screen::new(out)?;
    connect::run_until_interrupt(watch(fetch, &screen, rate, out))
}

/// Draws the figures again and again. What goes wrong is shown in their place, and asked less often.
async fn watch(
    mut fetch: impl AsyncFnMut() -> Result<Figures, Error>,
    screen: &Screen<'_>,
    rate: Duration,
    out: &Output,
) -> Result<(), Error> {
    let mut before: Option<Figures> = None;
    let mut pause = rate;
    loop {
        match fetch().await {
            Ok(figures) => {
                screen.draw(&screen::lines(&figures, before.as_ref(), rate, out), "")?;
                before = Some(figures);
                pause = rate;
            }
            // Before the first figures there is nothing to keep on the screen.
            Err(error) if before.is_none() || !error.may_pass() => return Err(error),
            Err(error) => {
                screen.draw(&[], &error.text())?;
                pause = (pause * 2).min(LONGEST_PAUSE.max(rate));
            }
        }
        tokio::time::sleep(pause).await;
    }
}
