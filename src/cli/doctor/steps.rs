//! From the name of a server to its first answer.

use time::OffsetDateTime;

use super::check::Check;
use crate::{
    cli::{connect::Peer, error::Error},
    client::{
        endpoint::Endpoint,
        error::{Cause, Error as Call},
        probe::{FirstAnswer, Handshake, Probe},
        trust::Trust,
    },
    tls::{Standing, Validity},
};

/// Seconds that two clocks may differ by before somebody should know, and before things go wrong.
const CLOCK_WARNING: u64 = 3;
const CLOCK_LIMIT: u64 = 60;

/// Whom the client trusts, in words.
pub(super) fn trusted(trust: &Trust) -> String {
    match trust {
        Trust::Anyone => "any server, whoever it is (--insecure)".to_owned(),
        Trust::Known { system, extra } => {
            let more = match extra.len() {
                0 => String::new(),
                1 => "1 certificate of yours".to_owned(),
                many => format!("{many} certificates of yours"),
            };
            match (*system, more.is_empty()) {
                (true, true) => "the system's authorities".to_owned(),
                (true, false) => format!("the system's authorities, and {more}"),
                (false, _) => format!("{more} alone"),
            }
        }
    }
}

/// What became of a connection.
pub(super) fn checks(
    endpoint: &Endpoint,
    probe: Probe,
    has_credential: bool,
    peer: &Peer,
    now: OffsetDateTime,
) -> Vec<Check> {
    let failure = |name, cause| failure(name, endpoint, cause, peer);
    let mut checks = Vec::new();
    let way = if probe.through_proxy {
        "through the proxy, "
    } else {
        ""
    };
    checks.push(match probe.addresses {
        Ok(_) if probe.through_proxy => Check::skipped("name", "the proxy looks it up"),
        Ok(addresses) => {
            let mut list: Vec<_> = addresses
                .iter()
                .map(|found| found.ip().to_string())
                .collect();
            list.dedup();
            Check::ok("name", format!("{}: {}", endpoint.host(), list.join(", ")))
        }
        Err(error) => failure("name", Cause::Resolve(error)),
    });
    checks.push(match probe.connected {
        Some(Ok((address, took))) => {
            Check::ok("connection", format!("{way}{address} in {took:.1?}"))
        }
        Some(Err(cause)) => failure("connection", cause),
        None => Check::skipped("connection", "without an address"),
    });
    match probe.tls {
        Some(Ok(tls)) => checks.extend(of_handshake(endpoint, tls, has_credential, peer, now)),
        Some(Err(cause)) => checks.push(failure("tls", cause)),
        None => checks.push(Check::skipped("tls", "without a connection")),
    }
    match probe.answer {
        Some(Ok(answer)) => checks.extend(of_answer(&answer)),
        Some(Err(cause)) => checks.push(failure("answer", cause)),
        None => checks.push(Check::skipped("answer", "without TLS")),
    }
    checks
}

/// A step that failed, in the words and with the remedy of a call that fails so.
fn failure(name: &'static str, endpoint: &Endpoint, cause: Cause, peer: &Peer) -> Check {
    let text = cause_text(&cause);
    let error = Error::Call {
        doing: String::new(),
        source: Call::Connection {
            request: endpoint.to_string(),
            source: cause,
        },
        peer: Box::new(peer.clone()),
    };
    Check::failed(name, text).remedy(error.hint())
}

