//! [`KeyVersion`]: one master key, and what it can do (crypto.md 1, 3 to 5).
//!
//! A key cannot be shown or copied:
//! ```compile_fail
//! fn show(key: &kes::crypto::KeyVersion) -> String { format!("{key:?}") }
//! ```
//! ```compile_fail
//! fn copy(key: &kes::crypto::KeyVersion) -> kes::crypto::KeyVersion { key.clone() }
//! ```
//! Nor can what it decrypts:
//! ```compile_fail
//! fn show(plaintext: &kes::crypto::Plaintext) -> String { format!("{plaintext:?}") }
//! ```

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    cipher::{Cipher, IV, KEY, NONCE, TAG, Unauthentic, hmac_sha256},
    ciphertext::{Ciphertext, OVERHEAD},
};
use crate::secret::{NoRandomness, Secret, random};

/// Length of a data key in bytes.
const DATA_KEY: usize = 32;

/// The key has no HMAC key: it was made by a release before 2024-02-29 (decision 11: answered with 409).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key has no HMAC key")]
pub struct NoHmacKey;

/// Why key material cannot become a key.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The HMAC key has another length than 32 bytes: this one.
    #[error("an HMAC key has 32 bytes, not {0}")]
    HmacLength(usize),
    /// No random HMAC key could be made.
    #[error("no HMAC key could be made")]
    NoRandomness(#[from] NoRandomness),
    /// The secret has another length than 32 bytes: this one.
    #[error("a secret key has 32 bytes, not {0}")]
    SecretLength(usize),
}

/// What a ciphertext held. Wiped when dropped, never shown.
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    /// The bytes: the one door. Do not copy them without wiping the copy; never log them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// One master key: what encrypts, what authenticates, and who made it when.
pub struct KeyVersion {
    pub(super) cipher: Cipher,
    pub(super) secret: Key,
    pub(super) hmac: Option<Key>,
    pub(super) created_at: OffsetDateTime,
    pub(super) created_by: String,
}

impl KeyVersion {
    /// A new random key for `cipher`, made `now` by the identity `created_by` (which may be empty).
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has none to give.
    pub fn generate(
        cipher: Cipher,
        created_by: &str,
        now: OffsetDateTime,
    ) -> Result<Self, NoRandomness> {
        Ok(Self {
            cipher,
            secret: Key::random()?,
            hmac: Some(Key::random()?),
            created_at: now,
            created_by: created_by.to_owned(),
        })
    }

    /// A key of given material, 32 bytes each. Without `hmac` the HMAC key is random (decision 19).
    ///
    /// # Errors
    /// [`ImportError`] for other lengths, or if the system has no randomness to give.
    pub fn import(
        cipher: Cipher,
        secret: Secret,
        hmac: Option<Secret>,
        created_by: &str,
        now: OffsetDateTime,
    ) -> Result<Self, ImportError> {
        let secret = Key::new(secret).map_err(ImportError::SecretLength)?;
        let hmac = match hmac {
            Some(hmac) => Key::new(hmac).map_err(ImportError::HmacLength)?,
            None => Key::random()?,
        };
        Ok(Self {
            cipher,
            secret,
            hmac: Some(hmac),
            created_at: now,
            created_by: created_by.to_owned(),
        })
    }

    /// The type of the key.
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// When the key was made. The year 1 if an old record does not say.
    pub fn created_at(&self) -> OffsetDateTime {
        self.created_at
    }

    /// The identity that made the key; may be empty.
    pub fn created_by(&self) -> &str {
        &self.created_by
    }

    /// Whether [`KeyVersion::hmac`] works.
    pub fn has_hmac(&self) -> bool {
        self.hmac.is_some()
    }

    /// Encrypts `plaintext` and binds it to `context`: 44 bytes longer than `plaintext`, different each time.
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has none to give.
    pub fn seal(&self, plaintext: &[u8], context: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        let mut fresh = Fresh::default();
        random(&mut fresh.0)?;
        Ok(self.seal_with(&fresh, plaintext, context))
    }

