//! The certificates, read back by two other implementations.

use ::time::macros::datetime;
use webpki::EndEntityCert;
use x509_parser::prelude::*;

use super::*;

fn key() -> ApiKey {
    ApiKey::parse("kes:v1:AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f").unwrap()
}

fn localhost() -> SelfSigned {
    SelfSigned {
        subject: Some("localhost".into()),
        dns: vec!["localhost".into()],
        ip: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        usage: Usage::Both,
        not_before: datetime!(2024-01-01 0:00 UTC),
        not_after: datetime!(2055-06-30 23:59:58 UTC),
    }
}

#[test]
fn the_fields_are_those_of_the_table_in_their_order() {
    let der = localhost().sign(&key()).unwrap();
    let (rest, cert) = X509Certificate::from_der(&der).unwrap();
    assert!(rest.is_empty());
    assert_eq!(cert.version(), X509Version::V3);
    assert_eq!(cert.subject().to_string(), "CN=localhost");
    assert_eq!(cert.issuer(), cert.subject());
    assert_eq!(cert.validity().not_before.timestamp(), 1_704_067_200);
    assert_eq!(
        cert.validity().not_after.to_datetime(),
        localhost().not_after
    );
    assert_eq!(cert.public_key().raw, key().spki());
    let oids: Vec<_> = cert
        .extensions()
        .iter()
        .map(|extension| (extension.oid.to_id_string(), extension.critical))
        .collect();
    let expected = [
        ("2.5.29.15", true),
        ("2.5.29.37", false),
        ("2.5.29.19", true),
        ("2.5.29.17", false),
    ];
    assert_eq!(
        oids,
        expected.map(|(oid, critical)| (oid.to_owned(), critical))
    );
    let usage = cert.key_usage().unwrap().unwrap().value;
    assert_eq!(usage.flags, 1, "digital signature alone");
    let purposes = cert.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.client_auth && purposes.server_auth && purposes.other.is_empty());
    let constraints = cert.basic_constraints().unwrap().unwrap().value;
    assert!(!constraints.ca && constraints.path_len_constraint.is_none());
    let names = &cert.subject_alternative_name().unwrap().unwrap().value;
    assert_eq!(names.general_names.len(), 3);
}

#[test]
fn the_signature_verifies_under_its_own_key() {
    let der = localhost().sign(&key()).unwrap();
    let (_, cert) = X509Certificate::from_der(&der).unwrap();
    aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ED25519,
        &cert.public_key().subject_public_key.data,
    )
    .verify(cert.tbs_certificate.as_ref(), &cert.signature_value.data)
    .unwrap();
}

#[test]
fn webpki_takes_it_for_its_names_and_no_others() {
    let der = rustls_pki_types::CertificateDer::from(localhost().sign(&key()).unwrap());
    let cert = EndEntityCert::try_from(&der).unwrap();
    let valid = |name: &str| {
        let name = rustls_pki_types::ServerName::try_from(name.to_owned()).unwrap();
        cert.verify_is_valid_for_subject_name(&name).is_ok()
    };
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert!(valid(name), "{name}");
    }
    for name in ["example.org", "127.0.0.2", "::2"] {
        assert!(!valid(name), "{name}");
    }
}

#[test]
fn a_clients_certificate_carries_its_identity_and_no_names() {
    let now = datetime!(2025-03-04 5:06:07.89 UTC);
    let der = SelfSigned::for_client(now).sign(&key()).unwrap();
    let (_, cert) = X509Certificate::from_der(&der).unwrap();
    let identity = key().identity();
    assert_eq!(cert.subject().to_string(), format!("CN={identity}"));
    let validity = cert.validity();
    assert_eq!(
        validity.not_after.timestamp() - validity.not_before.timestamp(),
        90 * 24 * 3600
    );
    let purposes = cert.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.client_auth && !purposes.server_auth);
    assert!(cert.subject_alternative_name().unwrap().is_none());
    assert_eq!(
        crate::identity::Identity::of_certificate(&der).unwrap(),
        identity
    );
}

#[test]
fn every_certificate_has_its_own_serial_number() {
    let serial = || {
        let der = localhost().sign(&key()).unwrap();
        let (_, cert) = X509Certificate::from_der(&der).unwrap();
        cert.raw_serial().to_vec()
    };
    let (one, other) = (serial(), serial());
    assert_ne!(one, other);
    assert!(
        one.len() <= 17 && one[0] & 0x80 == 0,
        "positive, below 2^128"
    );
}

#[test]
fn long_contents_get_a_long_length() {
    let mut cert = localhost();
    cert.dns = (0..40).map(|n| format!("host-{n}.example.org")).collect();
    let der = cert.sign(&key()).unwrap();
    let (_, cert) = X509Certificate::from_der(&der).unwrap();
    let names = &cert.subject_alternative_name().unwrap().unwrap().value;
    assert_eq!(names.general_names.len(), 42);
}
