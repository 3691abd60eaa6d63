//! Remedies for what goes wrong between client and server (cli.md 19.4).

use std::{fmt::Write as _, io::ErrorKind};

use rustls::{AlertDescription, CertificateError, InvalidMessage};
use rustls_pki_types::CertificateDer;
use time::format_description::well_known::Rfc3339;

use super::{cert::shown::Shown, connect::Peer, retired};
use crate::{
    client::error::{Answer, Cause, Error},
    clock::Clock,
    identity::Identity,
};

/// What a name may be.
const NAME: &str = "a name has 1 to 80 of the characters 0-9 A-Z a-z - _, and '-' is neither the first nor the last";

/// What to do about a failed call, if there is anything to say.
pub(super) fn of_call(error: &Error, peer: &Peer) -> Option<String> {
    match error {
        Error::Answer(answer) => of_answer(answer, peer),
        Error::Connection { source, .. } => of_connection(source, peer),
        Error::InvalidIdentity(_) => Some(
            "an identity has 64 of the characters 0-9 a-f; 'kes identity of FILE' shows it"
                .to_owned(),
        ),
        Error::InvalidName(_) | Error::InvalidPolicyName(_) => Some(NAME.to_owned()),
        Error::InvalidPattern(_) => {
            Some("a pattern is the start of a name and may end in one '*'".to_owned())
        }
        Error::Malformed { .. } | Error::TooLarge { .. } => {
            Some(format!("is {} a server of this API?", peer.servers))
        }
        Error::Setup(_) => None,
    }
}

fn of_answer(answer: &Answer, peer: &Peer) -> Option<String> {
    match (answer.status, answer.message.as_str()) {
        (400, "key already exists") | (404, "key does not exist") if answer.repeated => Some(
            "uncertain: the request was repeated after a lost connection, and the first attempt may have succeeded; 'kes key info' tells".to_owned(),
        ),
        (403, _) => Some(of_refusal(answer, peer)),
        (400, message) if message.starts_with("decryption failed") => Some(
            "another key, a wrong or missing context, or an altered ciphertext".to_owned(),
        ),
        (400, message) if message.starts_with("tls: ") => {
            Some("the server takes one client certificate that is no CA's".to_owned())
        }
        (406, message) if message.starts_with("invalid key size") => {
            Some("a key has 32 bytes, which is 44 characters of base64".to_owned())
        }
        (400, message) if message.contains("invalid characters") => Some(NAME.to_owned()),
        (404, message) if !message.ends_with("does not exist") => Some(format!(
            "{} is an older server, or another program: it does not know {}",
            peer.servers, answer.path
        )),
        (404, "identity does not exist") if answer.path.ends_with("/self/describe") => Some(
            "the server has no policy for this identity, or is one of 2023 to 2025, which cannot tell".to_owned(),
        ),
        _ => None,
    }
}

/// Who was refused, what, and the lines that would allow it.
fn of_refusal(answer: &Answer, peer: &Peer) -> String {
    let listing = answer.path.split_once("/list/");
    let rule = match listing {
        Some((before, _)) => format!("{before}/list/*"),
        None => answer.path.clone(),
    };
    let trap = if listing.is_some() {
        " (a rule without '/*' matches no listing)"
    } else {
        ""
    };
    let who = match &peer.identity {
        Some(identity) => format!("the server knows this client as {identity}, "),
        None => "this client showed no certificate, ".to_owned(),
    };
    let identity = peer.identity.as_ref().map_or("IDENTITY", Identity::as_str);
    let yaml = retired::yaml_of_rules("my-policy", &rule, identity);
    format!(
        "{who}and its policy does not allow {} {}. To allow it{trap}, put this into the server's configuration and reload it:\n\n{}",
        answer.method,
        answer.path,
        yaml.trim_end()
    )
}

fn of_connection(cause: &Cause, peer: &Peer) -> Option<String> {
    let servers = &peer.servers;
    match cause {
        Cause::Connect(error) if error.kind() == ErrorKind::ConnectionRefused => {
            let local = if servers.contains("localhost") {
                "; 'localhost' may mean ::1, on which a server in a container often does not listen: try 127.0.0.1"
            } else {
                ""
            };
            Some(format!(
                "is the server running? {servers} comes from {}{local}",
                peer.origin
            ))
        }
        Cause::Connect(_) | Cause::Resolve(_) | Cause::Timeout { .. } => {
            Some(format!("{servers} comes from {}", peer.origin))
        }
        Cause::Tls { error, shown } => of_tls(error, shown.as_deref(), peer),
        Cause::Handshake(_) => Some(format!(
            "the other side ended the connection during the TLS handshake: does a server of this API listen on {servers}, which comes from {}?",
            peer.origin
        )),
        Cause::Http(_) => None,
    }
}

