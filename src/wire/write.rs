//! Response bodies as the server writes them (api.md 6): compact JSON, one newline, buffers that are wiped when freed.

use std::fmt::Write as _;

use bytes::Bytes;
use serde::Serialize;
use zeroize::Zeroizing;

use super::base64;

/// A JSON value and its newline.
///
/// # Errors
/// Only if `value` cannot be JSON, which no type of this crate is.
pub fn json<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Bytes> {
    let mut out = serde_json::to_vec(value)?;
    out.push(b'\n');
    Ok(Bytes::from(out))
}

/// An object of base64 fields, in this order. The buffer holds secrets perhaps: it is wiped when the last reader drops it.
pub fn secrets(fields: &[(&str, &[u8])]) -> Bytes {
    // One allocation: a buffer that grew would leave an unwiped copy behind.
    let len = 4 + fields
        .iter()
        .map(|(name, value)| name.len() + base64::encoded_len(value.len()) + 8)
        .sum::<usize>();
    let mut out = Vec::with_capacity(len);
    append(&mut out, fields);
    out.push(b'\n');
    Bytes::from_owner(Zeroizing::new(out))
}

/// An array of objects with one base64 field each.
pub fn secret_list<'a>(
    name: &str,
    values: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) -> Bytes {
    let len = 4 + values
        .clone()
        .map(|value| name.len() + base64::encoded_len(value.len()) + 10)
        .sum::<usize>();
    let mut out = Vec::with_capacity(len);
    out.push(b'[');
    for (i, value) in values.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        append(&mut out, &[(name, value)]);
    }
    out.extend_from_slice(b"]\n");
    Bytes::from_owner(Zeroizing::new(out))
}

fn append(out: &mut Vec<u8>, fields: &[(&str, &[u8])]) {
    out.push(b'{');
    for (i, (name, value)) in fields.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":\"");
        base64::encode_into(value, out);
        out.push(b'"');
    }
    out.push(b'}');
}

/// The body of an error. The newline stands before the closing brace, as the predecessor wrote it (api.md 6.2).
pub fn error(message: &str) -> Bytes {
    let mut out = String::with_capacity(message.len() + 16);
    out.push_str("{\"message\":");
    push_text(&mut out, message);
    out.push_str("\n}");
    Bytes::from(out)
}

/// The body of an error for clients of two ages: those that read `message` see `old`, those that prefer `error` see `message`
/// (minio.md A7.3).
pub fn old_error(old: &str, message: &str) -> Bytes {
    let mut out = String::with_capacity(old.len() + message.len() + 32);
    out.push_str("{\"message\":");
    push_text(&mut out, old);
    out.push_str(",\"error\":");
    push_text(&mut out, message);
    out.push_str("\n}");
    Bytes::from(out)
}

/// JSON values, each with its newline.
///
/// # Errors
/// Only if a value cannot be JSON, which no type of this crate is.
pub fn lines<T: Serialize>(values: impl IntoIterator<Item = T>) -> serde_json::Result<Bytes> {
    let mut out = Vec::new();
    for value in values {
        serde_json::to_writer(&mut out, &value)?;
        out.push(b'\n');
    }
    Ok(Bytes::from(out))
}

/// Appends a JSON string escaped as the predecessor did (api.md 6.1).
fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_its_newline_before_the_brace() {
        let body = error("not authorized: insufficient permissions");
        assert_eq!(
            &body[..],
            b"{\"message\":\"not authorized: insufficient permissions\"\n}"
        );
        assert_eq!(body.len(), 55);
        assert_eq!(
            &error("a<\"\u{2028}\u{1}")[..],
            b"{\"message\":\"a\\u003c\\\"\\u2028\\u0001\"\n}"
        );
        assert_eq!(
            &old_error("key does already exist", "key already exists")[..],
            b"{\"message\":\"key does already exist\",\"error\":\"key already exists\"\n}"
        );
    }

    #[test]
    fn secrets_never_outgrow_their_buffer() {
        for len in 0..100 {
            let value = vec![7; len];
            let body = secrets(&[("plaintext", &value), ("ciphertext", &value)]);
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(json["plaintext"], json["ciphertext"]);
            let list = secret_list("plaintext", [&value[..], &value[..]].into_iter());
            assert_eq!(
                serde_json::from_slice::<Vec<serde_json::Value>>(&list)
                    .unwrap()
                    .len(),
                2
            );
        }
        assert_eq!(&secrets(&[("hmac", b"")])[..], b"{\"hmac\":\"\"}\n");
        assert_eq!(&secret_list("plaintext", [].into_iter())[..], b"[]\n");
    }
}
