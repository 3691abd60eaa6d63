//! [`Temporary`]: a key's file before it has the key's name (the steps are told in [`super::directory`]).

use std::{
    fs::File,
    io::{self, Write as _},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags, Stat},
    io::Errno,
};

use super::directory::Directory;
use crate::{secret, secret::Secret};

/// What the names of files start with that are being written; 32 lower-case hexadecimal digits follow.
const TEMPORARY: &str = ".kes-new-";

/// A new file with a name that no key has. The name is removed when this is dropped.
pub(super) struct Temporary<'a> {
    directory: &'a Directory,
    pub(super) name: String,
    file: File,
    left: bool,
}

impl<'a> Temporary<'a> {
    /// Makes an empty one.
    pub(super) fn new(directory: &'a Directory) -> io::Result<Self> {
        let mut random = [0; 16];
        secret::random(&mut random).map_err(io::Error::other)?;
        let name = format!("{TEMPORARY}{:032x}", u128::from_ne_bytes(random));
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory.fd, &name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Self {
            directory,
            name,
            file: file.into(),
            left: false,
        })
    }

    /// Whether `name` is that of one of these, of whichever process.
    pub(super) fn is_name(name: &str) -> bool {
        name.strip_prefix(TEMPORARY).is_some_and(|digits| {
            digits.len() == 32
                && digits
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
    }

    /// Writes the value and brings it to the disk.
    pub(super) fn write(&self, value: &Secret) -> io::Result<()> {
        (&self.file).write_all(value.expose())?;
        self.file.sync_all()
    }

    /// Gives the file another name.
    ///
    /// # Errors
    /// [`Errno::EXIST`] if that is taken by another file.
    pub(super) fn publish(&self, name: &str) -> Result<(), Errno> {
        match self.link(name) {
            // A network file system whose answer got lost asks again, and finds what it did itself.
            Err(Errno::EXIST) if self.is_at(name)? => Ok(()),
            // No hard links here.
            Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS) => self.rename(name),
            done => done,
        }
    }

    pub(super) fn link(&self, name: &str) -> Result<(), Errno> {
        let fd = &self.directory.fd;
        rustix::fs::linkat(fd, &self.name, fd, name, AtFlags::empty())
    }

    fn rename(&self, name: &str) -> Result<(), Errno> {
        let fd = &self.directory.fd;
        rustix::fs::renameat_with(fd, &self.name, fd, name, RenameFlags::NOREPLACE)
    }

    /// Whether `name` is a name of this very file.
    fn is_at(&self, name: &str) -> Result<bool, Errno> {
        let own = self.stat()?;
        match self.directory.stat(name) {
            Ok(other) => Ok((own.st_dev, own.st_ino) == (other.st_dev, other.st_ino)),
            // Taken a moment ago, and removed since.
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// What the file system knows of the file.
    pub(super) fn stat(&self) -> Result<Stat, Errno> {
        rustix::fs::fstat(&self.file)
    }

    /// Keeps the name of a published file, as the sign that the other one may not be on the disk.
    pub(super) fn leave(mut self) {
        self.left = true;
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.left {
            // Renamed away, or a left-over that the next start removes: nobody waits for this.
            let _ = self.directory.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::keystore::fs::directory::Flushes;

    fn directory() -> (TempDir, Directory) {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::open(temp.path(), Flushes::TwoNames).unwrap();
        (temp, directory)
    }

    /// A file that is ready to be published, with `text` in it.
    fn temporary<'a>(directory: &'a Directory, text: &str) -> Temporary<'a> {
        let temporary = Temporary::new(directory).unwrap();
        temporary
            .write(&Secret::copy_from(text.as_bytes()))
            .unwrap();
        temporary
    }

    fn names(path: &std::path::Path) -> Vec<String> {
        let names = fs::read_dir(path).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn publishing_twice_is_told_from_publishing_over_another() {
        let (_temp, directory) = directory();
        let first = temporary(&directory, "first");
        first.publish("key").unwrap();
        // What a network file system does that repeats a request whose answer was lost.
        first.publish("key").unwrap();
        let second = temporary(&directory, "second");
        assert_eq!(second.publish("key"), Err(Errno::EXIST));
    }

    #[test]
    fn without_hard_links_a_rename_publishes_and_replaces_nothing() {
        let (temp, directory) = directory();
        let first = temporary(&directory, "first");
        first.rename("key").unwrap();
        let second = temporary(&directory, "second");
        assert_eq!(second.rename("key"), Err(Errno::EXIST));
        drop((first, second));
        assert_eq!(names(temp.path()), ["key"]);
        assert_eq!(fs::read(temp.path().join("key")).unwrap(), b"first");
    }

    #[test]
    fn only_our_own_temporary_files_are_taken_for_such() {
        let (_temp, directory) = directory();
        assert!(Temporary::is_name(
            &Temporary::new(&directory).unwrap().name
        ));
        let digits = "0123456789abcdef0123456789abcdef";
        for foreign in [
            ".kes-new-".to_owned(),
            format!(".kes-new-{}", &digits[1..]),
            format!(".kes-new-{digits}0"),
            format!(".kes-new-{}", digits.to_uppercase()),
            format!("kes-new-{digits}"),
            ".gitignore".to_owned(),
        ] {
            assert!(!Temporary::is_name(&foreign), "{foreign}");
        }
    }
}
