//! `kes server`: the command line of the server (cli.md 8).

use std::path::PathBuf;

use clap::ValueEnum;
use zeroize::Zeroizing;

use super::{error::Error, output::Output, retired::Feature};
use crate::{
    apikey::ApiKey,
    config::{self, Fallback},
    name::KeyName,
    server::{self, Source, Wishes},
};

/// What follows the help.
const MORE: &str = "Signals:
  SIGHUP            Read the configuration again
  SIGUSR1           Log everything, or no longer
  SIGUSR2           Log what the configuration says
  SIGTERM, SIGINT   Stop, after the requests under way; once more, a second later or more: without them

Examples:
  kes server --config /etc/kes/config.yaml
  kes server --config config.yaml --addr 127.0.0.1:7373 --auth off
  kes server --dev";

/// Arguments of `kes server`. What a flag does not say, the configuration file does.
#[derive(clap::Args)]
#[command(after_help = MORE)]
pub(super) struct Args {
    /// Address to listen on [default: the configuration's, else 0.0.0.0:7373; with --dev 127.0.0.1:7373]
    #[arg(long, value_name = "[IP]:PORT", value_parser = config::address::parse)]
    addr: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Private key of the server, if the configuration names none
    #[arg(long, value_name = "FILE", alias = "tls-key")]
    key: Option<PathBuf>,
    /// Certificate of the server, if the configuration names none
    #[arg(long, value_name = "FILE", alias = "tls-cert")]
    cert: Option<PathBuf>,
    /// Whether clients need a certificate of a trusted authority; the stricter of flag and configuration holds
    #[arg(long, value_name = "on|off", alias = "mtls-auth", ignore_case = true)]
    auth: Option<Auth>,
    /// Identity of the administrator, if the configuration names none
    #[arg(long, value_name = "IDENTITY")]
    root: Option<String>,
    #[command(flatten)]
    switches: Switches,
    /// Whether the banner is printed
    #[arg(long, value_name = "always|never", conflicts_with = "quiet")]
    banner: Option<Banner>,
    #[command(flatten)]
    dev: DevArgs,
    /// A folder, as experimental releases took it
    #[arg(value_name = "PATH", hide = true)]
    path: Option<PathBuf>,
}

/// Flags that are on or off; old scripts may say so after an equals sign.
#[derive(clap::Args)]
struct Switches {
    /// Serve without a configuration: keys in memory, a new certificate, and an API key for the administrator
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", hide_default_value = true, hide_possible_values = true, value_name = "true|false")]
    dev: bool,
    /// Fail if keys cannot be kept in locked memory
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", hide_default_value = true, hide_possible_values = true, value_name = "true|false")]
    mlock: bool,
    /// Do not print the banner
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", hide_default_value = true, hide_possible_values = true, value_name = "true|false")]
    quiet: bool,
}

/// What there is to say about a server without a configuration.
#[derive(clap::Args)]
#[command(next_help_heading = "Development mode")]
struct DevArgs {
    /// Write the certificate of the server to this file
    #[arg(long = "dev-cert-out", value_name = "FILE")]
    cert_out: Option<PathBuf>,
    /// Have this key from the start; can be repeated
    #[arg(long = "dev-key", value_name = "NAME", value_parser = KeyName::parse)]
    keys: Vec<KeyName>,
    /// API key of the administrator, which others on this computer can see in the list of processes [default: a new one]
    #[arg(long = "dev-api-key", value_name = "KEY")]
    api_key: Option<String>,
}

pub(super) fn run(args: Args, out: &Output) -> Result<(), Error> {
    let options = server::Options {
        banner: args.shows_banner(),
        styled: out.is_styled(),
        require_mlock: args.switches.mlock,
        address: args.addr.clone(),
        source: args.source()?,
    };
    server::run(options, &mut out.stream()?).map_err(|error| Error::Server(Box::new(error)))
}

