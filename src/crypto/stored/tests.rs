//! Tests of stored keys. The records of the vectors are tested in `compat`; here are the rules that they do not show.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;

const SECRET: [u8; 34] = record_key(1);
const HMAC: [u8; 34] = record_key(2);

/// Field 1 of an embedded message: 32 bytes of `fill`.
const fn record_key(fill: u8) -> [u8; 34] {
    let mut message = [fill; 34];
    message[0] = 0x0a;
    message[1] = 32;
    message
}

fn field(number: u8, message: &[u8]) -> Vec<u8> {
    let len = u8::try_from(message.len()).unwrap();
    assert!(len < 0x80);
    [&[number << 3 | 2, len], message].concat()
}

fn read(message: &[u8]) -> Result<KeyVersion, MalformedRecord> {
    KeyVersion::from_stored(&base64::encode(message))
}

fn refusal(message: &[u8]) -> Option<MalformedRecord> {
    read(message).err()
}

fn read_text(text: &str) -> Result<KeyVersion, MalformedRecord> {
    KeyVersion::from_stored(&Secret::copy_from(text.as_bytes()))
}

/// A JSON record with these members after its secret.
fn json(more: &str) -> String {
    format!(r#"{{"bytes":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="{more}}}"#)
}

fn with_time(seconds: i64, nanos: u32) -> Vec<u8> {
    let mut inner = [0; 32];
    let mut writer = Writer::new(&mut inner);
    writer.varint(1, seconds.cast_unsigned());
    writer.varint(2, nanos.into());
    let used = writer.used();
    let secret = field(1, &[&SECRET[..], b"\x10\x01"].concat());
    [secret, field(3, &inner[..used])].concat()
}

#[test]
fn messages_that_occur_twice_are_merged() {
    let message = [
        field(1, &SECRET),
        field(2, b"\x10\x01"),
        field(1, b"\x10\x02"),
        field(2, &HMAC),
        field(3, b"\x08\x01"),
        field(3, b"\x10\x05"),
    ]
    .concat();
    let key = read(&message).ok().unwrap();
    assert_eq!(key.cipher(), Cipher::ChaCha20);
    assert_eq!(key.secret.bytes(), &[1; 32]);
    assert_eq!(key.hmac.unwrap().bytes(), &[2; 32]);
    assert_eq!(key.created_at, datetime!(1970-01-01 0:00:01.000000005 UTC));
}

#[test]
fn the_last_of_a_field_counts() {
    let twice = [&HMAC[..], &SECRET, b"\x10\x02\x10\x01"].concat();
    let message = [field(1, &twice), field(4, b"one"), field(4, b"two")].concat();
    let key = read(&message).ok().unwrap();
    assert_eq!(key.cipher(), Cipher::Aes256);
    assert_eq!(key.secret.bytes(), &[1; 32]);
    assert_eq!(key.created_by(), "two");
    let emptied = field(1, &[&SECRET[..], b"\x10\x01\x0a\x00"].concat());
    assert_eq!(refusal(&emptied), Some(MalformedRecord::SecretLength));
    let untyped = field(1, &[&SECRET[..], b"\x10\x01\x10\x00"].concat());
    assert_eq!(refusal(&untyped), Some(MalformedRecord::Type));
}

#[test]
fn fields_of_another_wire_type_are_unknown_fields() {
    let secret = field(1, &[&SECRET[..], b"\x10\x01\x08\x07\x12\x01x"].concat());
    let message = [&secret[..], b"\x08\x01\x10\x02\x18\x03\x20\x04\x0b\x0c"].concat();
    let key = read(&message).ok().unwrap();
    assert_eq!(key.cipher(), Cipher::Aes256);
    assert!(!key.has_hmac());
    assert_eq!(key.created_by(), "");
    assert_eq!(refusal(b"\x08\x01"), Some(MalformedRecord::NoSecret));
}

#[test]
fn a_number_of_32_bits_is_the_low_half() {
    let secret = field(1, &[&SECRET[..], b"\x10\x82\x80\x80\x80\x10"].concat());
    assert_eq!(read(&secret).ok().unwrap().cipher(), Cipher::ChaCha20);
}

#[test]
fn broken_messages_are_refused_wherever_they_break() {
    let secret = field(1, &[&SECRET[..], b"\x10\x01"].concat());
    for (tail, expected) in [
        (&b"\x22\x05ab"[..], MalformedRecord::Protobuf),
        (b"\x0e", MalformedRecord::Protobuf),
        (b"\x0a\x01\x10", MalformedRecord::Protobuf),
        (b"\x12\x01\x10", MalformedRecord::Protobuf),
        (b"\x1a\x01\x08", MalformedRecord::Protobuf),
        (b"\x12\x00", MalformedRecord::Hash),
        (b"\x12\x02\x10\x01", MalformedRecord::HmacLength),
        (b"\x22\x01\xff\x22\x01a", MalformedRecord::CreatedBy),
    ] {
        assert_eq!(
            refusal(&[&secret, tail].concat()),
            Some(expected),
            "{tail:x?}"
        );
    }
}

#[test]
fn times_that_cannot_be_told_lose_no_key() {
    for (seconds, nanos, expected) in [
        (0, 0, datetime!(1970-01-01 0:00 UTC)),
        (-1, 5, datetime!(1969-12-31 23:59:59.000000005 UTC)),
        (-62_135_596_800, 0, datetime!(0001-01-01 0:00 UTC)),
        (
            1,
            (-1_i32).cast_unsigned(),
            datetime!(1970-01-01 0:00:00.999999999 UTC),
        ),
        (i64::MAX, 0, LAST_TIME),
        (253_402_300_800, 0, LAST_TIME),
        (i64::MIN, i32::MAX.cast_unsigned(), FIRST_TIME),
        (-63_000_000_000_000, 0, FIRST_TIME),
        (-65_000_000_000, 0, FIRST_TIME),
    ] {
        let key = read(&with_time(seconds, nanos)).ok().unwrap();
        assert_eq!(key.created_at, expected, "{seconds} {nanos}");
        assert!(key.created_at.format(&Rfc3339).is_ok());
    }
}

#[test]
fn json_records_are_read_as_leniently_as_they_were() {
    let key = read_text(&json(
        r#","created_at":"2021-05-06T07:08:09.123456789+02:00""#,
    ))
    .ok()
    .unwrap();
    let time = key.created_at().format(&Rfc3339).unwrap();
    assert_eq!(time, "2021-05-06T07:08:09.123456789+02:00");
    for (more, cipher) in [
        (r#","algorithm":"""#, Cipher::Aes256),
        (r#","algorithm":null"#, Cipher::Aes256),
        (r#","Algorithm":"ChaCha20""#, Cipher::ChaCha20),
        (
            r#","algorithm":"AES256","ALGORITHM":"ChaCha20""#,
            Cipher::ChaCha20,
        ),
        (r#","version":{"algorithm":"ChaCha20"}"#, Cipher::Aes256),
    ] {
        let key = read_text(&json(more)).ok().unwrap();
        assert_eq!(key.cipher(), cipher, "{more}");
        assert_eq!(key.created_at(), NO_TIME);
        assert!(!key.has_hmac());
        assert!(key.to_stored().is_err());
    }
}

#[test]
fn json_records_that_break_a_rule_are_refused() {
    for (more, expected) in [
        (r#","algorithm":1"#, MalformedRecord::Json),
        (r#","algorithm":"aes256""#, MalformedRecord::Type),
        (r#","created_at":1"#, MalformedRecord::Json),
        (r#","created_at":"""#, MalformedRecord::CreatedAt),
        (r#","created_at":"2021-05-06""#, MalformedRecord::CreatedAt),
        (r#","created_by":{}"#, MalformedRecord::Json),
        (r#","bytes":"""#, MalformedRecord::NoSecret),
        (r#","bytes":"AA""#, MalformedRecord::Json),
        (r#","bytes":"AAAA""#, MalformedRecord::SecretLength),
        (r#","bytes":[1]"#, MalformedRecord::Json),
    ] {
        assert_eq!(read_text(&json(more)).err(), Some(expected), "{more}");
    }
    assert_eq!(
        read_text(&(json("") + "x")).err(),
        Some(MalformedRecord::Json)
    );
    for other in ["[]", "1234", "null", "\"AAAA\"", "\u{feff}{}", " ", "\0"] {
        assert!(read_text(other).is_err(), "{other}");
    }
}

#[test]
fn refusals_show_nothing_of_the_value() {
    let text = json(r#","algorithm":"very-secret","created_at":"very-secret""#);
    let refusal = read_text(&text).err().unwrap();
    assert!(!format!("{refusal} {refusal:?}").contains("very-secret"));
    assert!(std::error::Error::source(&refusal).is_none());
}

#[test]
fn a_time_at_the_epoch_is_written_as_an_empty_message() {
    let key = KeyVersion::import(
        Cipher::Aes256,
        Secret::with(32, |out| out.fill(1)),
        Some(Secret::with(32, |out| out.fill(2))),
        "",
        OffsetDateTime::UNIX_EPOCH,
    );
    let text = key.unwrap().to_stored().ok().unwrap();
    let expected = [
        field(1, &[&SECRET[..], b"\x10\x01"].concat()),
        field(2, &[&HMAC[..], b"\x10\x01"].concat()),
        field(3, b""),
    ];
    assert_eq!(text.expose(), base64::encode(&expected.concat()).expose());
}

#[test]
fn a_shortened_record_is_refused_or_has_the_same_secret() {
    let now = datetime!(2024-01-12 10:39:20.886816 UTC);
    let whole = KeyVersion::generate(Cipher::Aes256, &"a".repeat(64), now).unwrap();
    let stored = whole.to_stored().ok().unwrap();
    assert_eq!(stored.len(), 208);
    let read: Vec<KeyVersion> = (0..stored.len())
        .filter_map(|len| KeyVersion::from_stored(&Secret::copy_from(&stored.expose()[..len])).ok())
        .collect();
    // Cut between two fields a message is a shorter message: here the one that lacks its creator.
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].created_by(), "");
    assert_eq!(read[0].secret.bytes(), whole.secret.bytes());
}

proptest! {
    #[test]
    fn what_is_stored_is_read_back(
        cipher in prop_oneof![Just(Cipher::Aes256), Just(Cipher::ChaCha20)],
        secret in any::<[u8; 32]>(),
        hmac in option::of(any::<[u8; 32]>()),
        created_by in ".{0,200}",
        nanos in -62_167_219_200_000_000_000_i128..=253_402_300_799_999_999_999,
    ) {
        let created_at = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
        let key = KeyVersion::import(
            cipher,
            Secret::copy_from(&secret),
            hmac.as_ref().map(|hmac| Secret::copy_from(hmac)),
            &created_by,
            created_at,
        ).unwrap();
        let stored = key.to_stored().ok().unwrap();
        prop_assert!(stored.expose().is_ascii());
        let read = KeyVersion::from_stored(&stored).ok().unwrap();
        prop_assert_eq!(read.cipher(), cipher);
        prop_assert_eq!(read.secret.bytes(), &secret);
        prop_assert_eq!(read.hmac(b"message"), key.hmac(b"message"));
        prop_assert_eq!(read.created_at(), created_at);
        prop_assert_eq!(read.created_by(), created_by);
        let again = read.to_stored().ok().unwrap();
        prop_assert_eq!(again.expose(), stored.expose());
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        head in select(vec![&b""[..], b"{", b"{\"bytes\":", b"CiQK"]),
        tail in vec(any::<u8>(), 0..300),
    ) {
        let value = Secret::copy_from(&[head, &tail].concat());
        prop_assert!(KeyVersion::from_stored(&value).is_err());
    }

    #[test]
    fn arbitrary_messages_never_panic(
        head in vec(any::<u8>(), 0..60),
        tail in vec(any::<u8>(), 0..60),
    ) {
        let secret = field(1, &[&SECRET[..], b"\x10\x01"].concat());
        if let Ok(key) = read(&[head, secret, tail].concat()) {
            prop_assert!(key.created_at().format(&Rfc3339).is_ok());
        }
    }
}
