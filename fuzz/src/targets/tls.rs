//! Certificates and the files that hold them.

use kes::{
    identity::{ChainError, Identity},
    pem,
    tls::certs,
};
use sha2::{Digest, Sha256};

/// The first certificate of a chain is the identity, and only if it alone can be. A chain is a sequence of certificates, each after its
/// length in two bytes; other data counts as one certificate.
pub fn certificate(data: &[u8]) {
    let chain = chain(data).unwrap_or_else(|| vec![data]);
    let alone: Vec<_> = chain
        .iter()
        .map(|cert| Identity::of_chain(&[cert]))
        .collect();
    for (cert, alone) in chain.iter().zip(&alone) {
        let identity = Identity::of_certificate(cert);
        match alone {
            Ok(alone) => assert_eq!(identity.as_ref(), Ok(alone)),
            Err(ChainError::Missing) => assert!(identity.is_ok(), "a CA is a certificate, too"),
            Err(error) => assert_eq!(identity.as_ref(), Err(error)),
        }
        if let Ok(identity) = identity {
            assert!(identity.is_hash());
            assert!(holds_key(cert, &identity));
            let longer = [cert, &b"\0"[..]].concat();
            assert_eq!(
                Identity::of_certificate(&longer),
                Err(ChainError::Malformed)
            );
        }
        let _ = certs::names_a_host(&(*cert).into());
    }
    let of_chain = Identity::of_chain(&chain);
    let others_are_authorities = alone
        .iter()
        .skip(1)
        .all(|alone| *alone == Err(ChainError::Missing));
    match alone.first() {
        Some(Ok(first)) if others_are_authorities => assert_eq!(of_chain.as_ref(), Ok(first)),
        _ => assert!(of_chain.is_err()),
    }
}

fn chain(mut data: &[u8]) -> Option<Vec<&[u8]>> {
    let mut chain = Vec::new();
    while !data.is_empty() {
        let (len, rest) = data.split_first_chunk()?;
        let (cert, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        chain.push(cert);
        data = rest;
    }
    Some(chain)
}

/// Whether `identity` is the hash of a DER sequence that stands somewhere in `cert`: a public key cannot be made up.
fn holds_key(cert: &[u8], identity: &Identity) -> bool {
    (0..cert.len()).any(|start| {
        sequence(&cert[start..]).is_some_and(|spki| {
            let hash = Sha256::digest(spki);
            let digits: Vec<_> = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            digits.concat() == identity.as_str()
        })
    })
}

/// The DER sequence that `der` starts with.
fn sequence(der: &[u8]) -> Option<&[u8]> {
    let (head, len) = match der {
        [0x30, len @ ..=0x7f, ..] => (2, usize::from(*len)),
        [0x30, 0x81, len, ..] => (3, usize::from(*len)),
        [0x30, 0x82, high, low, ..] => (4, usize::from(u16::from_be_bytes([*high, *low]))),
        [0x30, 0x83, a, b, c, ..] => {
            let len = u32::from_be_bytes([0, *a, *b, *c]);
            (5, usize::try_from(len).ok()?)
        }
        _ => return None,
    };
    der.get(..head + len)
}

/// Blocks read back as they are written, and files of certificates hold nothing else.
pub fn pem(data: &[u8]) {
    let blocks = pem::decode(data);
    for block in blocks.iter().flatten() {
        let text = pem::encode(block.label(), block.der());
        let again = pem::decode(text.expose()).expect("our own block");
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].label(), block.label());
        assert_eq!(again[0].der(), block.der());
    }
    if let Ok(chain) = certs::chain(data) {
        assert!(!chain.is_empty());
        for cert in &chain {
            let _ = certs::names_a_host(cert);
        }
        assert!(certs::key(data, None).is_err(), "a chain is no key");
    }
    if let Ok(key) = certs::key(data, None) {
        assert!(!key.is_empty());
    }
}
