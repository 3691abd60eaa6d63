//! One single-threaded runtime per core; a connection never leaves the one it was given to (docs/decisions/0001).

use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc as std_mpsc,
    },
    thread,
    time::Duration,
};

use tokio::{runtime::Handle, sync::mpsc};

use super::{
    connection::{self, Context},
    listen::Queue,
};
use crate::telemetry::Level;

/// How long accepting rests when the system has no descriptor or memory for another connection.
const REST: Duration = Duration::from_millis(50);

/// A connection on its way to a core.
type Accepted = (TcpStream, SocketAddr);

struct Core {
    connections: mpsc::UnboundedSender<Accepted>,
    open: Arc<AtomicUsize>,
    handle: Handle,
}

/// The cores of a server.
pub(super) struct Cores {
    running: Vec<Core>,
    threads: Vec<thread::JoinHandle<()>>,
    /// A core reports here when its last connection has ended.
    ended: std_mpsc::Receiver<()>,
}

/// Counts an open connection of a core, and that it has ended.
struct Open {
    core: Arc<AtomicUsize>,
    context: Arc<Context>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.core.fetch_sub(1, Ordering::Relaxed);
        self.context.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Cores {
    /// Starts `count` cores.
    pub(super) fn start(count: usize, context: &Arc<Context>) -> io::Result<Self> {
        let (report, ended) = std_mpsc::channel();
        let mut running = Vec::with_capacity(count);
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let (connections, queue) = mpsc::unbounded_channel();
            let open = Arc::new(AtomicUsize::new(0));
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let handle = runtime.handle().clone();
            let work = run(context.clone(), queue, open.clone());
            let report = report.clone();
            threads.push(
                thread::Builder::new()
                    .name(format!("kes-core-{number}"))
                    .spawn(move || {
                        runtime.block_on(work);
                        let _ = report.send(());
                        // What is still open is past the deadline: dropped with the runtime.
                    })?,
            );
            running.push(Core {
                connections,
                open,
                handle,
            });
        }
        Ok(Self {
            running,
            threads,
            ended,
        })
    }

    /// By which tasks can be started on each core, beside those of its connections.
    pub(super) fn handles(&self) -> Vec<Handle> {
        self.running
            .iter()
            .map(|core| core.handle.clone())
            .collect()
    }

    /// How many connections are open.
    fn open(&self) -> usize {
        let open = |core: &Core| core.open.load(Ordering::Relaxed);
        self.running.iter().map(open).sum()
    }

    /// Gives a connection to the core that has fewest.
    fn hand(&self, accepted: Accepted) {
        let open = |core: &&Core| core.open.load(Ordering::Relaxed);
        if let Some(core) = self.running.iter().min_by_key(open) {
            core.open.fetch_add(1, Ordering::Relaxed);
            if core.connections.send(accepted).is_err() {
                core.open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Accepts connections until `queue` ends, at most `limit` open at a time.
    pub(super) fn accept(self, queue: &mut Queue, limit: usize, context: &Context) -> Self {
        // One line for each time that there are too many, also while they come and go at the limit.
        let mut complained = false;
        let calm = limit - limit / 8;
        while let Some(accepted) = queue.next() {
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                // The client gave up before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    if !complained {
                        complained = true;
                        let line = format!("failed to accept a connection: {error}");
                        context.telemetry.log.log(Level::ERROR, &line, None);
                    }
                    thread::sleep(REST);
                    continue;
                }
            };
            let open = self.open();
            if open >= limit {
                // Dropped: the client sees a reset at once rather than a handshake that never ends.
                if !complained {
                    complained = true;
                    let line = format!(
                        "more than {limit} connections: new ones are closed until others end"
                    );
                    context.telemetry.log.log(Level::ERROR, &line, None);
                }
                continue;
            }
            if open < calm {
                complained = false;
            }
            if stream.set_nonblocking(true).is_ok() {
                self.hand((stream, address));
            }
        }
        self
    }

    /// Waits until all connections have ended, at most for `limit`; what is open then is cut off.
    pub(super) fn join(self, limit: Duration) -> bool {
        let deadline = std::time::Instant::now() + limit;
        let Self {
            running,
            threads,
            ended,
        } = self;
        // Without senders a core ends once its connections have.
        drop(running);
        let mut left = threads.len();
        while left > 0 {
            let time = deadline.saturating_duration_since(std::time::Instant::now());
            match ended.recv_timeout(time) {
                Ok(()) => left -= 1,
                Err(_) => return false,
            }
        }
        true
    }
}

/// Runs one core: spawns what it is given, and ends when nothing more can come and all has ended.
async fn run(
    context: Arc<Context>,
    mut queue: mpsc::UnboundedReceiver<Accepted>,
    open: Arc<AtomicUsize>,
) {
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            biased;
            accepted = queue.recv() => {
                let Some((stream, address)) = accepted else { break };
                let open = Open {
                    core: open.clone(),
                    context: context.clone(),
                };
                if let Ok(stream) = tokio::net::TcpStream::from_std(stream) {
                    let context = context.clone();
                    tasks.spawn(async move {
                        connection::serve(context, stream, address).await;
                        drop(open);
                    });
                }
            }
            // Ended tasks are taken out, so that the set does not grow.
            Some(_) = tasks.join_next() => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}
