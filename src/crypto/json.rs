//! The text members of one JSON object: all that old records and old ciphertexts need of JSON (crypto.md 2.3, 4.2).
//!
//! Names match in any case, by Unicode's simple folding (`ſ` is an `s`, the Kelvin sign a `k`); of duplicates the last counts;
//! `null` counts as absent; unknown members are skipped, whatever they hold; nothing but white space may follow the object.
//!
//! Text is borrowed from the input. Only text written with escapes is copied; the copy is wiped, but the parser's own scratch
//! memory is beyond reach. No known writer escapes anything in base64.

use std::fmt;

use serde::{
    Deserialize, Deserializer as _,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use zeroize::Zeroizing;

/// A JSON string, without its quotes and escapes.
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Unescaped(Zeroizing<String>),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Unescaped(text) => text,
        }
    }
}

/// The members `names` (lower-case ASCII) of the object `json`, in that order. `None` if `json` is not one JSON object in UTF-8,
/// or if one of these members is neither text nor `null`.
pub(super) fn members<'a, const N: usize>(
    json: &'a [u8],
    names: [&str; N],
) -> Option<[Option<Text<'a>>; N]> {
    let mut parser = serde_json::Deserializer::from_slice(json);
    let found = parser.deserialize_map(Members(names)).ok()?;
    parser.end().ok()?;
    Some(found)
}

struct Members<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<Text<'de>>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [const { None }; N];
        while let Some(name) = map.next_key::<Text>()? {
            let wanted = self
                .0
                .iter()
                .zip(&mut found)
                .find(|(wanted, _)| same_name(wanted, name.as_str()));
            let Some((_, slot)) = wanted else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if let Some(text) = map.next_value()? {
                *slot = Some(text);
            }
        }
        Ok(found)
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text::Borrowed(text))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text::Unescaped(Zeroizing::new(text.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

fn same_name(wanted: &str, name: &str) -> bool {
    let folded = name.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    folded.eq(wanted.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<[Option<String>; 2]> {
        let found = members(json.as_bytes(), ["bytes", "key"])?;
        Some(found.map(|text| text.map(|text| text.as_str().to_owned())))
    }

    fn bytes(json: &str) -> Option<String> {
        read(json).and_then(|[bytes, _]| bytes)
    }

    #[test]
    fn names_match_in_any_case_and_the_last_counts() {
        assert_eq!(bytes(r#"{"bytes":"a"}"#).unwrap(), "a");
        assert_eq!(bytes(r#"{"BYTES":"a"}"#).unwrap(), "a");
        assert_eq!(bytes("{\"byte\u{17f}\":\"a\"}").unwrap(), "a");
        assert_eq!(bytes(r#"{"byte\u017f":"a"}"#).unwrap(), "a");
        assert_eq!(
            read("{\"\u{212a}ey\":\"a\"}").unwrap(),
            [None, Some("a".to_owned())]
        );
        assert_eq!(bytes(r#"{"bytes":"a","Bytes":"b"}"#).unwrap(), "b");
        assert_eq!(bytes(r#"{"Bytes":"b","bytes":null}"#).unwrap(), "b");
        assert_eq!(bytes(r#"{"bytes ":"a","byte":"b","bytess":"c"}"#), None);
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(bytes(r#"{"b\u0079tes":"\u0061\/+"}"#).unwrap(), "a/+");
    }

    #[test]
    fn unknown_members_are_skipped_whatever_they_hold() {
        let deep = format!(
            r#"{{"x":{}1{},"bytes":"a"}}"#,
            "[".repeat(50_000),
            "]".repeat(50_000)
        );
        assert_eq!(bytes(&deep).unwrap(), "a");
        assert_eq!(
            bytes(r#" {"x":{"bytes":"b"},"y":1e999,"z":[null],"bytes":"a"} "#).unwrap(),
            "a"
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for json in [
            "",
            "{",
            "[]",
            "null",
            r#""bytes""#,
            r#"{"bytes":"a"}x"#,
            r#"{"bytes":"a"}{}"#,
            r#"{"bytes":"a",}"#,
            r#"{"bytes":1}"#,
            r#"{"bytes":["a"]}"#,
            r#"{"bytes":true,"bytes":"a"}"#,
            "{\"bytes\":\"a\nb\"}",
            r"{'bytes':'a'}",
        ] {
            assert!(read(json).is_none(), "{json}");
        }
        assert!(members(b"{\"bytes\":\"\xff\"}", ["bytes"]).is_none());
    }
}
