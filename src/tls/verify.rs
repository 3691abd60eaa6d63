//! What is asked of a client's certificate in the handshake (api.md 1.2).
//!
//! The client always proves that it holds the private key of the first certificate it sends. Whether the certificate must also chain
//! to a trusted root is `tls.auth`'s to say; without it neither validity nor version nor usage is looked at.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved,
    RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime},
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use webpki::RawPublicKeyEntity;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::version1;

/// Judges the certificates of clients.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
    /// Judges the chain; `None` takes any.
    chain: Option<Chain>,
}

/// What a client's certificate must chain to.
#[derive(Debug)]
struct Chain {
    roots: Arc<RootCertStore>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientVerifier {
    /// Takes any certificate whose private key the client holds.
    pub(super) fn any(provider: &CryptoProvider, mandatory: bool) -> Self {
        Self {
            mandatory,
            algorithms: provider.signature_verification_algorithms,
            chain: None,
        }
    }

    /// Takes certificates that chain to one of `roots`, are valid now, and may be used by clients.
    pub(super) fn verified(
        provider: &Arc<CryptoProvider>,
        mandatory: bool,
        roots: RootCertStore,
    ) -> Result<Self, VerifierBuilderError> {
        let roots = Arc::new(roots);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build()?;
        Ok(Self {
            chain: Some(Chain { roots, verifier }),
            ..Self::any(provider, mandatory)
        })
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    /// Empty: a client that gets a list and finds its own issuer missing sends no certificate at all (api.md D-18).
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(chain) = &self.chain {
            let first = parse(end_entity)?;
            if version1::is(&first) {
                version1::verify(&first, &chain.roots, &self.algorithms, now)?;
                return Ok(ClientCertVerified::assertion());
            }
            let verified = chain
                .verifier
                .verify_client_cert(end_entity, intermediates, now);
            return verified.map_err(|error| match error {
                // Signed by an authority that only has a trusted one's name.
                Error::InvalidCertificate(CertificateError::BadSignature) => {
                    CertificateError::UnknownIssuer.into()
                }
                // Ends the handshake with the alert that clients know for it (api.md 1.2); what the log says names both causes.
                Error::InvalidCertificate(
                    CertificateError::InvalidPurpose
                    | CertificateError::InvalidPurposeContext { .. },
                ) => malformed(),
                error => error,
            });
        }
        for cert in std::iter::once(end_entity).chain(intermediates) {
            parse(cert)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = public_key(cert)?;
        let key = RawPublicKeyEntity::try_from(&spki).map_err(|_| malformed())?;
        let algorithms = self
            .algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == dss.scheme)
            .map(|(_, algorithms)| *algorithms)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // TLS 1.2 names the hash but not the curve, so a scheme stands for several algorithms; at most one fits the key.
        for algorithm in algorithms {
            if key
                .verify_signature(*algorithm, message, dss.signature())
                .is_ok()
            {
                return Ok(HandshakeSignatureValid::assertion());
            }
        }
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(message, &public_key(cert)?, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The public key of a certificate, taken out by hand because the TLS library knows only version 3, and clients also have version 1
/// (plain `openssl x509 -req` output).
fn public_key(cert: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let spki = parse(cert)?.tbs_certificate.subject_pki.raw.to_vec();
    Ok(SubjectPublicKeyInfoDer::from(spki))
}

fn parse<'a>(cert: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    match X509Certificate::from_der(cert) {
        Ok(([], cert)) => Ok(cert),
        _ => Err(malformed()),
    }
}

/// Ends the handshake with the alert `bad_certificate`.
fn malformed() -> Error {
    CertificateError::BadEncoding.into()
}
