//! The life of a server: start, serve, reload, stop (config.md 12 to 16).

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use time::{OffsetDateTime, UtcOffset};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    api,
    clock::Clock,
    config::{self, Config, Env, Fallback},
    keyring, keystore,
    keystore::Keystore,
    memory,
    name::KeyName,
    secret::NoRandomness,
    state::Shared,
    telemetry::{Level, Output, Telemetry, chain},
    tls,
};

mod activity;
mod assemble;
mod banner;
mod connection;
mod cores;
mod wiped;

use assemble::{Assembled, assemble};
use banner::Banner;
use connection::{Context, Generation};
use cores::Cores;

/// How long requests under way may go on after a signal to stop (api.md 12).
const DRAIN: Duration = Duration::from_secs(1);
/// How long the last lines of the logs may take.
const FLUSH: Duration = Duration::from_secs(1);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;
/// Descriptors kept for everything that is not a client's connection.
const RESERVED_FILES: u64 = 128;
/// Most connections at a time, however many descriptors there are.
const MAX_CONNECTIONS: u64 = 65_536;
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

/// Why a server cannot start. Display says what, [`Error::hint`] what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("failed to listen on {address}")]
    Bind {
        /// The address as configured.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The configuration is wrong. The text has a line for each problem.
    #[error("{0}")]
    Config(config::Errors),
    /// The keystore cannot be opened.
    #[error("failed to open the keystore")]
    Keystore(#[source] keystore::Error),
    /// Keys cannot be locked in memory, and `--mlock` demands it.
    #[error("failed to lock memory: {0}")]
    MemoryLock(String),
    /// A key under `keys` cannot be created.
    #[error("failed to create predefined key '{name}'")]
    PredefinedKey {
        /// The key.
        name: KeyName,
        /// Why.
        #[source]
        source: keyring::Error,
    },
    /// There is no randomness for keys.
    #[error("failed to create a predefined key")]
    Randomness(#[source] NoRandomness),
    /// The system gives no threads, sockets or signals.
    #[error("failed to start")]
    System(#[from] io::Error),
    /// A certificate or key file.
    #[error(transparent)]
    Tls(#[from] tls::Error),
}

impl Error {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Bind { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => Some(
                    "another process listens there: stop it, or choose another address with --addr"
                        .to_owned(),
                ),
                io::ErrorKind::PermissionDenied => {
                    Some("ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one".to_owned())
                }
                _ => None,
            },
            Self::MemoryLock(_) => Some(
                "grant CAP_IPC_LOCK or raise RLIMIT_MEMLOCK (LimitMEMLOCK= of the unit), or leave out --mlock"
                    .to_owned(),
            ),
            _ => None,
        }
    }
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
    let mut process = Process {
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
        .enable_all()
        .build()?;
    let result = outside.block_on(live(&mut process, config, out));
    process.telemetry.flush(FLUSH);
    // A store that does not answer must not keep the process.
    outside.shutdown_background();
    result
}

/// From the checked configuration to the farewell.
async fn live(process: &mut Process, config: Config, out: &mut dyn Write) -> Result<(), Error> {
    let mut signals = Signals::install()?;
    process.warn_of(&config);
    let Assembled {
        state,
        tls,
        mut store,
        warnings,
    } = assemble(&config, process, None).await?;
    for warning in &warnings {
        process.warn(warning);
    }
    let listener = bind(process.options.address.as_ref().unwrap_or(&config.address))?;
    let address = listener.local_addr()?;
    let stopping = CancellationToken::new();
    let context = Arc::new(Context {
        shared: Arc::new(Shared::new(state)),
        generation: ArcSwap::from_pointee(Generation::new(tls, &stopping)),
        telemetry: process.telemetry.clone(),
        clock: process.clock.clone(),
        stopping: stopping.clone(),
    });
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
    process.announce(
        out,
        &config,
        store.as_ref(),
        address,
        "Server is up and running...",
    );
    let mut config = config;
    while signals.next().await == Signal::Reload {
        process.say("SIGHUP signal received. Reloading configuration...");
        match reload(process, &context, &config, &store).await {
            Ok((new, new_store)) => {
                (config, store) = (new, new_store);
                let event = "Reloading configuration after SIGHUP signal completed.";
                process.announce(out, &config, store.as_ref(), address, event);
            }
            Err(error) => {
                let line = format!("Failed to reload server config: {}", chain(&error));
                process.telemetry.log.log(Level::ERROR, &line, None);
            }
        }
    }
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

/// Builds everything anew from the file, and only then swaps it. On failure everything stays as it was.
async fn reload(
    process: &Process,
    context: &Context,
    old: &Config,
    store: &Arc<dyn Keystore>,
) -> Result<(Config, Arc<dyn Keystore>), Error> {
    let config = load(&process.options)?;
    process.warn_of(&config);
    if process.options.address.is_none() && config.address != old.address {
        process.warn(
            "the address in the configuration has changed: this takes effect at the next start",
        );
    }
    // What is only in memory must not be lost by a reload.
    let both_in_memory = matches!(
        (&old.keystore, &config.keystore),
        (keystore::Settings::Mem, keystore::Settings::Mem)
    );
    let kept = both_in_memory.then(|| store.clone());
    let Assembled {
        state,
        tls,
        store,
        warnings,
    } = assemble(&config, process, kept).await?;
    for warning in &warnings {
        process.warn(warning);
    }
    let generation = Arc::new(Generation::new(tls, &context.stopping));
    context.shared.replace(state);
    let before = context.generation.swap(generation);
    // Connections of clients that were not verified, or against other roots, have to come again (decision 24).
    if config.tls.auth && (!old.tls.auth || config.tls.ca != old.tls.ca) {
        before.retire();
    }
    process.telemetry.set(config.log);
    Ok((config, store))
}

impl Process {
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

    /// Prints the banner. That nobody reads it is no reason not to serve.
    fn announce(
        &self,
        out: &mut dyn Write,
        config: &Config,
        store: &dyn Keystore,
        address: SocketAddr,
        event: &str,
    ) {
        if !self.options.banner {
            return;
        }
        let banner = Banner {
            keystore: store.to_string(),
            address,
            admin: config.admin.is_hash().then(|| config.admin.as_str()),
            levels: config.log,
            locked: self.locked,
            event,
        };
        let _ = writeln!(out, "{banner}").and_then(|()| out.flush());
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

/// Binds `HOST:PORT`; an empty host means all interfaces, IPv4 and IPv6.
fn bind(address: &str) -> Result<TcpListener, Error> {
    let bound = || {
        if let Some(port) = address.strip_prefix(':') {
            let port = port.parse().map_err(io::Error::other)?;
            // Without IPv6 on this machine, IPv4 is all there is.
            return listen(SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)))
                .or_else(|_| listen(SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, port))));
        }
        let mut last = io::Error::other("the host has no address");
        for address in address.to_socket_addrs()? {
            match listen(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    bound().map_err(|source| Error::Bind {
        address: address.to_owned(),
        source,
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.cloexec(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 clients too, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for connections of the process before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Takes as many descriptors as the system allows, and tells how many connections that makes.
fn connection_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let files = files.unwrap_or(MAX_CONNECTIONS + RESERVED_FILES);
    let connections = files
        .saturating_sub(RESERVED_FILES)
        .clamp(16, MAX_CONNECTIONS);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Reload,
    Stop,
}

struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}
