//! [`ApiKey`]: an Ed25519 private key in one line of text (api.md 14.5, cli.md 9.6).
//!
//! `kes:v1:` and then 44 characters of base64: one zero byte and the 32-byte seed. Who holds an API key makes its own certificate
//! from it; the server knows that certificate by the hash of its public key, which never changes.

use aws_lc_rs::{
    encoding::AsBigEndian as _,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    identity::Identity,
    secret::{NoRandomness, Secret},
};

/// What the text of an API key starts with.
pub const PREFIX: &str = "kes:v1:";
/// Length of the base64 after [`PREFIX`].
const BASE64_LEN: usize = 44;
/// Length of an Ed25519 seed in bytes.
const SEED_LEN: usize = 32;
/// PKCS#8 version 1 up to the seed (RFC 8410 section 7). Version 2, with the public key inside, is unreadable for OpenSSL 3.0.
const PKCS8_HEAD: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// `SubjectPublicKeyInfo` up to the public key (RFC 8410 section 4).
const SPKI_HEAD: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// The text is no API key. Says nothing of the text: it may be one with a slip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an API key: kes:v1: and 44 characters of base64")]
pub struct InvalidApiKey;

/// An Ed25519 private key.
pub struct ApiKey {
    seed: Secret,
    pair: Ed25519KeyPair,
}

impl ApiKey {
    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has none to give.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "any 32 bytes are a seed"
    )]
    pub fn generate() -> Result<Self, NoRandomness> {
        let seed = Secret::random(SEED_LEN)?;
        Ok(Self::from_seed(seed).expect("32 bytes"))
    }

    /// Reads the text form. The prefix may be missing.
    ///
    /// # Errors
    /// [`InvalidApiKey`] if it is another prefix, no strict base64, or not a zero byte and 32 more.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKey> {
        let base64 = text.strip_prefix(PREFIX).unwrap_or(text);
        // Room for what the decoder estimates before it knows the padding.
        let mut bytes = Zeroizing::new([0; SEED_LEN + 4]);
        if base64.len() != BASE64_LEN {
            return Err(InvalidApiKey);
        }
        let len = STANDARD
            .decode_slice(base64, &mut *bytes)
            .map_err(|_| InvalidApiKey)?;
        match bytes.split_at_checked(len) {
            Some(([0, seed @ ..], _)) => Self::from_seed(Secret::copy_from(seed)),
            _ => Err(InvalidApiKey),
        }
    }

    /// Reads an unencrypted PKCS#8 Ed25519 key, version 1 or 2.
    ///
    /// # Errors
    /// [`InvalidApiKey`] if it is another kind of key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, InvalidApiKey> {
        // Checks the structure, and for version 2 that the public key belongs to the seed.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| InvalidApiKey)?;
        let seed = pair.seed().map_err(|_| InvalidApiKey)?;
        let bytes = seed.as_be_bytes().map_err(|_| InvalidApiKey)?;
        Self::from_seed(Secret::copy_from(bytes.as_ref()))
    }

    fn from_seed(seed: Secret) -> Result<Self, InvalidApiKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| InvalidApiKey)?;
        Ok(Self { seed, pair })
    }

    /// The text form with its prefix: 51 ASCII characters.
    pub fn text(&self) -> Secret {
        let mut bytes = Zeroizing::new([0; SEED_LEN + 1]);
        for (to, from) in bytes.iter_mut().skip(1).zip(self.seed.expose()) {
            *to = *from;
        }
        let base64 = Zeroizing::new(STANDARD.encode(*bytes));
        Secret::with(PREFIX.len() + base64.len(), |out| {
            let text = PREFIX.bytes().chain(base64.bytes());
            for (to, from) in out.iter_mut().zip(text) {
                *to = from;
            }
        })
    }

    /// The private key as PKCS#8 version 1: 48 bytes.
    pub fn pkcs8(&self) -> Secret {
        Secret::with(PKCS8_HEAD.len() + SEED_LEN, |out| {
            let der = PKCS8_HEAD.iter().chain(self.seed.expose());
            for (to, from) in out.iter_mut().zip(der) {
                *to = *from;
            }
        })
    }

    /// The public key as DER `SubjectPublicKeyInfo`: 44 bytes.
    pub fn spki(&self) -> Vec<u8> {
        [&SPKI_HEAD, self.pair.public_key().as_ref()].concat()
    }

    /// Whom the server takes a client with this key for.
    pub fn identity(&self) -> Identity {
        Identity::of_public_key(&self.spki())
    }

    /// The Ed25519 signature of `message`: 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// cli.md 21.
    const KEY: &str = "kes:v1:AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn the_published_vectors_hold() {
        let key = ApiKey::parse(KEY).unwrap();
        assert_eq!(
            key.identity().as_str(),
            "a050837d85070582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5"
        );
        assert_eq!(key.text().expose(), KEY.as_bytes());
        let seed: Vec<u8> = (0..32).collect();
        assert_eq!(key.pkcs8().expose(), [&PKCS8_HEAD[..], &seed].concat());
        let published =
            ApiKey::parse("kes:v1:ACQpoGqx3rHHjT938Hfu5hVVQJHZWSqVI2Xp1KlYxFVw").unwrap();
        assert_eq!(
            published.identity().as_str(),
            "0426fa9a04bc2756b92fbe8a97e1a1e07b53ecf04ed33da22c33e5c9faeb8cbb"
        );
    }

    #[test]
    fn a_generated_key_survives_text_and_pkcs8() {
        let key = ApiKey::generate().unwrap();
        let text = key.text();
        let again = ApiKey::parse(std::str::from_utf8(text.expose()).unwrap()).unwrap();
        assert_eq!(again.identity(), key.identity());
        let again = ApiKey::from_pkcs8(key.pkcs8().expose()).unwrap();
        assert_eq!(again.text().expose(), text.expose());
        let other = ApiKey::generate().unwrap();
        assert_ne!(other.identity(), key.identity());
    }

    #[test]
    fn pkcs8_version_2_is_read() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let v2 = pair.to_pkcs8().unwrap();
        let key = ApiKey::from_pkcs8(v2.as_ref()).unwrap();
        assert!(key.spki().ends_with(pair.public_key().as_ref()));
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "kes:v1:",
            "kes:v2:AAAA",
            &KEY[..50],
            &format!("{KEY}="),
            &KEY.replace("AAAB", "AQAB"),
        ] {
            assert!(ApiKey::parse(bad).is_err(), "{bad}");
        }
        assert!(ApiKey::from_pkcs8(&[0; 48]).is_err());
    }
}
