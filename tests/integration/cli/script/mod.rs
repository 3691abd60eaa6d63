//! Scripts that a user could type, with the output they give: `*.txt` in this folder.
//!
//! A script is a list of commands, each with its output below it:
//!
//! ```text
//! # covers: 17/key-delete, 18/D31
//! # server: ours
//! $ kes key ls nothing
//! $ kes key info none
//! ! Error: failed to read key "none": key does not exist
//! ? 1
//! ```
//!
//! | line | is |
//! |---|---|
//! | `# covers: …` | rows of the lists in [`rows`] that the script stands for |
//! | `# server: …` | `none`, `ours` (the real program, the default) or `FILE`, answers of another server, recorded |
//! | `# columns: N` | width of the terminal |
//! | `$ …` | a command, run by `sh` with its output in pipes |
//! | `tty$ …` | the same on a terminal, where the outputs are one and escape characters are shown as `␛` |
//! | `< …` | what is typed on the terminal; stands before the command |
//! | `! …` | a line of standard error |
//! | `? N` | the exit code, if it is not 0 |
//! | `...` | any lines, or none |
//! | `[..]` | anything within a line |
//! | anything else | a line of standard output; a `\` before it is not part of it, and alone stands for an empty one |
//!
//! What differs from run to run has names: `[TIME]`, `[SERVER]`, `[DIR]`, `[BASE64]` and so on, see [`normal`].
//!
//! With `UPDATE_SCRIPTS=1` the outputs in the files are replaced by those that come; read the difference.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

mod normal;
mod rows;
mod shell;
mod world;

use self::{shell::Outcome, world::World};
use super::wish;

/// One command of a script.
struct Step {
    /// Comments and empty lines before it, as written.
    before: Vec<String>,
    typed: Vec<String>,
    terminal: bool,
    command: String,
    /// As written.
    expected: Vec<String>,
}

/// A script.
struct Script {
    path: PathBuf,
    covers: Vec<String>,
    server: String,
    columns: u16,
    steps: Vec<Step>,
    /// Comments after the last command.
    after: Vec<String>,
}

impl Script {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let mut script = Self {
            path: path.to_owned(),
            covers: Vec::new(),
            server: "ours".to_owned(),
            columns: 80,
            steps: Vec::new(),
            after: Vec::new(),
        };
        let mut before = Vec::new();
        let mut typed = Vec::new();
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                match comment.split_once(": ") {
                    Some(("covers", rows)) => {
                        script.covers.extend(rows.split(", ").map(str::to_owned));
                    }
                    Some(("server", server)) => server.clone_into(&mut script.server),
                    Some(("columns", columns)) => script.columns = columns.parse().unwrap(),
                    _ => {}
                }
                before.push(line.to_owned());
            } else if let Some(text) = line.strip_prefix("< ") {
                typed.push(text.to_owned());
            } else if line.starts_with("$ ") || line.starts_with("tty$ ") {
                let (prompt, command) = line.split_once(' ').unwrap();
                script.steps.push(Step {
                    before: std::mem::take(&mut before),
                    typed: std::mem::take(&mut typed),
                    terminal: prompt == "tty$",
                    command: command.to_owned(),
                    expected: Vec::new(),
                });
            } else if let Some(step) = script.steps.last_mut()
                && before.is_empty()
                && !line.is_empty()
            {
                step.expected.push(line.to_owned());
            } else {
                before.push(line.to_owned());
            }
        }
        script.after = before;
        assert!(!script.steps.is_empty(), "{}: no command", path.display());
        script
    }

    fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    }

    /// Runs it; the differences, or with `update` none and a new file.
    fn run(&self, update: bool) -> String {
        let world = World::of(&self.server);
        let mut wrong = String::new();
        let mut text = String::new();
        for step in &self.steps {
            let outcome = shell::run(
                &world,
                &step.command,
                step.terminal,
                &step.typed,
                self.columns,
            );
            let actual = lines(&outcome, &world);
            let same = matches(&step.expected, &actual);
            if !same {
                let _ = write!(
                    wrong,
                    "\n{}: $ {}\nexpected:\n{}\nactual:\n{}\n",
                    self.name(),
                    step.command,
                    step.expected.join("\n"),
                    actual.join("\n")
                );
            }
            for line in &step.before {
                let _ = writeln!(text, "{line}");
            }
            for line in &step.typed {
                let _ = writeln!(text, "< {line}");
            }
            let prompt = if step.terminal { "tty$" } else { "$" };
            let _ = writeln!(text, "{prompt} {}", step.command);
            for line in if same { &step.expected } else { &actual } {
                let _ = writeln!(text, "{line}");
            }
        }
        for line in &self.after {
            let _ = writeln!(text, "{line}");
        }
        if update {
            fs::write(&self.path, text).unwrap();
            return String::new();
        }
        wrong
    }
}

