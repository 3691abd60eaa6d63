//! Tests of encrypted files: vectors of another implementation, and files that were tampered with.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::name::KeyName;

const VECTORS: &str = include_str!("../../../tests/integration/compat/vectors/file.json");
const DATA_KEY: [u8; 32] = [7; 32];
const WRAPPED: &[u8] = b"as the server wraps it";
/// Chunks of 1 KiB.
const LOG: u8 = 10;
const CHUNK: usize = 1 << LOG;

fn unhex(text: &str) -> Vec<u8> {
    let digits = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    digits
        .map(|digits| u8::from_str_radix(digits, 16).unwrap())
        .collect()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// The plaintext of a vector.
fn plain(len: usize) -> Vec<u8> {
    let blocks = (0..).flat_map(|number: u64| sha256(&number.to_be_bytes()));
    blocks.take(len).collect()
}

/// The file of this plaintext.
fn write(draft: Draft, data_key: &[u8], wrapped: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let data_key = Secret::copy_from(data_key);
    let (mut file, mut sealer) = draft.finish(data_key, wrapped).unwrap();
    let len = sealer.chunk_len();
    // The last chunk is empty in an empty file only.
    let before = plaintext.len().saturating_sub(1) / len * len;
    let (chunks, last) = plaintext.split_at(before);
    for chunk in chunks.chunks(len) {
        let mut chunk = chunk.to_vec();
        let tag = sealer.seal(&mut chunk);
        file.extend([&chunk[..], &tag].concat());
    }
    let mut last = last.to_vec();
    let tag = sealer.seal_last(&mut last);
    file.extend([&last[..], &tag].concat());
    file
}

#[derive(Debug, PartialEq)]
enum Refused {
    Damaged(Damaged),
    Malformed(Malformed),
}

/// The plaintext of a file.
fn read(file: &[u8], data_key: &[u8]) -> Result<Vec<u8>, Refused> {
    let (header, len) = Header::parse(file).map_err(Refused::Malformed)?;
    let begun = header.open(Secret::copy_from(data_key));
    let mut opener = begun.map_err(Refused::Damaged)?;
    let mut plaintext = Vec::new();
    let mut rest = &file[len..];
    while rest.len() > opener.sealed_len() {
        let (chunk, after) = rest.split_at(opener.sealed_len());
        let mut chunk = chunk.to_vec();
        plaintext.extend_from_slice(opener.open(&mut chunk).map_err(Refused::Damaged)?);
        rest = after;
    }
    let mut last = rest.to_vec();
    plaintext.extend_from_slice(opener.open_last(&mut last).map_err(Refused::Damaged)?);
    Ok(plaintext)
}

fn draft(cipher: Cipher) -> Draft {
    Draft::with(&KeyName::parse("my-key").unwrap(), cipher, LOG, [3; ID])
}

/// A file of chunks of 1 KiB.
fn sealed(cipher: Cipher, plaintext: &[u8]) -> Vec<u8> {
    write(draft(cipher), &DATA_KEY, WRAPPED, plaintext)
}

fn header_len(file: &[u8]) -> usize {
    Header::parse(file).unwrap().1
}

const CIPHERS: [Cipher; 2] = [Cipher::Aes256, Cipher::ChaCha20];

#[test]
fn every_vector_is_written_and_read() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 64);
    let mut whole = 0;
    for vector in vectors {
        let text = |field: &str| vector[field].as_str().unwrap();
        let number = |field: &str| usize::try_from(vector[field].as_u64().unwrap()).unwrap();
        let name = KeyName::parse_old(text("key")).unwrap();
        let log = u8::try_from(number("chunk_log")).unwrap();
        let id = *unhex(text("id")).first_chunk().unwrap();
        let cipher = Cipher::parse(text("cipher")).unwrap();
        let data_key = unhex(text("data_key"));
        let wrapped = STANDARD.decode(text("wrapped")).unwrap();
        let plaintext = plain(number("plaintext_len"));
        assert_eq!(sha256(&plaintext), unhex(text("plaintext_sha256")));

        let draft = Draft::with(&name, cipher, log, id);
        assert_eq!(draft.context(), unhex(text("context")));
        let file = write(draft, &data_key, &wrapped, &plaintext);
        assert_eq!(file.len(), number("file_len"));
        assert_eq!(sha256(&file), unhex(text("file_sha256")));
        if let Some(expected) = vector["file"].as_str() {
            assert_eq!(file, STANDARD.decode(expected).unwrap());
            whole += 1;
        }

        let (header, _) = Header::parse(&file).unwrap();
        assert_eq!((header.key(), header.cipher()), (&name, cipher));
        assert_eq!(header.wrapped(), wrapped);
        assert_eq!(header.context(), unhex(text("context")));
        assert!(read(&file, &data_key).unwrap() == plaintext);
    }
    assert!(whole > 15, "{whole}");
}

