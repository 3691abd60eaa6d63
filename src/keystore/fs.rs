//! Keys in files, one each, in the plain layout of the predecessor (keystores.md 4).

use std::path::PathBuf;

/// Where the files are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory. Made when it is missing; a relative path is relative to the working directory.
    pub path: PathBuf,
}
