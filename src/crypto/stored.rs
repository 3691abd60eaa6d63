//! How a key rests in a keystore (crypto.md 2): base64 of a protocol buffer message since release 2024-02-29, a JSON object before.
//!
//! Both are read, the first is written. A record is never rewritten. The text is told apart by its first character: `{` is no
//! base64, and every JSON record starts with it.

use std::str;

use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};

use super::{
    base64,
    cipher::Cipher,
    json,
    key::{Key, KeyVersion, NoHmacKey},
    protobuf::{Broken, Fields, Value, Writer},
};
use crate::secret::Secret;

/// Why a stored value is not a key. Says nothing of the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRecord {
    /// The text is neither a JSON object nor base64.
    #[error("stored key is neither JSON nor base64")]
    Base64,
    /// `created_at` is not RFC 3339.
    #[error("stored key has a malformed creation time")]
    CreatedAt,
    /// The creator is not UTF-8.
    #[error("stored key has a creator that is not UTF-8")]
    CreatedBy,
    /// The HMAC key is for another hash than SHA-256.
    #[error("stored key has an HMAC key for an unknown hash")]
    Hash,
    /// The HMAC key has another length than 32 bytes.
    #[error("stored key has an HMAC key of the wrong length")]
    HmacLength,
    /// Starts like a JSON object but is none, or has a field of the wrong type.
    #[error("stored key is malformed JSON")]
    Json,
    /// There is no secret.
    #[error("stored key has no secret key")]
    NoSecret,
    /// The base64 does not hold a protocol buffer message.
    #[error("stored key is a malformed protocol buffer message")]
    Protobuf,
    /// The secret has another length than 32 bytes.
    #[error("stored key has a secret key of the wrong length")]
    SecretLength,
    /// The type of the key is none we know.
    #[error("stored key has an unknown type")]
    Type,
}

impl From<Broken> for MalformedRecord {
    fn from(_: Broken) -> Self {
        Self::Protobuf
    }
}

/// The creation time of a JSON record that has none.
const NO_TIME: OffsetDateTime = datetime!(0001-01-01 0:00 UTC);

/// The first and the last time that RFC 3339 can tell in UTC.
const FIRST_TIME: OffsetDateTime = datetime!(0000-01-01 0:00 UTC);
const LAST_TIME: OffsetDateTime = datetime!(9999-12-31 23:59:59.999_999_999 UTC);

/// The number of SHA-256 among the hashes.
const SHA256: u32 = 1;

/// Longest message but for the creator: two keys of 38 bytes, a time of 24, tag and length of the creator of 11.
const MAX_MESSAGE: usize = 2 * 38 + 24 + 11;

impl KeyVersion {
    /// The text for a keystore: printable ASCII, about 208 bytes. Encoding what was read from such text gives the same text.
    ///
    /// # Errors
    /// [`NoHmacKey`] if the key has none: such a record could not be read by the servers that share the store.
    pub fn to_stored(&self) -> Result<Secret, NoHmacKey> {
        let hmac = self.hmac.as_ref().ok_or(NoHmacKey)?;
        let mut used = 0;
        let message = Secret::with(MAX_MESSAGE + self.created_by.len(), |out| {
            let mut writer = Writer::new(out);
            write_key(&mut writer, 1, &self.secret, number(self.cipher));
            write_key(&mut writer, 2, hmac, SHA256);
            write_time(&mut writer, self.created_at);
            if !self.created_by.is_empty() {
                writer.bytes(4, self.created_by.as_bytes());
            }
            used = writer.used();
        });
        Ok(base64::encode(
            message.expose().get(..used).unwrap_or_default(),
        ))
    }

    /// The key of a keystore's value.
    ///
    /// # Errors
    /// [`MalformedRecord`] if it is none.
    pub fn from_stored(value: &Secret) -> Result<Self, MalformedRecord> {
        let text = value.expose();
        let first = text
            .iter()
            .find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        if first == Some(&b'{') {
            return from_json(text);
        }
        let mut len = None;
        let message = Secret::with(base64::decoded_len(text.len()), |out| {
            len = base64::decode(text, out);
        });
        let message = len.and_then(|len| message.expose().get(..len));
        from_protobuf(message.ok_or(MalformedRecord::Base64)?)
    }
}

fn from_json(text: &[u8]) -> Result<KeyVersion, MalformedRecord> {
    let [bytes, algorithm, created_at, created_by] =
        json::members(text, ["bytes", "algorithm", "created_at", "created_by"])
            .ok_or(MalformedRecord::Json)?;
    let bytes = bytes.ok_or(MalformedRecord::NoSecret)?;
    let cipher = match algorithm.as_ref().map_or("", json::Text::as_str) {
        "" => Cipher::Aes256,
        name => Cipher::parse(name).ok_or(MalformedRecord::Type)?,
    };
    let created_at = match &created_at {
        None => NO_TIME,
        Some(text) => OffsetDateTime::parse(text.as_str(), &Rfc3339)
            .map_err(|_| MalformedRecord::CreatedAt)?,
    };
    Ok(KeyVersion {
        cipher,
        secret: decode_key(bytes.as_str())?,
        hmac: None,
        created_at,
        created_by: created_by.map_or_else(String::new, |text| text.as_str().to_owned()),
    })
}

