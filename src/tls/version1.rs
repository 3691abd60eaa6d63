//! Client certificates of version 1, plain `openssl x509 -req` output: the TLS library judges version 3 only, and clients have both
//! (api.md 1.2).
//!
//! A version 1 certificate has no extensions, so it cannot say what it is for, and nothing can say that its issuer is an authority: it
//! is taken only from an authority that is itself trusted, never over an intermediate one.

use rustls::{
    CertificateError, RootCertStore,
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{SubjectPublicKeyInfoDer, TrustAnchor, UnixTime},
};
use webpki::RawPublicKeyEntity;
use x509_parser::{
    der_parser::asn1_rs::{Any, FromDer},
    prelude::{X509Certificate, X509Version},
};

/// Whether `cert` is of version 1.
pub(super) fn is(cert: &X509Certificate<'_>) -> bool {
    cert.version() == X509Version::V1
}

/// Checks that one of `roots` has signed `cert`, and that `cert` is valid `now`.
///
/// # Errors
/// As a certificate of version 3 would give them.
pub(super) fn verify(
    cert: &X509Certificate<'_>,
    roots: &RootCertStore,
    algorithms: &WebPkiSupportedAlgorithms,
    now: UnixTime,
) -> Result<(), CertificateError> {
    let issuer = content(cert.issuer().as_raw()).ok_or(CertificateError::BadEncoding)?;
    let mut named = roots
        .roots
        .iter()
        .filter(|root| root.subject.as_ref() == issuer && root.name_constraints.is_none());
    if !named.any(|root| has_signed(root, cert, algorithms)) {
        return Err(CertificateError::UnknownIssuer);
    }
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < cert.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet);
    }
    if now > cert.validity().not_after.timestamp() {
        return Err(CertificateError::Expired);
    }
    Ok(())
}

fn has_signed(
    root: &TrustAnchor<'_>,
    cert: &X509Certificate<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let spki = SubjectPublicKeyInfoDer::from(sequence(root.subject_public_key_info.as_ref()));
    let Ok(key) = RawPublicKeyEntity::try_from(&spki) else {
        return false;
    };
    let oid = cert.signature_algorithm.algorithm.as_bytes();
    // The identifier starts with the tag, the length and the bytes of the algorithm's name. Several algorithms may share a name and differ
    // in parameters; only the right one verifies.
    let is_named = |id: &[u8]| id.get(2..).is_some_and(|rest| rest.starts_with(oid));
    algorithms
        .all
        .iter()
        .filter(|algorithm| is_named(algorithm.signature_alg_id().as_ref()))
        .any(|algorithm| {
            let signature = cert.signature_value.as_ref();
            key.verify_signature(*algorithm, cert.tbs_certificate.as_ref(), signature)
                .is_ok()
        })
}

/// What is inside of a DER value.
fn content(der: &[u8]) -> Option<&[u8]> {
    Any::from_der(der).ok().map(|(_, value)| value.data)
}

/// `content` as a DER sequence.
fn sequence(content: &[u8]) -> Vec<u8> {
    let len = content.len().to_be_bytes();
    let significant: Vec<u8> = len.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![0x30];
    match u8::try_from(content.len()) {
        Ok(short @ ..0x80) => der.push(short),
        // At most eight bytes of length, so the count fits.
        _ => {
            der.push(0x80 | u8::try_from(significant.len()).unwrap_or(0));
            der.extend(significant);
        }
    }
    der.extend_from_slice(content);
    der
}
