//! What happens once, when the store is opened: make the directory, look at its file system, clear away what crashes left.

use std::{
    collections::BTreeSet,
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use super::{
    directory::{Directory, Flushes, flush},
    fault,
    temporary::Temporary,
};
use crate::{keystore::Error, name::KeyName};

/// How long a start looks for empty files. Asking a local disk takes a microsecond or two for each key, a slow network file system a
/// thousand times that; a start is not held up for what reading such a key says anyway.
const SEARCH: Duration = Duration::from_secs(1);

/// How many empty files are named.
const NAMED: usize = 5;

/// How old, in seconds, a temporary file is that nobody is writing any more. Creating a key takes less than the time limit of a request.
const LEFT_OVER: i64 = 600;

/// What [`start`] found out.
pub(super) struct Start {
    /// Whether the file system is known to have hard links.
    pub(super) hard_links: bool,
    /// What the operator should know.
    pub(super) warnings: Vec<String>,
}

/// Makes the directory `path` if it is missing, and looks around in it.
pub(super) fn start(path: &Path) -> Result<Start, Error> {
    let missing =
        matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound);
    if missing {
        let mut builder = DirBuilder::new();
        let made = builder.mode(0o700).recursive(true).create(path);
        made.map_err(|source| fault::directory(path, source))?;
    }
    let directory = Directory::open(path, Flushes::Always)?;
    let shown = path.display();
    let mut start = Start {
        hard_links: false,
        warnings: vec![format!(
            "keys in '{shown}' are in plain text: whoever can read this directory, its disk or a backup of it has them"
        )],
    };
    let mode = directory
        .own_stat()
        .map_err(|errno| fault::directory(path, errno))?
        .st_mode
        & 0o777;
    if mode & 0o077 != 0 {
        start.warnings.push(format!(
            "directory '{shown}' can be accessed by group or others (mode {mode:04o}): run chmod 700 '{shown}'"
        ));
    }
    if let Err(source) = flush_names_of_new(path) {
        start.warnings.push(format!(
            "cannot bring the name of '{shown}' to the disk ({source}): if the directory was made just now, a power failure may remove it"
        ));
    }
    if let Err(source) = look_around(&directory, path, &mut start) {
        start.warnings.push(format!(
            "cannot write to '{shown}' ({source}): its keys can be used, but none can be created or deleted"
        ));
    }
    start.warnings.extend(empty_files(&directory, path));
    Ok(start)
}

/// Looks around in the directory `path` without touching anything, for what is no key and is not listed as one. Returns what to say of it.
pub(super) fn look(path: &Path) -> Result<Vec<String>, Error> {
    let directory = Directory::open(path, Flushes::Never)?;
    let mut count = 0_usize;
    let mut names = BTreeSet::new();
    let mut note = |name: String| {
        count += 1;
        names.insert(name);
        if names.len() > NAMED {
            names.pop_last();
        }
    };
    directory
        .for_each_entry(|name, file| match file {
            Some(file) if Temporary::is_name(file.name) => {}
            Some(file) if KeyName::parse_old(file.name).is_ok() && file.is_regular() => {}
            _ => note(name.escape_debug().to_string()),
        })
        .map_err(|errno| fault::directory(path, errno))?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let more = match count.saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Ok(vec![format!(
        "'{}' holds what is no key, and is left alone: {}{more}",
        path.display(),
        names.join(", ")
    )])
}

