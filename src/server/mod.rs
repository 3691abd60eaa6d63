//! The life of a server: start, serve, reload, stop (config.md 12 to 16).

use std::{
    io::Write,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use time::{OffsetDateTime, UtcOffset};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::{
    api,
    clock::Clock,
    config::{self, Config, Env, Fallback},
    memory,
    state::Shared,
    telemetry::{Level, Output, Telemetry},
    tls,
};

mod activity;
mod assemble;
mod banner;
mod certificates;
mod connection;
mod cores;
mod dev;
mod error;
mod listen;
mod notify;
pub mod proxy_protocol;
mod reload;
mod seldom;
mod service;
mod signals;
mod wiped;

use assemble::{Assembled, assemble, create_keys};
use banner::Banner;
use certificates::Certificates;
use connection::{Context, Generation};
use dev::Dev;
pub use dev::Wishes;
pub use error::Error;
use listen::{Sockets, connection_limit};
use notify::{Notice, notify};
use reload::Running;
use service::{End, Service};
use signals::{Signal, Signals};

/// How long the last lines of the logs may take.
const FLUSH: Duration = Duration::from_secs(1);
/// What a service manager is told on top of that.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a thread for blocking work stays without any.
const KEEP_THREADS: Duration = Duration::from_secs(1);
/// How often it is looked whether many connections have ended.
const GIVE_BACK: Duration = Duration::from_secs(5);
/// How many make it worth while to give their memory back to the system.
const MANY: usize = 256;
/// Threads that wait for keystores.
const OUTSIDE_THREADS: usize = 2;

/// How to run a server, as the command line says it.
pub struct Options {
    /// What says all the rest.
    pub source: Source,
    /// Where to listen, in place of what the file says.
    pub address: Option<String>,
    /// Whether it is fatal when keys cannot be locked in memory.
    pub require_mlock: bool,
    /// Whether to print the banner.
    pub banner: bool,
    /// Whether the banner has colours.
    pub styled: bool,
}

/// Where the configuration comes from.
pub enum Source {
    /// Nowhere: development mode (config.md 13).
    Dev(Wishes),
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// What it may lack.
        fallback: Fallback,
    },
}

/// What outlives a reload.
struct Process {
    clock: Clock,
    started: OffsetDateTime,
    telemetry: Arc<Telemetry>,
    options: Options,
    /// What development mode has in place of files.
    dev: Option<Dev>,
    locked: bool,
    /// Most connections at a time.
    connections: usize,
}

/// Runs a server until it is told to stop. `out` gets the banner and the farewell.
///
/// To be called while the process has one thread.
///
/// # Errors
/// [`Error`] if it cannot start. Once it serves, nothing but a signal ends it.
pub fn run(options: Options, out: &mut dyn Write) -> Result<(), Error> {
    let clock = Clock::system();
    // Sound only while there is one thread.
    let offset = UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC);
    let passed = Sockets::inherited()?;
    let connections = connection_limit()?;
    let hardened = memory::harden();
    let (dev, config) = match &options.source {
        Source::File { path, fallback } => (None, load(path, fallback)?),
        Source::Dev(wishes) => {
            let address = options.address.as_deref();
            let (dev, config) = Dev::new(wishes, address, passed.as_ref(), &clock)?;
            (Some(dev), config)
        }
    };
    let telemetry = Telemetry::start(config.log, offset, &clock, Output::standard())?;
    let process = Process {
        started: clock.now_utc(),
        clock,
        telemetry,
        options,
        dev,
        locked: hardened.locking.is_ok(),
        connections,
    };
    for shortfall in hardened.shortfalls() {
        if process.options.require_mlock && !process.locked {
            return Err(Error::MemoryLock(shortfall.to_string()));
        }
        process.warn(&format!("{shortfall}: {}", shortfall.remedy()));
    }
    let outside = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(OUTSIDE_THREADS)
        .thread_name("kes-outside")
        // The look at the certificates every two seconds must not keep threads that a burst of work has left.
        .thread_keep_alive(KEEP_THREADS)
        .enable_all()
        .build()?;
    let result = outside.block_on(live(&process, config, passed, out));
    process.telemetry.flush(FLUSH);
    // A store that does not answer must not keep the process.
    outside.shutdown_background();
    result
}

/// From the checked configuration to the farewell.
async fn live(
    process: &Process,
    config: Config,
    passed: Option<Sockets>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut signals = Signals::install()?;
    let (mut running, service) = tokio::select! {
        biased;
        () = signals.stop() => return Ok(()),
        started = start(process, config, passed) => started?,
    };
    running.announce(out, "Server is up and running...");
    notify(process, &Notice::Ready(&running.serving()));
    notify::watchdog(process, service.cores.clone());

    running.until_stopped(&mut signals, out).await;

    let drain = running.config.drain;
    notify(process, &Notice::Stopping(drain + FLUSH + FAREWELL));
    match service.stop(drain, &mut signals).await {
        End::Complete => {}
        End::CutOff => process.warn(&format!(
            "connections were still busy {drain:?} after the signal to stop: cut off"
        )),
        End::Hurried => process.warn("a second signal to stop: requests under way are cut off"),
    }
    let _ = writeln!(out, "\n=> Stopping server... Goodbye.");
    Ok(())
}

