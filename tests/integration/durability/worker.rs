//! [`Worker`]: a process that opens a store and does with it what it is told, one line for each command and for each answer.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use kes::keystore::Error;

use super::{churn, open, variable};
use crate::keystore::{
    child,
    subject::{name, secret, shown},
};

/// The variable with the directory of the store, in a worker.
const STORE: &str = "KES_TEST_STORE";

/// What stands before each answer: the test program prints other lines, too.
const ANSWER: &str = "> ";

/// What is done to the system calls of a worker, by strace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The n-th flush is not made, and reported as made.
    SkipSync(usize),
    /// The n-th flush is not made, and reported as failed.
    FailSync(usize),
    /// The process is killed when it is about to make its n-th flush.
    KillAtSync(usize),
    /// No file can have two names.
    NoHardLinks,
}

impl Fault {
    /// The expression for strace, which counts the calls of each thread by itself. That does no harm: each operation of a store runs
    /// on one thread from begin to end, and no worker under strace makes flushes in two operations.
    fn injection(self) -> String {
        match self {
            Self::SkipSync(n) => format!("fsync:retval=0:when={n}"),
            Self::FailSync(n) => format!("fsync:error=EIO:when={n}"),
            Self::KillAtSync(n) => format!("fsync:signal=SIGKILL:when={n}"),
            Self::NoHardLinks => "linkat:error=EPERM".to_owned(),
        }
    }

    /// What strace writes when it has happened.
    fn sign(self) -> &'static str {
        match self {
            Self::SkipSync(_) => "= 0 (INJECTED)",
            Self::FailSync(_) => "EIO (Input/output error) (INJECTED)",
            Self::KillAtSync(_) => "killed by SIGKILL",
            Self::NoHardLinks => "EPERM (Operation not permitted) (INJECTED)",
        }
    }
}

/// A process with an open store.
pub(super) struct Worker {
    child: Child,
    commands: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    faults: Vec<Fault>,
    /// Where strace writes, if there are faults.
    trace: PathBuf,
}

impl Worker {
    /// Starts one on the store in the directory `store`. `test` is the caller's full name; it must begin with [`serve_if_asked`].
    pub(super) fn start(test: &str, place: &Path, store: &Path, faults: &[Fault]) -> Self {
        let trace = place.join("trace");
        let mut command = if faults.is_empty() {
            child::again(test, place)
        } else {
            under_strace(test, place, &trace, faults)
        };
        let mut child = command
            .env(STORE, store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self {
            commands: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
            faults: faults.to_vec(),
            trace,
        }
    }

    /// Gives a command.
    pub(super) fn tell(&mut self, command: &str) {
        // A worker that died says so by not answering.
        let _ = writeln!(self.commands.as_mut().unwrap(), "{command}");
    }

    /// The next answer; nothing if the worker has ended.
    pub(super) fn answer(&mut self) -> Option<String> {
        loop {
            let line = self.answers.next()?.unwrap();
            if let Some(answer) = line.strip_prefix(ANSWER) {
                return Some(answer.to_owned());
            }
        }
    }

    /// Gives a command and waits for its answer.
    pub(super) fn ask(&mut self, command: &str) -> Option<String> {
        self.tell(command);
        self.answer()
    }

    /// Kills the process. What it has said before can still be read.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Lets the process end, if it still runs, and waits for that. Under strace, checks that every fault happened.
    pub(super) fn end(mut self) {
        self.commands = None;
        while self.answer().is_some() {}
        self.child.wait().unwrap();
        if !self.faults.is_empty() {
            let text = std::fs::read_to_string(&self.trace).unwrap();
            for fault in &self.faults {
                assert!(text.contains(fault.sign()), "no {fault:?}:\n{text}");
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its commands ends a worker, whoever is between.
        self.commands = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn under_strace(test: &str, place: &Path, trace: &Path, faults: &[Fault]) -> Command {
    let trace = trace.to_str().unwrap();
    let mut options = vec!["-f", "-o", trace, "-e", "trace=fsync,linkat"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    for fault in faults {
        options.extend(["-e".to_owned(), format!("inject={}", fault.injection())]);
    }
    child::again_under("strace", &options, test, place)
}

/// In a worker, serves and does not return.
pub(super) async fn serve_if_asked() {
    let Some(path) = variable(STORE) else { return };
    let store = open(Path::new(&path)).await;
    println!();
    say("opened");
    loop {
        let mut command = String::new();
        if std::io::stdin().read_line(&mut command).unwrap() == 0 {
            std::process::exit(0);
        }
        let words: Vec<&str> = command.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["create", key, value] => match store.create(&name(key), &secret(value)).await {
                Ok(()) => "created".to_owned(),
                Err(error) => refusal(&error),
            },
            ["delete", key] => match store.delete(&name(key)).await {
                Ok(()) => "deleted".to_owned(),
                Err(error) => refusal(&error),
            },
            ["get", key] => match store.get(&name(key)).await {
                Ok(value) => String::from_utf8(value.expose().to_vec()).unwrap(),
                Err(error) => refusal(&error),
            },
            ["churn", round] => churn::run(&store, round).await,
            _ => panic!("no command: {command}"),
        };
        say(&answer);
    }
}

fn refusal(error: &Error) -> String {
    match error {
        Error::Exists => "exists".to_owned(),
        Error::NotFound => "not found".to_owned(),
        error => shown(error),
    }
}

/// Gives an answer.
pub(super) fn say(answer: &str) {
    println!("{ANSWER}{answer}");
}
