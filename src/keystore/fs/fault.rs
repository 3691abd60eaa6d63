//! What the operating system says, as an [`Error`] with a remedy.

use std::{io, path::Path};

use crate::keystore::Error;

/// `what` could not be done in the directory `path`.
pub(super) fn error(what: &str, path: &Path, source: impl Into<io::Error>) -> Error {
    let source = source.into();
    let path = path.display();
    let (refused, hint) = judge(&source);
    let text = format!("fs: cannot {what} in '{path}'{hint}");
    if refused {
        Error::refused(text, source)
    } else {
        Error::unreachable(text, source)
    }
}

/// The directory itself could not be opened or made.
pub(super) fn directory(path: &Path, source: impl Into<io::Error>) -> Error {
    let source = source.into();
    match source.kind() {
        io::ErrorKind::NotADirectory => Error::unreachable(
            format!("fs: '{}' is not a directory", path.display()),
            source,
        ),
        io::ErrorKind::NotFound => Error::unreachable(
            format!(
                "fs: the directory '{}' does not exist: was it removed, or is its volume not mounted?",
                path.display()
            ),
            source,
        ),
        _ => error("use the directory", path, source),
    }
}

/// Whether the file system is there but refuses, and what helps.
fn judge(source: &io::Error) -> (bool, &'static str) {
    use io::ErrorKind as Kind;
    match source.kind() {
        Kind::PermissionDenied => (
            true,
            ": no permission; the directory and its files must belong to the user that runs the server",
        ),
        Kind::ReadOnlyFilesystem => (
            true,
            ": the file system is read-only; see why (a mount option, or an error of the disk) and mount it for writing",
        ),
        Kind::StorageFull => (
            true,
            ": the file system is full, of bytes or of files; free some or enlarge it",
        ),
        Kind::QuotaExceeded => (
            true,
            ": the quota of the user that runs the server is used up; free some or raise it",
        ),
        Kind::FileTooLarge => (
            true,
            ": the limit on the size of files is too low for a key; raise it",
        ),
        Kind::Unsupported | Kind::InvalidInput | Kind::CrossesDevices => {
            (true, ": the file system lacks what is needed; use another")
        }
        Kind::NotFound => (
            false,
            ": the directory or a new file in it was removed by someone else",
        ),
        _ if too_many_files(source) => (
            true,
            ": too many files are open; raise the limit on open files",
        ),
        _ => (false, ""),
    }
}

/// The process, or the whole machine, has no descriptor left; there is no `ErrorKind` for it.
fn too_many_files(source: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(source);
    errno == Some(rustix::io::Errno::MFILE) || errno == Some(rustix::io::Errno::NFILE)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_an_operator_must_repair_is_refused_and_the_rest_may_come_back() {
        for errno in [
            Errno::ACCESS,
            Errno::PERM,
            Errno::ROFS,
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::MFILE,
            Errno::NFILE,
            Errno::OPNOTSUPP,
        ] {
            let error = error("create key 'k'", Path::new("/keys"), errno);
            assert!(matches!(error, Error::Refused { .. }), "{errno}");
            let text = error.to_string();
            assert!(
                text.starts_with("fs: cannot create key 'k' in '/keys': "),
                "{text}"
            );
        }
        for errno in [Errno::IO, Errno::STALE, Errno::TIMEDOUT, Errno::NOENT] {
            let error = error("create key 'k'", Path::new("/keys"), errno);
            assert!(matches!(error, Error::Unreachable { .. }), "{errno}");
        }
    }
}
