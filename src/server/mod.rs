//! The life of a server: start, serve, reload, stop (config.md 12 to 16).

use std::{
    io::Write,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use socket2::SockRef;
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
mod error;
mod listen;
mod reload;
mod seldom;
mod signals;
mod wiped;

use assemble::{Assembled, assemble};
use banner::Banner;
use certificates::Certificates;
use connection::{Context, Generation};
use cores::Cores;
pub use error::Error;
use listen::{bind, connection_limit};
use reload::Running;
use signals::{Signal, Signals};

/// How long requests under way may go on after a signal to stop (api.md 12).
const DRAIN: Duration = Duration::from_secs(1);
/// How long the last lines of the logs may take.
const FLUSH: Duration = Duration::from_secs(1);
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
    /// The configuration file.
    pub config: PathBuf,
    /// Where to listen, in place of what the file says.
    pub address: Option<String>,
    /// What the file may lack.
    pub fallback: Fallback,
    /// Whether it is fatal when keys cannot be locked in memory.
    pub require_mlock: bool,
    /// Whether to print the banner.
    pub banner: bool,
}

/// What outlives a reload.
struct Process {
    clock: Clock,
    started: OffsetDateTime,
    telemetry: Arc<Telemetry>,
    options: Options,
    locked: bool,
}

/// Runs a server until it is told to stop. `out` gets the banner and the farewell.
///
/// # Errors
/// [`Error`] if it cannot start. Once it serves, nothing but a signal ends it.
pub fn run(options: Options, out: &mut dyn Write) -> Result<(), Error> {
    let clock = Clock::system();
    // Sound only while there is one thread.
    let offset = UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC);
    let hardened = memory::harden();
    let config = load(&options)?;
    let telemetry = Telemetry::start(config.log, offset, &clock, Output::standard())?;
    let process = Process {
        started: clock.now_utc(),
        clock,
        telemetry,
        options,
        locked: hardened.locking.is_ok(),
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
    let result = outside.block_on(live(&process, config, out));
    process.telemetry.flush(FLUSH);
    // A store that does not answer must not keep the process.
    outside.shutdown_background();
    result
}

/// From the checked configuration to the farewell.
async fn live(process: &Process, config: Config, out: &mut dyn Write) -> Result<(), Error> {
    let mut signals = Signals::install()?;
    process.warn_of(&config);
    let assembled = tokio::select! {
        biased;
        () = signals.stop() => return Ok(()),
        assembled = assemble(&config, process, None) => assembled?,
    };
    let Assembled {
        state,
        tls,
        watch,
        store,
        warnings,
    } = assembled;
    for warning in &warnings {
        process.warn(warning);
    }
    let listener = bind(process.options.address.as_ref().unwrap_or(&config.address))?;
    let address = listener.local_addr()?;
    let stopping = CancellationToken::new();
    let certificates = Certificates::new(watch, &tls);
    let context = Arc::new(Context {
        shared: Arc::new(Shared::new(state)),
        generation: ArcSwap::from_pointee(Generation::new(tls, &stopping)),
        telemetry: process.telemetry.clone(),
        clock: process.clock.clone(),
        ended: AtomicUsize::new(0),
        stopping: stopping.clone(),
    });
    tokio::spawn(give_back(context.clone()));
    let cores = Cores::start(
        thread::available_parallelism().map_or(1, usize::from),
        &context,
    )?;
    let stop = Arc::new(AtomicBool::new(false));
    let acceptor = {
        let (listener, stop, context) = (listener.try_clone()?, stop.clone(), context.clone());
        let limit = connection_limit();
        thread::Builder::new()
            .name("kes-accept".to_owned())
            .spawn(move || cores.accept(&listener, limit, &stop, &context))?
    };
    let mut running = Running {
        process,
        context,
        config,
        store,
        certificates,
        address,
    };
    running.announce(out, "Server is up and running...");
    running.until_stopped(&mut signals, out).await;
    stop.store(true, Ordering::SeqCst);
    stopping.cancel();
    process.telemetry.close_streams();
    // Wakes the acceptor, which then sees that it is to stop.
    let _ = SockRef::from(&listener).shutdown(std::net::Shutdown::Both);
    if let Ok(cores) = acceptor.join()
        && !tokio::task::block_in_place(|| cores.join(DRAIN))
    {
        process.warn(&format!(
            "requests were still running {} s after the signal to stop: cut off",
            DRAIN.as_secs()
        ));
    }
    let _ = writeln!(out, "\n=> Stopping server... Goodbye.");
    Ok(())
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
    /// Reloads when told to, and takes over certificates that change, one after the other.
    async fn until_stopped(&mut self, signals: &mut Signals, out: &mut dyn Write) {
        let mut look = interval_at(Instant::now(), tls::EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Work is given up for a signal to stop; until its last step it has changed nothing.
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::Stop => return,
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
        self.process
            .say("SIGHUP signal received. Reloading configuration...");
        match self.reload().await {
            Ok(()) => self.announce(
                out,
                "Reloading configuration after SIGHUP signal completed.",
            ),
            Err(error) => self
                .process
                .complain(&format!("Failed to reload server config: {}", error.line())),
        }
    }

    /// Prints the banner. That nobody reads it is no reason not to serve.
    fn announce(&self, out: &mut dyn Write, event: &str) {
        if !self.process.options.banner {
            return;
        }
        let admin = &self.config.admin;
        let banner = Banner {
            keystore: self.store.to_string(),
            address: self.address,
            admin: admin.is_hash().then(|| admin.as_str()),
            levels: self.config.log,
            locked: self.process.locked,
            event,
        };
        let _ = writeln!(out, "{banner}").and_then(|()| out.flush());
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
}

/// Reads the configuration file.
fn load(options: &Options) -> Result<Config, Error> {
    let context = config::Context {
        env: &Env::process(),
        routes: &api::configurable(),
        fallback: options.fallback.clone(),
    };
    config::load(&options.config, &context).map_err(Error::Config)
}