/// What a command did, as a script writes it.
fn lines(outcome: &Outcome, world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    for line in normal::lines(&outcome.out, world) {
        let special = ["$ ", "tty$ ", "! ", "? ", "< ", "# ", "\\", "..."]
            .iter()
            .any(|start| line.starts_with(start));
        lines.push(if special || line.is_empty() {
            format!("\\{line}")
        } else {
            line
        });
    }
    lines.extend(
        normal::lines(&outcome.err, world)
            .into_iter()
            .map(|line| format!("! {line}").trim_end().to_owned()),
    );
    if outcome.code != 0 {
        lines.push(format!("? {}", outcome.code));
    }
    lines
}

/// Whether lines are as expected, with `...` for any lines.
fn matches(expected: &[String], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((first, rest)) if matches!(first.as_str(), "..." | "! ...") => {
            (0..=actual.len()).any(|skipped| matches(rest, &actual[skipped..]))
        }
        Some((first, rest)) => actual
            .split_first()
            .is_some_and(|(line, others)| fits(first, line) && matches(rest, others)),
    }
}

/// Whether a line is as expected, with `[..]` for anything.
fn fits(expected: &str, actual: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == actual,
        Some((start, rest)) => actual.strip_prefix(start).is_some_and(|actual| {
            let ends = actual.char_indices().map(|(at, _)| at);
            ends.chain([actual.len()])
                .any(|at| fits(rest, &actual[at..]))
        }),
    }
}

fn scripts() -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/cli/script");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    assert!(paths.len() > 20, "where are the scripts?");
    paths.iter().map(|path| Script::read(path)).collect()
}

#[test]
fn every_script_gives_the_output_below_its_commands() {
    let update = wish("UPDATE_SCRIPTS").is_some();
    let only = wish("SCRIPT").unwrap_or_default();
    let mut wrong = String::new();
    for script in scripts()
        .iter()
        .filter(|script| script.name().contains(&only))
    {
        wrong.push_str(&script.run(update));
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_row_of_the_specification_has_a_script() {
    let scripts = scripts();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    for row in rows::all() {
        if scripts.iter().any(|script| script.covers.contains(&row)) {
            continue;
        }
        match rows::ELSEWHERE.iter().find(|other| other.row == row) {
            None => missing.push(row),
            Some(other) if !rows::exists(other.needs) => {}
            Some(other) => {
                let source = fs::read_to_string(root.join(other.file)).unwrap_or_default();
                let test = other.test;
                assert!(
                    source.contains(test),
                    "{row}: no '{test}' in {}",
                    other.file
                );
            }
        }
    }
    assert!(missing.is_empty(), "no script covers {missing:?}");
    let known: Vec<_> = rows::all().collect();
    for script in &scripts {
        for row in &script.covers {
            assert!(
                known.contains(row),
                "{}: there is no row {row}",
                script.name()
            );
        }
    }
}

#[test]
fn anything_fits_where_a_script_says_so() {
    assert!(fits("a[..]c", "abbc") && fits("[..]", "") && !fits("a[..]c", "ab"));
    let lines = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&lines("a|...|d"), &lines("a|b|c|d")));
    assert!(matches(&lines("...|d"), &lines("d")));
    assert!(!matches(&lines("a|...|d"), &lines("a|b")));
}