/// Brings the names of an empty directory, and of those above it, to the disk. It was made just now, or by a start that may have been
/// stopped before it came to this; one with a key in it has seen this done.
fn flush_names_of_new(path: &Path) -> io::Result<()> {
    if std::fs::read_dir(path)?.next().is_some() {
        return Ok(());
    }
    // Where links lead, for it is those names that count.
    for above in path.canonicalize()?.ancestors().skip(1) {
        match File::open(above) {
            Ok(above) => flush(above)?,
            // Nothing was made in there by who may not look into it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What to say of empty files in the place of keys, if there are any (keystores.md 4.3). The predecessor leaves them when it crashes; one
/// may also be a key that it is creating at this moment.
fn empty_files(directory: &Directory, path: &Path) -> Option<String> {
    let end = Instant::now() + SEARCH;
    let mut count = 0_usize;
    let mut names = BTreeSet::new();
    let searched = directory.for_each_file(|file| {
        if Instant::now() < end
            && let Ok(name) = KeyName::parse(file.name)
            && file.is_regular()
            && directory
                .stat(file.name)
                .is_ok_and(|stat| stat.st_size == 0)
        {
            count += 1;
            names.insert(name);
            if names.len() > NAMED {
                names.pop_last();
            }
        }
    });
    // Who cannot list cannot look; the first listing says why.
    if searched.is_err() || count == 0 {
        return None;
    }
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let more = match count.saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "empty files in '{}' take the names of keys: {}{more}. The server that was to create them crashed, as earlier servers could, and \
         nothing was ever encrypted with them; unless a backup has more of them, delete these keys, or remove the files, to make the names free",
        path.display(),
        names.join(", ")
    ))
}

/// Tries the file system with a file of our own, and removes the files that crashes left.
fn look_around(directory: &Directory, path: &Path, start: &mut Start) -> io::Result<()> {
    let probe = Temporary::new(directory)?;
    start.hard_links = has_hard_links(directory, &probe);
    if ignores_case(directory, &probe.name) {
        start.warnings.push(format!(
            "the file system of '{}' does not tell 'KEY' from 'key': keys whose names differ in this only cannot exist together",
            path.display()
        ));
    }
    // The file system's own idea of now: its clock may be another machine's.
    let now = probe.stat()?.st_mtime;
    let removed = remove_left_overs(directory, now)?;
    if removed > 0 {
        start.warnings.push(format!(
            "removed {removed} unfinished files from '{}': a server was stopped while it created keys; none of those keys was in use",
            path.display()
        ));
    }
    Ok(())
}

/// Whether a file can have two names.
fn has_hard_links(directory: &Directory, probe: &Temporary<'_>) -> bool {
    Temporary::new(directory).is_ok_and(|other| {
        // Its name is free again after this, and unique.
        directory.remove(&other.name).is_ok() && probe.link(&other.name).is_ok()
    })
}

/// Whether the file `name` is also found under another spelling.
fn ignores_case(directory: &Directory, name: &str) -> bool {
    directory.stat(&name.to_ascii_uppercase()).is_ok()
}

/// Removes temporary files that were last written [`LEFT_OVER`] seconds before `now`; returns how many.
fn remove_left_overs(directory: &Directory, now: i64) -> Result<usize, Errno> {
    let mut old = Vec::new();
    directory.for_each_file(|file| {
        let is_old = |stat: rustix::fs::Stat| now.saturating_sub(stat.st_mtime) >= LEFT_OVER;
        if Temporary::is_name(file.name)
            && file.is_regular()
            && directory.stat(file.name).is_ok_and(is_old)
        {
            old.push(file.name.to_owned());
        }
    })?;
    if old.is_empty() {
        return Ok(0);
    }
    // A left-over may be the second name of a key that is not on the disk yet, and the only sign of that.
    directory.flush()?;
    let removed = old.iter().filter(|name| directory.remove(name).is_ok());
    Ok(removed.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_spelling_of_a_name_is_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::open(temp.path(), Flushes::TwoNames).unwrap();
        let probe = Temporary::new(&directory).unwrap();
        assert!(!ignores_case(&directory, &probe.name));
        std::fs::write(temp.path().join(probe.name.to_ascii_uppercase()), "").unwrap();
        assert!(ignores_case(&directory, &probe.name));
    }

    #[test]
    fn looking_around_leaves_nothing_behind_and_finds_hard_links() {
        let temp = tempfile::tempdir().unwrap();
        assert!(start(temp.path()).unwrap().hard_links);
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
    }
}
