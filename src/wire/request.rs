//! Request bodies, decoded as leniently as the predecessor's clients may rely on (api.md 5.5).
//!
//! Field names match in any case; unknown fields and whatever follows the first JSON value are ignored; `null` leaves a text as it
//! is and empties bytes; the last of several equal fields wins.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use zeroize::Zeroizing;

use super::base64;

/// Bytes from a request, wiped when dropped.
pub type Bytes = Zeroizing<Vec<u8>>;

/// The body is not the JSON that its route expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed request body")]
pub struct Malformed;

/// Body of `PUT /v1/key/encrypt/` (api.md 7.11).
#[derive(Default)]
pub struct Encrypt {
    /// What to encrypt; may be empty.
    pub plaintext: Bytes,
    /// Associated data; empty when absent.
    pub context: Bytes,
}

/// Body of `PUT /v1/key/generate/` (api.md 7.12).
#[derive(Default)]
pub struct Generate {
    /// Associated data; empty when absent.
    pub context: Bytes,
}

/// Body of `PUT /v1/key/decrypt/` (api.md 7.13), and one entry of a bulk decryption.
#[derive(Default)]
pub struct Decrypt {
    /// What to decrypt.
    pub ciphertext: Bytes,
    /// Associated data; empty when absent.
    pub context: Bytes,
}

/// Body of `PUT /v1/key/hmac/` (api.md 7.14).
#[derive(Default)]
pub struct Hmac {
    /// What to authenticate; may be empty.
    pub message: Bytes,
}

/// Body of `PUT /v1/key/import/` (api.md 7.7, decision 19): the current form and the older ones.
#[derive(Default)]
pub struct Import {
    /// The secret in the current form.
    pub key: Bytes,
    /// Whether a `key` was given.
    pub has_key: bool,
    /// The cipher in the current form.
    pub cipher: String,
    /// The secret in the old form.
    pub bytes: Bytes,
    /// Whether `bytes` was given.
    pub has_bytes: bool,
    /// The cipher in the old form.
    pub algorithm: String,
    /// The HMAC key, for keys that are carried over.
    pub hmac: Bytes,
    /// Whether `hmac` was given.
    pub has_hmac: bool,
}

/// Body of `POST /v1/key/bulk/decrypt/` (minio.md B3).
pub enum BulkDecrypt {
    /// At most [`BulkDecrypt::MAX`] entries.
    Entries(Vec<Decrypt>),
    /// More than that.
    TooMany,
}

/// Where a field's value goes.
enum Slot<'a> {
    Bytes(&'a mut Bytes, Option<&'a mut bool>),
    Text(&'a mut String),
}

type Field<'a> = (&'static str, Slot<'a>);

impl Encrypt {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut it = Self::default();
        let mut version = String::new();
        object(
            body,
            &mut [
                ("plaintext", Slot::Bytes(&mut it.plaintext, None)),
                ("context", Slot::Bytes(&mut it.context, None)),
                ("version", Slot::Text(&mut version)),
            ],
        )?;
        Ok(it)
    }
}

impl Generate {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut it = Self::default();
        let mut version = String::new();
        object(
            body,
            &mut [
                ("context", Slot::Bytes(&mut it.context, None)),
                ("version", Slot::Text(&mut version)),
            ],
        )?;
        Ok(it)
    }
}

impl Decrypt {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        read(body, |json| {
            let mut it = Self::default();
            it.deserialize(json)?;
            Ok(it)
        })
    }

    fn deserialize<'de, D: Deserializer<'de>>(&mut self, json: D) -> Result<(), D::Error> {
        let mut version = String::new();
        Object(&mut [
            ("ciphertext", Slot::Bytes(&mut self.ciphertext, None)),
            ("context", Slot::Bytes(&mut self.context, None)),
            ("version", Slot::Text(&mut version)),
        ])
        .deserialize(json)
    }
}

