//! `kes top`: what a server is doing, live (cli.md 14).
//!
//! Figures come from the metrics page, the state of the keystore from the status, and who asks most from the audit stream. A client
//! that may not read one of these sees the rest. The terminal is given back however the program ends.

use std::time::{Duration, Instant};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};

use self::{caller::Callers, sample::Sample, screen::Screen, view::View};
use super::{
    connect::{self, ConnectArgs, Session},
    duration,
    error::Error,
    output::Output,
    settings::Environment,
};
use crate::client::{
    error::{Answer, Error as Call},
    follow::{Lines, Log},
};

mod caller;
mod sample;
mod screen;
mod view;

/// Most clients that are shown.
const CLIENTS: usize = 50;
/// Size of a frame that goes to no screen.
const PLAIN: (usize, usize) = (100, 60);
/// The interrupt key, end of input, and the escape key.
const LEAVING: [u8; 5] = [0x03, 0x04, 0x1b, b'q', b'Q'];

/// Arguments of `kes top`.
#[derive(clap::Args)]
#[command(after_help = "Keys: q ends it, the space bar stops and continues.\n\
                        The policy must allow '/v1/metrics', and for the keystore and the clients '/v1/status' and '/v1/log/audit'.\n\n\
                        Examples:\n  \
                        kes top\n  \
                        kes top --interval 500ms\n  \
                        kes top --once --json")]
pub(super) struct Args {
    /// Time between two looks
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration::positive)]
    interval: Duration,
    /// Print one frame, after one interval, and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    if !args.once && !out.wants_document() && !out.is_terminal() {
        let reason =
            "standard output is no terminal: use --once, or --json for a document each interval";
        return Err(Error::Usage(reason.to_owned()));
    }
    let session = args.connect.session(env, out)?;
    connect::run_until_interrupt(async {
        let mut watch = Watch::begin(&session).await?;
        if out.wants_document() {
            return print(&mut watch, args, out).await;
        }
        if args.once {
            watch.wait(args.interval).await;
            watch.look().await?;
            let (width, height) = PLAIN;
            return out.text(&watch.view.lines(width, height).join("\n"));
        }
        live(&mut watch, args, out).await
    })
}

/// A server that is watched.
struct Watch<'a> {
    session: &'a Session,
    view: View,
    callers: Callers,
    /// `None` if this client may not read them, or they ended.
    events: Option<Lines>,
    /// Whether this client may read events, as far as it is known.
    may_follow: bool,
}

impl<'a> Watch<'a> {
    /// Takes the first sample.
    async fn begin(session: &'a Session) -> Result<Self, Error> {
        let mut watch = Self {
            session,
            view: View::of(session.servers()),
            callers: Callers::default(),
            events: None,
            may_follow: true,
        };
        watch.look().await?;
        Ok(watch)
    }

    /// Opens the audit stream, again if it has ended.
    async fn follow(&mut self) {
        if self.events.is_some() || !self.may_follow {
            return;
        }
        match self.session.client.follow(Log::Audit).await {
            Ok(lines) => self.events = Some(lines),
            Err(Call::Answer(answer)) if answer.status < 500 => self.may_follow = false,
            // The server is away, which the next look tells.
            Err(_) => {}
        }
    }

    /// Asks for all figures.
    async fn look(&mut self) -> Result<(), Error> {
        let call = self.session.client.metrics();
        let page = self.session.call("failed to read metrics", call).await?;
        self.view.take(Sample::parse(&page, Instant::now()));
        self.follow().await;
        self.view.status = match self.session.client.status().await {
            Ok(server) => Some(server.status),
            Err(Call::Answer(Answer { status: 403, .. })) => None,
            Err(_) => self.view.status.take(),
        };
        let callers = self.events.is_some().then(|| self.callers.busiest(CLIENTS));
        self.view.callers = callers;
        self.callers.next();
        Ok(())
    }