/// The secret in base64, decoded in locked memory only.
fn decode_key(text: &str) -> Result<Key, MalformedRecord> {
    let mut len = None;
    let decoded = Secret::with(base64::decoded_len(text.len()), |out| {
        len = base64::decode(text.as_bytes(), out);
    });
    let bytes = len.and_then(|len| decoded.expose().get(..len));
    match bytes.ok_or(MalformedRecord::Json)? {
        [] => Err(MalformedRecord::NoSecret),
        bytes => Key::new(Secret::copy_from(bytes)).map_err(|_| MalformedRecord::SecretLength),
    }
}

/// The embedded messages `SecretKey` and `HMACKey`: 1 = bytes, 2 = number of the type or hash.
#[derive(Default)]
struct KeyMessage<'a> {
    bytes: &'a [u8],
    kind: u32,
}

impl<'a> KeyMessage<'a> {
    /// Takes over what `message` says. A message that occurs twice is merged field by field.
    fn merge(&mut self, message: &'a [u8]) -> Result<(), Broken> {
        for field in Fields::new(message) {
            match field? {
                (1, Value::Bytes(bytes)) => self.bytes = bytes,
                (2, Value::Varint(kind)) => self.kind = low_half(kind),
                _ => {}
            }
        }
        Ok(())
    }

    fn key(&self, wrong_length: MalformedRecord) -> Result<Key, MalformedRecord> {
        Key::new(Secret::copy_from(self.bytes)).map_err(|_| wrong_length)
    }
}

/// `google.protobuf.Timestamp`: 1 = seconds since 1970, 2 = nanoseconds.
#[derive(Default)]
struct Timestamp {
    seconds: i64,
    nanos: i32,
}

impl Timestamp {
    fn merge(&mut self, message: &[u8]) -> Result<(), Broken> {
        for field in Fields::new(message) {
            match field? {
                (1, Value::Varint(seconds)) => self.seconds = seconds.cast_signed(),
                (2, Value::Varint(nanos)) => self.nanos = low_half(nanos).cast_signed(),
                _ => {}
            }
        }
        Ok(())
    }

    /// The time in UTC. No key is lost over a time that RFC 3339 cannot tell: it becomes the first or last one that can be told.
    fn time(&self) -> OffsetDateTime {
        let nanos = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos);
        match OffsetDateTime::from_unix_timestamp_nanos(nanos) {
            Ok(time) => time.clamp(FIRST_TIME, LAST_TIME),
            Err(_) if nanos < 0 => FIRST_TIME,
            Err(_) => LAST_TIME,
        }
    }
}

fn from_protobuf(message: &[u8]) -> Result<KeyVersion, MalformedRecord> {
    let mut secret: Option<KeyMessage> = None;
    let mut hmac: Option<KeyMessage> = None;
    let mut created_at = Timestamp::default();
    let mut created_by = "";
    for field in Fields::new(message) {
        match field? {
            (1, Value::Bytes(inner)) => secret.get_or_insert_default().merge(inner)?,
            (2, Value::Bytes(inner)) => hmac.get_or_insert_default().merge(inner)?,
            (3, Value::Bytes(inner)) => created_at.merge(inner)?,
            (4, Value::Bytes(text)) => {
                created_by = str::from_utf8(text).map_err(|_| MalformedRecord::CreatedBy)?;
            }
            _ => {}
        }
    }
    let secret = secret.ok_or(MalformedRecord::NoSecret)?;
    let hmac = match hmac {
        None => None,
        Some(hmac) if hmac.kind == SHA256 => Some(hmac.key(MalformedRecord::HmacLength)?),
        Some(_) => return Err(MalformedRecord::Hash),
    };
    Ok(KeyVersion {
        cipher: cipher(secret.kind).ok_or(MalformedRecord::Type)?,
        secret: secret.key(MalformedRecord::SecretLength)?,
        hmac,
        created_at: created_at.time(),
        created_by: created_by.to_owned(),
    })
}

fn write_key(writer: &mut Writer<'_>, field: u8, key: &Key, kind: u32) {
    let mut used = 0;
    let inner = Secret::with(36, |out| {
        let mut writer = Writer::new(out);
        writer.bytes(1, key.bytes());
        writer.varint(2, kind.into());
        used = writer.used();
    });
    writer.bytes(field, inner.expose().get(..used).unwrap_or_default());
}

fn write_time(writer: &mut Writer<'_>, time: OffsetDateTime) {
    let mut inner = [0; 22];
    let mut fields = Writer::new(&mut inner);
    fields.varint(1, time.unix_timestamp().cast_unsigned());
    fields.varint(2, time.nanosecond().into());
    let used = fields.used();
    writer.bytes(3, inner.get(..used).unwrap_or_default());
}

fn cipher(number: u32) -> Option<Cipher> {
    match number {
        1 => Some(Cipher::Aes256),
        2 => Some(Cipher::ChaCha20),
        _ => None,
    }
}

fn number(cipher: Cipher) -> u32 {
    match cipher {
        Cipher::Aes256 => 1,
        Cipher::ChaCha20 => 2,
    }
}

/// Protocol buffers keep the low half of a number that is too long for its field.
fn low_half(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
