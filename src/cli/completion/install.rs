//! `kes --auto-completion`: a line in the start file of the user's shell, as earlier releases wrote it.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
};

use super::home;
use crate::cli::{error::Error, output::Output, settings::Environment};

/// Adds completion to the start file of the shell in `SHELL`. `name` is what this program was started as.
pub(in crate::cli) fn install(name: &str, env: &Environment, out: &Output) -> Result<(), Error> {
    let shell = env.get("SHELL").unwrap_or_default();
    let (file, needs): (_, &[&str]) = match Path::new(&shell)
        .file_name()
        .and_then(|name| name.to_str())
    {
        Some(name) if name.ends_with("zsh") => {
            (".zshrc", &["autoload -U +X bashcompinit && bashcompinit"])
        }
        Some(name) if name.ends_with("bash") => (".bashrc", &[]),
        _ => {
            return Err(Error::Retired {
                text: format!("SHELL is '{shell}', and neither bash nor zsh"),
                hint: "'kes completion SHELL' prints a script for bash, zsh, fish, powershell or elvish".to_owned(),
            });
        }
    };
    let home = home(env).ok_or_else(|| Error::Invalid("HOME is not set".to_owned()))?;
    let file = home.join(file);
    let failed = |doing| {
        let path = file.display().to_string();
        move |source| Error::File {
            doing,
            path,
            source,
        }
    };
    let content = fs::read_to_string(&file).map_err(failed("read"))?;
    let program = env::current_exe()
        .and_then(fs::canonicalize)
        .map_err(|source| Error::Io {
            doing: "find this program",
            source,
        })?;
    let complete = format!("complete -o default -C {} {name}", program.display());
    let missing: Vec<&str> = needs
        .iter()
        .copied()
        .chain([complete.as_str()])
        .filter(|line| !content.lines().any(|present| present.trim() == *line))
        .collect();
    let shown = file.display();
    if missing.is_empty() {
        return out.text(&format!("Completion is already in {shown}."));
    }
    let mut addition = String::new();
    if !content.is_empty() && !content.ends_with('\n') {
        addition.push('\n');
    }
    for line in &missing {
        addition.push_str(line);
        addition.push('\n');
    }
    let mut end = OpenOptions::new()
        .append(true)
        .open(&file)
        .map_err(failed("write"))?;
    end.write_all(addition.as_bytes())
        .map_err(failed("write"))?;
    out.text(&format!(
        "Added to {shown}:\n\n   {}\n\nIt takes effect in new shells. To remove completion, delete these lines.",
        missing.join("\n   ")
    ))
}
