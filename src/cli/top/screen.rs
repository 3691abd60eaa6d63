//! [`Screen`]: the terminal while it is `kes top`'s, and afterwards as it was.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::fd::AsFd as _,
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

/// The other screen, without a cursor and without wrapping of lines.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
/// All of that taken back, and styles, too.
const LEAVE: &str = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
/// A size for terminals that do not tell theirs.
const USUAL: (usize, usize) = (80, 24);

/// Gives the terminal back when it is dropped, also while a panic unwinds.
pub(super) struct Screen {
    out: File,
    /// How the keyboard was set, if there is one.
    before: Option<Termios>,
}

impl Screen {
    /// Takes the terminal behind standard output, and the keyboard behind standard input if there is one: keys are not shown, and
    /// the program reads them one by one, the interrupt key among them.
    pub(super) fn enter(mut out: File) -> io::Result<Self> {
        let before = io::stdin()
            .is_terminal()
            .then(|| tcgetattr(io::stdin().as_fd()))
            .transpose()?;
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &raw)?;
        }
        // From here on `drop` takes everything back.
        let written = out.write_all(ENTER.as_bytes());
        let screen = Self { out, before };
        written.map(|()| screen)
    }

    /// Columns and lines.
    pub(super) fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(self.out.as_fd());
        let size = size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        match size {
            Ok((width, height)) if width > 0 && height > 0 => (width, height),
            _ => USUAL,
        }
    }

    /// Shows these lines and nothing else, in one piece, so that nothing flickers.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let mut frame = String::from("\x1b[H");
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                frame.push_str("\r\n");
            }
            frame.push_str(line);
            frame.push_str("\x1b[K");
        }
        frame.push_str("\x1b[J");
        self.out.write_all(frame.as_bytes())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Whatever fails here, there is nothing more to be done about it.
        drop(self.out.write_all(LEAVE.as_bytes()));
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, before);
        }
    }
}

/// The keys that are pressed, one by one, from a thread that waits for them and ends with the process; `None` without a keyboard.
pub(super) fn keys() -> Option<mpsc::Receiver<u8>> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let (sender, receiver) = mpsc::channel(16);
    tokio::task::spawn_blocking(move || {
        let mut key = [0];
        while let Ok(1) = io::stdin().lock().read(&mut key) {
            let [key] = key;
            if sender.blocking_send(key).is_err() {
                break;
            }
        }
    });
    Some(receiver)
}