/// A cause and the causes of it.
fn cause_text(cause: &Cause) -> String {
    let mut text = cause.to_string();
    let mut next = std::error::Error::source(cause);
    while let Some(error) = next {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    text
}

fn of_handshake(
    endpoint: &Endpoint,
    tls: Handshake,
    has_credential: bool,
    peer: &Peer,
    now: OffsetDateTime,
) -> Vec<Check> {
    let http = match tls.alpn.as_str() {
        "" => "no ALPN",
        alpn => alpn,
    };
    let detail = format!(
        "{}, {}, {http}, in {:.1?}",
        tls.version, tls.suite, tls.took
    );
    let mut checks = vec![Check::ok("tls", detail), of_validity(&tls, now)];
    checks.push(match tls.verdict {
        Ok(()) => Check::ok("trusted", format!("for {}", endpoint.host())),
        Err(error) => {
            let shown = tls.chain.into_iter().next().map(Box::new);
            let error = Box::new(error);
            failure("trusted", endpoint, Cause::Tls { error, shown }, peer)
        }
    });
    checks.push(match (tls.asked, has_credential) {
        (true, true) => Check::ok("proof", "the server asks for a certificate, and gets one"),
        (true, false) => Check::warning(
            "proof",
            "the server asks for a certificate, and there is none",
        )
        .remedy("give a credential: see 'credential' above".to_owned()),
        (false, _) => Check::failed(
            "proof",
            "the server asks for no certificate, so that it cannot know this client",
        )
        .remedy(
            "is something between that ends TLS? It has to pass certificates on, see 'tls.proxy'"
                .to_owned(),
        ),
    });
    checks
}

/// How long the certificate holds.
fn of_validity(tls: &Handshake, now: OffsetDateTime) -> Check {
    let Some(validity) = Validity::of_chain(&tls.chain) else {
        return Check::failed("certificate", "it cannot be read");
    };
    let days = (validity.not_after - now).whole_days();
    let detail = format!(
        "serial {}, until {} ({days} days)",
        validity.serial,
        validity.not_after.date()
    );
    match validity.standing(now) {
        Standing::Valid => Check::ok("certificate", detail),
        Standing::Ending(_) => Check::warning("certificate", detail)
            .remedy("renew it; the server takes it over without a restart".to_owned()),
        Standing::Expired => Check::failed("certificate", format!("expired: {detail}"))
            .remedy("renew it; the server takes it over without a restart".to_owned()),
        Standing::NotYetValid => {
            let from = validity.not_before;
            Check::failed("certificate", format!("not valid before {from}"))
                .remedy("set the clocks of this computer and of who made it".to_owned())
        }
    }
}

fn of_answer(answer: &FirstAnswer) -> Vec<Check> {
    let served = match answer.status {
        200 => Check::ok("answer", "it is a server of this API"),
        status => Check::failed("answer", format!("status {status} to GET /version"))
            .remedy("is it a server of this API?".to_owned()),
    };
    let clock = match answer.clock_ahead {
        None => Check::skipped("clock", "the server does not tell its time"),
        Some(ahead) => {
            let off = ahead.unsigned_abs();
            let side = if ahead > 0 { "ahead of" } else { "behind" };
            let detail = format!("the server's is {off} s {side} this computer's");
            let remedy = "set the clocks, as by NTP: certificates and logs depend on them";
            match off {
                0..CLOCK_WARNING => {
                    Check::ok("clock", "that of the server agrees with this computer's")
                }
                CLOCK_WARNING..CLOCK_LIMIT => {
                    Check::warning("clock", detail).remedy(remedy.to_owned())
                }
                _ => Check::failed("clock", detail).remedy(remedy.to_owned()),
            }
        }
    };
    vec![served, clock]
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::cli::doctor::check::State;

    fn endpoint() -> Endpoint {
        Endpoint::parse_list("localhost:7373").unwrap().remove(0)
    }

    fn peer() -> Peer {
        Peer {
            servers: "localhost:7373".into(),
            origin: "KES_SERVER".into(),
            identity: None,
        }
    }

    fn states(probe: Probe) -> Vec<(&'static str, State)> {
        let now = OffsetDateTime::UNIX_EPOCH;
        let checks = checks(&endpoint(), probe, true, &peer(), now);
        checks
            .iter()
            .map(|check| (check.name, check.state))
            .collect()
    }

    #[test]
    fn what_needs_a_step_that_failed_is_left_out() {
        let probe = Probe {
            through_proxy: false,
            addresses: Err(io::ErrorKind::NotFound.into()),
            connected: None,
            tls: None,
            answer: None,
        };
        let expected = [
            ("name", State::Failed),
            ("connection", State::Skipped),
            ("tls", State::Skipped),
            ("answer", State::Skipped),
        ];
        assert_eq!(states(probe), expected);
    }

    #[test]
    fn a_refused_connection_names_the_origin_of_the_address() {
        let probe = Probe {
            through_proxy: false,
            addresses: Ok(vec!["127.0.0.1:7373".parse().unwrap()]),
            connected: Some(Err(Cause::Connect(io::ErrorKind::ConnectionRefused.into()))),
            tls: None,
            answer: None,
        };
        let checks = checks(
            &endpoint(),
            probe,
            true,
            &peer(),
            OffsetDateTime::UNIX_EPOCH,
        );
        let remedy = checks[1].remedy.as_deref().unwrap();
        assert!(remedy.contains("KES_SERVER"), "{remedy}");
    }

    #[test]
    fn clocks_may_differ_a_little() {
        let state = |clock_ahead| {
            let status = 200;
            of_answer(&FirstAnswer {
                status,
                clock_ahead,
            })[1]
                .state
        };
        for (ahead, expected) in [
            (None, State::Skipped),
            (Some(0), State::Ok),
            (Some(-2), State::Ok),
            (Some(3), State::Warning),
            (Some(-59), State::Warning),
            (Some(60), State::Failed),
            (Some(-86400), State::Failed),
        ] {
            assert_eq!(state(ahead), expected, "{ahead:?}");
        }
    }

    #[test]
    fn who_is_trusted_is_told_in_words() {
        let known = |system, count| Trust::Known {
            system,
            extra: vec![vec![].into(); count],
        };
        assert_eq!(trusted(&known(true, 0)), "the system's authorities");
        assert_eq!(trusted(&known(false, 1)), "1 certificate of yours alone");
        let both = "the system's authorities, and 2 certificates of yours";
        assert_eq!(trusted(&known(true, 2)), both);
    }
}
