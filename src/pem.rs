//! PEM: base64 between `-----BEGIN` and `-----END` lines (RFC 7468), as certificate and key files hold it.
//!
//! Reads what people's files contain: several blocks, text around them, any line length, Windows line ends. Private keys are wiped
//! with the [`Block`] that holds them, and decrypted by [`Block::private_key`]; the server and the commands read keys through it alike.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::secret::Secret;

mod private_key;
mod rfc1423;
mod sealed;

pub use private_key::KeyError;
pub use sealed::{SealError, seal, seal_as_before};

/// The label of a private key that is encrypted with a password (RFC 5958).
const ENCRYPTED_PKCS8: &str = "ENCRYPTED PRIVATE KEY";

/// Characters on a line of what [`encode`] writes.
const LINE: usize = 64;

/// Why a text is not PEM. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A block's content is no base64.
    #[error("the PEM block that starts at line {0} is not base64")]
    Base64(usize),
    /// A block has no end, or another block's end.
    #[error("the PEM block that starts at line {0} has no matching end")]
    Unclosed(usize),
}

/// One PEM block.
pub struct Block {
    label: String,
    /// There is a header `Proc-Type: 4,ENCRYPTED`.
    encrypted: bool,
    /// The value of the header `DEK-Info`.
    dek_info: Option<String>,
    der: Zeroizing<Vec<u8>>,
}

impl Block {
    /// The type of the block, as `CERTIFICATE` or `PRIVATE KEY`.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What the block holds. If it [is encrypted](Self::is_encrypted), the ciphertext.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether this is a certificate.
    pub fn is_certificate(&self) -> bool {
        self.label == "CERTIFICATE"
    }

    /// Whether this is a private key of any type: PKCS#8, PKCS#1 or SEC1, clear or encrypted.
    pub fn is_private_key(&self) -> bool {
        self.label == "PRIVATE KEY" || self.label.ends_with(" PRIVATE KEY")
    }

    /// Whether this is a public key (`SubjectPublicKeyInfo`).
    pub fn is_public_key(&self) -> bool {
        self.label == "PUBLIC KEY"
    }

    /// Whether the content is encrypted with a password: PKCS#8 (RFC 5958) or the older headers of RFC 1423.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted || self.dek_info.is_some() || self.label == ENCRYPTED_PKCS8
    }
}

/// The blocks of `text`, in order. Text outside of blocks is ignored; a text without blocks gives none.
///
/// # Errors
/// [`Error`] names the line at which a broken block starts.
pub fn decode(text: &[u8]) -> Result<Vec<Block>, Error> {
    blocks(text).collect()
}

/// The same one after the other: what stands behind a block may be anything.
pub fn blocks(text: &[u8]) -> impl Iterator<Item = Result<Block, Error>> {
    let mut lines = text.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).zip(1..);
    std::iter::from_fn(move || {
        loop {
            let (line, number) = lines.next()?;
            if let Some(label) = marker(line, "-----BEGIN ") {
                let content = lines.by_ref().map(|(line, _)| line);
                return Some(block(label, number, content, text.len()));
            }
        }
    })
}

/// The block that starts at line `start`, read from the lines that follow. It is part of a text of `size` bytes.
fn block<'a>(
    label: &str,
    start: usize,
    lines: impl Iterator<Item = &'a [u8]>,
    size: usize,
) -> Result<Block, Error> {
    let (mut encrypted, mut dek_info) = (false, None);
    // Large enough never to be moved: what is left behind would not be wiped.
    let mut base64 = Zeroizing::new(Vec::with_capacity(size));
    for line in lines {
        if line.starts_with(b"-----") {
            if marker(line, "-----END ") != Some(label) {
                return Err(Error::Unclosed(start));
            }
            let mut der = Zeroizing::new(Vec::with_capacity(base64.len()));
            STANDARD
                .decode_vec(&*base64, &mut der)
                .map_err(|_| Error::Base64(start))?;
            return Ok(Block {
                label: label.to_owned(),
                encrypted,
                dek_info,
                der,
            });
        }
        if !line.contains(&b':') {
            base64.extend(line.iter().filter(|b| !b.is_ascii_whitespace()));
        } else if line.starts_with(b"Proc-Type:") {
            encrypted |= line.ends_with(b"ENCRYPTED");
        } else if let Some(value) = line.strip_prefix(b"DEK-Info:") {
            dek_info = Some(String::from_utf8_lossy(value.trim_ascii()).into_owned());
        }
    }
    Err(Error::Unclosed(start))
}

