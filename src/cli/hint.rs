//! Remedies for what goes wrong between client and server (cli.md 19.4).

use std::io::ErrorKind;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::connect::Peer;
use crate::client::error::{Answer, Cause, Error};

/// What to do about a failed call, if there is anything to say.
pub(super) fn of_call(error: &Error, peer: &Peer) -> Option<String> {
    match error {
        Error::Answer(answer) => of_answer(answer, peer),
        Error::Connection { source, .. } => of_connection(source, peer),
        Error::InvalidName(_) => Some(
            "a name has 1 to 80 of the characters 0-9 A-Z a-z - _, and '-' is neither the first nor the last"
                .to_owned(),
        ),
        Error::InvalidPattern(_) => Some("a pattern is the start of a name and may end in one '*'".to_owned()),
        Error::Malformed { .. } | Error::TooLarge { .. } => {
            Some(format!("is {} a server of this API?", peer.servers))
        }
        Error::Setup(_) => None,
    }
}

fn of_answer(answer: &Answer, peer: &Peer) -> Option<String> {
    match (answer.status, answer.message.as_str()) {
        (400, "key already exists") | (404, "key does not exist") if answer.repeated => Some(
            "the request was repeated after a lost connection; the first attempt may have succeeded".to_owned(),
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
        (404, message) if !message.ends_with("does not exist") => Some(format!(
            "is {} a server of this API, and a recent one?",
            peer.servers
        )),
        _ => None,
    }
}

fn of_refusal(answer: &Answer, peer: &Peer) -> String {
    let listing = answer.path.split_once("/list/");
    let rule = match listing {
        Some((before, _)) => format!("{before}/list/*"),
        None => answer.path.clone(),
    };
    let who = match &peer.identity {
        Some(identity) => format!("the server knows this client as {identity}; "),
        None => String::new(),
    };
    let trap = if listing.is_some() {
        " (a rule without '/*' matches no listing)"
    } else {
        ""
    };
    format!("{who}its policy must allow '{rule}'{trap}")
}

fn of_connection(cause: &Cause, peer: &Peer) -> Option<String> {
    let servers = &peer.servers;
    match cause {
        Cause::Connect(error) if error.kind() == ErrorKind::ConnectionRefused => Some(format!(
            "is the server running? {servers} comes from {}",
            peer.origin
        )),
        Cause::Connect(_) | Cause::Resolve(_) | Cause::Timeout { .. } => {
            Some(format!("{servers} comes from {}", peer.origin))
        }
        Cause::Tls(error) => of_tls(error),
        Cause::Http(_) | Cause::Handshake(_) => None,
    }
}

fn of_tls(error: &rustls::Error) -> Option<String> {
    use CertificateError as Certificate;
    use rustls::Error as Tls;

    let text = match error {
        Tls::InvalidCertificate(Certificate::UnknownIssuer) => {
            "name the certificate of the server or its authority with --ca PATH or KES_CA; --insecure only for tests"
        }
        Tls::InvalidCertificate(Certificate::NotValidForNameContext { presented, .. }) => {
            return Some(match presented.as_slice() {
                [] => "the server's certificate names no host".to_owned(),
                names => format!("the server's certificate is valid for {}", names.join(", ")),
            });
        }
        Tls::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => "renew the server's certificate, or set this computer's clock",
        Tls::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA,
        ) => {
            "the server accepts only certificates of an authority it trusts, which an API key's never is: use one with --client-cert, or let the server run with 'tls.auth: off'"
        }
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => "the server does not speak TLS",
        _ => return None,
    };
    Some(text.to_owned())
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
        assert!(hint.contains("a050") && hint.contains("'/v1/key/create/k'"));
        let hint = answer(403, refused, "/v1/key/list/%2A", false).unwrap();
        assert!(hint.contains("'/v1/key/list/*'"), "{hint}");
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

    #[test]
    fn a_wrong_name_lists_the_right_ones() {
        let tls = CertificateError::NotValidForNameContext {
            expected: "a".try_into().unwrap(),
            presented: vec!["b".into(), "c".into()],
        };
        let hint = of_tls(&rustls::Error::InvalidCertificate(tls)).unwrap();
        assert!(hint.ends_with("b, c"));
    }
}
