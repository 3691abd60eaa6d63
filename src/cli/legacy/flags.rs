//! Flags as they could once be written: `-config` for `--config`, `--json=false` for no flag at all (cli.md 1).

use clap::{Arg, ArgAction, Command};

/// Long flags that could once be written with one dash.
const SINGLE_DASH: &[&str] = &[
    "config", "addr", "root", "mlock", "key", "cert", "auth", "insecure", "json", "hash", "time",
    "from", "to", "force", "merge", "quiet", "type", "rate",
];
const YES: &[&str] = &["1", "t", "T", "TRUE", "true", "True"];
const NO: &[&str] = &["0", "f", "F", "FALSE", "false", "False"];

/// Whether a closer look is worth its time.
pub(super) fn may_be_old(arguments: &[String]) -> bool {
    arguments
        .iter()
        .any(|argument| single_dash(argument).is_some() || switch(argument).is_some())
}

/// Gives `-config` and its kind their second dash, and resolves `--switch=true` and `--switch=false`, of which the last one wins.
///
/// What can be read as a group of short flags is left alone: in a client command `-key` is `-k -e y`.
pub(super) fn current(
    arguments: Vec<String>,
    commands: &Command,
    notes: &mut Vec<String>,
) -> Vec<String> {
    let mut command = commands;
    let mut now: Vec<String> = Vec::new();
    let mut flags = true;
    let mut is_value = false;
    for (at, argument) in arguments.into_iter().enumerate() {
        if at == 0 || !flags || is_value {
            is_value = false;
            now.push(argument);
            continue;
        }
        if argument == "--" {
            flags = false;
            now.push(argument);
            continue;
        }
        let argument = match single_dash(&argument) {
            Some(name) if long(command, name).is_some() && !is_group(command, &argument) => {
                notes.push(format!("'{argument}' is deprecated, write '-{argument}'"));
                format!("-{argument}")
            }
            _ => argument,
        };
        if let Some((name, on)) = switch(&argument)
            && long(command, name).is_some_and(|arg| !takes_value(arg))
        {
            let flag = format!("--{name}");
            if on {
                now.push(flag);
            } else {
                let short = long(command, name).and_then(Arg::get_short);
                let short = short.map(|short| format!("-{short}"));
                now.retain(|earlier| *earlier != flag && Some(earlier) != short.as_ref());
            }
            continue;
        }
        if argument.starts_with('-') && argument != "-" {
            is_value = expects_value(command, &argument);
        } else if let Some(below) = command.find_subcommand(&argument) {
            command = below;
        }
        now.push(argument);
    }
    now
}

/// The name in `-name` or `-name=value`, if it is one of the old flags.
fn single_dash(argument: &str) -> Option<&str> {
    let name = argument.strip_prefix('-')?.split('=').next()?;
    SINGLE_DASH.contains(&name).then_some(name)
}

/// The name in `--name=BOOLEAN`, and the boolean.
fn switch(argument: &str) -> Option<(&str, bool)> {
    let (name, value) = argument.strip_prefix("--")?.split_once('=')?;
    if YES.contains(&value) {
        Some((name, true))
    } else {
        NO.contains(&value).then_some((name, false))
    }
}

fn long<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| {
        arg.get_long() == Some(name)
            || arg
                .get_all_aliases()
                .is_some_and(|names| names.contains(&name))
    })
}

fn short(command: &Command, letter: char) -> Option<&Arg> {
    command.get_arguments().find(|arg| {
        arg.get_short_and_visible_aliases()
            .is_some_and(|letters| letters.contains(&letter))
            || arg
                .get_all_short_aliases()
                .is_some_and(|letters| letters.contains(&letter))
    })
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

/// Whether every letter of `-abc` is a short flag, up to one that takes the rest as its value.
fn is_group(command: &Command, argument: &str) -> bool {
    for letter in argument.trim_start_matches('-').chars() {
        match short(command, letter) {
            None => return false,
            Some(arg) if takes_value(arg) => return true,
            Some(_) => {}
        }
    }
    true
}

/// Whether the argument after this flag is its value.
fn expects_value(command: &Command, argument: &str) -> bool {
    match argument.strip_prefix("--") {
        Some(name) => long(command, name).is_some_and(takes_value_apart),
        None => {
            let mut letters = argument.chars().skip(1).peekable();
            while let Some(letter) = letters.next() {
                if short(command, letter).is_some_and(takes_value_apart) {
                    return letters.peek().is_none();
                }
            }
            false
        }
    }
}

fn takes_value_apart(arg: &Arg) -> bool {
    takes_value(arg) && !arg.is_require_equals_set()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands() -> Command {
        let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
        let mut commands = Command::new("kes")
            .subcommand(
                Command::new("server")
                    .arg(Arg::new("config").long("config"))
                    .arg(Arg::new("auth").long("auth"))
                    .arg(Arg::new("key").long("key")),
            )
            .subcommand(
                Command::new("ls")
                    .arg(flag("insecure").short('k'))
                    .arg(flag("json"))
                    .arg(Arg::new("key").long("key"))
                    .arg(Arg::new("enclave").short('e').long("enclave"))
                    .arg(Arg::new("prefix")),
            );
        commands.build();
        commands
    }

    fn rewritten(line: &str) -> (String, usize) {
        let arguments = line.split(' ').map(str::to_owned).collect();
        let mut notes = Vec::new();
        let now = current(arguments, &commands(), &mut notes);
        (now.join(" "), notes.len())
    }

    #[test]
    fn old_flags_get_their_second_dash_where_they_are_known() {
        for (old, new, notes) in [
            (
                "kes server -config=x -auth off -key k",
                "kes server --config=x --auth off --key k",
                3,
            ),
            ("kes ls -json -k", "kes ls --json -k", 1),
            // A group of short flags, of which -e takes a value.
            ("kes ls -key", "kes ls -key", 0),
            ("kes ls -config", "kes ls -config", 0),
            ("kes ls -e -json", "kes ls -e -json", 0),
            ("kes ls -- -json", "kes ls -- -json", 0),
        ] {
            assert_eq!(rewritten(old), (new.to_owned(), notes), "{old}");
        }
    }

    #[test]
    fn a_switch_takes_a_boolean_and_the_last_one_wins() {
        for (old, new) in [
            ("kes ls --json=true p", "kes ls --json p"),
            ("kes ls --json --json=F", "kes ls"),
            ("kes ls -k --insecure=0 --json=1", "kes ls --json"),
            ("kes ls --json=false --json", "kes ls --json"),
            // It takes a value, or is not known.
            ("kes ls --enclave=false", "kes ls --enclave=false"),
            ("kes ls --none=false", "kes ls --none=false"),
            ("kes ls --json=no", "kes ls --json=no"),
        ] {
            assert_eq!(rewritten(old), (new.to_owned(), 0), "{old}");
        }
    }
}
