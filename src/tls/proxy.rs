//! The certificate that a TLS proxy forwards in a header: the header's value to DER, and no judgement of it (api.md 13).
//!
//! Proxies write it in one of three forms, and which one it is cannot be mistaken (decision 27):
//!
//! | value | written by |
//! |---|---|
//! | starts with `-----BEGIN`, or has a `%`: PEM, percent-encoded as far as the proxy pleases | nginx, `$ssl_client_escaped_cert` |
//! | starts with `:`: base64 of DER between colons, a byte sequence of RFC 8941 | `Client-Cert` of RFC 9440 |
//! | anything else: base64 of DER | `HAProxy`, `%[ssl_c_der,base64]` |
//!
//! `+` is a digit of base64, written `+` or `%2B`. A proxy that encodes as forms do writes spaces as `+`: between the words of PEM's
//! two markers, where no digit can be, it is one.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode;
use rustls::pki_types::CertificateDer;

/// Longest value that is looked at, in bytes. An RSA certificate of 8192 bits with some names has about 4 KiB when it is escaped.
pub const MAX: usize = 64 << 10;

/// How PEM starts, and what it ends with up to the type.
const BEGIN: &[u8] = b"-----BEGIN";
const END: &[u8] = b"-----END";
/// The length of the marker at its end.
const END_MARKER: usize = b"-----END CERTIFICATE-----".len();

/// Why a value holds no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The content is no base64, or nothing.
    #[error("it is not base64")]
    Base64,
    /// Not X.509: found by whoever reads the DER.
    #[error("it is not an X.509 certificate")]
    Certificate,
    /// A percent sign without two hexadecimal digits.
    #[error("it has a '%' that starts no escape")]
    Escape,
    /// The PEM is not exactly one block with a certificate.
    #[error("it is not exactly one PEM block of type CERTIFICATE")]
    Pem,
    /// Longer than [`MAX`].
    #[error("it is longer than {MAX} bytes")]
    TooLong,
}

/// The DER in `value`. Whether it is a certificate is not looked at.
///
/// # Errors
/// [`Malformed`], any but [`Malformed::Certificate`].
pub fn certificate(value: &[u8]) -> Result<CertificateDer<'static>, Malformed> {
    if value.len() > MAX {
        return Err(Malformed::TooLong);
    }
    let value = value.trim_ascii();
    // Base64 has no percent sign: some proxies escape even the hyphens.
    if value.starts_with(BEGIN) || value.contains(&b'%') {
        return pem(&unescape(value)?);
    }
    let sequence = value
        .strip_prefix(b":")
        .and_then(|value| value.strip_suffix(b":"));
    base64(sequence.unwrap_or(value))
}

/// Percent-decoding that refuses what is no escape. `+` stays what it is.
fn unescape(value: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    let is_escape = |rest: &[u8]| {
        let digits = rest.get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
    };
    let mut parts = value.split(|byte| *byte == b'%');
    // What stands before the first sign.
    parts.next();
    if !parts.all(is_escape) {
        return Err(Malformed::Escape);
    }
    Ok(percent_decode(value).into())
}

/// The content of a text that is one block with white space around it.
fn pem(text: &[u8]) -> Result<CertificateDer<'static>, Malformed> {
    let text = text.trim_ascii();
    let inner = after_marker(text, BEGIN).and_then(|text| {
        let (inner, end) = text.split_at_checked(text.len().checked_sub(END_MARKER)?)?;
        after_marker(end, END)?.is_empty().then_some(inner)
    });
    // A second block, a header or a comment has one of these, and base64 has neither.
    let inner = inner.filter(|inner| !inner.iter().any(|byte| b"-:".contains(byte)));
    let mut digits = inner.ok_or(Malformed::Pem)?.to_vec();
    digits.retain(|byte| !byte.is_ascii_whitespace());
    base64(&digits)
}

/// What follows a marker that starts with `start` and names a certificate.
fn after_marker<'a>(text: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    let (space, rest) = text.strip_prefix(start)?.split_first()?;
    if !b" +".contains(space) {
        return None;
    }
    rest.strip_prefix(b"CERTIFICATE-----")
}

