//! [`Directory`]: the operations on an open directory, all of them blocking.
//!
//! Creating a key takes five steps, and each may be the last one before the power fails:
//!
//! 1. write the value to a new file whose name starts with a dot (no key's name does);
//! 2. flush that file;
//! 3. give it the key's name as a second name, which fails if that name is taken;
//! 4. flush the directory;
//! 5. remove the first name.
//!
//! So the key's name is there with its whole value or not at all, and a file with two names is one whose name may not be on the disk yet.
//! Whoever meets such a file flushes the directory before believing in it: otherwise a second server could encrypt with a key that
//! the next power failure undoes. On file systems without second names (hard links) step 3 renames without replacing, and every reader flushes.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use zeroize::Zeroize as _;

use super::{fault, temporary::Temporary};
use crate::{
    keystore::{Error, MAX_VALUE, Page, Selection},
    name::KeyName,
    secret::Secret,
};

/// How often to read a file again that changes while it is read.
const READS: usize = 3;

/// An open directory of keys.
pub(super) struct Directory {
    pub(super) fd: OwnedFd,
    path: PathBuf,
    flushes: Flushes,
}

/// When a reader flushes the directory before it believes in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushes {
    /// Always: the file system cannot say which names are on the disk.
    Always,
    /// Never: the reader does nothing with a key but look at it, and does not touch what it reads.
    Never,
    /// Where a file has two names.
    TwoNames,
}

impl Flushes {
    /// Of a server, on a file system that is known to have hard links or not.
    pub(super) fn with(hard_links: bool) -> Self {
        if hard_links {
            Self::TwoNames
        } else {
            Self::Always
        }
    }
}