/// The label of a `-----BEGIN` or `-----END` line.
fn marker<'a>(line: &'a [u8], start: &str) -> Option<&'a str> {
    let label = line
        .strip_prefix(start.as_bytes())?
        .strip_suffix(b"-----")?;
    std::str::from_utf8(label).ok()
}

/// One PEM block with a final newline. A secret, as `der` may be one.
pub fn encode(label: &str, der: &[u8]) -> Secret {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let lines = base64.len().div_ceil(LINE);
    let (begin, end) = (
        format!("-----BEGIN {label}-----\n"),
        format!("-----END {label}-----\n"),
    );
    Secret::with(begin.len() + base64.len() + lines + end.len(), |out| {
        let body = base64
            .as_bytes()
            .chunks(LINE)
            .flat_map(|line| line.iter().chain(b"\n"));
        let text = begin.as_bytes().iter().chain(body).chain(end.as_bytes());
        for (to, from) in out.iter_mut().zip(text) {
            *to = *from;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for len in [0_usize, 1, 47, 48, 49, 96, 500] {
            let der: Vec<u8> = (0..len).map(|n| n.to_le_bytes()[0]).collect();
            let text = encode("CERTIFICATE", &der);
            let blocks = decode(text.expose()).unwrap();
            assert_eq!(blocks.len(), 1);
            assert_eq!(blocks[0].der(), der);
            assert!(blocks[0].is_certificate());
            assert!(text.expose().ends_with(b"-----END CERTIFICATE-----\n"));
            assert!(
                text.expose()
                    .split(|b| *b == b'\n')
                    .all(|line| line.len() <= 64)
            );
        }
    }

    #[test]
    fn text_around_blocks_and_windows_line_ends_are_ignored() {
        let text = b"Bag Attributes\r\n  name: x\r\n-----BEGIN A B-----\r\nAAEC\r\nAw==\r\n-----END A B-----\r\n\r\ntail";
        let blocks = decode(text).unwrap();
        assert_eq!(blocks.len(), 1);
        assert_eq!(
            (blocks[0].label(), blocks[0].der()),
            ("A B", &[0, 1, 2, 3][..])
        );
        assert!(decode(b"no block").unwrap().is_empty());
    }

    #[test]
    fn encrypted_keys_of_both_kinds_are_recognised() {
        let old = "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,8c7e96991ff72f6e03bc0de8a749f8c1\n\nLNvoBNiH3O5X6EgfLzpvg5u+Sb5GlZf2sgpdAg89Y32Ld9pviuv5mnouU/IX0XnD\ngoPrGjuYRiErLLfsZW/7NQ==\n-----END PRIVATE KEY-----\n";
        let new =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAEC\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for text in [old, new] {
            let blocks = decode(text.as_bytes()).unwrap();
            assert!(blocks[0].is_encrypted() && blocks[0].is_private_key());
        }
        let clear = "-----BEGIN EC PRIVATE KEY-----\nAAEC\n-----END EC PRIVATE KEY-----";
        assert!(!decode(clear.as_bytes()).unwrap()[0].is_encrypted());
    }

    #[test]
    fn a_broken_block_is_named_by_its_line() {
        let error = |text: &str| decode(text.as_bytes()).err();
        assert_eq!(error("\n-----BEGIN A-----\nAA"), Some(Error::Unclosed(2)));
        assert_eq!(
            error("-----BEGIN A-----\nAA==\n-----END B-----"),
            Some(Error::Unclosed(1))
        );
        assert_eq!(
            error("-----BEGIN A-----\nA!==\n-----END A-----"),
            Some(Error::Base64(1))
        );
    }
}
