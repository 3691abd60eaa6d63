//! A server's configuration, its certificates and its keystore, looked at where they are: the server need not run.

use std::path::Path;

use super::check::Check;
use crate::{
    api,
    cli::output::Output,
    clock::Clock,
    config::{self, Config, Env, Fallback},
    keystore::{self, Settings},
    tls::{Standing, Validity, certs},
};

/// What there is to say of the file at `path` and of what it names.
pub(super) async fn checks(path: &Path, out: &Output) -> Vec<Check> {
    let context = config::Context {
        env: &Env::process(),
        routes: &api::configurable(),
        fallback: Fallback::default(),
    };
    let config = match config::load(path, &context) {
        Ok(config) => config,
        Err(errors) => {
            let problems = errors.problems.into_iter();
            let failed = problems
                .map(|note| Check::failed("configuration", note.to_string()).remedy(note.hint));
            return failed.collect();
        }
    };
    let mut checks = vec![match config.warnings.len() {
        0 => Check::ok("configuration", "it can be used"),
        1 => Check::ok("configuration", "it can be used, with a warning"),
        many => Check::ok(
            "configuration",
            format!("it can be used, with {many} warnings"),
        ),
    }];
    checks.extend(
        config.warnings.iter().map(|note| {
            Check::warning("configuration", note.to_string()).remedy(note.hint.clone())
        }),
    );
    checks.push(certificate(&config, out));
    checks.push(private_key(&config));
    checks.extend(store(&config.keystore).await);
    checks
}

/// The server's certificate: whether it can be read, names a host, and holds.
fn certificate(config: &Config, out: &Output) -> Check {
    const NAME: &str = "certificate";
    let chain = match certs::read(&config.tls.cert).and_then(|text| certs::chain(&text)) {
        Ok(chain) => chain,
        Err(error) => return Check::failed(NAME, text_of(&error)).remedy(error.hint()),
    };
    let Some(validity) = Validity::of_chain(&chain) else {
        return Check::failed(NAME, "it is malformed");
    };
    let now = Clock::system().now_utc();
    let days = (validity.not_after - now).whole_days();
    let until = out.time(validity.not_after, false);
    let detail = format!("serial {}, until {until} ({days} days)", validity.serial);
    let renew = "renew it; a running server takes it over within seconds".to_owned();
    match validity.standing(now) {
        Standing::Expired => {
            return Check::failed(NAME, format!("expired: {detail}")).remedy(renew);
        }
        Standing::NotYetValid => {
            let from = out.time(validity.not_before, false);
            return Check::failed(NAME, format!("not valid before {from}"))
                .remedy("set the clocks of this computer and of who made it".to_owned());
        }
        Standing::Ending(_) => return Check::warning(NAME, detail).remedy(renew),
        Standing::Valid => {}
    }
    if chain.first().is_some_and(certs::names_a_host) {
        Check::ok(NAME, detail)
    } else {
        Check::warning(NAME, format!("it names no host: {detail}"))
            .remedy("clients look at the subject alternative names and at nothing else".to_owned())
    }
}

/// The server's private key: whether it can be read, with its password.
fn private_key(config: &Config) -> Check {
    const NAME: &str = "private-key";
    let password = config.tls.password.as_ref();
    match certs::read(&config.tls.key).and_then(|text| certs::key(&text, password)) {
        Ok(_) => Check::ok(NAME, "it can be read"),
        Err(error) => Check::failed(NAME, text_of(&error)).remedy(error.hint()),
    }
}

/// The keystore: whether it opens and answers.
async fn store(settings: &Settings) -> Vec<Check> {
    const NAME: &str = "keystore";
    if let Settings::Fs(fs) = settings
        && !fs.path.exists()
    {
        let detail = format!("'{}' does not exist", fs.path.display());
        let remedy =
            "the server makes it when it starts; if there were keys, is a disk not mounted?";
        return vec![Check::warning(NAME, detail).remedy(remedy.to_owned())];
    }
    let opened = match keystore::open(settings).await {
        Ok(opened) => opened,
        Err(error) => return vec![Check::failed(NAME, text_of(&error))],
    };
    let warnings = opened.warnings.into_iter();
    let mut checks: Vec<_> = warnings.map(|text| Check::warning(NAME, text)).collect();
    checks.push(match opened.store.status().await {
        Ok(took) => Check::ok(NAME, format!("{} answers in {took:.1?}", opened.store)),
        Err(error) => Check::failed(NAME, text_of(&error)),
    });
    checks
}

/// An error and its causes.
fn text_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
