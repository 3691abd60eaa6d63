//! The command line (cli.md): one file per command, each with its `Args` and `run`.
//!
//! Results go to standard output, everything else to standard error, as `Error: …` and then `Hint: …`. Exit codes: 0 done, 1 failed,
//! 2 misused. A new command is a file, a line in `Command` and a line in `dispatch`.

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, error::ErrorKind};

use self::{
    error::Error, globals::Globals, legacy::Current, output::Output, retired::Feature,
    settings::Environment,
};

mod cert;
mod completion;
mod config;
mod confirm;
mod connect;
mod doctor;
mod duration;
mod error;
mod file;
mod globals;
mod hint;
mod identity;
mod key;
mod keystore;
mod legacy;
mod log;
mod ls;
mod man;
mod metric;
mod migrate;
mod output;
mod password;
mod policy;
mod profile;
mod ready;
mod retired;
mod schema;
mod server;
mod settings;
mod status;
mod top;
mod update;
mod version;
mod whoami;

/// Exit code of a command line that makes no sense.
const MISUSED: u8 = 2;

/// A stateless key-encryption service: server, keys and identities
#[derive(Parser)]
#[command(
    name = "kes",
    disable_version_flag = true,
    infer_long_args = false,
    args_override_self = true,
    after_help = "Examples:
  export KES_SERVER=kes.example.org:7373 KES_API_KEY=kes:v1:...
  kes status
  kes key create my-key
  kes ls

'kes help COMMAND' tells more about a command."
)]
struct Cli {
    /// Print what this program is
    #[arg(short = 'v', long)]
    version: bool,
    /// Add completion to the start file of your shell
    #[arg(long)]
    auto_completion: bool,
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The command table.
#[derive(Subcommand)]
enum Command {
    /// Run a server
    Server(server::Args),
    /// List keys, policies or identities
    Ls(ls::Args),
    /// Create, use and delete keys
    Key(key::Args),
    /// Look at the policies of a server
    Policy(policy::Args),
    /// Make API keys and certificates, and tell whose they are
    Identity(identity::Args),
    /// Check configuration files, and describe them
    Config(config::Args),
    /// Look at the certificates of servers
    Cert(cert::Args),
    /// Show whom servers take this client for, and what it may do
    Whoami(whoami::Args),
    /// Keep servers and credentials under names
    Profile(profile::Args),
    /// Show the logs of a server as they are written
    Log(log::Args),
    /// Copy keys from one keystore to another
    Migrate(migrate::Args),
    /// Show how a server is
    Status(status::Args),
    /// Ask whether a server can serve
    #[command(visible_alias = "ping")]
    Ready(ready::Args),
    /// Find out why a client and a server do not get along
    Doctor(doctor::Args),
    /// Watch a server at work
    Top(top::Args),
    /// Show the figures of a server
    Metric(metric::Args),
    /// Look into a keystore without a server
    Keystore(keystore::Args),
    /// Describe what --json prints
    Schema(schema::Args),
    /// Tell how to get another release
    Update(update::Args),
    /// Print the completion script of a shell
    Completion(completion::Args),
    /// Write manual pages
    Man(man::Args),
    /// Print what this program is
    Version(version::Args),
    /// Gone
    #[command(hide = true)]
    Enclave(retired::Rest),
    /// Gone
    #[command(hide = true)]
    Init(retired::Rest),
    /// Gone
    #[command(hide = true)]
    Secret(retired::Rest),
}

fn dispatch(command: Command, env: &Environment, out: &Output) -> Result<(), Error> {
    match command {
        Command::Server(args) => server::run(args, out),
        Command::Ls(args) => ls::run(&args, env, out),
        Command::Key(args) => key::run(args, env, out),
        Command::Policy(args) => policy::run(args, env, out),
        Command::Identity(args) => identity::run(args, env, out),
        Command::Cert(args) => cert::run(&args, env, out),
        Command::Whoami(args) => whoami::run(&args, env, out),
        Command::Profile(args) => profile::run(&args, env, out),
        Command::Log(args) => log::run(&args, env, out),
        Command::Config(args) => config::run(&args, out),
        Command::Migrate(args) => migrate::run(&args, env, out),
        Command::Status(args) => status::run(&args, env, out),
        Command::Ready(args) => ready::run(&args, env, out),
        Command::Doctor(args) => doctor::run(&args, env, out),
        Command::Top(args) => top::run(&args, env, out),
        Command::Metric(args) => metric::run(&args, env, out),
        Command::Keystore(args) => keystore::run(&args, out),
        Command::Schema(args) => schema::run(&args, out),
        Command::Update(_) => update::run(env, out),
        Command::Completion(args) => completion::run(&args, out),
        Command::Man(args) => man::run(&args, Cli::command(), out),
        Command::Version(version::Args {}) => version::run(out),
        Command::Enclave(_) => Err(Feature::Enclave.explain()),
        Command::Init(_) => Err(Feature::Init.explain()),
        Command::Secret(_) => Err(Feature::Secret.explain()),
    }
}

/// All commands, as the parser knows them: what help, manual pages, completion and the pages in `docs/cli` are made of.
pub fn commands() -> clap::Command {
    Cli::command()
}

/// Runs the command that the arguments of the process name.
pub fn main() -> ExitCode {
    let env = Environment::of_process();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = completion::answer(&arguments, &env, Cli::command) {
        return code;
    }
    let words = arguments
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned());
    let words: Vec<String> = words.collect();
    let name = words.first().cloned().unwrap_or_default();
    let Current { arguments, notes } = legacy::current(words, Cli::command);
    let guess = Globals::guess(&arguments);
    let parsed = Cli::command()
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return explain(&error, &Output::new(&guess, &env)),
    };
    let out = Output::new(&cli.globals, &env);
    for note in notes {
        out.note(&note);
    }
    let outcome = match cli.command {
        _ if cli.version => version::run(&out),
        _ if cli.auto_completion => completion::install(&name, &env, &out),
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
fn explain(error: &clap::Error, out: &Output) -> ExitCode {
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
