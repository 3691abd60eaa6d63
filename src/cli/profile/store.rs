//! The file of profiles: where it is, who may read it, what is in it.
//!
//! It names servers and where credentials are, never credentials themselves. An API key that is given on standard input is put into a
//! file of its own beside it.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    cli::{
        error::Error,
        file::{self, Pending},
        settings::Environment,
    },
    name,
};

/// How to reach one group of servers, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::cli) struct Profile {
    /// As `--server` takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) api_key_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) client_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) client_cert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) key_password_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) ca: Option<String>,
    #[serde(skip_serializing_if = "is_off")]
    pub(in crate::cli) ca_only: bool,
    #[serde(skip_serializing_if = "is_off")]
    pub(in crate::cli) insecure: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
fn is_off(switch: &bool) -> bool {
    !switch
}

/// All profiles, and the one that is used when none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Store {
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<String>,
    pub(super) profiles: BTreeMap<String, Profile>,
}

/// The folder of the user's settings.
pub(super) fn folder(env: &Environment) -> Result<PathBuf, Error> {
    let base = env.get("XDG_CONFIG_HOME").map(PathBuf::from);
    // A relative one is to be ignored, says the XDG Base Directory Specification.
    let base = base.filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(PathBuf::from(env.get("HOME")?).join(".config")));
    let base = base.ok_or_else(|| {
        let reason = "profiles need a home: neither XDG_CONFIG_HOME nor HOME is set";
        Error::Invalid(reason.to_owned())
    })?;
    Ok(base.join("kes"))
}

/// The file of profiles.
pub(super) fn path(env: &Environment) -> Result<PathBuf, Error> {
    Ok(folder(env)?.join("profiles.yaml"))
}

impl Store {
    /// Reads the file; no profiles if there is none.
    ///
    /// # Errors
    /// If others than its owner may read or write the file, if it is somebody else's, or cannot be read.
    pub(super) fn read(env: &Environment) -> Result<Self, Error> {
        let path = path(env)?;
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(failure("read", &path, source)),
            Ok(found) => check_mode(&path, &found)?,
        }
        let text = file::read(&path)?;
        let invalid = |reason: String| {
            Error::Invalid(format!(
                "'{}' is no file of profiles: {reason}",
                path.display()
            ))
        };
        let text = std::str::from_utf8(&text).map_err(|error| invalid(error.to_string()))?;
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(text).map_err(|error| {
            // The first line says what; the rest draws a picture of where.
            let text = error.to_string();
            invalid(text.lines().next().unwrap_or_default().to_owned())
        })
    }

    /// Writes the file, for its owner alone.
    pub(super) fn write(&self, env: &Environment) -> Result<PathBuf, Error> {
        let path = path(env)?;
        create_folder(&folder(env)?)?;
        let text = serde_saphyr::to_string(self).map_err(|error| Error::Setup(Box::new(error)))?;
        Pending::write(&path, text.as_bytes(), file::PRIVATE)?.place(true)?;
        Ok(path)
    }

    /// The profile `name`.
    pub(super) fn get(&self, name: &str) -> Result<&Profile, Error> {
        self.profiles.get(name).ok_or_else(|| {
            let known: Vec<_> = self.profiles.keys().map(String::as_str).collect();
            let known = match known.as_slice() {
                [] => "there are none".to_owned(),
                known => format!("there is {}", known.join(", ")),
            };
            Error::Invalid(format!("there is no profile '{name}'; {known}"))
        })
    }
}

/// A folder for its owner alone; one that exists stays as it is.
pub(super) fn create_folder(path: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(|source| failure("create", path, source))
}

fn check_mode(path: &Path, found: &fs::Metadata) -> Result<(), Error> {
    let user = rustix::process::geteuid().as_raw();
    if found.uid() != user && found.uid() != 0 {
        return Err(Error::Exposed {
            path: path.display().to_string(),
            reason: "it belongs to somebody else".to_owned(),
        });
    }
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Exposed {
            path: path.display().to_string(),
            reason: format!("its mode is {mode:04o}, so that others can read or change it"),
        });
    }
    Ok(())
}

fn failure(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File {
        doing,
        path: path.display().to_string(),
        source,
    }
}

/// What a profile may be called: what a key may.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    if name::is_valid(name) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "the profile name '{name}' is {}",
        name::InvalidName
    )))
}
