//! [`Pty`]: a terminal without a screen, for programs that behave otherwise on one.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Instant,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use super::server::PATIENCE;

/// What has appeared so far, and whether more may come.
type Shown = Arc<(Mutex<(Vec<u8>, bool)>, Condvar)>;

/// A terminal, and what has been written to it.
pub(crate) struct Pty {
    keyboard: File,
    /// The program's end, kept open so that its settings outlive the program.
    line: File,
    shown: Shown,
}

impl Pty {
    /// A terminal of this many columns and lines.
    pub(crate) fn new(columns: u16, lines: u16) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let line = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let keyboard = File::from(controller);
        let mut screen = keyboard.try_clone().unwrap();
        let shown = Shown::default();
        let seen = shown.clone();
        // Ends when the last descriptor of the program's end is closed.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let read = screen.read(&mut buffer);
                let (state, changed) = &*seen;
                let mut state = state.lock().unwrap();
                match read {
                    Ok(len) if len > 0 => state.0.extend_from_slice(&buffer[..len]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    _ => {
                        state.1 = true;
                        changed.notify_all();
                        return;
                    }
                }
                changed.notify_all();
            }
        });
        let pty = Self {
            keyboard,
            line,
            shown,
        };
        pty.resize(columns, lines);
        pty
    }

    /// Makes the terminal another size. Programs are told by a signal only on their controlling terminal.
    pub(crate) fn resize(&self, columns: u16, lines: u16) {
        let size = Winsize {
            ws_col: columns,
            ws_row: lines,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.keyboard, size).unwrap();
    }

    /// Starts a program on this terminal.
    pub(crate) fn spawn(&self, command: &mut Command) -> Child {
        let end = || Stdio::from(self.line.try_clone().unwrap());
        let command = command.stdin(end()).stdout(end()).stderr(end());
        command.spawn().unwrap()
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until `text` has appeared behind the first `from` bytes; where it ends.
    pub(crate) fn wait_for(&self, text: &str, from: usize) -> usize {
        let (state, changed) = &*self.shown;
        let mut state = state.lock().unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            let shown = state.0.get(from..).unwrap_or_default();
            let found = shown
                .windows(text.len())
                .position(|part| part == text.as_bytes());
            if let Some(at) = found {
                return from + at + text.len();
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !state.1 && !left.is_zero(),
                "{text:?} did not appear: {:?}",
                String::from_utf8_lossy(&state.0)
            );
            state = changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// All that has appeared.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.0.lock().unwrap().0).into_owned()
    }

    /// Whether keys are shown and lines edited, as on a terminal that nobody uses.
    pub(crate) fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.line).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }
}
