//! `kes status`: how a server is (cli.md 13).

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{
    connect::{self, ConnectArgs, Session},
    duration,
    error::Error,
    output::{Output, Style},
    settings::Environment,
};
use crate::{
    client::ServerStatus,
    wire::response::{ApiRoute, Status},
};

/// Arguments of `kes status`.
#[derive(clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a command line has as many switches as it has"
)]
// -s has always been the short form here.
#[command(
    mut_arg("server", |server| server.short(None)),
    after_help = "Examples:
  kes status
  kes status --check --quiet --short
  kes status --ready --wait 30s
  kes status --all --server kes-1:7373,kes-2:7373
  kes status --json | jq .uptime"
)]
pub(super) struct Args {
    /// Show the first line only
    #[arg(short, long)]
    short: bool,
    /// List the routes of the server
    #[arg(long, conflicts_with_all = ["ready", "all"])]
    api: bool,
    /// Fail if the server cannot reach its keystore
    #[arg(long)]
    check: bool,
    /// Only ask whether the server can serve; needs no credential if the server wants none
    #[arg(long, conflicts_with = "all")]
    ready: bool,
    /// Ask until the answer is good, for at most this time
    #[arg(long, value_name = "DURATION", value_parser = duration::positive)]
    wait: Option<Duration>,
    /// Show every server of the list
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Time between two questions of `--wait`.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    if args.all {
        return all(args, env, out);
    }
    if args.ready {
        let session = args.connect.session_of_anybody(env, out)?;
        return connect::run(async {
            args.patiently(async || session.call("", session.client.ready()).await)
                .await?;
            ready(&session, out)
        });
    }
    let session = args.connect.session(env, out)?;
    connect::run(async {
        let asked = args.patiently(async || {
            let server = session.call("", session.client.status()).await?;
            args.verdict(&server)?;
            Ok(server)
        });
        let server = match asked.await {
            // What is wrong is shown before it is a failure.
            Err(Error::Unhealthy(_)) => session.call("", session.client.status()).await?,
            outcome => outcome?,
        };
        let routes = if args.api {
            Some(session.call("", session.client.routes()).await?)
        } else {
            None
        };
        show(args, &server, routes.as_deref(), out)?;
        args.verdict(&server)
    })
}

impl Args {
    /// Repeats a question until it succeeds or there is no time left.
    async fn patiently<T>(
        &self,
        mut ask: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let deadline = self.wait.map(|limit| Instant::now() + limit);
        loop {
            let outcome = ask().await;
            match (&outcome, deadline) {
                (Err(error), Some(deadline))
                    if error.may_pass() && Instant::now() + PAUSE < deadline =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                _ => return outcome,
            }
        }
    }

    fn verdict(&self, server: &ServerStatus) -> Result<(), Error> {
        match health(&server.status) {
            Some(trouble) if self.check => Err(Error::Unhealthy(trouble)),
            _ => Ok(()),
        }
    }
}

fn ready(session: &Session, out: &Output) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Ready {
        ready: bool,
    }
    out.show(&Ready { ready: true }, || {
        let dot = out.styled(Style::Green, "●");
        out.text(&format!("{dot} {} is ready", session.servers()))
    })
}

fn show(
    args: &Args,
    server: &ServerStatus,
    routes: Option<&[ApiRoute]>,
    out: &Output,
) -> Result<(), Error> {
    let document = out.wants_document();
    match routes {
        Some(routes) if document => out.document_for_reading(routes),
        None if document && args.short => out.document(&server.status),
        None if document => out.document_for_reading(&server.status),
        _ => {
            let mut lines = summary(server, args.short, out);
            if let Some(routes) = routes {
                lines.push(String::new());
                lines.extend(table(routes, out));
            }
            out.text(&lines.join("\n"))
        }
    }
}

/// Shows every server; the first failure is the command's.
fn all(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Report<'a> {
        server: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'a Status>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    }
    let sessions = args.connect.sessions(env, out)?;
    let mut answers = Vec::new();
    for session in &sessions {
        let asked = connect::run(args.patiently(async || {
            let server = session.call("", session.client.status()).await?;
            args.verdict(&server).map(|()| server)
        }));
        answers.push((session.servers(), asked));
    }
    if out.wants_document() {
        let reports: Vec<_> = answers
            .iter()
            .map(|(server, answer)| Report {
                server,
                status: answer.as_ref().ok().map(|answer| &answer.status),
                error: answer.as_ref().err().map(Error::text),
            })
            .collect();
        out.document_for_reading(&reports)?;
    } else {
        let mut lines = Vec::new();
        for (server, answer) in &answers {
            match answer {
                Ok(answer) => lines.extend(summary(answer, args.short, out)),
                Err(error) => {
                    let dot = out.styled(Style::Red, "●");
                    lines.push(format!("{dot} {server}: {}", error.text()));
                }
            }
        }
        out.text(&lines.join("\n"))?;
    }
    answers
        .into_iter()
        .find_map(|(_, answer)| answer.err())
        .map_or(Ok(()), Err)
}

