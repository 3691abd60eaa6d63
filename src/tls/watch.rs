//! [`Watch`]: notices that certificate, key or authorities have changed on disk (config.md 16.2).
//!
//! It looks at names, sizes, times and inode numbers behind all links, so that a directory that Kubernetes swaps under a link is noticed
//! like a file that is written to; only then it reads. Nothing of the configuration file is needed. It polls rather than being
//! notified, because notifications do not cross network file systems, bind mounts of single files or swapped links.

use std::time::Duration;

use super::{
    Error, Settings, Tls,
    files::{Files, Stamps},
};

/// How often somebody should [look](Watch::look).
pub const EVERY: Duration = Duration::from_secs(2);
/// After this long everything is read and built again, whatever the files look like: also the system's roots may have changed.
const SAFETY_NET: Duration = Duration::from_mins(15);

/// Watches the files behind a [`Tls`].
pub struct Watch {
    settings: Settings,
    stamps: Stamps,
    /// What is in use: what the files held, and what came of it.
    files: [u8; 32],
    fingerprint: [u8; 32],
    /// What was found last that cannot be used, and whether that has been told.
    broken: Option<([u8; 32], bool)>,
    /// Whether to read again although nothing has been touched since: two writes may fall within one tick of a file system's clock.
    unsettled: bool,
    everything_at: Duration,
}

impl Watch {
    /// Loads what `settings` name, and watches it from then on. `now` is the time on any clock that does not jump.
    ///
    /// # Errors
    /// [`Error`], naming the file.
    pub fn start(settings: Settings, now: Duration) -> Result<(Self, Tls), Error> {
        // Before reading: what is written meanwhile is then noticed later.
        let stamps = Stamps::of(&settings);
        let files = Files::read(&settings);
        let digest = files.digest();
        let tls = Tls::build(&settings, files)?;
        let watch = Self {
            settings,
            stamps,
            files: digest,
            fingerprint: tls.fingerprint(),
            broken: None,
            unsettled: true,
            everything_at: now + SAFETY_NET,
        };
        Ok((watch, tls))
    }

    /// Looks at the files: gives what they hold if that is new, or why it cannot be used, once for each such change. Blocks for as
    /// long as the file system takes, and as decrypting the key does.
    ///
    /// Certificate and key are rarely written at one instant. What cannot be used is told only if it still is there at the next look.
    pub fn look(&mut self, now: Duration) -> Option<Result<Tls, Error>> {
        let everything = now >= self.everything_at;
        let stamps = Stamps::of(&self.settings);
        let touched = stamps != self.stamps;
        if !(touched || self.unsettled || everything) || !stamps.can_be_read_again() {
            return None;
        }
        self.stamps = stamps;
        self.unsettled = touched;
        if everything {
            self.everything_at = now + SAFETY_NET;
        }
        let files = Files::read(&self.settings);
        let digest = files.digest();
        if digest == self.files && !everything {
            self.broken = None;
            return None;
        }
        match Tls::build(&self.settings, files) {
            Ok(tls) => {
                self.broken = None;
                self.files = digest;
                let before = std::mem::replace(&mut self.fingerprint, tls.fingerprint());
                (before != self.fingerprint).then_some(Ok(tls))
            }
            Err(error) => match self.broken {
                Some((broken, told)) if broken == digest => {
                    self.broken = Some((digest, true));
                    (!told).then_some(Err(error))
                }
                _ => {
                    self.broken = Some((digest, false));
                    self.unsettled = true;
                    None
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