fn base64(digits: &[u8]) -> Result<CertificateDer<'static>, Malformed> {
    match STANDARD.decode(digits) {
        Ok(der) if !der.is_empty() => Ok(CertificateDer::from(der)),
        _ => Err(Malformed::Base64),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// Base64 with both digits that escaping may touch, and padding.
    const DER: &[u8] = &[0x30, 0xfb, 0xef, 0xbe, 0xff, 0xff, 0xfe, 1];

    fn lines(der: &[u8], end: &str) -> String {
        let base64 = STANDARD.encode(der);
        let mut pem = format!("-----BEGIN CERTIFICATE-----{end}");
        for line in base64.as_bytes().chunks(8) {
            let _ = write!(pem, "{}{end}", std::str::from_utf8(line).unwrap());
        }
        pem + "-----END CERTIFICATE-----" + end
    }

    /// Escapes all bytes that `plain` does not name.
    fn escape(text: &str, plain: impl Fn(u8) -> bool) -> String {
        let mut escaped = String::new();
        for byte in text.bytes() {
            if plain(byte) {
                escaped.push(char::from(byte));
            } else {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
        escaped
    }

    /// All ways in which a proxy may write `der`.
    fn spellings(der: &[u8]) -> Vec<String> {
        let pem = lines(der, "\n");
        let base64 = STANDARD.encode(der);
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        vec![
            escape(&pem, unreserved),
            escape(&pem, |byte| byte.is_ascii_alphanumeric()),
            escape(&pem, |_| false),
            with_small_letters_in_escapes(&escape(&pem, unreserved)),
            escape(&pem, |byte| unreserved(byte) || b"+/=".contains(&byte)),
            escape(&pem, |byte| unreserved(byte) || b"+/= ".contains(&byte)),
            escape(&pem, |byte| unreserved(byte) || byte == b' ').replace(' ', "+"),
            escape(&lines(der, "\r\n"), unreserved),
            // Escapes nothing, but cannot have line ends in a header.
            lines(der, " "),
            lines(der, ""),
            format!("  {} ", lines(der, "\t")),
            base64.clone(),
            format!("\t{base64} "),
            format!(":{base64}:"),
        ]
    }

    fn with_small_letters_in_escapes(text: &str) -> String {
        let mut parts = text.split('%');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (digits, rest) = part.split_at(2);
            let _ = write!(text, "%{}{rest}", digits.to_lowercase());
        }
        text
    }

    #[test]
    fn every_spelling_of_a_certificate_is_read() {
        for value in spellings(DER) {
            let read = certificate(value.as_bytes());
            assert_eq!(read.as_deref().map(AsRef::as_ref), Ok(DER), "{value}");
        }
    }

    proptest! {
        #[test]
        fn all_spellings_of_any_bytes_read_the_same(der in proptest::collection::vec(any::<u8>(), 1..400)) {
            for value in spellings(&der) {
                let read = certificate(value.as_bytes());
                prop_assert_eq!(read.as_deref().map(AsRef::as_ref), Ok(&der[..]), "{}", value);
            }
        }

        #[test]
        fn what_is_cut_short_is_not_read_as_something_else(cut in 1_usize..100) {
            let value = escape(&lines(DER, "\n"), |byte| byte.is_ascii_alphanumeric() || byte == b'-');
            // The last line end may be missing.
            let cut = &value[..value.len().saturating_sub(cut + 3)];
            prop_assert!(certificate(cut.as_bytes()).is_err(), "{}", cut);
        }
    }

    #[test]
    fn anything_else_is_refused_and_named() {
        let pem = lines(DER, "%0A");
        let block = |label: &str| lines(DER, "%0A").replace("CERTIFICATE", label);
        let cases = [
            (String::new(), Malformed::Base64),
            (" ".to_owned(), Malformed::Base64),
            ("::".to_owned(), Malformed::Base64),
            (":".to_owned(), Malformed::Base64),
            ("-----END CERTIFICATE-----".to_owned(), Malformed::Base64),
            ("MPvvvv//_gE=".to_owned(), Malformed::Base64),
            ("MPvvvv///gE".to_owned(), Malformed::Base64),
            ("MPvv%2B/gE=".to_owned(), Malformed::Pem),
            (format!("junk{pem}"), Malformed::Pem),
            (
                "-----BEGIN CERTIFICATE-----%0A!!!!%0A-----END CERTIFICATE-----".to_owned(),
                Malformed::Base64,
            ),
            (
                "-----BEGIN CERTIFICATE----------END CERTIFICATE-----".to_owned(),
                Malformed::Base64,
            ),
            (format!("{pem}%zz"), Malformed::Escape),
            (format!("{pem}%0"), Malformed::Escape),
            (format!("{pem}%"), Malformed::Escape),
            (format!("{pem}{pem}"), Malformed::Pem),
            (format!("{pem}junk"), Malformed::Pem),
            ("-----BEGIN".to_owned(), Malformed::Pem),
            ("-----BEGIN CERTIFICATE-----".to_owned(), Malformed::Pem),
            (block("TRUSTED CERTIFICATE"), Malformed::Pem),
            (block("PRIVATE KEY"), Malformed::Pem),
            (pem.replace("BEGIN ", "BEGIN_"), Malformed::Pem),
            (
                pem.replace("-----%0AM", "-----%0AProc-Type: 4,ENCRYPTED%0A%0AM"),
                Malformed::Pem,
            ),
            ("A".repeat(MAX + 4), Malformed::TooLong),
        ];
        for (value, why) in cases {
            assert_eq!(certificate(value.as_bytes()), Err(why), "{value}");
        }
        assert!(certificate("A".repeat(MAX).as_bytes()).is_ok());
    }
}
