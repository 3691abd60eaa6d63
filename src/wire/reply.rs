//! Response bodies that only a client reads: those with secrets, which the server writes by hand, and errors (api.md 6.2 and 7).
//!
//! What may be a secret arrives in a [`Secret`], and no error quotes it.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use zeroize::Zeroizing;

use super::base64;
use crate::secret::Secret;

/// `PUT /v1/key/encrypt/`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Encrypted {
    /// The ciphertext.
    #[serde(deserialize_with = "bytes")]
    pub ciphertext: Vec<u8>,
    /// Version of the key, empty if the server has none.
    #[serde(default)]
    pub version: String,
}

/// `PUT /v1/key/generate/`.
#[derive(Deserialize)]
pub struct Generated {
    /// The data key.
    #[serde(deserialize_with = "secret")]
    pub plaintext: Secret,
    /// The data key, encrypted.
    #[serde(deserialize_with = "bytes")]
    pub ciphertext: Vec<u8>,
    /// Version of the key, empty if the server has none.
    #[serde(default)]
    pub version: String,
}

/// `PUT /v1/key/decrypt/`.
#[derive(Deserialize)]
pub struct Decrypted {
    /// The plaintext, maybe empty.
    #[serde(deserialize_with = "secret")]
    pub plaintext: Secret,
}

/// `PUT /v1/key/hmac/`.
#[derive(Deserialize)]
pub struct Hmac {
    /// The HMAC: 32 bytes.
    #[serde(deserialize_with = "secret")]
    pub hmac: Secret,
    /// Version of the key, empty if the server has none.
    #[serde(default)]
    pub version: String,
}

/// Any answer other than 200.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ErrorBody {
    /// What went wrong.
    pub message: Option<String>,
    /// The same, as other servers spell it. Wins if both are there.
    pub error: Option<String>,
}

impl ErrorBody {
    /// What went wrong, or nothing.
    pub fn text(self) -> String {
        let error = self.error.filter(|text| !text.is_empty());
        error.or(self.message).unwrap_or_default()
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let mut bytes = deserializer.deserialize_any(Base64)?;
    Ok(std::mem::take(&mut *bytes))
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let bytes = deserializer.deserialize_any(Base64)?;
    Ok(Secret::copy_from(&bytes))
}

/// Reads a string of base64, or `null`.
struct Base64;

impl de::Visitor<'_> for Base64 {
    type Value = Zeroizing<Vec<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string of base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        base64::decode(text).map_err(E::custom)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Zeroizing::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_travel_as_base64() {
        let generated: Generated =
            serde_json::from_str(r#"{"plaintext":"AAEC","ciphertext":"/+8=","new":1}"#).unwrap();
        assert_eq!(generated.plaintext.expose(), [0, 1, 2]);
        assert_eq!(generated.ciphertext, [0xff, 0xef]);
        let empty: Decrypted = serde_json::from_str(r#"{"plaintext":""}"#).unwrap();
        assert!(empty.plaintext.is_empty());
        let escaped: Decrypted = serde_json::from_str(r#"{"plaintext":"\/+8="}"#).unwrap();
        assert_eq!(escaped.plaintext.expose(), [0xff, 0xef]);
        assert!(serde_json::from_str::<Decrypted>("{}").is_err());
    }

    #[test]
    fn an_error_never_quotes_what_it_could_not_decode() {
        for text in [r#"{"plaintext":"s3cret!"}"#, r#"{"plaintext":["s3cret"]}"#] {
            let error = serde_json::from_str::<Decrypted>(text).err().unwrap();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_text_of_an_error_is_error_or_else_message() {
        let text = |json: &str| serde_json::from_str::<ErrorBody>(json).unwrap().text();
        assert_eq!(text(r#"{"message":"m"}"#), "m");
        assert_eq!(text(r#"{"message":"m","error":"e"}"#), "e");
        assert_eq!(text(r#"{"message":"m","error":""}"#), "m");
        assert_eq!(text(r#"{"message":null}"#), "");
        assert_eq!(text("{}"), "");
    }
}
