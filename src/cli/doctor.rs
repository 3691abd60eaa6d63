//! `kes doctor`: why a client and a server do not get along, in one run (cli.md 19).
//!
//! Every step from the name of the server to the permission is looked at on its own, for every server of the list. A step that
//! fails does not end the run; only what needs it is left out. Nothing is changed, and no secret is sent.

use std::{path::PathBuf, time::Duration};

use self::check::Check;
use super::{
    connect::{self, ConnectArgs, Peer},
    duration,
    error::Error,
    output::Output,
    settings::{self, Environment},
};
use crate::{
    client::{self, endpoint::Endpoint, proxy::Proxies},
    clock::Clock,
};

mod check;
mod permission;
mod server;
mod steps;

/// Longest time for a step, unless --timeout says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `kes doctor`.
#[derive(clap::Args)]
#[command(
    after_help = "Exit code: 0 if nothing failed, else 1. '✓' is fine, '!' should be known, '✗' failed, '–' could not be looked at.\n\n\
                        Examples:\n  \
                        kes doctor\n  \
                        kes doctor --server kes.example.com:7373 --key my-key\n  \
                        kes doctor --config /etc/kes/config.yml"
)]
pub(super) struct Args {
    /// Look at a server's configuration, its certificates and its keystore, too
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The key that permissions are looked up for
    #[arg(long, value_name = "NAME", default_value = "my-key")]
    key: String,
    /// Longest time for each step
    #[arg(long, value_name = "DURATION", value_parser = duration::positive)]
    step_timeout: Option<Duration>,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let checks = connect::run(async { Ok(look(args, env, out).await) })?;
    check::show(&checks, out)
}

async fn look(args: &Args, env: &Environment, out: &Output) -> Vec<Check> {
    let proxies = settings::proxies(env);
    let mut checks = vec![route(proxies.is_some())];
    let (endpoints, origin) = match args.connect.named(env) {
        Ok((endpoints, origin)) => {
            let list: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
            let detail = format!("{} (from {origin})", list.join(", "));
            checks.push(Check::ok("servers", detail));
            (endpoints, origin)
        }
        Err(error) => {
            checks.push(Check::of_error("servers", &error));
            (Vec::new(), "")
        }
    };
    let credential = match args.connect.who(env, out) {
        Ok((credential, origin)) => {
            let detail = format!("{} (from {origin})", credential.identity());
            checks.push(Check::ok("credential", detail));
            Some(credential)
        }
        Err(error) => {
            checks.push(Check::of_error("credential", &error));
            None
        }
    };
    match args.connect.trusted(env) {
        Ok(trust) => {
            let detail = steps::trusted(&trust);
            checks.push(if trust == client::trust::Trust::Anyone {
                Check::warning("trust", detail)
            } else {
                Check::ok("trust", detail)
            });
            for endpoint in &endpoints {
                let about = look_at(
                    endpoint,
                    args,
                    credential.clone(),
                    trust.clone(),
                    (origin, proxies.as_ref()),
                );
                let subject = endpoint.to_string();
                let about = about.await.into_iter();
                checks.extend(about.map(|check| check.about(&subject)));
            }
        }
        Err(error) => checks.push(Check::of_error("trust", &error)),
    }
    if let (Some(credential), false) = (credential, endpoints.is_empty()) {
        let asked = match args.connect.session_with(credential, env, out) {
            Ok(session) => permission::checks(&session, &args.key).await,
            Err(error) => vec![Check::of_error("identity", &error)],
        };
        let asked = asked.into_iter();
        checks.extend(asked.map(|check| check.about("what the server says")));
    }
    if let Some(path) = &args.config {
        let subject = path.display().to_string();
        let found = server::checks(path, out).await.into_iter();
        checks.extend(found.map(|check| check.about(&subject)));
    }
    checks
}

async fn look_at(
    endpoint: &Endpoint,
    args: &Args,
    credential: Option<client::credential::Credential>,
    trust: client::trust::Trust,
    (origin, proxies): (&str, Option<&Proxies>),
) -> Vec<Check> {
    let limit = args.step_timeout.unwrap_or(PATIENCE);
    let has_credential = credential.is_some();
    let peer = Peer {
        servers: endpoint.to_string(),
        origin: origin.to_owned(),
        identity: credential.as_ref().map(|known| known.identity().clone()),
    };
    match Box::pin(client::probe::probe(
        endpoint, credential, trust, proxies, limit,
    ))
    .await
    {
        Ok(probe) => {
            let now = Clock::system().now_utc();
            steps::checks(endpoint, probe, has_credential, &peer, now)
        }
        Err(error) => vec![Check::failed("tls", error.to_string())],
    }
}

/// Whether there is a proxy for servers elsewhere.
fn route(has_proxy: bool) -> Check {
    if has_proxy {
        let detail =
            "through the proxy of HTTPS_PROXY, but for hosts of this computer and of NO_PROXY";
        return Check::ok("route", detail);
    }
    Check::ok("route", "direct: HTTPS_PROXY names no proxy")
}
