//! What `encrypt-file` and `decrypt-file` share: where they read from and write to, and how they are interrupted.

use std::{
    fs::{self, File},
    io::{self, IsTerminal as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use tokio::signal::unix::{SignalKind, signal};

use super::stream::StreamError;
use crate::cli::{
    error::Error,
    file::{self, Pending},
    globals::OtherFormat,
    output::Output,
};

/// What encrypted files are called after what is in them.
pub(super) const ENDING: &str = ".kes";

/// Where input and output are.
#[derive(clap::Args)]
pub(super) struct FileArgs {
    /// The file to read; '-' or nothing reads standard input
    #[arg(value_name = "FILE")]
    input: Option<PathBuf>,
    /// Write to this file; '-' is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    format: OtherFormat,
    /// Replace an existing file
    #[arg(short, long)]
    force: bool,
}

/// Where the result goes.
enum Target {
    Stdout,
    File(PathBuf),
    /// Nowhere: it is read to its end, and that is all.
    Nothing,
}

/// An open input and what becomes of it. Without [`Self::finish`] nothing is at its destination.
pub(super) struct Job {
    /// What the input is called in messages.
    pub(super) from: String,
    /// What the output is called in messages, if it goes to a file.
    pub(super) to: Option<String>,
    input: Option<File>,
    target: Target,
    mode: u32,
    force: bool,
}

impl FileArgs {
    /// Opens the input, and looks whether there is room for the output before anything is asked or read. `name` makes the name of
    /// the output from that of the input.
    pub(super) fn job(
        &self,
        name: impl FnOnce(&Path) -> Result<PathBuf, Error>,
        mode: u32,
        out: &Output,
    ) -> Result<Job, Error> {
        let input = self.input.as_deref().filter(|path| !is_dash(path));
        let target = match (self.output.as_deref(), input) {
            (Some(path), _) if is_dash(path) => Target::Stdout,
            (Some(path), _) => Target::File(path.to_owned()),
            (None, Some(input)) => Target::File(name(input)?),
            (None, None) => Target::Stdout,
        };
        if matches!(target, Target::Stdout) && self.output.is_none() && out.is_terminal() {
            let reason = "standard output is a terminal: name a file with -o FILE, or say '-o -'";
            return Err(Error::Usage(reason.to_owned()));
        }
        if let Target::File(path) = &target
            && !self.force
            && fs::symlink_metadata(path).is_ok()
        {
            return Err(Error::Exists(path.display().to_string()));
        }
        self.open(target, mode)
    }

    /// Opens the input, to read it and to write nothing.
    pub(super) fn check(&self) -> Result<Job, Error> {
        if self.output.is_some() {
            let reason = "nothing is written with --check: leave out --output";
            return Err(Error::Usage(reason.to_owned()));
        }
        self.open(Target::Nothing, file::PRIVATE)
    }

    fn open(&self, target: Target, mode: u32) -> Result<Job, Error> {
        let input = self.input.as_deref().filter(|path| !is_dash(path));
        let from = input.map_or("standard input".to_owned(), |path| {
            path.display().to_string()
        });
        let opened = match input {
            Some(path) => File::open(path),
            None if self.input.is_none() && io::stdin().is_terminal() => {
                let reason = "standard input is a terminal: name the file to read";
                return Err(Error::Usage(reason.to_owned()));
            }
            // Not through the library's buffer, which nobody wipes.
            None => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        };
        let opened = opened.and_then(|file| {
            if file.metadata()?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok(file)
        });
        let opened = opened.map_err(|source| Error::File {
            doing: "read",
            path: from.clone(),
            source,
        })?;
        Ok(Job {
            to: match &target {
                Target::File(path) => Some(path.display().to_string()),
                Target::Stdout | Target::Nothing => None,
            },
            from,
            input: Some(opened),
            target,
            mode,
            force: self.force,
        })
    }
}

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Where the bytes go while they are written.
pub(super) enum Sink {
    File(File),
    Nothing(io::Sink),
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Nothing(sink) => sink.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Nothing(sink) => sink.flush(),
        }
    }
}

impl Job {
    /// The input, once.
    pub(super) fn input(&mut self) -> Result<File, Error> {
        let gone = || Error::Invalid("the input is used up".to_owned());
        self.input.take().ok_or_else(gone)
    }

    /// Does `work` on a thread of its own, with what it is to write to, and puts the output at its destination if all went well.
    /// Whatever ends this early leaves nothing behind.
    pub(super) async fn finish(
        &self,
        out: &Output,
        work: impl FnOnce(&mut Sink) -> Result<u64, StreamError> + Send + 'static,
    ) -> Result<u64, Error> {
        let (pending, mut sink) = match &self.target {
            Target::File(path) => {
                let (pending, file) = Pending::begin(path, self.mode)?;
                (Some(pending), Sink::File(file))
            }
            Target::Stdout => (None, Sink::File(out.stream()?)),
            Target::Nothing => (None, Sink::Nothing(io::sink())),
        };
        let is_file = pending.is_some();
        let work = move || {
            let len = work(&mut sink)?;
            match sink {
                Sink::File(file) if is_file => file.sync_all().map_err(StreamError::Write)?,
                Sink::File(_) | Sink::Nothing(_) => {}
            }
            Ok(len)
        };
        let len = ended_early(self.read(work)).await?;
        if let Some(pending) = pending {
            pending.place(self.force)?;
        }
        Ok(len)
    }

    /// Does `work` on a thread of its own: it may wait for its input for ever.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StreamError> + Send + 'static,
    ) -> Result<T, Error> {
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|error| Error::Setup(Box::new(error)))?;
        done.map_err(|error| self.failure(error))
    }

    /// What went wrong, and with which file.
    fn failure(&self, error: StreamError) -> Error {
        match error {
            StreamError::Damaged(damaged) => Error::Invalid(format!("'{}': {damaged}", self.from)),
            StreamError::Malformed(malformed) => {
                Error::Invalid(format!("'{}': {malformed}", self.from))
            }
            StreamError::Read(source) => Error::File {
                doing: "read",
                path: self.from.clone(),
                source,
            },
            StreamError::Write(source) => match &self.to {
                Some(path) => Error::File {
                    doing: "write",
                    path: path.clone(),
                    source,
                },
                None => Error::Io {
                    doing: "write to standard output",
                    source,
                },
            },
        }
    }
}

/// `work`, unless the process is told to end: then what was begun is taken away before it does.
async fn ended_early<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let failed = |source| Error::Setup(Box::new(source) as _);
    let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
    let mut hung_up = signal(SignalKind::hangup()).map_err(failed)?;
    tokio::select! {
        done = work => done,
        _ = terminated.recv() => Err(Error::Interrupted),
        _ = hung_up.recv() => Err(Error::Interrupted),
    }
}
