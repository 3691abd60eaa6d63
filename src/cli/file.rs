//! [`Pending`]: files that appear at their destination whole, or not at all; and reading what is given as `-`, a file or text.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, IsTerminal as _, Read, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::error::Error;
use crate::secret;

/// Longest input in bytes: what the API takes, and room for base64 and line ends.
const INPUT_LIMIT: usize = 2 << 20;

/// Mode of a file that its owner alone can read.
pub(super) const PRIVATE: u32 = 0o600;

/// A file that is written and synced beside its destination.
pub(super) struct Pending {
    temporary: PathBuf,
    target: PathBuf,
}

impl Pending {
    /// Writes `content` beside `target`. The process's mask reduces `mode`, unless it is [`PRIVATE`].
    pub(super) fn write(target: &Path, content: &[u8], mode: u32) -> Result<Self, Error> {
        let (pending, mut file) = Self::begin(target, mode)?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        written.map_err(|source| failure("write", target, source))?;
        Ok(pending)
    }

    /// An empty file beside `target`, to be written and synced by the caller. The process's mask reduces `mode`, unless it is
    /// [`PRIVATE`].
    pub(super) fn begin(target: &Path, mode: u32) -> Result<(Self, File), Error> {
        let failed = |source| failure("write", target, source);
        // Renaming would replace a device or a pipe, rather than write to it.
        if fs::metadata(target).is_ok_and(|found| !found.is_file()) {
            let what = "it is no regular file";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, what)));
        }
        let name = target.file_name();
        let name = name.ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
        let mut random = [0; 8];
        secret::random(&mut random)?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{:016x}", u64::from_ne_bytes(random)));
        let pending = Self {
            temporary: target.with_file_name(temporary),
            target: target.to_owned(),
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        let file = options.open(&pending.temporary).map_err(failed)?;
        if mode == PRIVATE {
            let permissions = Permissions::from_mode(mode);
            file.set_permissions(permissions).map_err(failed)?;
        }
        Ok((pending, file))
    }

    /// Where the file is until it is placed.
    pub(super) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Puts the file at its destination. Without `replace` nothing may be there yet.
    pub(super) fn place(self, replace: bool) -> Result<(), Error> {
        let failed = |source| failure("write", &self.target, source);
        if !replace {
            // Renaming replaces whatever is there, so the name is taken first.
            let taken = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(PRIVATE)
                .open(&self.target);
            taken.map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Error::Exists(self.target.display().to_string()),
                _ => failed(error),
            })?;
        }
        fs::rename(&self.temporary, &self.target).map_err(|error| {
            if !replace {
                drop(fs::remove_file(&self.target));
            }
            failed(error)
        })?;
        let folder = self
            .target
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        let synced =
            File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        synced.map_err(failed)
    }
}

/// Leaves nothing behind beside the destination.
impl Drop for Pending {
    fn drop(&mut self) {
        // After `place` there is no such file any more.
        drop(fs::remove_file(&self.temporary));
    }
}

fn failure(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File {
        doing,
        path: path.display().to_string(),
        source,
    }
}

/// The content of a file, which may be a secret.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let file = File::open(path).map_err(|source| failure("read", path, source))?;
    limited(file, &path.display().to_string())
}

/// All of standard input.
pub(super) fn stdin() -> Result<Zeroizing<Vec<u8>>, Error> {
    limited(io::stdin().lock(), "standard input")
}

/// Whether a person would have to type what is read from standard input.
pub(super) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// What a person types in one line, without the line's end.
pub(super) fn line() -> Result<String, Error> {
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|source| Error::Io {
            doing: "read standard input",
            source,
        })?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn limited(from: impl Read, name: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    // One buffer of its final size: growing would leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(INPUT_LIMIT + 1));
    let limit = u64::try_from(INPUT_LIMIT + 1).unwrap_or(u64::MAX);
    from.take(limit)
        .read_to_end(&mut content)
        .map_err(|source| failure("read", Path::new(name), source))?;
    if content.len() > INPUT_LIMIT {
        return Err(Error::Invalid(format!(
            "{name} holds more than {INPUT_LIMIT} bytes"
        )));
    }
    Ok(content)
}

/// A message, ciphertext or key: the argument, `-` or nothing for standard input, or a file.
pub(super) fn input(
    what: &'static str,
    argument: Option<&str>,
    path: Option<&Path>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    match (argument, path) {
        (Some(_), Some(_)) => Err(Error::Usage(format!(
            "{what} is given twice: as argument and as file"
        ))),
        (None, Some(path)) => read(path),
        (None, None) if stdin_is_terminal() => Err(Error::Usage(format!(
            "{what} is missing: give it as argument, by --file or on standard input"
        ))),
        (None | Some("-"), None) => stdin(),
        (Some(text), None) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_appears_whole_and_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        let pending = Pending::write(&path, b"one", 0o600).unwrap();
        assert!(!path.exists());
        pending.place(false).unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), mode(&path)),
            (b"one".to_vec(), 0o600)
        );
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 1);
    }

    #[test]
    fn only_replace_replaces_and_the_old_mode_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let kept = Pending::write(&path, b"new", 0o600).unwrap().place(false);
        assert!(matches!(kept, Err(Error::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        Pending::write(&path, b"new", 0o600)
            .unwrap()
            .place(true)
            .unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), mode(&path)),
            (b"new".to_vec(), 0o600)
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_or_a_device_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Pending::write(dir.path(), b"x", 0o600).is_err());
        assert!(Pending::write(Path::new("/dev/null"), b"x", 0o600).is_err());
        assert!(Pending::write(&dir.path().join("none/k"), b"x", 0o600).is_err());
    }

    #[test]
    fn too_much_input_is_refused() {
        let whole = vec![0; INPUT_LIMIT];
        assert_eq!(limited(&whole[..], "x").unwrap().len(), INPUT_LIMIT);
        assert!(limited(&[&whole[..], &[0]].concat()[..], "x").is_err());
    }
}
