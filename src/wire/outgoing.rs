//! Request bodies as our client writes them (api.md 7). They may hold secrets, so each is written into one buffer that is wiped
//! when the last reader drops it.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::{base64, write};

/// `PUT /v1/key/import/`: `key` and `hmac` have 32 bytes, `cipher` is a word as `AES256`, which needs no escapes in JSON.
pub fn import(key: &[u8], cipher: &str, hmac: Option<&[u8]>) -> Bytes {
    const HEAD: &str = r#"{"key":""#;
    const MIDDLE: &str = r#"","cipher":""#;
    const HMAC: &str = r#"","hmac":""#;
    const END: &str = "\"}\n";
    let keys =
        base64::encoded_len(key.len()) + hmac.map_or(0, |hmac| base64::encoded_len(hmac.len()));
    let len = HEAD.len() + keys + MIDDLE.len() + cipher.len() + HMAC.len() + END.len();
    // One allocation: a buffer that grew would leave an unwiped copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(len));
    out.extend_from_slice(HEAD.as_bytes());
    base64::encode_into(key, &mut out);
    for part in [MIDDLE, cipher] {
        out.extend_from_slice(part.as_bytes());
    }
    if let Some(hmac) = hmac {
        out.extend_from_slice(HMAC.as_bytes());
        base64::encode_into(hmac, &mut out);
    }
    out.extend_from_slice(END.as_bytes());
    Bytes::from_owner(out)
}

/// `PUT /v1/key/encrypt/`.
pub fn encrypt(plaintext: &[u8], context: &[u8]) -> Bytes {
    with_context(&[("plaintext", plaintext)], context)
}

/// `PUT /v1/key/decrypt/`.
pub fn decrypt(ciphertext: &[u8], context: &[u8]) -> Bytes {
    with_context(&[("ciphertext", ciphertext)], context)
}

/// `PUT /v1/key/generate/`.
pub fn generate(context: &[u8]) -> Bytes {
    with_context(&[], context)
}

/// `PUT /v1/key/hmac/`.
pub fn hmac(message: &[u8]) -> Bytes {
    write::secrets(&[("message", message)])
}

/// An empty context is left out, as the reference's clients do.
fn with_context(fields: &[(&str, &[u8])], context: &[u8]) -> Bytes {
    let mut fields = fields.to_vec();
    if !context.is_empty() {
        fields.push(("context", context));
    }
    write::secrets(&fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_the_json_of_the_table() {
        assert_eq!(&generate(b"")[..], b"{}\n");
        assert_eq!(&generate(b"\x00")[..], b"{\"context\":\"AA==\"}\n");
        assert_eq!(&encrypt(b"", b"")[..], b"{\"plaintext\":\"\"}\n");
        assert_eq!(
            &decrypt(b"\xff\xef", b"abc")[..],
            b"{\"ciphertext\":\"/+8=\",\"context\":\"YWJj\"}\n"
        );
        assert_eq!(
            &import(&[0; 3], "ChaCha20", None)[..],
            b"{\"key\":\"AAAA\",\"cipher\":\"ChaCha20\"}\n"
        );
        assert_eq!(
            &import(&[0; 3], "AES256", Some(&[0; 6]))[..],
            b"{\"key\":\"AAAA\",\"cipher\":\"AES256\",\"hmac\":\"AAAAAAAA\"}\n"
        );
        assert_eq!(&hmac(b"abc")[..], b"{\"message\":\"YWJj\"}\n");
    }
}