impl Hmac {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut it = Self::default();
        let mut version = String::new();
        object(
            body,
            &mut [
                ("message", Slot::Bytes(&mut it.message, None)),
                ("version", Slot::Text(&mut version)),
            ],
        )?;
        Ok(it)
    }
}

impl Import {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut it = Self::default();
        object(
            body,
            &mut [
                ("key", Slot::Bytes(&mut it.key, Some(&mut it.has_key))),
                ("cipher", Slot::Text(&mut it.cipher)),
                ("bytes", Slot::Bytes(&mut it.bytes, Some(&mut it.has_bytes))),
                ("algorithm", Slot::Text(&mut it.algorithm)),
                ("hmac", Slot::Bytes(&mut it.hmac, Some(&mut it.has_hmac))),
            ],
        )?;
        Ok(it)
    }
}

impl BulkDecrypt {
    /// Most entries that one call may have.
    pub const MAX: usize = 1000;

    /// Reads a body. Entries past the limit are not kept.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        read(body, |json| json.deserialize_any(Bulk))
    }
}

/// Reads one JSON object into `fields`.
fn object(body: &[u8], fields: &mut [Field<'_>]) -> Result<(), Malformed> {
    read(body, |json| Object(fields).deserialize(json))
}

/// Runs `parse` over the first JSON value of `body`. Where a text is not UTF-8, the offending bytes count as U+FFFD.
fn read<T>(
    body: &[u8],
    parse: impl FnOnce(
        &mut serde_json::Deserializer<serde_json::de::StrRead<'_>>,
    ) -> serde_json::Result<T>,
) -> Result<T, Malformed> {
    let lossy;
    // Checked at once, the parser need not check each of its texts.
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(_) => {
            lossy = Zeroizing::new(String::from_utf8_lossy(body).into_owned());
            lossy.as_str()
        }
    };
    parse(&mut serde_json::Deserializer::from_str(text)).map_err(|_| Malformed)
}

struct Object<'f, 'a>(&'f mut [Field<'a>]);

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// `null` is an object without fields.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Name(self.0))? {
            match field.and_then(|i| self.0.get_mut(i)) {
                Some((_, slot)) => map.next_value_seed(slot)?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Finds which field a name means.
struct Name<'f, 'a>(&'f [Field<'a>]);

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|(field, _)| folds_to(name, field)))
    }
}

/// Whether `name` is the lower-case ASCII text `field` under Unicode simple case folding.
fn folds_to(name: &str, field: &str) -> bool {
    let folded = name.chars().map(|c| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    name == field || folded.eq(field.chars())
}

impl<'de> DeserializeSeed<'de> for &mut Slot<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Slot<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Slot::Bytes(..) => "base64 text",
            Slot::Text(_) => "text",
        })
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match self {
            Slot::Bytes(bytes, given) => {
                **bytes = base64::decode(text).map_err(E::custom)?;
                set(given, true);
            }
            Slot::Text(out) => text.clone_into(out),
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        if let Slot::Bytes(bytes, given) = self {
            **bytes = Bytes::default();
            set(given, false);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Slot::Bytes(bytes, given) = self else {
            return Err(A::Error::custom("expected text"));
        };
        // A body has at least two characters for each number, so this cannot grow past half the body's limit.
        let mut numbers = Bytes::default();
        while let Some(number) = seq.next_element::<u8>()? {
            numbers.push(number);
        }
        **bytes = numbers;
        set(given, true);
        Ok(())
    }
}

fn set(given: &mut Option<&mut bool>, value: bool) {
    if let Some(given) = given {
        **given = value;
    }
}

struct Bulk;

