//! What to look for: a secret in every form in which the server's code, its libraries or the processor handle it.

use sha2::{Digest as _, Sha256, block_api::compress256};

/// Shortest part of a secret that is looked for, in bytes: half a key, as vector registers hold it.
const PART: usize = 16;

/// Where a form may be found while the server is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the pages for keys.
    Locked,
    /// Nowhere.
    Nowhere,
}

/// Bytes that are looked for.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    pub(super) label: String,
    pub(super) bytes: Vec<u8>,
    pub(super) place: Place,
    /// Whether this is how it travels in bodies.
    pub(super) travels: bool,
}

/// All that is looked for.
#[derive(Default)]
pub(super) struct Needles(pub(super) Vec<Needle>);

impl Needles {
    /// A master key's secret or HMAC key, which the pages for keys may hold as it is. Also its record there if `stored`.
    pub(super) fn key(&mut self, label: &str, key: &[u8; 32], stored: bool) {
        self.raw(label, key, Place::Locked);
        let text = if stored {
            Place::Locked
        } else {
            Place::Nowhere
        };
        self.base64(label, key, text);
        self.texts(label, key);
        self.hmac(label, key);
    }

    /// The same for one of thousands: its plain form and its text.
    pub(super) fn one_of_many(&mut self, label: &str, key: &[u8; 32]) {
        self.raw(label, key, Place::Locked);
        self.base64(label, key, Place::Nowhere);
    }

    /// What must be gone with the response: a data key, a plaintext, an HMAC.
    pub(super) fn data(&mut self, label: &str, data: &[u8; 32]) {
        self.raw(label, data, Place::Nowhere);
        self.base64(label, data, Place::Nowhere);
        self.texts(label, data);
    }

    /// A one-time key of AES-256: itself, its round keys, and the HMAC that made it.
    pub(super) fn aes_key(&mut self, label: &str, key: &[u8; 32]) {
        self.raw(label, key, Place::Nowhere);
        for (round, key) in round_keys(key).iter().enumerate().skip(2) {
            self.add(format!("{label}, round key {round}"), key, Place::Nowhere);
        }
    }

    /// A one-time key of `ChaCha20`: its state holds it as it is.
    pub(super) fn chacha_key(&mut self, label: &str, key: &[u8; 32]) {
        self.raw(label, key, Place::Nowhere);
    }

    /// Says that nothing may be found anywhere any more.
    pub(super) fn nowhere(&mut self) {
        for needle in &mut self.0 {
            needle.place = Place::Nowhere;
        }
    }

    fn raw(&mut self, label: &str, bytes: &[u8; 32], place: Place) {
        self.halves(&format!("{label}, raw"), bytes, place);
    }

    fn texts(&mut self, label: &str, bytes: &[u8; 32]) {
        let lower = hex(bytes);
        let upper = lower.to_uppercase();
        self.halves(&format!("{label}, hex"), lower.as_bytes(), Place::Nowhere);
        self.halves(&format!("{label}, HEX"), upper.as_bytes(), Place::Nowhere);
    }

    /// The characters of base64 that these bytes alone decide, at each of the three places in a group where they may begin.
    fn base64(&mut self, label: &str, bytes: &[u8; 32], place: Place) {
        use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
        for offset in 0..3 {
            let mut text = vec![0; offset];
            text.extend_from_slice(bytes);
            let text = STANDARD_NO_PAD.encode(text);
            let (first, end) = ((offset * 8).div_ceil(6), (offset + 32) * 8 / 6);
            let label = format!("{label}, base64 at {offset}");
            let before = self.0.len();
            self.halves(&label, &text.as_bytes()[first..end], place);
            for needle in &mut self.0[before..] {
                needle.travels = offset == 0;
            }
        }
    }

