//! The pages in `docs/cli`: one for each command, made from the table of commands. `UPDATE_DOCS=1` writes them anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use clap::{Arg, Command};

use super::wish;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli")
}

fn commands() -> Command {
    // The width of pages must not depend on that of a terminal.
    let mut commands = kes::cli::commands().term_width(100);
    commands.build();
    commands
}

/// All commands that are shown, by their words.
fn all(command: &Command, words: &str) -> Vec<(String, Command)> {
    let mut found = vec![(words.to_owned(), command.clone())];
    for below in command.get_subcommands() {
        if !below.is_hide_set() && below.get_name() != "help" {
            found.extend(all(below, &format!("{words} {}", below.get_name())));
        }
    }
    found
}

fn examples(command: &Command) -> String {
    let after = command.get_after_help().map(ToString::to_string);
    let after = after.unwrap_or_default();
    let (_, text) = after.split_once("Examples:\n").unwrap_or_default();
    let text = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.join("\n")
}

/// How an argument is typed.
fn typed(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let value = names
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ");
    if arg.is_positional() {
        return format!("`{value}`");
    }
    let mut spellings = Vec::new();
    spellings.extend(arg.get_short().map(|short| format!("`-{short}`")));
    if let Some(long) = arg.get_long() {
        let value = if arg.get_action().takes_values() {
            format!(" {value}")
        } else {
            String::new()
        };
        spellings.push(format!("`--{long}{value}`"));
    }
    spellings.join(", ")
}

fn page(words: &str, command: &Command) -> String {
    let mut text = format!("# {words}\n\n");
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let _ = write!(text, "{about}.\n\n```text\n{usage}\n```\n");
    let mut groups: BTreeMap<(u8, String), Vec<&Arg>> = BTreeMap::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let heading = arg.get_help_heading().unwrap_or(if arg.is_positional() {
            "Arguments"
        } else {
            "Options"
        });
        let order = match heading {
            "Arguments" => 0,
            "Options" => 1,
            "Connection" => 2,
            _ => 3,
        };
        groups
            .entry((order, heading.to_owned()))
            .or_default()
            .push(arg);
    }
    let below: Vec<_> = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set() && below.get_name() != "help")
        .collect();
    if !below.is_empty() {
        text.push_str("\n| command | |\n| --- | --- |\n");
        for below in below {
            let about = below
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default();
            let path = format!("{words} {}", below.get_name());
            let _ = writeln!(text, "| [{path}]({}) | {about} |", file(&path));
        }
    }
    for ((_, heading), args) in groups {
        let _ = write!(text, "\n## {heading}\n\n| | |\n| --- | --- |\n");
        for arg in args {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(
                text,
                "| {} | {} |",
                typed(arg).replace('|', "\\|"),
                help.replace('|', "\\|")
            );
        }
    }
    let after = command.get_after_help().map(ToString::to_string);
    let after = after.unwrap_or_default();
    let prose = after.split("Examples:\n").next().unwrap_or_default().trim();
    if !prose.is_empty() {
        let _ = write!(text, "\n{prose}\n");
    }
    let examples = examples(command);
    if !examples.is_empty() {
        let _ = write!(text, "\n## Examples\n\n```sh\n{examples}\n```\n");
    }
    text
}

fn file(words: &str) -> String {
    format!("{}.md", words.replace(' ', "-"))
}

#[test]
fn the_pages_tell_what_the_commands_take() {
    let mut pages: BTreeMap<String, String> = BTreeMap::new();
    for (words, command) in all(&commands(), "kes") {
        pages.insert(file(&words), page(&words, &command));
    }
    if wish("UPDATE_DOCS").is_some() {
        fs::create_dir_all(folder()).unwrap();
        for entry in fs::read_dir(folder()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (name, text) in &pages {
            fs::write(folder().join(name), text).unwrap();
        }
    }
    let there: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let expected: BTreeSet<String> = pages.keys().cloned().collect();
    assert_eq!(there, expected, "UPDATE_DOCS=1 writes them anew");
    for (name, text) in pages {
        let written = fs::read_to_string(folder().join(&name)).unwrap();
        assert!(
            written == text,
            "docs/cli/{name} is out of date: UPDATE_DOCS=1 writes it anew"
        );
    }
}

#[test]
fn every_command_has_examples_and_they_can_be_typed() {
    for (words, command) in all(&commands(), "kes") {
        let examples = examples(&command);
        if command.has_subcommands() && examples.is_empty() {
            continue;
        }
        assert!(!examples.is_empty(), "{words} has no examples");
        let mut own = 0;
        for line in examples.lines() {
            // Every part of the line that runs the program.
            for part in line.split(['|', '(', ';']) {
                let part = part.split([')', '>', '<']).next().unwrap().trim();
                let Some(at) = part.find("kes ") else {
                    continue;
                };
                if !part[..at]
                    .split(' ')
                    .all(|word| word.is_empty() || word.contains('='))
                {
                    continue;
                }
                let arguments: Vec<String> = split(&part[at..]);
                let read = kes::cli::commands().try_get_matches_from(&arguments);
                assert!(read.is_ok(), "{words}: {part}: {}", read.err().unwrap());
                own += usize::from(part[at..].starts_with(&words));
            }
        }
        assert!(own > 0, "{words}: no example of it");
    }
}

/// The words of a command line without escapes.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn a_line_is_split_as_a_shell_does() {
    assert_eq!(
        split("kes ls 'a b*'  --json"),
        ["kes", "ls", "a b*", "--json"]
    );
}
