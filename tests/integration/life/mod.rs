//! The life of a server, seen from outside: flags, banner, signals, service managers, and what can go wrong at a start.

use std::{
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
};

use crate::support::{Setup, server::PATIENCE};

mod dev;
mod flag;
mod notice;
mod passed;
mod password;
mod signal;
mod start;

/// The program, with nothing to read.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kes"));
    command.stdin(Stdio::null());
    command
}

/// A socket as a service manager has it.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, folder }
    }

    fn told_by(&self, setup: Setup) -> Setup {
        setup.env("NOTIFY_SOCKET", self.folder.path().join("notify"))
    }

    /// The next message, line by line.
    fn next(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).expect("a message");
        String::from_utf8(bytes[..length].to_vec())
            .unwrap()
            .lines()
            .map(ToOwned::to_owned)
            .collect()
    }

    /// Whether nobody has said anything.
    fn is_idle(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        self.socket.recv(&mut [0; 16]).is_err()
    }
}
