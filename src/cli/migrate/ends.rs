//! From two configuration files to the two keystores of a migration.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::report::chain;
use crate::{
    cli::{error::Error, output::Output},
    config,
    keystore::{self, Keystore, Settings, fs},
};

/// The two files, read.
pub(super) struct Files {
    source: Settings,
    target: Settings,
    target_file: PathBuf,
}

/// The two stores, open.
pub(super) struct Ends {
    pub(super) source: Arc<dyn Keystore>,
    pub(super) target: Arc<dyn Keystore>,
    /// Of the target as its banner says it: in a dry run another store may stand for it.
    pub(super) target_name: String,
}

impl Files {
    /// Reads the keystore's section of both files, and refuses what cannot be migrated.
    pub(super) fn read(from: &Path, to: &Path, out: &Output) -> Result<Self, Error> {
        let files = Self {
            source: settings(from, out)?,
            target: settings(to, out)?,
            target_file: to.to_owned(),
        };
        let invalid = |text: &str| Err(Error::Invalid(text.to_owned()));
        if let (Settings::Fs(source), Settings::Fs(target)) = (&files.source, &files.target) {
            let inside = source.contains(target).map_err(|error| Error::File {
                doing: "look at the keystore",
                path: source.path.display().to_string(),
                source: error,
            })?;
            if inside {
                return Err(Error::Invalid(format!(
                    "source and target are the same keystore: '{}' is, or lies in, '{}'",
                    target.path.display(),
                    source.path.display()
                )));
            }
        }
        if files.source == files.target {
            return invalid("source and target are the same keystore");
        }
        Ok(files)
    }

    /// The target's configuration file.
    pub(super) fn target_file(&self) -> std::path::Display<'_> {
        self.target_file.display()
    }

    /// Opens both stores: the source to be read only, the target also in a dry run.
    pub(super) async fn open(&self, dry_run: bool, out: &Output) -> Result<Ends, Error> {
        let failed = |end: &str, error: keystore::Error| {
            Error::Invalid(format!("cannot open the {end}: {}", chain(&error)))
        };
        let source = keystore::open_to_read(&self.source).await;
        let source = source.map_err(|error| failed("source", error))?;
        for warning in &source.warnings {
            out.warning(&format!("source: {warning}"));
        }
        let target = match &self.target {
            // What is not there yet is empty, and stays unmade.
            Settings::Fs(fs::Settings { path }) if dry_run && !path.exists() => Ends {
                source: source.store,
                target: Arc::new(keystore::mem::MemStore::default()),
                target_name: format!("Filesystem: {}", path.display()),
            },
            settings => {
                let opened = if dry_run {
                    keystore::open_to_read(settings).await
                } else {
                    keystore::open(settings).await
                };
                let opened = opened.map_err(|error| failed("target", error))?;
                for warning in &opened.warnings {
                    out.warning(&format!("target: {warning}"));
                }
                Ends {
                    source: source.store,
                    target_name: opened.store.to_string(),
                    target: opened.store,
                }
            }
        };
        Ok(target)
    }
}

/// The keystore that a file names. Of the rest of the file nothing is asked.
fn settings(file: &Path, out: &Output) -> Result<Settings, Error> {
    let loaded = config::load_keystore(file, &config::Env::process());
    let (settings, warnings) = loaded.map_err(|errors| Error::Invalid(errors.to_string()))?;
    if settings == Settings::Mem {
        return Err(Error::Invalid(format!(
            "{}: keystore: no keystore is specified: keys in memory end with the server that has them, and cannot be migrated",
            file.display()
        )));
    }
    for warning in warnings {
        out.warning(&warning.to_string());
    }
    Ok(settings)
}