impl<'de> Visitor<'de> for Bulk {
    type Value = BulkDecrypt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E>(self) -> Result<BulkDecrypt, E> {
        Ok(BulkDecrypt::Entries(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<BulkDecrypt, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = seq.next_element_seed(Entry)? {
            if entries.len() == BulkDecrypt::MAX {
                // The rest is still read, so that a malformed body is a malformed body however long it is.
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(BulkDecrypt::TooMany);
            }
            entries.push(entry);
        }
        Ok(BulkDecrypt::Entries(entries))
    }
}

struct Entry;

impl<'de> DeserializeSeed<'de> for Entry {
    type Value = Decrypt;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Decrypt, D::Error> {
        let mut it = Decrypt::default();
        it.deserialize(json)?;
        Ok(it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plaintext(body: &[u8]) -> Option<Vec<u8>> {
        Encrypt::parse(body).ok().map(|it| it.plaintext.to_vec())
    }

    #[test]
    fn what_the_predecessor_took_is_taken() {
        let cases: [(&[u8], &[u8]); 16] = [
            (b"{}", b""),
            (b" \n\t{}", b""),
            (b"null", b""),
            (br#"{"plaintext":"AQI="}"#, &[1, 2]),
            (br#"{"PlainText":"AQI="}"#, &[1, 2]),
            (br#"{"plaintext":"AQI="} trailing rubbish"#, &[1, 2]),
            (br#"{"plaintext":"AQI="}{"#, &[1, 2]),
            (br#"{"other":{"a":[1,{}]},"plaintext":"AQI="}"#, &[1, 2]),
            (br#"{"plaintext":"AAAA","plaintext":"AQI="}"#, &[1, 2]),
            (br#"{"plaintext":"AQI=","plaintext":null}"#, b""),
            (br#"{"plaintext":null}"#, b""),
            (br#"{"plaintext":[1,2]}"#, &[1, 2]),
            (br#"{"plaintext":"A\nQ\r\nI="}"#, &[1, 2]),
            (br#"{"plaintext":"AQI=","version":"v1"}"#, &[1, 2]),
            (br#"{"plaintext":"AQI=","version":null}"#, &[1, 2]),
            (b"{\"plaintext\":\"AQI=\",\"version\":\"\xff\"}", &[1, 2]),
        ];
        for (body, want) in cases {
            let got = plaintext(body);
            assert_eq!(got.as_deref(), Some(want), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn what_the_predecessor_refused_is_refused() {
        let cases: [&[u8]; 14] = [
            b"",
            b" ",
            b"{",
            b"\xef\xbb\xbf{}",
            b"[]",
            b"\"x\"",
            b"1",
            b"true",
            br#"{"plaintext":1}"#,
            br#"{"plaintext":"AQI"}"#,
            br#"{"plaintext":"-_=="}"#,
            br#"{"plaintext":[256]}"#,
            br#"{"version":1}"#,
            br#"{"plaintext":{}}"#,
        ];
        for body in cases {
            assert_eq!(plaintext(body), None, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn names_fold_as_unicode_says() {
        let import =
            Import::parse("{\"\u{212a}ey\":\"AQ==\",\"byteſ\":\"Ag==\"}".as_bytes()).unwrap();
        assert!(import.has_key && import.has_bytes);
        assert_eq!((&**import.key, &**import.bytes), (&[1][..], &[2][..]));
    }

    #[test]
    fn a_null_does_not_reset_a_text() {
        let import = Import::parse(br#"{"cipher":"AES256","cipher":null}"#).unwrap();
        assert_eq!(import.cipher, "AES256");
    }

    #[test]
    fn a_thousand_entries_are_the_most() {
        let body = |n: usize| format!("[{}]", vec!["{}"; n].join(","));
        let parse = |n| BulkDecrypt::parse(body(n).as_bytes()).unwrap();
        assert!(matches!(parse(1000), BulkDecrypt::Entries(it) if it.len() == 1000));
        assert!(matches!(parse(1001), BulkDecrypt::TooMany));
        assert!(matches!(parse(0), BulkDecrypt::Entries(it) if it.is_empty()));
        assert!(BulkDecrypt::parse(b"{}").is_err());
    }
}
