//! Identities, against the known answers of `compat/vectors/identity.json`.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kes::{
    apikey::ApiKey,
    certificate::SelfSigned,
    identity::{ChainError, Identity},
};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("compat/vectors/identity.json")).expect("the file is JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}

#[test]
fn api_keys_give_the_published_identities() {
    let vectors = vectors();
    let cases = list(&vectors["api_keys"]);
    assert!(!cases.is_empty());
    for case in cases {
        let written = text(&case["api_key_text"]);
        let key = ApiKey::parse(written).expect("a valid key");
        assert_eq!(key.identity().as_str(), text(&case["identity"]));
        let spki = hex(&key.spki());
        assert_eq!(spki, text(&case["spki_hex"]));
        assert!(spki.ends_with(text(&case["public_key_hex"])));
        assert_eq!(key.text().expose(), written.as_bytes());
        let bare = written.strip_prefix("kes:v1:").expect("the prefix");
        let bare = ApiKey::parse(bare).expect("the prefix is optional");
        assert_eq!(bare.identity(), key.identity());
    }
}

#[test]
fn texts_that_are_no_api_keys_are_refused() {
    let vectors = vectors();
    let cases = list(&vectors["refused_api_keys"]);
    assert!(!cases.is_empty());
    for case in cases {
        assert!(ApiKey::parse(text(case)).is_err(), "{case}");
    }
}

#[test]
fn chains_give_the_first_certificates_identity_or_the_published_error() {
    let vectors = vectors();
    let der = |name: &Value| {
        let cert = &vectors["certificates"][text(name)];
        STANDARD.decode(text(&cert["der"])).expect("base64")
    };
    let cases = list(&vectors["chains"]);
    assert!(!cases.is_empty());
    for case in cases {
        let chain: Vec<Vec<u8>> = list(&case["chain"]).iter().map(der).collect();
        let got = Identity::of_chain(&chain).map_err(|error| error.to_string());
        let expected = match case["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(Identity::from_text(text(&case["identity"])).expect("not empty")),
        };
        assert_eq!(got, expected, "{}", case["chain"]);
    }
}

#[test]
fn the_same_key_has_the_same_identity_in_every_certificate() {
    let vectors = vectors();
    let seed = STANDARD.decode(text(&vectors["ed25519_seeds"]["leaf"]));
    let seed = [&[0], &seed.expect("base64")[..]].concat();
    let key = ApiKey::parse(&STANDARD.encode(seed)).expect("a seed");
    let now = kes::clock::Clock::test().now_utc();
    let ours = SelfSigned::for_client(now).sign(&key).expect("randomness");
    let theirs = STANDARD.decode(text(&vectors["certificates"]["leaf"]["der"]));
    assert_eq!(
        Identity::of_chain(&[ours]),
        Identity::of_chain(&[theirs.expect("base64")])
    );
}

#[test]
fn what_is_no_certificate_is_malformed() {
    for bad in [&b""[..], b"0", &[0x30; 400]] {
        assert_eq!(Identity::of_chain(&[bad]), Err(ChainError::Malformed));
    }
    let vectors = vectors();
    let leaf = STANDARD.decode(text(&vectors["certificates"]["leaf"]["der"]));
    let mut longer = leaf.expect("base64");
    longer.push(0);
    assert_eq!(
        Identity::of_certificate(&longer),
        Err(ChainError::Malformed)
    );
}
