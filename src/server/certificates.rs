//! [`Certificates`]: the TLS files of a server at work, and what there is to be told about them.

use std::sync::{Arc, Mutex, PoisonError};

use super::Process;
use crate::tls::{self, Reminder, Tls, Watch};

/// The TLS files of one configuration.
pub(super) struct Certificates {
    /// `None` if they are no files.
    watch: Option<Arc<Mutex<Watch>>>,
    reminder: Option<Reminder>,
}

impl Certificates {
    /// The files behind `tls`, as `watch` has loaded it.
    pub(super) fn new(watch: Option<Watch>, tls: &Tls) -> Self {
        Self {
            watch: watch.map(|watch| Arc::new(Mutex::new(watch))),
            reminder: tls.validity().cloned().map(Reminder::new),
        }
    }

    /// What the files hold, if that is new; see [`Watch::look`]. If it is dropped early, what was found is lost until the next reload
    /// or the next change: only for the end of the process.
    pub(super) async fn look(&mut self, process: &Process) -> Option<Result<Tls, tls::Error>> {
        let (watch, now) = (self.watch.clone()?, process.clock.elapsed());
        let looked = tokio::task::spawn_blocking(move || {
            let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
            watch.look(now)
        });
        // A panic has told about itself on standard error; the next look may do better.
        let found = looked.await.ok()??;
        if let Ok(tls) = &found {
            self.reminder = tls.validity().cloned().map(Reminder::new);
        }
        Some(found)
    }

    /// Tells what is due about the certificate's time.
    pub(super) fn remind(&mut self, process: &Process) {
        let now = process.clock.now_utc();
        let due = self
            .reminder
            .as_mut()
            .and_then(|reminder| reminder.due(now));
        match due {
            None => {}
            Some(notice) if notice.is_error => process.complain(&notice.text),
            Some(notice) => process.warn(&notice.text),
        }
    }
}
