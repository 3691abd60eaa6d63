//! Spellings of earlier releases that still work (cli.md 1 and 17): they are rewritten before the parser sees them, each with a note.

use clap::Command;

mod flags;
mod words;

/// A command line in its current spelling.
pub(super) struct Current {
    pub(super) arguments: Vec<String>,
    /// What to tell about what was rewritten.
    pub(super) notes: Vec<String>,
}

/// Rewrites `arguments`, the first of which is the program. `commands` is what the parser knows.
pub(super) fn current(arguments: Vec<String>, commands: impl FnOnce() -> Command) -> Current {
    let mut notes = Vec::new();
    let arguments = words::current(arguments, &mut notes);
    let arguments = if flags::may_be_old(&arguments) {
        let mut commands = commands();
        commands.build();
        flags::current(arguments, &commands, &mut notes)
    } else {
        arguments
    };
    Current { arguments, notes }
}
