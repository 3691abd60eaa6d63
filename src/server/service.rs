//! [`Service`]: the threads that serve connections, and how they end (config.md 16.3).

use std::{io, sync::Arc, thread, time::Duration};

use tokio::runtime::Handle;

use super::{
    Signals,
    connection::Context,
    cores::Cores,
    listen::{Ender, Sockets},
};

/// Signals to stop that come within this time are one: a terminal's interrupt key and a wrapper that passes it on, or the command
/// `timeout`, send two. The first of them has been heard.
const TOGETHER: Duration = Duration::from_secs(1);

/// The acceptor and the cores.
pub(super) struct Service {
    acceptor: thread::JoinHandle<Cores>,
    accepting: Ender,
    context: Arc<Context>,
    /// By which each core can be asked whether it is well.
    pub(super) cores: Vec<Handle>,
}

/// How a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All requests were answered.
    Complete,
    /// Some were not, when the time was over.
    CutOff,
    /// Some were not, when another signal to stop came.
    Hurried,
}

impl Service {
    /// Starts to serve what connects to `sockets`, at most `limit` at a time, with a core for each of the machine's.
    pub(super) fn start(
        sockets: Sockets,
        limit: usize,
        context: &Arc<Context>,
    ) -> io::Result<Self> {
        let (mut queue, accepting) = sockets.into_queue()?;
        let count = thread::available_parallelism().map_or(1, usize::from);
        let cores = Cores::start(count, context)?;
        let handles = cores.handles();
        let shared = context.clone();
        let acceptor = thread::Builder::new()
            .name("kes-accept".to_owned())
            .spawn(move || cores.accept(&mut queue, limit, &shared))?;
        Ok(Self {
            acceptor,
            accepting,
            context: context.clone(),
            cores: handles,
        })
    }

    /// Takes no more connections, lets those that are open finish the requests they have for at most `limit`, or until one more
    /// signal to stop that comes [`TOGETHER`] or later, and cuts off the rest. Log streams end at once.
    pub(super) async fn stop(self, limit: Duration, signals: &mut Signals) -> End {
        drop(self.accepting);
        self.context.stopping.cancel();
        self.context.telemetry.close_streams();
        let acceptor = self.acceptor;
        let joined = tokio::task::spawn_blocking(move || match acceptor.join() {
            Ok(cores) => cores.join(limit),
            // The panic has told about itself on standard error.
            Err(_) => true,
        });
        tokio::select! {
            biased;
            joined = joined => if joined.unwrap_or(true) { End::Complete } else { End::CutOff },
            () = another(signals) => End::Hurried,
        }
    }
}

/// Waits for a signal to stop that is none of the first.
async fn another(signals: &mut Signals) {
    let together = tokio::time::sleep(TOGETHER);
    tokio::pin!(together);
    loop {
        tokio::select! {
            biased;
            () = signals.stop() => {}
            () = &mut together => break,
        }
    }
    signals.stop().await;
}
