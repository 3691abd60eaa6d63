//! Which certificates are accepted, and why others are not.

use ::time::{Duration, OffsetDateTime, macros::datetime};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;

use super::*;
use crate::{
    apikey::ApiKey,
    certificate::{SelfSigned, Usage},
};

const NOW: OffsetDateTime = datetime!(2025-01-01 0:00 UTC);

fn leaf(days: i64) -> CertificateDer<'static> {
    let certificate = SelfSigned {
        subject: Some("localhost".into()),
        dns: vec!["localhost".into()],
        ip: vec!["127.0.0.1".parse().unwrap()],
        usage: Usage::Both,
        not_before: NOW,
        not_after: NOW + Duration::days(days),
    };
    let der = certificate.sign(&ApiKey::generate().unwrap()).unwrap();
    CertificateDer::from(der)
}

/// As `openssl req -x509` makes them: self-signed, and an authority.
fn self_signed_authority() -> CertificateDer<'static> {
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.not_before, params.not_after) = (NOW, NOW + Duration::days(10));
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().clone()
}

fn judge(
    trust: &[&CertificateDer<'static>],
    server: &CertificateDer<'static>,
    name: &str,
    at: OffsetDateTime,
) -> Result<(), rustls::Error> {
    let trust = Trust::Known {
        system: false,
        extra: trust.iter().map(|der| (*der).clone()).collect(),
    };
    let verifier = Verifier::new(
        trust,
        Arc::new(aws_lc_rs::default_provider()),
        Shown::default(),
    );
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let seconds = std::time::Duration::from_secs(at.unix_timestamp().try_into().unwrap());
    let now = UnixTime::since_unix_epoch(seconds);
    verifier
        .verify_server_cert(server, &[], &name, &[], now)
        .map(|_| ())
}

fn is(verdict: Result<(), rustls::Error>, expected: &str) -> bool {
    let error = verdict.unwrap_err();
    format!("{error:?}").contains(expected)
}

#[test]
fn a_self_signed_certificate_is_accepted_if_the_user_names_it() {
    let later = NOW + Duration::days(1);
    for server in [leaf(10), self_signed_authority()] {
        judge(&[&server], &server, "localhost", later).unwrap();
        let stranger = leaf(10);
        assert!(is(judge(&[], &server, "localhost", later), "UnknownIssuer"));
        assert!(judge(&[&stranger], &server, "localhost", later).is_err());
    }
    let server = leaf(10);
    judge(
        &[&self_signed_authority(), &server],
        &server,
        "127.0.0.1",
        later,
    )
    .unwrap();
}

#[test]
fn an_authority_of_the_same_name_with_another_key_is_not_the_issuer() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = rcgen::DnValue::Utf8String("localhost".into());
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().der().clone();
    let verdict = judge(&[&authority], &leaf(10), "localhost", NOW);
    assert!(is(verdict, "UnknownIssuer"));
}

#[test]
fn names_and_dates_count_also_for_a_certificate_the_user_names() {
    for server in [leaf(10), self_signed_authority()] {
        let judge = |name, at| judge(&[&server], &server, name, at);
        let (before, later) = (NOW - Duration::days(1), NOW + Duration::days(1));
        assert!(is(judge("example.org", later), "NotValidForName"));
        assert!(is(judge("localhost", before), "NotValidYet"));
        assert!(is(judge("localhost", NOW + Duration::days(11)), "Expired"));
    }
}

#[test]
fn a_directory_gives_the_certificates_of_all_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (leaf(1), leaf(2));
    for (name, der) in [("b.crt", &two), ("a.crt", &one)] {
        let text = pem::encode("CERTIFICATE", der);
        fs::write(dir.path().join(name), text.expose()).unwrap();
    }
    fs::create_dir(dir.path().join("..data")).unwrap();
    assert_eq!(certificates_at(dir.path()).unwrap(), [one.clone(), two]);
    assert_eq!(certificates_at(&dir.path().join("a.crt")).unwrap(), [one]);

    fs::write(dir.path().join("c.crt"), "no certificate").unwrap();
    let error = certificates_at(dir.path()).unwrap_err();
    assert!(matches!(error, InvalidTrust::Empty(path) if path.ends_with("c.crt")));
    let error = certificates_at(&dir.path().join("none")).unwrap_err();
    assert!(matches!(error, InvalidTrust::File { .. }));
}
