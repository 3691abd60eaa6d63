//! `kes schema`: what `--json` prints, command by command, as JSON Schema (2020-12).
//!
//! The schemas stand in `schema/outputs.json`. They name every member, so that the tests, which hold what commands print against them,
//! notice a new one. What a later release adds is a new member; none is taken away or changes its meaning.

use serde_json::{Map, Value, json};

use super::{error::Error, output::Output};

/// Schemas by command, as it is written without `kes`; `error` is what goes to standard error.
const OUTPUTS: &str = include_str!("schema/outputs.json");
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Arguments of `kes schema`.
#[derive(clap::Args)]
#[command(
    after_help = "Errors are JSON, too, on standard error: 'kes schema error'.\n\n\
                        Examples:\n  \
                        kes schema\n  \
                        kes schema key info"
)]
pub(super) struct Args {
    /// The command; without it, the commands that there are schemas of
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    let all = outputs()?;
    if args.command.is_empty() {
        let names: Vec<_> = all.keys().cloned().collect();
        return out.show(&names, || out.text(&names.join("\n")));
    }
    let name = args.command.join(" ");
    let schema = all.get(&name).ok_or_else(|| {
        Error::Usage(format!(
            "there is no schema of '{name}'; 'kes schema' lists those there are"
        ))
    })?;
    let mut document = Map::new();
    document.insert("$schema".to_owned(), json!(DIALECT));
    document.insert("title".to_owned(), json!(format!("kes {name} --json")));
    if let Value::Object(schema) = schema {
        document.extend(schema.clone());
    }
    out.document_for_reading(&document)
}

fn outputs() -> Result<Map<String, Value>, Error> {
    serde_json::from_str(OUTPUTS).map_err(|error| Error::Setup(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{Command, CommandFactory as _};

    use super::*;
    use crate::cli::Cli;

    /// Commands that print no JSON, and those whose result is not theirs to describe.
    const WITHOUT: [&str; 7] = [
        // Configuration files, and the schema of these.
        "config migrate",
        "config schema",
        "config show",
        // It runs until it is stopped, and logs.
        "server", // Scripts and pages of other programs.
        "completion",
        "man", // What it prints is a schema.
        "schema",
    ];

    /// The commands below `command` that do something.
    fn leaves(command: &Command, path: &str, found: &mut BTreeSet<String>) {
        for below in command
            .get_subcommands()
            .filter(|below| !below.is_hide_set())
        {
            let path = format!("{path} {}", below.get_name()).trim().to_owned();
            if below.has_subcommands() {
                leaves(below, &path, found);
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn every_command_has_a_schema_or_a_reason_to_have_none() {
        let mut commands = BTreeSet::new();
        leaves(&Cli::command(), "", &mut commands);
        let with: BTreeSet<String> = outputs().unwrap().keys().cloned().collect();
        let without = WITHOUT.iter().map(|name| (*name).to_owned()).collect();
        assert!(with.is_disjoint(&without));
        let known = &with | &without;
        let unknown: Vec<_> = commands.difference(&known).collect();
        assert!(unknown.is_empty(), "no schema of {unknown:?}");
        let gone: Vec<_> = with.difference(&commands).collect();
        assert_eq!(gone, ["error"]);
    }
}
