//! [`Running`]: a server at work, and how it takes over a new configuration (config.md 16.1) or new certificates (16.2).
//!
//! Both are done by the task that waits for signals, so they never overlap, and signals that come meanwhile are one reload. Everything is
//! built and checked before anything is swapped; what fails leaves everything as it was. What was connected for a configuration that is
//! not taken over, or no longer used, ends when the last request that uses it does: it is shared by reference, nothing closes it.

use std::{net::SocketAddr, sync::Arc};

use super::{
    Assembled, Certificates, Context, Error, Generation, Process, Source, assemble, create_keys,
    load,
};
use crate::{
    config::Config,
    keystore::{self, Keystore},
    telemetry::{self, Level},
    tls::Tls,
};

/// A server at work.
pub(super) struct Running<'a> {
    pub(super) process: &'a Process,
    pub(super) context: Arc<Context>,
    pub(super) config: Config,
    pub(super) store: Arc<dyn Keystore>,
    pub(super) certificates: Certificates,
    pub(super) addresses: Vec<SocketAddr>,
    /// Whether everything is logged, whatever the configuration says.
    pub(super) debugging: bool,
}

impl Running<'_> {
    /// Builds everything anew from the file, and only then swaps it.
    pub(super) async fn reload(&mut self) -> Result<(), Error> {
        let Source::File { path, fallback } = &self.process.options.source else {
            return Ok(());
        };
        let config = load(path, fallback)?;
        // What is only in memory must not be lost by a reload.
        let both_in_memory = matches!(
            (&self.config.keystore, &config.keystore),
            (keystore::Settings::Mem, keystore::Settings::Mem)
        );
        let kept = both_in_memory.then(|| self.store.clone());
        let assembled = assemble(&config, self.process, kept).await?;
        create_keys(&config, self.process, &assembled.state.keys).await?;
        // From here on nothing waits and nothing fails.
        self.process.warn_of(&config);
        if self.process.options.address.is_none() && config.address != self.config.address {
            self.process.warn(
                "the address in the configuration has changed: this takes effect at the next start",
            );
        }
        let Assembled {
            state,
            tls,
            watch,
            store,
            warnings,
        } = assembled;
        for warning in &warnings {
            self.process.warn(warning);
        }
        let certificates = Certificates::new(watch, &tls);
        // Before the policies: nobody whom the new configuration does not trust may meet its policies.
        self.take_over(tls);
        self.context.shared.replace(state);
        self.process.telemetry.set(config.log);
        self.debugging = false;
        self.certificates = certificates;
        self.config = config;
        self.store = store;
        self.certificates.remind(self.process);
        Ok(())
    }

    /// Shows all lines of the error log from now on, or those that the configuration asks for. Says so in a line that is shown.
    pub(super) fn debug(&mut self, on: bool) {
        let Process { telemetry, .. } = self.process;
        let configured = self.config.log;
        let everything = telemetry::Settings {
            error: configured.error.min(Level::DEBUG),
            ..configured
        };
        if on {
            telemetry.set(everything);
            self.process.say(&format!(
                "SIGUSR1 signal received. Logging from level {} on, until SIGUSR1 or SIGUSR2 comes, or a reload",
                everything.error
            ));
        } else if self.debugging {
            self.process.say(&format!(
                "Signal received. Logging from level {} on again, as configured",
                configured.error
            ));
            telemetry.set(configured);
        }
        self.debugging = on;
    }

    /// Looks whether certificate, key or authorities have changed, and takes over what can be used.
    pub(super) async fn look_at_certificates(&mut self) {
        match self.certificates.look(self.process).await {
            None => {}
            Some(Ok(tls)) => {
                let validity = tls.validity().map(ToString::to_string);
                let warning = tls.warning().map(ToOwned::to_owned);
                // Told only once it is so.
                self.take_over(tls);
                self.process.say(&format!(
                    "TLS certificate {} reloaded: {}",
                    self.config.tls.cert.display(),
                    validity.unwrap_or_default()
                ));
                if let Some(warning) = warning {
                    self.process.warn(&warning);
                }
            }
            Some(Err(error)) => self.process.complain(&format!(
                "Failed to reload TLS configuration: {}; what was loaded before stays in use",
                Error::Tls(error).line()
            )),
        }
        self.certificates.remind(self.process);
    }

    /// Uses `tls` for new connections. Those made before go on, unless they might be turned away now (decision 24).
    fn take_over(&self, tls: Tls) {
        let generation = Arc::new(Generation::new(tls, &self.context.stopping));
        let before = self.context.generation.swap(generation.clone());
        if generation.is_stricter_than(&before) {
            before.retire(&self.context.clock);
            self.process.say(
                "clients are verified more strictly than before: connections made until now are being closed",
            );
        }
    }
}

#[cfg(test)]
mod tests;
