//! Certificates, made when a test runs. Their identities are computed here, from the public key's bytes alone.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, PublicKeyData as _, RsaKeySize, SignatureAlgorithm, SigningKey as _,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate, what it needs to be used, and whom it stands for.
pub(crate) struct Cert {
    /// As it is sent: leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    /// Lower-case hexadecimal SHA-256 of the leaf's public key.
    pub(crate) identity: String,
    pair: KeyPair,
    params: CertificateParams,
}

impl Cert {
    /// A server's certificate for these names.
    pub(crate) fn server_of(names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        Self::self_signed(&rcgen::PKCS_ED25519, CertificateParams::new(names).unwrap())
    }

    /// A client's, as API keys make them: self-signed, Ed25519.
    pub(crate) fn client() -> Self {
        Self::self_signed(&rcgen::PKCS_ED25519, client_params())
    }

    /// A client's with a key of another kind.
    pub(crate) fn client_with(algorithm: &'static SignatureAlgorithm) -> Self {
        Self::self_signed(algorithm, client_params())
    }

    /// A client's with an RSA key of `size`.
    pub(crate) fn client_with_rsa(size: RsaKeySize) -> Self {
        let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
        Self::with_pair(pair, client_params())
    }

    /// A client's that was valid once.
    pub(crate) fn expired_client() -> Self {
        Self::self_signed(&rcgen::PKCS_ED25519, expired(client_params()))
    }

    /// A server's for 127.0.0.1.
    pub(crate) fn server() -> Self {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]);
        Self::self_signed(&rcgen::PKCS_ED25519, params.unwrap())
    }

    /// A server's that was valid once.
    pub(crate) fn expired_server() -> Self {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]);
        Self::self_signed(&rcgen::PKCS_ED25519, expired(params.unwrap()))
    }

    /// A server's that is not valid yet.
    pub(crate) fn future_server() -> Self {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2096, 1, 1);
        params.not_after = date_time_ymd(2097, 1, 1);
        Self::self_signed(&rcgen::PKCS_ED25519, params)
    }

    /// An authority's, which can sign others.
    pub(crate) fn authority() -> Self {
        let mut params = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self::self_signed(&rcgen::PKCS_ECDSA_P256_SHA256, params)
    }

    /// A client's, signed by this authority, which is not sent along.
    pub(crate) fn sign_client(&self) -> Self {
        self.sign(client_params())
    }

    /// A client's, signed by this authority, that was valid once.
    pub(crate) fn sign_expired_client(&self) -> Self {
        self.sign(expired(client_params()))
    }

    /// A certificate for servers only, signed by this authority.
    pub(crate) fn sign_server_only(&self) -> Self {
        let mut params = client_params();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Self {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let issuer = Issuer::from_params(&self.params, &self.pair);
        let der = params.signed_by(&pair, &issuer).unwrap().der().clone();
        Self::assembled(der, pair, params)
    }

    fn self_signed(algorithm: &'static SignatureAlgorithm, params: CertificateParams) -> Self {
        Self::with_pair(KeyPair::generate_for(algorithm).unwrap(), params)
    }

    /// One with this key and content, self-signed.
    pub(crate) fn with_pair(pair: KeyPair, params: CertificateParams) -> Self {
        let der = params.self_signed(&pair).unwrap().der().clone();
        Self::assembled(der, pair, params)
    }

    fn assembled(der: CertificateDer<'static>, pair: KeyPair, params: CertificateParams) -> Self {
        Self {
            identity: identity(&pair.subject_public_key_info()),
            chain: vec![der],
            key: PrivateKeyDer::try_from(pair.serialize_der()).unwrap(),
            pair,
            params,
        }
    }

    /// The same key and certificate, sent together with `more`.
    pub(crate) fn followed_by(mut self, more: &Self) -> Self {
        self.chain.extend(more.chain.iter().cloned());
        self
    }

    /// The same key, with another certificate for it.
    pub(crate) fn with_certificate(mut self, der: Vec<u8>) -> Self {
        self.chain = vec![CertificateDer::from(der)];
        self
    }

    /// The public key, as it stands in a certificate.
    pub(crate) fn public_key(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// What this key signs `bytes` with.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).unwrap()
    }

    /// The private key as PEM.
    pub(crate) fn key_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// The first certificate as PEM.
    pub(crate) fn pem(&self) -> String {
        let text = STANDARD.encode(&self.chain[0]);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(64) {
            let _ = writeln!(pem, "{}", std::str::from_utf8(line).unwrap());
        }
        pem + "-----END CERTIFICATE-----\n"
    }
}

/// What api.md 2 says an identity is.
pub(crate) fn identity(spki: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest(&SHA256, spki).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn client_params() -> CertificateParams {
    let mut params = named("client");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 1);
    params
}