impl Args {
    fn shows_banner(&self) -> bool {
        !self.switches.quiet && self.banner != Some(Banner::Never)
    }

    /// Where the configuration comes from.
    fn source(self) -> Result<Source, Error> {
        if self.path.is_some() {
            return Err(Feature::ServerPath.explain());
        }
        if self.switches.dev {
            return self.wishes().map(Source::Dev);
        }
        if let Some(flag) = self.dev.first() {
            return Err(Error::Usage(format!("'{flag}' needs '--dev'")));
        }
        let Some(path) = self.config else {
            return Err(Error::Usage(
                "no configuration: name it with --config FILE, or try a server without one with --dev"
                    .to_owned(),
            ));
        };
        let fallback = Fallback {
            key: self.key,
            cert: self.cert,
            root: self.root,
            auth: self.auth.map(|auth| auth == Auth::On),
        };
        Ok(Source::File { path, fallback })
    }

    /// What development mode is to be like. What it cannot be is refused rather than ignored.
    fn wishes(self) -> Result<Wishes, Error> {
        let refused = [
            ("--config", self.config.is_some()),
            ("--key", self.key.is_some()),
            ("--cert", self.cert.is_some()),
            ("--root", self.root.is_some()),
            ("--auth on", self.auth == Some(Auth::On)),
        ];
        if let Some((flag, _)) = refused.iter().find(|(_, given)| *given) {
            return Err(Error::Usage(format!(
                "'{flag}' is not supported in development mode"
            )));
        }
        let key = self.dev.api_key.map(Zeroizing::new);
        let api_key = key.map(|key| ApiKey::parse(&key)).transpose();
        Ok(Wishes {
            api_key: api_key.map_err(|error| Error::Usage(format!("--dev-api-key: {error}")))?,
            keys: self.dev.keys,
            certificate: self.dev.cert_out,
        })
    }
}

impl DevArgs {
    /// The first flag that is there.
    fn first(&self) -> Option<&'static str> {
        let all = [
            ("--dev-cert-out", self.cert_out.is_some()),
            ("--dev-key", !self.keys.is_empty()),
            ("--dev-api-key", self.api_key.is_some()),
        ];
        all.into_iter()
            .find(|(_, given)| *given)
            .map(|(flag, _)| flag)
    }
}

/// Whether clients' certificates are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Auth {
    /// Certificates must chain to a trusted authority.
    #[value(alias = "verify", alias = "true")]
    On,
    /// Any certificate will do; it is still mapped to a policy.
    #[value(alias = "ignore", alias = "false")]
    Off,
}

/// Whether the banner is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Banner {
    /// It is, also where no terminal is.
    Always,
    /// It is not.
    Never,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        let words = ["server"].into_iter().chain(line.split_whitespace());
        Program::try_parse_from(words).map(|program| program.args)
    }

    #[test]
    fn documented_lines_are_read() {
        let args = parse("--config c.yml --auth off --mlock").unwrap();
        assert_eq!((args.auth, args.switches.mlock), (Some(Auth::Off), true));
        let args = parse("--config=c.yml --auth=on --addr :7000 -q").unwrap();
        assert_eq!(args.addr.as_deref(), Some(":7000"));
        assert!(!args.shows_banner() && parse("").unwrap().shows_banner());
        assert!(!parse("--banner never").unwrap().shows_banner());
        let args = parse("--tls-key k --tls-cert c --mtls-auth ignore").unwrap();
        assert_eq!(args.auth, Some(Auth::Off));
        assert!(args.key.is_some() && args.cert.is_some());
        let args = parse("--addr [::1]:7373 --root disabled --key k --cert c").unwrap();
        assert_eq!(args.addr.as_deref(), Some("[::1]:7373"));
    }

    #[test]
    fn misuse_is_refused() {
        for line in [
            "--auth maybe",
            "--addr ::1:7373",
            "--addr 7373",
            "a b",
            "--mlock=maybe",
            "--banner=never -q",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