#[test]
fn keys_are_derived_as_rfc_5869_has_it() {
    // Appendix A.1, the first 32 bytes.
    let pseudorandom = hmac(&unhex("000102030405060708090a0b0c"), &[0x0b; 22]).unwrap();
    let expected = unhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    assert_eq!(pseudorandom.bytes()[..], expected);
    let key = expand(&pseudorandom, &unhex("f0f1f2f3f4f5f6f7f8f9")).unwrap();
    let expected = unhex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    assert_eq!(key.bytes()[..], expected);
}

#[test]
fn every_flipped_bit_is_refused() {
    for cipher in CIPHERS {
        let file = sealed(cipher, &plain(CHUNK + 40));
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut altered = file.clone();
                altered[at] ^= 1 << bit;
                assert!(read(&altered, &DATA_KEY).is_err(), "bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn every_cut_is_refused() {
    for len in [0, 1, CHUNK, CHUNK + 1, 2 * CHUNK] {
        let file = sealed(Cipher::Aes256, &plain(len));
        let header = header_len(&file);
        for end in 0..file.len() {
            let refused = read(&file[..end], &DATA_KEY).unwrap_err();
            if end < header {
                assert_eq!(refused, Refused::Malformed(Malformed::Cut), "{end}");
            } else {
                assert!(
                    matches!(refused, Refused::Damaged(Damaged::Chunk(_))),
                    "{end}"
                );
            }
        }
    }
}

#[test]
fn whatever_follows_is_refused() {
    for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK] {
        let file = sealed(Cipher::Aes256, &plain(len));
        let header = header_len(&file);
        let last = file[header + len.saturating_sub(1) / CHUNK * (CHUNK + TAG)..].to_vec();
        for more in [
            vec![0],
            vec![0; TAG],
            vec![0; CHUNK + TAG],
            last,
            file.clone(),
        ] {
            let longer = [&file[..], &more].concat();
            assert!(
                read(&longer, &DATA_KEY).is_err(),
                "{len} and {}",
                more.len()
            );
        }
    }
}

#[test]
fn chunks_stay_in_their_place() {
    let file = sealed(Cipher::ChaCha20, &plain(4 * CHUNK));
    let (header, chunks) = file.split_at(header_len(&file));
    let chunks: Vec<&[u8]> = chunks.chunks(CHUNK + TAG).collect();
    assert_eq!(chunks.len(), 4);
    for order in [
        &[1, 0, 2, 3][..],
        &[0, 2, 1, 3],
        &[0, 1, 3, 2],
        &[0, 0, 2, 3],
        &[0, 1, 1, 2, 3],
        &[1, 2, 3],
        &[0, 1, 3],
        &[0, 1, 2],
        &[3],
        &[],
    ] {
        let moved: Vec<&[u8]> = order.iter().map(|index| chunks[*index]).collect();
        let moved = [header, &moved.concat()].concat();
        assert!(
            matches!(
                read(&moved, &DATA_KEY),
                Err(Refused::Damaged(Damaged::Chunk(_)))
            ),
            "{order:?}"
        );
    }
}

#[test]
fn a_chunk_of_another_file_of_the_same_key_is_refused() {
    let one = sealed(Cipher::Aes256, &plain(3 * CHUNK));
    let name = KeyName::parse("my-key").unwrap();
    let other = Draft::with(&name, Cipher::Aes256, LOG, [4; ID]);
    let other = write(other, &DATA_KEY, WRAPPED, &plain(3 * CHUNK));
    let header = header_len(&one);
    let mixed = [&one[..header + CHUNK + TAG], &other[header + CHUNK + TAG..]].concat();
    assert_eq!(
        read(&mixed, &DATA_KEY),
        Err(Refused::Damaged(Damaged::Chunk(1)))
    );
}

#[test]
fn an_empty_chunk_ends_an_empty_file_only() {
    let (mut file, mut sealer) = draft(Cipher::Aes256)
        .finish(Secret::copy_from(&DATA_KEY), WRAPPED)
        .unwrap();
    let mut chunk = plain(CHUNK);
    let tag = sealer.seal(&mut chunk);
    file.extend([&chunk[..], &tag].concat());
    file.extend(sealer.seal_last(&mut []));
    assert_eq!(
        read(&file, &DATA_KEY),
        Err(Refused::Damaged(Damaged::Chunk(1)))
    );
    assert_eq!(read(&sealed(Cipher::Aes256, b""), &DATA_KEY).unwrap(), b"");
}

#[test]
fn another_data_key_is_found_at_the_header() {
    let file = sealed(Cipher::Aes256, b"text");
    let refused = |key: &[u8]| read(&file, key).unwrap_err();
    assert_eq!(refused(&[8; 32]), Refused::Damaged(Damaged::Header));
    assert_eq!(refused(&[7; 31]), Refused::Damaged(Damaged::KeyLength(31)));
    let data_key = || Secret::copy_from(&DATA_KEY);
    for len in [0, 4097] {
        let refused = draft(Cipher::Aes256)
            .finish(data_key(), &vec![0; len])
            .err();
        assert_eq!(refused, Some(Damaged::WrappedLength(len)));
    }
}

#[test]
fn what_is_no_header_is_named() {
    let file = sealed(Cipher::Aes256, b"");
    let refused = |at: usize, byte: u8| {
        let mut file = file.clone();
        file[at] = byte;
        Header::parse(&file).unwrap_err()
    };
    assert_eq!(refused(0, b'K'), Malformed::Other);
    assert_eq!(refused(7, b'\n'), Malformed::Other);
    assert_eq!(refused(8, 2), Malformed::Version(2));
    assert_eq!(refused(9, 0), Malformed::Cipher(0));
    assert_eq!(refused(9, 3), Malformed::Cipher(3));
    assert_eq!(refused(10, 9), Malformed::Chunk(9));
    assert_eq!(refused(10, 21), Malformed::Chunk(21));
    assert_eq!(refused(27, 0), Malformed::Name);
    assert_eq!(refused(27, 81), Malformed::Name);
    assert_eq!(refused(28, b'/'), Malformed::Name);
    assert_eq!(refused(28, 0xff), Malformed::Name);
    assert_eq!(refused(34, 0xff), Malformed::Wrapped);
    assert_eq!(Header::parse(b"").unwrap_err(), Malformed::Cut);
    assert_eq!(Header::parse(b"text").unwrap_err(), Malformed::Other);
}

#[test]
fn two_files_have_nothing_in_common() {
    let name = KeyName::parse("k").unwrap();
    let context = || {
        let draft = Draft::new(&name, Cipher::Aes256).unwrap();
        draft.context().to_vec()
    };
    assert_ne!(context(), context());
}

#[test]
fn the_longest_header_is_as_long_as_it_says() {
    let name = KeyName::parse(&"k".repeat(80)).unwrap();
    let draft = Draft::new(&name, Cipher::Aes256).unwrap();
    let (header, _) = draft
        .finish(Secret::copy_from(&DATA_KEY), &[0; 4096])
        .unwrap();
    assert_eq!(header.len(), MAX_HEADER);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_plaintext_comes_back(
        cipher in select(&CIPHERS[..]),
        near in 0..5_usize,
        off in 0..5_usize,
    ) {
        let plaintext = plain((near * CHUNK + off).saturating_sub(2));
        let file = sealed(cipher, &plaintext);
        prop_assert_eq!(read(&file, &DATA_KEY), Ok(plaintext));
    }

    #[test]
    fn any_change_is_refused(
        len in 0..3 * CHUNK,
        at in any::<prop::sample::Index>(),
        bytes in vec(any::<u8>(), 1..40),
        instead in 0..40_usize,
    ) {
        let file = sealed(Cipher::Aes256, &plain(len));
        let at = at.index(file.len());
        let end = (at + instead).min(file.len());
        let changed = [&file[..at], &bytes, &file[end..]].concat();
        prop_assume!(changed != file);
        prop_assert!(read(&changed, &DATA_KEY).is_err());
    }
}