    /// A new random data key of 32 bytes, as it is and encrypted under `context` as by [`KeyVersion::seal`].
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has none to give.
    pub fn seal_data_key(&self, context: &[u8]) -> Result<(Plaintext, Vec<u8>), NoRandomness> {
        // All that is random about it, by one question to the system: these questions are what takes most of the time.
        let mut drawn = Zeroizing::new([0; DATA_KEY + IV + NONCE]);
        random(&mut *drawn)?;
        let mut fresh = Fresh::default();
        let (data_key, rest) = drawn.split_at(DATA_KEY);
        fresh.0.copy_from_slice(rest);
        let ciphertext = self.seal_with(&fresh, data_key, context);
        Ok((Plaintext(Zeroizing::new(data_key.to_vec())), ciphertext))
    }

    fn seal_with(&self, fresh: &Fresh, plaintext: &[u8], context: &[u8]) -> Vec<u8> {
        // Of exactly the final length: a buffer that grew would leave plaintext behind.
        let mut out = Vec::with_capacity(plaintext.len() + OVERHEAD);
        out.extend_from_slice(plaintext);
        let (iv, nonce) = fresh.split();
        let tag = self
            .cipher
            .seal(self.secret.bytes(), iv, nonce, context, &mut out);
        out.extend_from_slice(&tag);
        out.extend_from_slice(&fresh.0);
        out
    }

    /// Decrypts a ciphertext of any form since v0.6.1. A cipher named in the ciphertext decides, else the key's (decision 3).
    ///
    /// # Errors
    /// [`Unauthentic`], whatever is wrong.
    pub fn open(&self, ciphertext: &[u8], context: &[u8]) -> Result<Plaintext, Unauthentic> {
        let parts = Ciphertext::parse(ciphertext).ok_or(Unauthentic)?;
        let (encrypted, tag) = parts.sealed.split_last_chunk::<TAG>().ok_or(Unauthentic)?;
        let mut buffer = Zeroizing::new(encrypted.to_vec());
        parts.cipher.unwrap_or(self.cipher).open(
            self.secret.bytes(),
            &parts.iv,
            &parts.nonce,
            context,
            &mut buffer,
            tag,
        )?;
        Ok(Plaintext(buffer))
    }

    /// HMAC-SHA-256 of `message` under the HMAC key (crypto.md 5): the same each time. Boxed, because an array leaves a copy on the
    /// stack wherever it is moved.
    ///
    /// # Errors
    /// [`NoHmacKey`] if the key has none.
    pub fn hmac(&self, message: &[u8]) -> Result<Box<[u8; 32]>, NoHmacKey> {
        let key = self.hmac.as_ref().ok_or(NoHmacKey)?;
        let mut sum = Box::new([0; 32]);
        hmac_sha256(key.bytes(), message, &mut sum);
        Ok(sum)
    }
}

/// Iv and nonce of one encryption, as they end a ciphertext: one question to the system's random generator instead of two.
#[derive(Default)]
struct Fresh([u8; IV + NONCE]);

impl Fresh {
    #[expect(clippy::expect_used, reason = "the array is as long as both together")]
    fn split(&self) -> (&[u8; IV], &[u8; NONCE]) {
        let iv = self.0.first_chunk().expect("the iv comes first");
        let nonce = self.0.last_chunk().expect("the nonce comes last");
        (iv, nonce)
    }
}

/// 32 secret bytes.
pub(super) struct Key(Secret);

impl Key {
    /// The key of these bytes, or how many they are if not 32.
    pub(super) fn new(secret: Secret) -> Result<Self, usize> {
        match secret.len() {
            KEY => Ok(Self(secret)),
            len => Err(len),
        }
    }

    fn random() -> Result<Self, NoRandomness> {
        Secret::random(KEY).map(Self)
    }

    #[expect(clippy::expect_used, reason = "both constructors see to the length")]
    pub(super) fn bytes(&self) -> &[u8; KEY] {
        self.0.expose().as_array().expect("a key has 32 bytes")
    }
}

#[cfg(test)]
mod tests;