/// What is wrong with the keystore, if anything is. Servers set one member or both.
fn health(status: &Status) -> Option<&'static str> {
    if status.keystore_unreachable {
        Some("unreachable")
    } else if status.keystore_unavailable {
        Some("unavailable")
    } else {
        None
    }
}

fn summary(server: &ServerStatus, short: bool, out: &Output) -> Vec<String> {
    let status = &server.status;
    let trouble = health(status);
    let color = if trouble.is_some() {
        Style::Red
    } else {
        Style::Green
    };
    let mut lines = vec![format!("{} {}", out.styled(color, "●"), server.endpoint)];
    if short {
        return lines;
    }
    let keystore = match (trouble, status.keystore_latency) {
        (Some(trouble), _) => out.styled(Style::Red, trouble),
        (None, 0) => "ok".to_owned(),
        (None, latency) => format!("ok, {}", rounded(Duration::from_millis(latency))),
    };
    let mut field = |label: &str, value: &str| {
        let label = out.styled(Style::Faint, &format!("{label:8}"));
        lines.push(format!("  {label} {value}").trim_end().to_owned());
    };
    field("Version", &status.version);
    field("Uptime", &uptime(status.uptime));
    field("Latency", &rounded(server.took));
    field("Keystore", &keystore);
    field("OS", &status.os);
    field("CPUs", &format!("{} {}", status.num_cpu_used, status.arch));
    field("Memory", "");
    field("· Heap", &size(status.mem_heap_used));
    field("· Stack", &size(status.mem_stack_used));
    lines
}

fn table(routes: &[ApiRoute], out: &Output) -> Vec<String> {
    let header = format!("{:7} {:28} {}", "Method", "API", "Timeout");
    let mut lines = vec![format!("  {}", out.styled(Style::Underline, &header))];
    for route in routes {
        let timeout = match route.timeout {
            0 => "Inf".to_owned(),
            seconds => rounded(Duration::from_secs(seconds)),
        };
        lines.push(format!("  {:7} {:28} {timeout}", route.method, route.path));
    }
    lines
}

/// Days and hours, or hours, minutes or seconds; parts are cut off.
fn uptime(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    if days > 0 {
        format!("{days} days {} hours", hours % 24)
    } else if hours > 0 {
        format!("{hours} hours")
    } else if minutes > 0 {
        format!("{minutes} minutes")
    } else {
        format!("{seconds} seconds")
    }
}

/// A duration rounded to milliseconds, as `4ms`, `1.5s` or `2m0.25s`.
fn rounded(duration: Duration) -> String {
    let millis = (duration + Duration::from_micros(500)).as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = format!("{}.{:03}", rest / 1000, rest % 1000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Decimal units with one decimal, as `3.1MB`; zero is `0B`.
pub(super) fn size(bytes: u64) -> String {
    if bytes == 0 {
        return "0B".to_owned();
    }
    let (unit, name) = match bytes {
        0..1_000 => (1, "B"),
        1_000..1_000_000 => (1_000, "KB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
    format!("{}.{}{name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_time_is_cut_off_not_rounded() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (59, "59 seconds"),
            (119, "1 minutes"),
            (3 * 3600 + 3599, "3 hours"),
            (36 * 3600, "1 days 12 hours"),
            (72 * 3600, "3 days 0 hours"),
        ] {
            assert_eq!(uptime(seconds), text);
        }
    }

    #[test]
    fn durations_are_written_as_go_does() {
        for (micros, text) in [
            (499, "0s"),
            (500, "1ms"),
            (4_400, "4ms"),
            (1_500_000, "1.5s"),
            (15_000_000, "15s"),
            (120_250_000, "2m0.25s"),
            (3_600_000_000, "1h0m0s"),
        ] {
            assert_eq!(rounded(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn sizes_have_one_decimal() {
        for (bytes, text) in [
            (0, "0B"),
            (512, "512.0B"),
            (1_000, "1.0KB"),
            (3_149_000, "3.1MB"),
            (2_000_000_000, "2.0GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn either_member_means_trouble() {
        let mut status = Status::default();
        assert_eq!(health(&status), None);
        status.keystore_unavailable = true;
        assert_eq!(health(&status), Some("unavailable"));
        status.keystore_unreachable = true;
        assert_eq!(health(&status), Some("unreachable"));
    }
}
