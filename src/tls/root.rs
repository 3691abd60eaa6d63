//! Certificates that a trusted root has signed itself, and that the TLS library declines for their form alone (api.md 1.2): those of
//! version 1, as plain `openssl x509 -req` writes them, and self-signed authorities that show themselves, as `openssl req -x509` makes
//! them.
//!
//! Neither has a path to be built: one root, one signature. Version 1 certificates below an intermediate are not taken.

use pkcs8::der::{Encode as _, Tag, asn1::AnyRef};
use rustls::{
    CertificateError, RootCertStore,
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime},
};
use webpki::RawPublicKeyEntity;
use x509_parser::{
    certificate::X509Certificate, extensions::ExtendedKeyUsage, prelude::FromDer, x509::X509Version,
};

/// A root's name and key, as they stand in certificates.
#[derive(Debug)]
struct Root {
    name: Vec<u8>,
    key: SubjectPublicKeyInfoDer<'static>,
}

/// The roots that sign directly.
#[derive(Debug)]
pub(super) struct Roots(Vec<Root>);

impl Roots {
    /// Those of `store`. What a root with constraints may vouch for takes more than a look at one signature: it is left out.
    pub(super) fn of(store: &RootCertStore) -> Self {
        let free = store
            .roots
            .iter()
            .filter(|root| root.name_constraints.is_none());
        let whole = |root: &rustls::pki_types::TrustAnchor<'_>| {
            Some(Root {
                name: sequence(&root.subject)?,
                key: SubjectPublicKeyInfoDer::from(sequence(&root.subject_public_key_info)?),
            })
        };
        Self(free.filter_map(whole).collect())
    }

    /// Judges a certificate of one of the two forms; `None` if it is of neither, or if no root has signed it.
    pub(super) fn judge(
        &self,
        cert: &CertificateDer<'_>,
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Option<Result<(), CertificateError>> {
        let ([], cert) = X509Certificate::from_der(cert).ok()? else {
            return None;
        };
        let issuer = cert.tbs_certificate.issuer.as_raw();
        let key = cert.tbs_certificate.subject_pki.raw;
        let old = cert.version() == X509Version::V1;
        let signed = self
            .0
            .iter()
            .filter(|root| root.name == issuer && (old || root.key.as_ref() == key))
            .any(|root| has_signed(root, &cert, algorithms));
        if !signed {
            return None;
        }
        let usage = cert.extended_key_usage().ok()?;
        if usage.is_some_and(|usage| !is_for_clients(usage.value)) {
            return Some(Err(CertificateError::InvalidPurpose));
        }
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Some(if now < cert.validity().not_before.timestamp() {
            Err(CertificateError::NotValidYet)
        } else if now > cert.validity().not_after.timestamp() {
            Err(CertificateError::Expired)
        } else {
            Ok(())
        })
    }
}

fn has_signed(
    root: &Root,
    cert: &X509Certificate<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let Ok(key) = RawPublicKeyEntity::try_from(&root.key) else {
        return false;
    };
    // The algorithm that the certificate names is not asked for: what counts is that a good one holds, and at most one fits.
    algorithms.all.iter().any(|algorithm| {
        let (text, signature) = (cert.tbs_certificate.as_ref(), &cert.signature_value.data);
        key.verify_signature(*algorithm, text, signature).is_ok()
    })
}

fn is_for_clients(usage: &ExtendedKeyUsage<'_>) -> bool {
    usage.any || usage.client_auth
}

/// Puts back the outermost header, which the TLS library takes off roots.
fn sequence(content: &[u8]) -> Option<Vec<u8>> {
    AnyRef::new(Tag::Sequence, content).ok()?.to_der().ok()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command, time::Duration};

    use rustls::{crypto::aws_lc_rs, pki_types::pem::PemObject};

    use super::*;

    const NEW: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30";

    /// Runs `openssl` in `folder`; arguments are split at spaces.
    fn openssl(folder: &Path, arguments: &str) {
        let mut command = Command::new("openssl");
        let command = command.args(arguments.split(' ')).current_dir(folder);
        let output = command.output().expect("the openssl command is there");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {error}");
    }

    fn read(folder: &Path, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
    }

    #[test]
    fn what_a_root_signed_itself_is_judged_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for (name, more) in [
            ("ca", ""),
            ("forger", ""),
            ("server", " -addext extendedKeyUsage=serverAuth"),
        ] {
            // The forger has the authority's name, and a key of its own.
            let subject = if name == "server" { "server" } else { "ca" };
            openssl(
                path,
                &format!(
                    "req -x509 {NEW} -keyout {name}.key -out {name} -subj /CN={subject}{more}"
                ),
            );
        }
        openssl(
            path,
            &format!("req -new {NEW} -keyout leaf.key -out request -subj /CN=leaf"),
        );
        for (authority, name) in [("ca", "leaf"), ("forger", "forged")] {
            openssl(
                path,
                &format!(
                    "x509 -req -in request -CA {authority} -CAkey {authority}.key -CAcreateserial -days 30 -out {name}"
                ),
            );
        }
        openssl(
            path,
            &format!(
                "req -x509 {NEW} -CA ca -CAkey ca.key -keyout below.key -out below -subj /CN=below"
            ),
        );
        let mut store = RootCertStore::empty();
        store.add(read(path, "ca")).unwrap();
        store.add(read(path, "server")).unwrap();
        let roots = Roots::of(&store);
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        let now = UnixTime::now();
        let judge = |name| roots.judge(&read(path, name), now, &algorithms);
        // Of version 1, and the root itself.
        for name in ["leaf", "ca"] {
            assert_eq!(judge(name), Some(Ok(())), "{name}");
        }
        // Signed by a stranger with a known name; of version 3 and so none of ours.
        for name in ["forged", "forger", "below"] {
            assert_eq!(judge(name), None, "{name}");
        }
        assert_eq!(judge("server"), Some(Err(CertificateError::InvalidPurpose)));
        let at = |seconds| {
            let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            roots.judge(&read(path, "leaf"), now, &algorithms)
        };
        assert_eq!(at(0), Some(Err(CertificateError::NotValidYet)));
        assert_eq!(at(1 << 40), Some(Err(CertificateError::Expired)));
    }
}