/// Makes everything that can fail before anybody is told that the server is there: TLS, keystore, policies; then the sockets; then
/// the keys that the configuration names.
async fn start(
    process: &Process,
    config: Config,
    passed: Option<Sockets>,
) -> Result<(Running<'_>, Service), Error> {
    process.warn_of(&config);
    let Assembled {
        state,
        tls,
        watch,
        store,
        warnings,
    } = assemble(&config, process, None).await?;
    // In development mode, that keys are in memory is what was asked for.
    for warning in warnings.iter().filter(|_| process.dev.is_none()) {
        process.warn(warning);
    }
    let sockets = match passed {
        Some(sockets) => {
            process.tell_of_passed(&sockets);
            sockets
        }
        None => Sockets::bind(process.options.address.as_ref().unwrap_or(&config.address))?,
    };
    let addresses = sockets.addresses.clone();
    create_keys(&config, process, &state.keys).await?;
    if let Some(dev) = &process.dev {
        dev.show_certificate()?;
    }
    let stopping = CancellationToken::new();
    let certificates = Certificates::new(watch, &tls);
    let context = Arc::new(Context {
        shared: Arc::new(Shared::new(state)),
        generation: ArcSwap::from_pointee(Generation::new(tls, &stopping)),
        telemetry: process.telemetry.clone(),
        clock: process.clock.clone(),
        ended: AtomicUsize::new(0),
        stopping,
    });
    tokio::spawn(give_back(context.clone()));
    let service = Service::start(sockets, process.connections, &context)?;
    let running = Running {
        process,
        context,
        config,
        store,
        certificates,
        addresses,
        debugging: false,
    };
    Ok((running, service))
}

/// Gives memory back to the system after many connections have ended, which the heap does not do by itself.
async fn give_back(context: Arc<Context>) {
    loop {
        tokio::select! {
            () = context.stopping.cancelled() => return,
            () = tokio::time::sleep(GIVE_BACK) => {}
        }
        if context.ended.load(Ordering::Relaxed) >= MANY {
            context.ended.store(0, Ordering::Relaxed);
            let _ = tokio::task::spawn_blocking(memory::give_back).await;
        }
    }
}

impl Running<'_> {
    /// Does what signals ask for, and takes over certificates that change, one after the other.
    async fn until_stopped(&mut self, signals: &mut Signals, out: &mut dyn Write) {
        let mut look = interval_at(Instant::now(), tls::EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Work is given up for a signal to stop; until its last step it has changed nothing.
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::Stop => return,
                    Signal::Debug => self.debug(!self.debugging),
                    Signal::Quiet => self.debug(false),
                    Signal::Reload => tokio::select! {
                        biased;
                        () = signals.stop() => return,
                        () = self.reload_and_tell(out) => {}
                    },
                },
                _ = look.tick() => tokio::select! {
                    biased;
                    () = signals.stop() => return,
                    () = self.look_at_certificates() => {}
                },
            }
        }
    }

    async fn reload_and_tell(&mut self, out: &mut dyn Write) {
        let process = self.process;
        if process.dev.is_some() {
            process.say("SIGHUP signal received: there is nothing to reload in development mode");
            return;
        }
        process.say("SIGHUP signal received. Reloading configuration...");
        notify(process, &Notice::Reloading);
        match self.reload().await {
            Ok(()) => {
                self.announce(
                    out,
                    "Reloading configuration after SIGHUP signal completed.",
                );
                notify(process, &Notice::Ready(&self.serving()));
            }
            Err(error) => {
                let why = error.line();
                process.complain(&format!("Failed to reload server config: {why}"));
                notify(process, &Notice::NotReloaded(&why));
            }
        }
    }

    /// Prints the banner. That nobody reads it is no reason not to serve.
    fn announce(&self, out: &mut dyn Write, event: &str) {
        let Options { banner, styled, .. } = self.process.options;
        if !banner {
            return;
        }
        let admin = &self.config.admin;
        let banner = Banner {
            keystore: self.store.to_string(),
            addresses: &self.addresses,
            admin: admin.is_hash().then(|| admin.as_str()),
            levels: self.config.log,
            locked: self.process.locked,
            dev: self.process.dev.as_ref(),
            event,
            styled,
        };
        let _ = writeln!(out, "{banner}").and_then(|()| out.flush());
    }

    /// Where it serves, and from which keystore, in one line.
    fn serving(&self) -> String {
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        format!("on {}, keystore: {}", addresses.join(", "), self.store)
    }
}

impl Process {
    fn complain(&self, text: &str) {
        self.telemetry.log.log(Level::ERROR, text, None);
    }

    fn warn(&self, text: &str) {
        self.telemetry.log.log(Level::WARN, text, None);
    }

    fn say(&self, text: &str) {
        self.telemetry.log.log(Level::INFO, text, None);
    }

    fn warn_of(&self, config: &Config) {
        for warning in &config.warnings {
            match &warning.hint {
                Some(hint) => self.warn(&format!("{warning}: {hint}")),
                None => self.warn(&warning.to_string()),
            }
        }
    }

    fn tell_of_passed(&self, sockets: &Sockets) {
        let addresses: Vec<_> = sockets.addresses.iter().map(ToString::to_string).collect();
        let addresses = addresses.join(", ");
        match &self.options.address {
            Some(flag) => self.warn(&format!(
                "listening on what the service manager has passed, {addresses}: '--addr {flag}' is ignored"
            )),
            None => self.say(&format!(
                "listening on what the service manager has passed, {addresses}: the configuration's address is not used"
            )),
        }
    }
}

/// Reads the configuration file.
fn load(path: &std::path::Path, fallback: &Fallback) -> Result<Config, Error> {
    let context = config::Context {
        env: &Env::process(),
        routes: &api::configurable(),
        fallback: fallback.clone(),
    };
    config::load(path, &context).map_err(Error::Config)
}