    /// What HMAC-SHA-256 makes of a key: padded, padded and in the processor's byte order, and hashed so far.
    fn hmac(&mut self, label: &str, key: &[u8; 32]) {
        for (pad, name) in [(0x36, "inner"), (0x5c, "outer")] {
            let mut block = [pad; 64];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            self.halves(
                &format!("{label}, {name} pad"),
                &block[..32],
                Place::Nowhere,
            );
            let words: Vec<u8> = block[..32]
                .chunks(4)
                .flat_map(|w| [w[3], w[2], w[1], w[0]])
                .collect();
            self.halves(
                &format!("{label}, {name} pad in words"),
                &words,
                Place::Nowhere,
            );
            let mut state = INITIAL;
            compress256(&mut state, &[block]);
            // As it is written down, and as the instructions for SHA-256 keep it in registers.
            for order in [[0, 1, 2, 3, 4, 5, 6, 7], [5, 4, 1, 0, 7, 6, 3, 2]] {
                let words = order.iter().map(|word: &usize| state[*word]);
                let bytes: Vec<u8> = words.flat_map(u32::to_ne_bytes).collect();
                self.halves(&format!("{label}, {name} state"), &bytes, Place::Nowhere);
            }
        }
    }

    /// Two parts, of which either gives it away.
    fn halves(&mut self, label: &str, bytes: &[u8], place: Place) {
        assert!(bytes.len() >= 2 * PART);
        let (first, last) = bytes.split_at(bytes.len() / 2);
        self.add(format!("{label} (first half)"), first, place);
        self.add(format!("{label} (last half)"), last, place);
    }

    fn add(&mut self, label: String, bytes: &[u8], place: Place) {
        let bytes = bytes.to_vec();
        self.0.push(Needle {
            label,
            bytes,
            place,
            travels: false,
        });
    }
}

/// The state in which SHA-256 begins (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

/// HMAC-SHA-256, by its definition (RFC 2104).
pub(super) fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let padded = |pad: u8| {
        let mut block = [pad; 64];
        block
            .iter_mut()
            .zip(key)
            .for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

/// The key schedule of AES-256 (FIPS 197, 5.2).
fn round_keys(key: &[u8; 32]) -> [[u8; 16]; 15] {
    let mut words = [[0_u8; 4]; 60];
    let mut constant = 1_u8;
    for i in 0..60 {
        if i < 8 {
            words[i].copy_from_slice(&key[4 * i..4 * i + 4]);
            continue;
        }
        let mut word = words[i - 1];
        if i % 8 == 0 {
            word.rotate_left(1);
            word = word.map(substitute);
            word[0] ^= constant;
            constant = times_two(constant);
        } else if i % 8 == 4 {
            word = word.map(substitute);
        }
        for (byte, before) in word.iter_mut().zip(words[i - 8]) {
            *byte ^= before;
        }
        words[i] = word;
    }
    std::array::from_fn(|round| {
        let mut key = [0; 16];
        key.copy_from_slice(words[4 * round..4 * round + 4].as_flattened());
        key
    })
}

fn times_two(a: u8) -> u8 {
    (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1b }
}

/// The S-box: the inverse in the field, then an affine map.
fn substitute(a: u8) -> u8 {
    let times = |mut a: u8, mut b: u8| {
        let mut product = 0;
        while b > 0 {
            if b & 1 == 1 {
                product ^= a;
            }
            a = times_two(a);
            b >>= 1;
        }
        product
    };
    let inverse = (0..=255).find(|b| times(a, *b) == 1).unwrap_or(0);
    (0..5).fold(0x63, |sum, n| sum ^ inverse.rotate_left(n))
}

#[test]
fn the_key_schedule_is_that_of_the_standard() {
    // FIPS 197, A.3.
    let key: Vec<u8> = (0..32)
        .map(|i| {
            let text = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
            u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()
        })
        .collect();
    let rounds = round_keys(key.as_slice().try_into().unwrap());
    assert_eq!(hex(&rounds[2]), "9ba354118e6925afa51a8b5f2067fcde");
    assert_eq!(hex(&rounds[14]), "fe4890d1e6188d0b046df344706c631e");
}

#[test]
fn the_state_after_one_block_is_what_leads_to_the_hash() {
    let mut state = INITIAL;
    compress256(&mut state, &[[7; 64]]);
    // The padding of a message of one block.
    let mut end = [0; 64];
    end[0] = 0x80;
    end[56..].copy_from_slice(&512_u64.to_be_bytes());
    compress256(&mut state, &[end]);
    let hash: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
    assert_eq!(hash, Sha256::digest([7; 64]).to_vec());
}
