//! [`Notice`]: what the service manager is told (`sd_notify(3)`), if there is one that listens.
//!
//! That the server is ready is said when it can be connected to and its keys exist, not before. Sent is by one datagram each; one
//! that cannot be sent is told in the log and changes nothing else.

use std::{fmt::Write as _, time::Duration};

use sd_notify::NotifyState;
use tokio::runtime::Handle;

use super::Process;
use crate::telemetry::Level;

/// How a server's life goes on.
pub(super) enum Notice<'a> {
    /// It serves, at the start or after a reload. Where, and from which keystore.
    Ready(&'a str),
    /// It reads its configuration again, and will be ready again.
    Reloading,
    /// It was to reload, which did not work; it serves as before. Why.
    NotReloaded(&'a str),
    /// It stops, which takes this long at most.
    Stopping(Duration),
}

/// Tells the service manager.
pub(super) fn notify(process: &Process, notice: &Notice<'_>) {
    let mut words = String::new();
    let mut news = Vec::new();
    match notice {
        Notice::Ready(serving) => {
            news.push(NotifyState::Ready);
            let _ = write!(words, "Serving {serving}");
        }
        Notice::Reloading => {
            news.push(NotifyState::Reloading);
            // Without it systemd would take the next READY=1 for the one before.
            news.extend(NotifyState::monotonic_usec_now());
            words.push_str("Reloading configuration");
        }
        // Ready, because it is; that the reload failed can only be told in words.
        Notice::NotReloaded(why) => {
            news.push(NotifyState::Ready);
            let _ = write!(words, "Reload failed, serving as before: {why}");
        }
        Notice::Stopping(limit) => {
            news.push(NotifyState::Stopping);
            // Counts only beyond what the unit grants (TimeoutStopSec=).
            let limit = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
            news.push(NotifyState::ExtendTimeoutUsec(limit));
            words.push_str("Stopping, requests under way are finished");
        }
    }
    // A line of the message ends where the text does.
    let words = words.replace(char::is_control, " ");
    news.push(NotifyState::Status(&words));
    send(process, &news);
}

fn send(process: &Process, states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        process.warn(&format!("the service manager cannot be told: {error}"));
    }
}

/// Pats the service manager's watchdog, if it wants that: twice in each interval, as long as every core answers.
///
/// A core answers by running a task of ours between those of its connections. One that does not, because a task on it never lets go
/// or the thread is gone, stops the pats, and the service manager does what its unit says.
pub(super) fn watchdog(process: &Process, cores: Vec<Handle>) {
    let interval = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero());
    let Some(interval) = interval else {
        return;
    };
    let telemetry = process.telemetry.clone();
    tokio::spawn(async move {
        let mut told = false;
        // Ends when a core has ended: so has the server, or it should.
        while answer(&cores).await {
            let sent = sd_notify::notify(&[NotifyState::Watchdog]);
            if let Err(error) = sent
                && !std::mem::replace(&mut told, true)
            {
                let text = format!("the service manager's watchdog cannot be reached: {error}");
                telemetry.log.log(Level::ERROR, &text, None);
            }
            tokio::time::sleep(interval / 2).await;
        }
    });
}

/// Waits until all cores have answered; false if one cannot any more.
async fn answer(cores: &[Handle]) -> bool {
    let asked: Vec<_> = cores.iter().map(|core| core.spawn(async {})).collect();
    let mut all = true;
    for answer in asked {
        all &= answer.await.is_ok();
    }
    all
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use tokio::sync::oneshot;

    use super::*;

    /// A core, and what ends it.
    fn core() -> (Handle, oneshot::Sender<()>, thread::JoinHandle<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let thread = thread::spawn(move || {
            let _ = runtime.block_on(ended);
        });
        (handle, end, thread)
    }

    #[tokio::test]
    async fn one_core_that_never_lets_go_is_no_answer() {
        let cores = [core(), core()];
        let handles: Vec<_> = cores.iter().map(|(handle, ..)| handle.clone()).collect();
        assert!(answer(&handles).await);

        let (hold, blocked) = mpsc::channel::<()>();
        let (begun, start) = oneshot::channel();
        handles[1].spawn(async move {
            let _ = begun.send(());
            // Blocks the core's thread.
            let _ = blocked.recv();
        });
        start.await.unwrap();
        let asked = handles.clone();
        let answered = tokio::spawn(async move { answer(&asked).await });
        // The other core is well, and has run all it was asked to.
        for _ in 0..1000 {
            handles[0].spawn(async {}).await.unwrap();
        }
        assert!(!answered.is_finished());
        drop(hold);
        assert!(answered.await.unwrap());

        let [_, (_, end, thread)] = cores;
        drop(end);
        thread.join().unwrap();
        assert!(!answer(&handles).await);
    }
}