fn of_tls(
    error: &rustls::Error,
    shown: Option<&CertificateDer<'_>>,
    peer: &Peer,
) -> Option<String> {
    use CertificateError as Certificate;
    use rustls::Error as Tls;

    let shown = shown.and_then(|leaf| Shown::of(leaf).ok());
    let text = match error {
        Tls::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => of_name(shown.as_ref(), peer),
        Tls::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => of_dates(shown.as_ref()),
        Tls::InvalidCertificate(_) => of_stranger(shown.as_ref(), peer),
        Tls::AlertReceived(
            AlertDescription::AccessDenied
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA,
        ) => {
            "the server accepts only certificates of an authority it trusts, which an API key's never is: use one with --client-cert, or let the server run with 'tls.auth: off'".to_owned()
        }
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => format!(
            "{} does not speak TLS: is it the port of another program, or of a proxy that ends TLS?",
            peer.servers
        ),
        _ => return None,
    };
    Some(text)
}

/// The certificate is for somebody else.
fn of_name(shown: Option<&Shown>, peer: &Peer) -> String {
    match shown.map(|shown| shown.names.as_slice()) {
        None | Some([]) => "the server's certificate names no host; clients look at nothing but its subject alternative names, which 'kes identity new --dns NAME --ip ADDRESS' writes".to_owned(),
        Some(names) => format!(
            "the server's certificate is valid for {}; {} comes from {}: name the server by one of these",
            names.join(", "),
            peer.servers,
            peer.origin
        ),
    }
}

fn of_dates(shown: Option<&Shown>) -> String {
    let now = Clock::system().now_utc();
    let now = now.replace_nanosecond(0).unwrap_or(now);
    let now = now.format(&Rfc3339).unwrap_or_default();
    let valid = shown.map_or(String::new(), |shown| {
        format!(
            "it is valid from {} to {}, and ",
            shown.not_before, shown.not_after
        )
    });
    format!(
        "{valid}this computer's clock says {now}: renew the server's certificate, or set the clock"
    )
}

/// Nobody who is trusted vouches for the certificate.
fn of_stranger(shown: Option<&Shown>, peer: &Peer) -> String {
    let mut text = "nobody whom you trust vouches for the server's certificate".to_owned();
    if let Some(shown) = shown {
        text.push(':');
        for (label, value) in shown.fields() {
            let _ = write!(text, "\n   {label:8} {value}");
        }
        text.push_str("\nIf this is your server's fingerprint, trust the certificate");
    } else {
        text.push_str(": trust it");
    }
    let host = peer.servers.split(", ").next().unwrap_or_default();
    let _ = write!(
        text,
        ":\n   kes cert fetch {host} > ca.crt\n   export KES_CA=ca.crt\nor name that of its authority with --ca PATH; --insecure is for tests only"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        Peer {
            servers: "127.0.0.1:7373".into(),
            origin: "KES_SERVER".into(),
            identity: crate::identity::Identity::from_text("a050"),
        }
    }

    fn answer(status: u16, message: &str, path: &str, repeated: bool) -> Option<String> {
        let answer = Answer {
            status,
            message: message.into(),
            method: "POST",
            path: path.into(),
            repeated,
        };
        of_call(&Error::Answer(answer), &peer())
    }

    #[test]
    fn a_refusal_names_the_caller_and_the_rule_it_needs() {
        let refused = "not authorized: insufficient permissions";
        let hint = answer(403, refused, "/v1/key/create/k", false).unwrap();
        assert!(
            hint.contains("as a050, ")
                && hint.contains("- /v1/key/create/k\n    identities:\n    - a050")
        );
        let hint = answer(403, refused, "/v1/key/list/%2A", false).unwrap();
        assert!(
            hint.contains("- /v1/key/list/*\n") && hint.contains("'/*'"),
            "{hint}"
        );
    }

    #[test]
    fn a_repeated_request_is_told_only_where_it_matters() {
        let exists = |repeated| answer(400, "key already exists", "/v1/key/create/k", repeated);
        assert!(exists(true).unwrap().contains("repeated"));
        assert_eq!(exists(false), None);
    }

    #[test]
    fn a_refused_connection_names_the_origin_of_the_address() {
        let error = Error::Connection {
            request: String::new(),
            source: Cause::Connect(ErrorKind::ConnectionRefused.into()),
        };
        let hint = of_call(&error, &peer()).unwrap();
        assert!(hint.contains("127.0.0.1:7373 comes from KES_SERVER"));
    }
}
