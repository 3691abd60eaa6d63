//! `kes key`: create, look at, use and delete keys (cli.md 10). One file per subcommand.

use super::{error::Error, output::Output, settings::Environment};

mod context;
mod create;
mod decrypt;
mod decrypt_file;
mod dek;
mod encrypt;
mod encrypt_file;
mod hmac;
mod import;
mod info;
mod ls;
mod rm;
mod sealed_file;
mod stream;

/// Arguments of `kes key`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Create keys
    Create(create::Args),
    /// Create a key from 32 bytes of yours
    Import(import::Args),
    /// Show what is known of a key
    Info(info::Args),
    /// List keys
    Ls(ls::Args),
    /// Delete keys, and with them all that they encrypted
    Rm(rm::Args),
    /// Encrypt a message
    Encrypt(encrypt::Args),
    /// Decrypt a ciphertext
    Decrypt(decrypt::Args),
    /// Make a data key, in clear and encrypted
    Dek(dek::Args),
    /// Authenticate a message
    Hmac(hmac::Args),
    /// Encrypt a file of any size
    EncryptFile(encrypt_file::Args),
    /// Decrypt what encrypt-file made
    DecryptFile(decrypt_file::Args),
}

pub(super) fn run(args: Args, env: &Environment, out: &Output) -> Result<(), Error> {
    match args.command {
        Command::Create(args) => create::run(&args, env, out),
        Command::Import(args) => import::run(&args, env, out),
        Command::Info(args) => info::run(&args, env, out),
        Command::Ls(args) => ls::run(&args, env, out),
        Command::Rm(args) => rm::run(&args, env, out),
        Command::Encrypt(args) => encrypt::run(&args, env, out),
        Command::Decrypt(args) => decrypt::run(&args, env, out),
        Command::Dek(args) => dek::run(&args, env, out),
        Command::Hmac(args) => hmac::run(&args, env, out),
        Command::EncryptFile(args) => encrypt_file::run(&args, env, out),
        Command::DecryptFile(args) => decrypt_file::run(&args, env, out),
    }
}

/// What a failed call was for, as `failed to create key "k"`.
fn doing(what: &str, name: &str) -> String {
    format!("failed to {what} \"{name}\"")
}
