//! Base64 as it travels in JSON bodies: the standard alphabet with padding (api.md 5.5).

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

/// Padding is demanded, as clients always send it; unused bits in the last character may be anything, as the predecessor took
/// them.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The text is not standard base64 with padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not standard base64 with padding")]
pub struct NotBase64;

/// Decodes `text` into a buffer that is wiped when dropped. CR and LF are ignored wherever they stand.
///
/// # Errors
/// [`NotBase64`] for any other character, the URL alphabet or missing padding.
pub fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, NotBase64> {
    decode_clean(text).or_else(|wrong| {
        // Line breaks are seldom, and wrong to the decoder.
        if !text.bytes().any(|b| b == b'\r' || b == b'\n') {
            return Err(wrong);
        }
        let text: Zeroizing<String> =
            Zeroizing::new(text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect());
        decode_clean(&text)
    })
}

fn decode_clean(text: &str) -> Result<Zeroizing<Vec<u8>>, NotBase64> {
    // Room for all of it: a buffer that grew would leave an unwiped copy behind. Not asked for as zeroes, for which the heap takes a
    // longer way.
    let room = base64::decoded_len_estimate(text.len());
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let decoded = ENGINE.decode_vec(text, &mut bytes);
    decoded.map(|()| bytes).map_err(|_| NotBase64)
}

/// Appends `bytes` to `out` as base64. `out` grows at most once.
pub fn encode_into(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + encoded_len(bytes.len()), 0);
    if let Some(space) = out.get_mut(start..) {
        // The space is exactly as long as the text, so there is nothing that could fail.
        let written = ENGINE.encode_slice(bytes, space).unwrap_or(0);
        out.truncate(start + written);
    }
}

/// The length of the base64 text of `len` bytes.
pub fn encoded_len(len: usize) -> usize {
    len.div_ceil(3) * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_standard_alphabet_with_padding_is_taken() {
        for good in ["", "AA==", "AB==", "AAAA", "A\nA=\r=", "+/+/"] {
            assert!(decode(good).is_ok(), "{good:?}");
        }
        for bad in [
            "A", "AA", "AA=", "AAA", "-_-_", "AA== ", "A A=", "=AAA", "AA==AA==",
        ] {
            assert_eq!(decode(bad), Err(NotBase64), "{bad:?}");
        }
    }

    #[test]
    fn encoding_appends_and_decodes_again() {
        for len in 0..70_u8 {
            let bytes: Vec<u8> = (0..len).collect();
            let mut out = b"x".to_vec();
            encode_into(&bytes, &mut out);
            assert_eq!(out.len(), 1 + encoded_len(bytes.len()));
            let text = std::str::from_utf8(&out[1..]).unwrap();
            assert_eq!(*decode(text).unwrap(), bytes);
        }
    }
}