    /// Counts events for so long.
    async fn wait(&mut self, time: Duration) {
        let end = sleep(time);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                () = self.count() => {}
            }
        }
    }

    /// Counts the next event. May be dropped while it waits.
    async fn count(&mut self) {
        let Some(events) = &mut self.events else {
            return std::future::pending().await;
        };
        match events.next().await {
            Ok(Some(line)) => self.callers.count(&line),
            Ok(None) | Err(_) => self.events = None,
        }
    }
}

/// A document each interval, or one.
async fn print(watch: &mut Watch<'_>, args: &Args, out: &Output) -> Result<(), Error> {
    loop {
        watch.wait(args.interval).await;
        watch.look().await?;
        if let Some(document) = watch.view.document() {
            out.document(&document)?;
        }
        if args.once {
            return Ok(());
        }
    }
}

/// What may happen while the screen is shown.
enum Happening {
    Tick,
    Key(Option<u8>),
    Resized,
    Ended,
}

/// What is listened to.
struct Senses {
    keys: Option<mpsc::Receiver<u8>>,
    resized: Signal,
    terminated: Signal,
    hung_up: Signal,
}

impl Senses {
    fn new() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(|source| Error::Setup(Box::new(source)));
        Ok(Self {
            resized: listen(SignalKind::window_change())?,
            terminated: listen(SignalKind::terminate())?,
            hung_up: listen(SignalKind::hangup())?,
            keys: screen::keys(),
        })
    }

    /// The next key or signal. May be dropped while it waits.
    async fn next(&mut self) -> Happening {
        let key = async {
            match &mut self.keys {
                Some(keys) => keys.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            key = key => Happening::Key(key),
            _ = self.resized.recv() => Happening::Resized,
            _ = self.terminated.recv() => Happening::Ended,
            _ = self.hung_up.recv() => Happening::Ended,
        }
    }
}

/// Shows the screen until somebody has seen enough.
async fn live(watch: &mut Watch<'_>, args: &Args, out: &Output) -> Result<(), Error> {
    let failed = |source| Error::Io {
        doing: "use the terminal",
        source,
    };
    // Before the screen is taken: what fails here is to be read.
    let mut senses = Senses::new()?;
    let mut ticks = interval(args.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut screen = Screen::enter(out.stream()?).map_err(failed)?;
    let mut stopped = false;
    // The first tick comes at once, and the first sample is taken.
    ticks.tick().await;
    loop {
        let (width, height) = screen.size();
        let mut lines = watch.view.lines(width, height);
        if let (true, Some(first)) = (stopped, lines.first_mut()) {
            let text = format!("{first}   stopped");
            *first = text.chars().take(width).collect();
        }
        screen.draw(&lines).map_err(failed)?;
        let happening = loop {
            tokio::select! {
                happening = senses.next() => break happening,
                _ = ticks.tick(), if !stopped => break Happening::Tick,
                () = watch.count() => {}
            }
        };
        match happening {
            Happening::Ended | Happening::Key(None) => return Ok(()),
            Happening::Key(Some(key)) if LEAVING.contains(&key) => return Ok(()),
            Happening::Key(Some(b' ')) => stopped = !stopped,
            Happening::Key(Some(_)) | Happening::Resized => {}
            Happening::Tick => {
                let looked = tokio::select! {
                    looked = watch.look() => Some(looked),
                    () = leaving(&mut senses) => None,
                };
                match looked {
                    None => return Ok(()),
                    Some(Ok(())) => {}
                    // It may come back.
                    Some(Err(error)) => watch.view.trouble = Some(error.text()),
                }
            }
        }
    }
}

/// Waits until somebody wants to leave, while a server does not answer.
async fn leaving(senses: &mut Senses) {
    loop {
        match senses.next().await {
            Happening::Key(Some(key)) if !LEAVING.contains(&key) => {}
            Happening::Resized | Happening::Tick => {}
            Happening::Key(_) | Happening::Ended => return,
        }
    }
}
