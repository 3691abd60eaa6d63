//! `kes server`: the command line of the server (cli.md 8).

use std::path::PathBuf;

use clap::ValueEnum;

use super::{error::Error, output::Output, retired::Feature};
use crate::{
    config::{self, Fallback},
    server,
};

/// Arguments of `kes server`. What a flag does not say, the configuration file does.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes server --config /etc/kes/config.yaml
  kes server --config config.yaml --addr 127.0.0.1:7373 --auth off")]
pub(super) struct Args {
    /// Address to listen on [default: the configuration's, else 0.0.0.0:7373]
    #[arg(long, value_name = "[IP]:PORT", value_parser = config::address::parse)]
    addr: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Private key of the server, if the configuration names none
    #[arg(long, alias = "tls-key", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Certificate of the server, if the configuration names none
    #[arg(long, alias = "tls-cert", value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Whether clients need a certificate of a trusted authority; the stricter of flag and configuration holds
    #[arg(long, alias = "mtls-auth", value_name = "on|off")]
    auth: Option<Auth>,
    /// Identity of the administrator, if the configuration names none
    #[arg(long, value_name = "IDENTITY")]
    root: Option<String>,
    /// Fail if keys cannot be kept in locked memory
    #[arg(long)]
    mlock: bool,
    /// Do not print the banner
    #[arg(short, long)]
    quiet: bool,
    /// Whether the banner is printed
    #[arg(long, value_name = "always|never", conflicts_with = "quiet")]
    banner: Option<Banner>,
    /// Directory of a server of 2023; there are none any more
    #[arg(hide = true)]
    path: Option<PathBuf>,
}

pub(super) fn run(args: Args, out: &Output) -> Result<(), Error> {
    if args.path.is_some() {
        return Err(Feature::ServerPath.explain());
    }
    let Some(config) = args.config.clone() else {
        return Err(Error::Usage("--config FILE is missing".to_owned()));
    };
    let options = server::Options {
        banner: args.shows_banner(),
        config,
        address: args.addr,
        fallback: Fallback {
            key: args.key,
            cert: args.cert,
            root: args.root,
            auth: args.auth.map(|auth| auth == Auth::On),
        },
        require_mlock: args.mlock,
    };
    server::run(options, &mut out.stream()?).map_err(|error| Error::Server(Box::new(error)))
}

impl Args {
    fn shows_banner(&self) -> bool {
        !self.quiet && self.banner != Some(Banner::Never)
    }
}

/// Whether clients' certificates are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Auth {
    /// Certificates must chain to a trusted authority.
    #[value(alias = "verify")]
    On,
    /// Any certificate will do; it is still mapped to a policy.
    #[value(alias = "ignore")]
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
        assert_eq!((args.auth, args.mlock), (Some(Auth::Off), true));
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
            "--banner=never -q",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
