//! Commands as a shell runs them, with pipes or on a terminal.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use rustix::{
    fs::{Mode, OFlags},
    pty,
    termios::{self, Winsize},
};

use super::world::World;

/// How a command ended.
pub(super) struct Outcome {
    pub(super) code: i32,
    pub(super) out: String,
    /// Empty on a terminal, where both outputs are one.
    pub(super) err: String,
}

/// Runs `command` by `sh`, with the environment of the script alone.
pub(super) fn run(
    world: &World,
    command: &str,
    terminal: bool,
    typed: &[String],
    columns: u16,
) -> Outcome {
    if terminal {
        on_terminal(world, command, typed, columns)
    } else {
        in_pipes(world, command)
    }
}

fn in_pipes(world: &World, command: &str) -> Outcome {
    let output = world
        .prepared(Command::new("timeout").args(["60", "sh", "-c", command]))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn on_terminal(world: &World, command: &str, typed: &[String], columns: u16) -> Outcome {
    let master = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).unwrap();
    pty::grantpt(&master).unwrap();
    pty::unlockpt(&master).unwrap();
    let name = pty::ptsname(&master, Vec::new()).unwrap();
    let slave = rustix::fs::open(
        name.as_c_str(),
        OFlags::RDWR | OFlags::NOCTTY,
        Mode::empty(),
    )
    .unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    termios::tcsetwinsize(&master, size).unwrap();
    let slave = File::from(slave);
    let mut master = File::from(master);
    // Typed before the command runs, so that its echo is always the first output.
    for line in typed {
        master.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    let mut child = world
        .prepared(Command::new("setsid").args([
            "--ctty",
            "--wait",
            "timeout",
            "--foreground",
            "60",
            "sh",
            "-c",
            command,
        ]))
        .env("TERM", "xterm")
        .stdin(slave.try_clone().unwrap())
        .stdout(slave.try_clone().unwrap())
        .stderr(slave)
        .spawn()
        .unwrap();
    let mut out = Vec::new();
    let mut buffer = [0; 4096];
    // The terminal fails to be read once the last process that has it is gone.
    while let Ok(count @ 1..) = master.read(&mut buffer) {
        out.extend_from_slice(&buffer[..count]);
    }
    Outcome {
        code: child.wait().unwrap().code().unwrap_or(-1),
        out: String::from_utf8_lossy(&out).into_owned(),
        err: String::new(),
    }
}
