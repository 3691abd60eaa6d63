//! [`Confirm`]: the question before something is destroyed (cli.md 19.2).

use super::{error::Error, file, output::Output};

/// Whether to ask. Flattened into the arguments of commands that destroy.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Confirm {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Confirm {
    /// Warns, and has a person at a terminal type `expected`. Without a terminal on standard input, or with `--yes`, nothing is asked.
    ///
    /// # Errors
    /// [`Error::Aborted`] for any other answer.
    pub(super) fn ask(
        &self,
        warning: &str,
        question: &str,
        expected: &str,
        out: &Output,
    ) -> Result<(), Error> {
        if self.yes || !file::stdin_is_terminal() {
            return Ok(());
        }
        out.question(&format!("{warning}\n{question}"));
        if file::line()? == expected {
            Ok(())
        } else {
            Err(Error::Aborted)
        }
    }
}
