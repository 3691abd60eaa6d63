//! Input that nobody would write: whatever stands in the file, there is an answer.

use std::fs;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::load;

/// The text of every sample, good and bad.
fn samples() -> Vec<Vec<u8>> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/integration/config/samples"
    );
    let mut samples = Vec::new();
    for folder in [folder.to_owned(), format!("{folder}/invalid")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                samples.push(fs::read(path).unwrap());
            }
        }
    }
    assert_eq!(samples.len(), 26 + 35);
    samples
}

/// Loads, and displays whatever is wrong.
fn survive(content: &[u8]) {
    match load(content, &[("EMPTY_OK", ""), ("SKIP", "on")]) {
        Ok(config) => assert!(!config.admin.as_str().is_empty()),
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

#[test]
fn every_truncated_sample_gets_an_answer() {
    for sample in samples() {
        for end in (0..sample.len()).step_by(7) {
            survive(&sample[..end]);
        }
    }
}

/// Pieces that mean something to YAML or to us.
const PIECES: [&str; 24] = [
    "\n",
    "  ",
    "\t",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!x ",
    "'",
    "\"",
    "|\n",
    ">\n",
    "---\n",
    "${A}",
    "# ",
    "? ",
    "\u{feff}",
];

proptest! {
    #[test]
    fn arbitrary_bytes_get_an_answer(content in vec(any::<u8>(), 0..200)) {
        survive(&content);
    }

    #[test]
    fn arbitrary_pieces_of_yaml_get_an_answer(pieces in vec(0..PIECES.len() + 4, 0..60)) {
        let text: String = pieces
            .iter()
            .map(|piece| *PIECES.get(*piece).unwrap_or(&["tls", "keystore", "policy", "a"][piece % 4]))
            .collect();
        survive(text.as_bytes());
    }

    #[test]
    fn mutated_samples_get_an_answer(
        sample in any::<Index>(),
        edits in vec((any::<Index>(), 0..3, any::<Index>(), any::<u8>()), 1..6),
    ) {
        let samples = samples();
        let mut content = samples[sample.index(samples.len())].clone();
        for (at, edit, piece, byte) in edits {
            let at = at.index(content.len() + 1);
            match edit {
                0 => {
                    let piece = PIECES[piece.index(PIECES.len())];
                    content.splice(at..at, piece.bytes());
                }
                1 if at < content.len() => content[at] = byte,
                _ => {
                    let end = (at + piece.index(40)).min(content.len());
                    content.drain(at..end);
                }
            }
        }
        survive(&content);
    }
}
