//! Base64 as records and old ciphertexts carry it: standard alphabet, padding required, line breaks ignored, and unused bits of
//! the last character not looked at (crypto.md 2.2).

use ::base64::{
    Engine,
    alphabet::STANDARD,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};

use crate::secret::Secret;

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// At most how many bytes `len` characters decode to, with room for the decoder's own estimate.
pub(super) fn decoded_len(len: usize) -> usize {
    len.div_ceil(4) * 3
}

/// Decodes `text` to the front of `out`. Returns how many bytes that made; `None` if `text` is not base64 or `out` too short.
///
/// Nothing of what is decoded is kept outside `out`, whose owner wipes it, also after a failure.
pub(super) fn decode(text: &[u8], out: &mut [u8]) -> Option<usize> {
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    if !text.iter().any(is_break) {
        return ENGINE.decode_slice(text, out).ok();
    }
    let mut kept = 0;
    let joined = Secret::with(text.len(), |joined| {
        for (slot, byte) in joined.iter_mut().zip(text.iter().filter(|b| !is_break(b))) {
            *slot = *byte;
            kept += 1;
        }
    });
    ENGINE.decode_slice(joined.expose().get(..kept)?, out).ok()
}

/// Decodes exactly `N` bytes that are no secret.
pub(super) fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = vec![0; decoded_len(text.len())];
    let len = decode(text.as_bytes(), &mut bytes)?;
    bytes.get(..len)?.try_into().ok()
}

/// The base64 text of `bytes`.
pub(super) fn encode(bytes: &[u8]) -> Secret {
    let mut written = None;
    let text = Secret::with(bytes.len().div_ceil(3) * 4, |out| {
        written = ENGINE.encode_slice(bytes, out).ok();
    });
    debug_assert_eq!(written, Some(text.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = vec![0; decoded_len(text.len())];
        let len = decode(text.as_bytes(), &mut out)?;
        out.truncate(len);
        Some(out)
    }

    #[test]
    fn line_breaks_are_ignored_wherever_they_stand() {
        for text in [
            "aGVsbG8=",
            "aGVsbG8=\n",
            "\r\naGVs\nbG8\r=\r\n",
            "a\nGVsbG8=",
        ] {
            assert_eq!(decoded(text).unwrap(), b"hello", "{text:?}");
        }
        assert_eq!(decoded("").unwrap(), b"");
        assert_eq!(decoded("\n").unwrap(), b"");
    }

    #[test]
    fn unused_bits_are_not_looked_at() {
        assert_eq!(decoded("aGVsbG9=").unwrap(), b"hello");
    }

    #[test]
    fn other_alphabets_missing_padding_and_other_spaces_are_refused() {
        for text in [
            "aGVsbG8",
            "aGVs bG8=",
            "-_8=",
            "aGVsbG8==",
            "aGVsbG8=aGVs",
            "=",
            "a",
            "aGVsbG8=\0",
        ] {
            assert_eq!(decoded(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_array_has_exactly_its_length() {
        assert_eq!(decode_array::<5>("aGVs\nbG8="), Some(*b"hello"));
        assert_eq!(decode_array::<4>("aGVsbG8="), None);
        assert_eq!(decode_array::<6>("aGVsbG8="), None);
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for len in 0..70_u8 {
            let bytes: Vec<u8> = (0..len).map(|b| b.wrapping_mul(37)).collect();
            let text = encode(&bytes);
            let text = str::from_utf8(text.expose()).unwrap();
            assert_eq!(decoded(text).unwrap(), bytes);
        }
    }
}
