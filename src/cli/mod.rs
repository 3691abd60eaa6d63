//! The command line (cli.md): one file per command, each with its `Args` and `run`.
//!
//! Results go to standard output, everything else to standard error, as `Error: …` and then `Hint: …`. Exit codes: 0 done, 1 failed,
//! 2 misused. A new command is a file, a line in `Command` and a line in `dispatch`.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, error::ErrorKind};

use self::{
    error::Error,
    output::{Output, When},
    settings::Environment,
};

mod config;
mod connect;
mod duration;
mod error;
mod file;
mod hint;
mod identity;
mod key;
mod legacy;
mod output;
mod policy;
mod server;
mod settings;
mod status;
mod version;

/// Exit code of a command line that makes no sense.
const MISUSED: u8 = 2;

/// A stateless key-encryption service: server, keys and identities
#[derive(Parser)]
#[command(name = "kes", disable_version_flag = true, infer_long_args = false)]
struct Cli {
    /// When output is styled: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        ignore_case = true,
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    color: When,
    /// Print what this program is
    #[arg(short = 'v', long)]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The command table.
#[derive(Subcommand)]
enum Command {
    /// Run a server
    Server(server::Args),
    /// Create, use and delete keys
    Key(key::Args),
    /// Make API keys and certificates, and tell whose they are
    Identity(identity::Args),
    /// Check configuration files, and describe them
    Config(config::Args),
    /// Tell what policies allow
    Policy(policy::Args),
    /// Show how a server is
    Status(status::Args),
    /// Print what this program is
    Version(version::Args),
}

fn dispatch(command: Command, env: &Environment, out: &Output) -> Result<(), Error> {
    match command {
        Command::Server(args) => server::run(args, out),
        Command::Key(args) => key::run(args, env, out),
        Command::Identity(args) => identity::run(args, out),
        Command::Config(args) => config::run(&args, out),
        Command::Policy(args) => policy::run(&args, out),
        Command::Status(args) => status::run(&args, env, out),
        Command::Version(args) => version::run(&args, out),
    }
}

/// Runs the command that the arguments of the process name.
pub fn main() -> ExitCode {
    let env = Environment::of_process();
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let (arguments, changed) = legacy::current(arguments.collect());
    let parsed = Cli::command()
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return explain(&error, &env),
    };
    let out = Output::new(cli.color, &env);
    for flag in changed {
        out.note(&format!("'{flag}' is deprecated, write '-{flag}'"));
    }
    let outcome = match cli.command {
        _ if cli.version => version::run(&version::Args::default(), &out),
        Some(command) => dispatch(command, &env, &out),
        None => {
            // `kes` alone shows what there is.
            out.usage(&Cli::command().render_help().to_string());
            return ExitCode::from(MISUSED);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Help that was asked for is a result; everything else that the parser says is misuse.
fn explain(error: &clap::Error, env: &Environment) -> ExitCode {
    let out = Output::new(When::Auto, env);
    match error.kind() {
        ErrorKind::DisplayHelp => match out.raw(error.render().to_string().as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => ExitCode::from(error.exit_code()),
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            out.usage(&error.render().to_string());
            ExitCode::from(MISUSED)
        }
        _ => {
            out.misuse(&error.render().to_string());
            ExitCode::from(MISUSED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_table_is_consistent() {
        Cli::command().debug_assert();
    }
}
