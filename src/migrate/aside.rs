//! Where the old value of a key rests at the target while a new one takes its place.
//!
//! An entry of its own, durable before the old one is deleted and there until the new one is proven. Its name is `kes-migrate-` and 32
//! digits, the front of the name's SHA-256, so that a name of any length fits. Its value is a JSON object with name and value, in
//! base64; it is no key to any server, so that no policy that lets somebody use names of this form opens a key to them.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::{
    name::{InvalidName, KeyName},
    secret::Secret,
};

/// What the names of such entries start with.
pub(super) const PREFIX: &str = "kes-migrate-";

/// How many digits follow.
const DIGITS: usize = 32;

/// The text around name and value.
const HEAD: &str = "{\"replaced\":\"";
const MIDDLE: &str = "\",\"value\":\"";
const TAIL: &str = "\"}";

/// Whether an entry of this name may be an old value that was set aside. It is one if its value says so.
pub fn is_reserved(name: &KeyName) -> bool {
    name.as_str().strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == DIGITS
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// The name under which the value of `name` rests.
///
/// # Errors
/// Never; the type of names cannot know that.
pub(super) fn place(name: &KeyName) -> Result<KeyName, InvalidName> {
    let mut text = PREFIX.to_owned();
    for byte in Sha256::digest(name.as_str()).iter().take(DIGITS / 2) {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    KeyName::parse(&text)
}

/// The entry for a value.
pub(super) fn entry(name: &KeyName, value: &Secret) -> Secret {
    let name = name.as_str().as_bytes();
    let encoded = value.len().div_ceil(3) * 4;
    let parts = [HEAD.as_bytes(), name, MIDDLE.as_bytes()];
    let before: usize = parts.iter().map(|part| part.len()).sum();
    Secret::with(before + encoded + TAIL.len(), |out| {
        let mut rest = out;
        for part in parts {
            rest = put(rest, part);
        }
        // The space is as long as the text, and a tail more.
        let written = STANDARD.encode_slice(value.expose(), rest).unwrap_or(0);
        put(rest.get_mut(written..).unwrap_or_default(), TAIL.as_bytes());
    })
}

/// Writes `part` to the front of `out`, which has room for it; returns what is behind.
fn put<'a>(out: &'a mut [u8], part: &[u8]) -> &'a mut [u8] {
    match out.split_at_mut_checked(part.len()) {
        Some((front, rest)) => {
            front.copy_from_slice(part);
            rest
        }
        None => &mut [],
    }
}

/// The name and the value of an entry; nothing if it is another one.
pub(super) fn read(entry: &Secret) -> Option<(KeyName, Secret)> {
    let text = std::str::from_utf8(entry.expose()).ok()?;
    let (name, value) = text
        .strip_prefix(HEAD)?
        .strip_suffix(TAIL)?
        .split_once(MIDDLE)?;
    let name = KeyName::parse_old(name).ok()?;
    let mut len = None;
    let decoded = Secret::with(value.len().div_ceil(4) * 3, |out| {
        len = STANDARD.decode_slice(value, out).ok();
    });
    let value = Secret::copy_from(decoded.expose().get(..len?)?);
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{crypto::KeyVersion, keystore::check_value};

    #[test]
    fn an_entry_is_json_that_a_store_takes_and_no_server_can_use() {
        let name = KeyName::parse("my-key").unwrap();
        let entry = entry(&name, &Secret::copy_from(b"CiQK\n\x00"));
        assert_eq!(
            entry.expose(),
            b"{\"replaced\":\"my-key\",\"value\":\"Q2lRSwoA\"}"
        );
        check_value(&entry).unwrap();
        assert!(KeyVersion::from_stored(&entry).is_err());
    }

    #[test]
    fn the_place_is_a_name_that_can_be_created_and_is_known_by_its_form() {
        for name in ["a", "a.b:c+d", &"n".repeat(80), "kes-migrate-", "-"] {
            let name = KeyName::parse_old(name).unwrap();
            let place = place(&name).unwrap();
            assert!(is_reserved(&place) && !place.is_old() && !is_reserved(&name));
        }
        // sha256("a")
        let place = place(&KeyName::parse("a").unwrap()).unwrap();
        assert_eq!(
            place.as_str(),
            "kes-migrate-ca978112ca1bbdcafac231b39a23dc4d"
        );
        let longer = KeyName::parse(&format!("{place}0")).unwrap();
        let capital = KeyName::parse(&place.as_str().replace('c', "C")).unwrap();
        assert!(!is_reserved(&longer) && !is_reserved(&capital));
    }

    #[test]
    fn other_values_are_not_taken_for_entries() {
        for text in [
            "",
            "{}",
            "{\"replaced\":\"a\",\"value\":\"QQ\"}",
            "{\"replaced\":\"a\",\"value\":\"QQ==\"} ",
            "{\"replaced\":\"\",\"value\":\"QQ==\"}",
            "{\"replaced\":\"a/b\",\"value\":\"QQ==\"}",
            "{\"bytes\":\"QQ==\"}",
            "CiQKIA==",
        ] {
            assert!(
                read(&Secret::copy_from(text.as_bytes())).is_none(),
                "{text}"
            );
        }
        assert!(read(&Secret::copy_from(b"\xff")).is_none());
    }

    proptest! {
        #[test]
        fn an_entry_reads_back(
            name in "[0-9A-Za-z_:+][-_.:+0-9A-Za-z]{0,79}",
            value in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let name = KeyName::parse_old(&name).unwrap();
            let (back, old) = read(&entry(&name, &Secret::copy_from(&value))).unwrap();
            prop_assert_eq!(back, name);
            prop_assert_eq!(old.expose(), &value[..]);
        }
    }
}
