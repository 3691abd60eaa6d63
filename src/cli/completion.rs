//! Completion in shells: scripts for five of them, the lines that earlier releases wrote into start files, and names of keys and
//! policies from the server (cli.md 16.2).
//!
//! All of it comes from the command table. The scripts ask this program, so that they never go out of date.

use std::{
    ffi::{OsStr, OsString},
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
};

use clap::{Command, ValueEnum};
use clap_complete::{
    engine::{self, CompletionCandidate},
    env::Shells,
};

use super::{error::Error, output::Output, settings::Environment};

mod install;
mod names;

pub(super) use install::install;
pub(super) use names::{identities, keys, policies};

/// The variable in which a script names its shell. Ours alone, so that no other program's completion is mistaken for it.
const VARIABLE: &str = "KES_COMPLETE";

/// Arguments of `kes completion`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  source <(kes completion bash)
  kes completion zsh > ~/.zfunc/_kes
  kes completion fish > ~/.config/fish/completions/kes.fish")]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// Shells that completion is known for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Elvish,
}

impl Shell {
    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Elvish => "elvish",
        }
    }
}

/// Prints the script of a shell.
pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    let unknown = || Error::Invalid(format!("no completion for {}", args.shell.name()));
    let shells = Shells::builtins();
    let completer = shells.completer(args.shell.name()).ok_or_else(unknown)?;
    let mut script = Vec::new();
    completer
        .write_registration(VARIABLE, "kes", "kes", "kes", &mut script)
        .map_err(|source| Error::Io {
            doing: "write the script",
            source,
        })?;
    out.raw(&script)
}

/// Answers a shell that asks for candidates; `None` if none does.
pub(super) fn answer(
    arguments: &[OsString],
    env: &Environment,
    commands: impl FnOnce() -> Command,
) -> Option<ExitCode> {
    if let Some(shell) = env.get(VARIABLE) {
        return answer_script(&shell, arguments, commands());
    }
    let (line, point) = (env.get("COMP_LINE")?, env.get("COMP_POINT")?);
    let line = point
        .parse()
        .ok()
        .and_then(|point: usize| line.get(..point))
        .unwrap_or(&line);
    // A shell passes the command's name, the word and the one before it. Whoever starts the program otherwise, with the variable
    // left over from somewhere, does not ask.
    let name = line.split_whitespace().next()?;
    let [_, first, _, _] = arguments else {
        return None;
    };
    (first.as_os_str() == name).then(|| answer_line(line, commands()))
}

/// Answers one of our scripts.
fn answer_script(shell: &str, arguments: &[OsString], mut commands: Command) -> Option<ExitCode> {
    let shells = Shells::builtins();
    let completer = shells.completer(shell)?;
    let at = arguments.iter().position(|argument| argument == "--")?;
    let words = arguments.get(at + 1..)?.to_vec();
    let folder = std::env::current_dir().ok();
    let mut candidates = Vec::new();
    let written =
        completer.write_complete(&mut commands, words, folder.as_deref(), &mut candidates);
    Some(print(written.map(|()| candidates)))
}

/// Answers the line `complete -C kes kes` in a start file.
fn answer_line(line: &str, mut commands: Command) -> ExitCode {
    let mut words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    if line.ends_with(char::is_whitespace) {
        words.push(OsString::new());
    }
    let last = words.len().saturating_sub(1);
    let candidates = engine::complete(&mut commands, words, last, None);
    print(candidates.map(|candidates| {
        let mut text = Vec::new();
        for candidate in candidates
            .iter()
            .filter(|candidate| !candidate.is_hide_set())
        {
            text.extend_from_slice(candidate.get_value().as_encoded_bytes());
            text.push(b'\n');
        }
        text
    }))
}

/// A shell wants candidates or silence.
fn print(candidates: std::io::Result<Vec<u8>>) -> ExitCode {
    if let Ok(candidates) = candidates {
        drop(std::io::stdout().write_all(&candidates));
    }
    ExitCode::SUCCESS
}

/// Candidates that begin with what was typed.
fn beginning_with(current: &OsStr, names: Vec<String>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let fits = names.into_iter().filter(|name| name.starts_with(&*current));
    fits.map(CompletionCandidate::new).collect()
}

/// Where a shell keeps what it reads at its start.
fn home(env: &Environment) -> Option<PathBuf> {
    env.get("HOME").map(PathBuf::from)
}