impl Directory {
    /// Opens the directory `path`.
    pub(super) fn open(path: &Path, flushes: Flushes) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| fault::directory(path, errno))?;
        Ok(Self {
            fd,
            path: path.to_owned(),
            flushes,
        })
    }

    /// Refuses if the file system is mounted read-only, which is also what Linux does to one whose disk fails.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        let stat = rustix::fs::fstatvfs(&self.fd).map_err(|errno| self.error("look", errno))?;
        if stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
            return Err(self.error("create keys", Errno::ROFS));
        }
        Ok(())
    }

    /// Stores `value` under a new name.
    pub(super) fn create(&self, name: &KeyName, value: &Secret) -> Result<(), Error> {
        let file = file_name(name.as_str())?;
        let what = format!("create key '{name}'");
        // Before anything is written, so that a full or read-only disk does not hide that the name is taken.
        if self.stat(file).is_ok() {
            return self.exists(&what);
        }
        let temporary = Temporary::new(self).map_err(|source| self.error(&what, source))?;
        temporary
            .write(value)
            .map_err(|source| self.error(&what, source))?;
        match temporary.publish(file) {
            Ok(()) => {}
            Err(Errno::EXIST) => return self.exists(&what),
            Err(errno) => return Err(self.error(&what, errno)),
        }
        if let Err(errno) = self.flush() {
            // Published, and perhaps not on the disk: its second name goes on saying so.
            temporary.leave();
            return Err(self.error(&what, errno));
        }
        Ok(())
    }

    /// The answer when a name is taken, which callers may take for success: so it must be on the disk.
    fn exists(&self, what: &str) -> Result<(), Error> {
        self.flush().map_err(|errno| self.error(what, errno))?;
        Err(Error::Exists)
    }

    /// Returns the content of a file.
    pub(super) fn get(&self, name: &KeyName) -> Result<Secret, Error> {
        let what = format!("read key '{name}'");
        // Not blocking, for a pipe without a writer would block for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, file_name(name.as_str())?, flags, Mode::empty())
            .map_err(|errno| match errno {
                Errno::NOENT => Error::NotFound,
                // What opening a symbolic link, or a socket, says.
                Errno::LOOP | Errno::NXIO => self.not_a_file(name),
                errno => self.error(&what, errno),
            })?;
        let file = File::from(file);
        for _ in 0..READS {
            let stat = rustix::fs::fstat(&file).map_err(|errno| self.error(&what, errno))?;
            let size = self.check(name, &stat)?;
            let value = read(&file, size).map_err(|source| self.error(&what, source))?;
            if let Some(value) = value {
                return Ok(value);
            }
        }
        Err(self.malformed(name, "changes while it is read"))
    }

    /// Checks that a file can be a key, and that its name is on the disk; returns its size in bytes.
    fn check(&self, name: &KeyName, stat: &Stat) -> Result<usize, Error> {
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.not_a_file(name));
        }
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if size == 0 {
            let path = self.path.join(name.as_str());
            return Err(self.malformed(
                name,
                &format!(
                    "is empty: the server that was to create the key crashed, as earlier servers could, and nothing was ever encrypted \
                     with it; if it stays empty, delete the key, or remove the file '{}', to make the name free",
                    path.display()
                ),
            ));
        }
        if size > MAX_VALUE {
            return Err(self.malformed(name, "is larger than 1 MiB and cannot be a key"));
        }
        let flushes = match self.flushes {
            Flushes::Always => true,
            Flushes::Never => false,
            Flushes::TwoNames => stat.st_nlink > 1,
        };
        if flushes {
            self.flush()
                .map_err(|errno| self.error(&format!("read key '{name}'"), errno))?;
        }
        Ok(size)
    }

    /// Removes a file, or a link or pipe in its place.
    pub(super) fn delete(&self, name: &KeyName) -> Result<(), Error> {
        let what = format!("delete key '{name}'");
        let removed = rustix::fs::unlinkat(&self.fd, file_name(name.as_str())?, AtFlags::empty());
        match removed {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => return Err(self.not_a_file(name)),
            Err(errno) => return Err(self.error(&what, errno)),
        }
        // Also when it was gone already: the one who removed it may not have come to this point.
        self.flush().map_err(|errno| self.error(&what, errno))?;
        removed.map_err(|_| Error::NotFound)
    }

    /// The names of regular files that can be keys.
    pub(super) fn list(
        &self,
        prefix: &str,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page, Error> {
        let mut selection = Selection::new(prefix, from, limit);
        self.for_each_file(|file| {
            if let Some(name) = selection.wants(file.name)
                && file.is_regular()
            {
                selection.add(name);
            }
        })
        .map_err(|errno| self.error("list keys", errno))?;
        Ok(selection.page())
    }

    /// Calls `each` with every entry whose name is text.
    pub(super) fn for_each_file(&self, mut each: impl FnMut(Entry<'_>)) -> Result<(), Errno> {
        self.for_each_entry(|_, entry| {
            if let Some(entry) = entry {
                each(entry);
            }
        })
    }

    /// Calls `each` with the name of every entry, as far as it can be shown, and with the entry itself if its name is text.
    pub(super) fn for_each_entry(
        &self,
        mut each: impl FnMut(&str, Option<Entry<'_>>),
    ) -> Result<(), Errno> {
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let shown = entry.file_name().to_string_lossy();
            let file = entry.file_name().to_str().ok().map(|name| Entry {
                directory: self,
                name,
                kind: entry.file_type(),
            });
            if !matches!(&*shown, "." | "..") {
                each(&shown, file);
            }
        }
        Ok(())
    }

    /// What an entry is; links are not followed.
    pub(super) fn stat(&self, file: &str) -> Result<Stat, Errno> {
        rustix::fs::statat(&self.fd, file, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Removes the name of a file.
    pub(super) fn remove(&self, file: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.fd, file, AtFlags::empty())
    }

    /// Brings the names in the directory to the disk.
    pub(super) fn flush(&self) -> Result<(), Errno> {
        flush(&self.fd)
    }

    /// Mode, owner and the like of the directory itself.
    pub(super) fn own_stat(&self) -> Result<Stat, Errno> {
        rustix::fs::fstat(&self.fd)
    }

    fn error(&self, what: &str, source: impl Into<io::Error>) -> Error {
        fault::error(what, &self.path, source)
    }

    fn not_a_file(&self, name: &KeyName) -> Error {
        self.malformed(name, "is not a regular file")
    }

    fn malformed(&self, name: &KeyName, what: &str) -> Error {
        let path = self.path.display();
        Error::Malformed(format!("fs: the file of key '{name}' in '{path}' {what}"))
    }
}

/// An entry of a directory.
pub(super) struct Entry<'a> {
    directory: &'a Directory,
    pub(super) name: &'a str,
    kind: FileType,
}

impl Entry<'_> {
    /// Whether it is a regular file. Some file systems tell only when asked for each.
    pub(super) fn is_regular(&self) -> bool {
        let kind = match self.kind {
            FileType::Unknown => self
                .directory
                .stat(self.name)
                .map_or(FileType::Unknown, |stat| {
                    FileType::from_raw_mode(stat.st_mode)
                }),
            kind => kind,
        };
        kind == FileType::RegularFile
    }
}

/// The name of a key's file. A [`KeyName`] is safe by its rule, also an old one; this holds should that rule ever be widened.
fn file_name(name: &str) -> Result<&str, Error> {
    let safe = !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    if safe && !name.is_empty() {
        Ok(name)
    } else {
        let text = "fs: key name contains invalid character";
        Err(Error::Malformed(text.to_owned()))
    }
}

/// Brings the names in a directory to the disk.
pub(super) fn flush(directory: impl AsFd) -> Result<(), Errno> {
    match rustix::fs::fsync(directory) {
        // Some network file systems cannot, and do it by themselves; there is nothing more to be done on our side.
        Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        done => done,
    }
}

/// Reads a file of `size` bytes straight into a secret; nothing if it turns out to have another size.
fn read(file: &File, size: usize) -> io::Result<Option<Secret>> {
    let mut done = Ok(());
    let value = Secret::with(size, |bytes| done = file.read_exact_at(bytes, 0));
    match done {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        done => done?,
    }
    let mut more = [0; 1];
    let grown = file.read_at(&mut more, size as u64)?;
    more.zeroize();
    Ok((grown == 0).then_some(value))
}

#[cfg(test)]
mod tests;
