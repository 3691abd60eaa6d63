//! [`Cipher`]: the types of keys, their names, and sealing under one-time keys (crypto.md 1.1, 1.2, 3.2).
//!
//! The crates below wipe their key schedules. What they and the compiler leave on the stack (padded HMAC keys, the state of
//! `HChaCha20`, moved values) is overwritten after each operation, to a depth of `STACK`.

use std::{fmt, hint};

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use chacha20::{R20, hchacha};
use chacha20poly1305::ChaCha20Poly1305;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// Length of a master key and of an HMAC key in bytes.
pub(super) const KEY: usize = 32;
/// Length of the input to key derivation in bytes.
pub(super) const IV: usize = 16;
/// Length of the AEAD's nonce in bytes.
pub(super) const NONCE: usize = 12;
/// Length of the AEAD's tag in bytes.
pub(super) const TAG: usize = 16;

/// How much of the stack is overwritten after each operation, in bytes. Optimised, none goes deeper than 3.4 KiB with AVX2, and none
/// than 6 KiB with AVX-512, by the frames of its functions; without optimisation each instruction of the AES unit is a function with
/// variables of its own. A test looks how deep they go where it runs.
const STACK: usize = if cfg!(debug_assertions) {
    64 << 10
} else {
    8 << 10
};

/// The ciphertext is not what this key sealed under this context. There is no other decryption error (crypto.md 4.1), so that
/// nobody learns from it what exactly is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ciphertext is not authentic")]
pub struct Unauthentic;

/// The type of a key: which algorithms seal under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cipher {
    /// AES-256-GCM, one-time keys by HMAC-SHA-256.
    Aes256,
    /// ChaCha20-Poly1305, one-time keys by `HChaCha20`.
    ChaCha20,
}

impl Cipher {
    /// The cipher of that name: the current names and those of older releases (crypto.md 1.2). Case matters.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "AES256" | "AES256-GCM_SHA256" => Some(Self::Aes256),
            "ChaCha20" | "XCHACHA20-POLY1305" => Some(Self::ChaCha20),
            _ => None,
        }
    }

    /// The name to write and to show.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::ChaCha20 => "ChaCha20",
        }
    }

    /// The type for new keys on this machine: AES if the processor has instructions for AES-GCM (crypto.md 1.1). A key keeps its
    /// type wherever it is used later.
    ///
    /// On s390x it is always `ChaCha20`: stable Rust cannot ask that processor for its message-security functions.
    pub fn for_this_cpu() -> Self {
        if has_aes_gcm() {
            Self::Aes256
        } else {
            Self::ChaCha20
        }
    }

    /// Encrypts `buffer` in place under the one-time key of `secret` and `iv`. Returns the tag.
    ///
    /// # Panics
    /// If `buffer` is 64 GiB or longer, beyond what AES-GCM allows.
    pub(super) fn seal(
        self,
        secret: &[u8; KEY],
        iv: &[u8; IV],
        nonce: &[u8; NONCE],
        context: &[u8],
        buffer: &mut [u8],
    ) -> [u8; TAG] {
        on_wiped_stack(|| self.seal_under(&self.one_time_key(secret, iv), nonce, context, buffer))
    }

    /// Encrypts `buffer` in place under a key that seals nothing else with this `nonce`. Returns the tag.
    pub(super) fn seal_with(
        self,
        key: &[u8; KEY],
        nonce: &[u8; NONCE],
        buffer: &mut [u8],
    ) -> [u8; TAG] {
        on_wiped_stack(|| self.seal_under(key, nonce, &[], buffer))
    }

    #[expect(
        clippy::expect_used,
        reason = "requests are a million bytes at most and so are chunks of files, five orders below the limit of either AEAD"
    )]
    fn seal_under(
        self,
        key: &[u8; KEY],
        nonce: &[u8; NONCE],
        context: &[u8],
        buffer: &mut [u8],
    ) -> [u8; TAG] {
        let (nonce, buffer) = (nonce.into(), buffer.into());
        let sealed = match self {
            Self::Aes256 => {
                Aes256Gcm::new(key.into()).encrypt_inout_detached(nonce, context, buffer)
            }
            Self::ChaCha20 => {
                ChaCha20Poly1305::new(key.into()).encrypt_inout_detached(nonce, context, buffer)
            }
        };
        sealed.expect("the plaintext is shorter than 64 GiB").into()
    }

    /// Checks `tag` and decrypts `buffer` in place. If the tag is wrong, `buffer` is left as it was.
    pub(super) fn open(
        self,
        secret: &[u8; KEY],
        iv: &[u8; IV],
        nonce: &[u8; NONCE],
        context: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), Unauthentic> {
        on_wiped_stack(|| {
            self.open_under(&self.one_time_key(secret, iv), nonce, context, buffer, tag)
        })
    }

    /// Checks `tag` and decrypts in place what [`Self::seal_with`] sealed. If the tag is wrong, `buffer` is left as it was.
    pub(super) fn open_with(
        self,
        key: &[u8; KEY],
        nonce: &[u8; NONCE],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), Unauthentic> {
        on_wiped_stack(|| self.open_under(key, nonce, &[], buffer, tag))
    }

    fn open_under(
        self,
        key: &[u8; KEY],
        nonce: &[u8; NONCE],
        context: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), Unauthentic> {
        let (nonce, buffer, tag) = (nonce.into(), buffer.into(), tag.into());
        let opened = match self {
            Self::Aes256 => {
                Aes256Gcm::new(key.into()).decrypt_inout_detached(nonce, context, buffer, tag)
            }
            Self::ChaCha20 => ChaCha20Poly1305::new(key.into())
                .decrypt_inout_detached(nonce, context, buffer, tag),
        };
        opened.map_err(|_| Unauthentic)
    }

    fn one_time_key(self, secret: &[u8; KEY], iv: &[u8; IV]) -> Zeroizing<[u8; KEY]> {
        let mut key = Zeroizing::new([0; KEY]);
        match self {
            Self::Aes256 => hmac_into(secret, iv, &mut key),
            Self::ChaCha20 => {
                let mut subkey = hchacha::<R20>(secret.into(), iv.into());
                key.copy_from_slice(&subkey);
                subkey.zeroize();
            }
        }
        key
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// HMAC-SHA-256 of `message` under `key`, to `sum`.
pub(super) fn hmac_sha256(key: &[u8], message: &[u8], sum: &mut [u8; 32]) {
    on_wiped_stack(|| hmac_into(key, message, sum));
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac_into(key: &[u8], message: &[u8], sum: &mut [u8; 32]) {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("any length will do");
    mac.update(message);
    let mut out = mac.finalize().into_bytes();
    sum.copy_from_slice(&out);
    out.zeroize();
}

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
fn has_aes_gcm() -> bool {
    cfg!(target_arch = "x86_64")
        && std::arch::is_x86_feature_detected!("aes")
        && std::arch::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn has_aes_gcm() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
fn has_aes_gcm() -> bool {
    cfg!(all(target_arch = "powerpc64", target_endian = "little"))
}

/// Runs `work` and then overwrites the part of the stack that it used, where copies of keys may lie that nothing else can wipe.
fn on_wiped_stack<T>(work: impl FnOnce() -> T) -> T {
    // Both run in frames of their own below this one, so the second covers what the first left.
    #[inline(never)]
    fn below<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
    #[inline(never)]
    #[cfg_attr(
        debug_assertions,
        expect(
            clippy::large_stack_arrays,
            reason = "the stack is what is to be overwritten"
        )
    )]
    fn wipe() {
        let mut stack = [0_u8; STACK];
        // The compiler must take it that these zeroes are read and changed, so it has to write them, and to write them here.
        hint::black_box(&mut stack);
    }
    let result = below(work);
    wipe();
    result
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    #[test]
    fn four_names_are_known_and_two_are_written() {
        for (name, cipher) in [
            ("AES256", Cipher::Aes256),
            ("AES256-GCM_SHA256", Cipher::Aes256),
            ("ChaCha20", Cipher::ChaCha20),
            ("XCHACHA20-POLY1305", Cipher::ChaCha20),
        ] {
            assert_eq!(Cipher::parse(name), Some(cipher));
        }
        for name in [
            "",
            "aes256",
            "AES-256",
            "CHACHA20",
            "chacha20",
            "AES256 ",
            "AES-256-GCM-HMAC-SHA-256",
            "ChaCha20Poly1305",
        ] {
            assert_eq!(Cipher::parse(name), None, "{name}");
        }
        for cipher in [Cipher::Aes256, Cipher::ChaCha20] {
            assert_eq!(Cipher::parse(cipher.as_str()), Some(cipher));
            assert_eq!(cipher.to_string(), cipher.as_str());
        }
    }

    #[test]
    fn the_crates_wipe_what_they_hold() {
        fn wiped<T: ZeroizeOnDrop>() {}
        wiped::<Aes256Gcm>();
        wiped::<ChaCha20Poly1305>();
        // HMAC is not marked itself; it consists of two hash states and a buffer, which are those of the hash.
        wiped::<Sha256>();
    }

    #[test]
    fn the_type_of_new_keys_follows_the_processor() {
        let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let has = |flag: &str| flags.split_whitespace().any(|word| word == flag);
        let expected = match std::env::consts::ARCH {
            "x86_64" if has("aes") && has("pclmulqdq") => Cipher::Aes256,
            "aarch64" if has("aes") && has("pmull") => Cipher::Aes256,
            "powerpc64" if cfg!(target_endian = "little") => Cipher::Aes256,
            _ => Cipher::ChaCha20,
        };
        assert_eq!(Cipher::for_this_cpu(), expected);
    }

    #[test]
    fn a_wrong_tag_leaves_the_buffer_as_it_was() {
        for cipher in [Cipher::Aes256, Cipher::ChaCha20] {
            let mut buffer = *b"sixteen bytes or more";
            let tag = cipher.seal(&[1; KEY], &[2; IV], &[3; NONCE], b"context", &mut buffer);
            let sealed = buffer;
            let wrong = cipher.open(
                &[1; KEY],
                &[2; IV],
                &[3; NONCE],
                b"other",
                &mut buffer,
                &tag,
            );
            assert_eq!(wrong, Err(Unauthentic));
            assert_eq!(buffer, sealed);
            let right = cipher.open(
                &[1; KEY],
                &[2; IV],
                &[3; NONCE],
                b"context",
                &mut buffer,
                &tag,
            );
            assert_eq!(right, Ok(()));
            assert_eq!(&buffer, b"sixteen bytes or more");
        }
    }

    /// How deep `work` goes into the stack, in bytes below its caller.
    #[cfg(target_os = "linux")]
    fn depth(work: impl FnOnce()) -> usize {
        use std::os::unix::fs::FileExt as _;
        const MARK: u8 = 0xa5;
        #[inline(never)]
        #[expect(
            clippy::large_stack_arrays,
            reason = "the stack is what is to be painted"
        )]
        fn paint() {
            let mut stack = [MARK; 4 * STACK];
            hint::black_box(&mut stack);
        }
        #[inline(never)]
        fn run(work: impl FnOnce()) {
            work();
        }
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let mut seen = vec![0; 2 * STACK];
        let here = hint::black_box(0_u8);
        let start = std::ptr::from_ref(&here).addr() - seen.len();
        paint();
        run(work);
        let start = u64::try_from(start).unwrap();
        memory.read_exact_at(&mut seen, start).unwrap();
        let untouched = seen.iter().take_while(|byte| **byte == MARK).count();
        seen.len() - untouched
    }

    /// What was painted below the wiped part is still there: so nothing was ever written below it.
    #[cfg(target_os = "linux")]
    #[test]
    fn no_operation_goes_deeper_than_what_is_wiped() {
        // The frames above the one that is wiped.
        const ABOVE: usize = 8 << 10;
        let (secret, iv, nonce) = ([1; KEY], [2; IV], [3; NONCE]);
        for cipher in [Cipher::Aes256, Cipher::ChaCha20] {
            for len in [0, 32, 1000, 100_000] {
                let (mut buffer, context) = (vec![7; len], vec![8; len]);
                let mut tag = [0; TAG];
                let sealing = depth(|| {
                    tag = cipher.seal(&secret, &iv, &nonce, &context, &mut buffer);
                });
                let opening = depth(|| {
                    let opened = cipher.open(&secret, &iv, &nonce, &context, &mut buffer, &tag);
                    assert_eq!(opened, Ok(()));
                });
                let deepest = sealing.max(opening);
                assert!(
                    (STACK..STACK + ABOVE).contains(&deepest),
                    "{cipher}, {len}: {deepest}"
                );
            }
        }
        let mut sum = [0; 32];
        let deepest = depth(|| hmac_sha256(&secret, &[9; 1000], &mut sum));
        assert!((STACK..STACK + ABOVE).contains(&deepest), "{deepest}");
        let deeper = depth(|| {
            hint::black_box(one_step_down(STACK + ABOVE));
        });
        assert!(deeper >= STACK + ABOVE, "{deeper}: what is deeper is seen");
    }

    #[cfg(target_os = "linux")]
    #[inline(never)]
    fn one_step_down(left: usize) -> u8 {
        let mut here = [7_u8; 1 << 10];
        hint::black_box(&mut here);
        let below = left.checked_sub(here.len()).map_or(0, one_step_down);
        here[9].wrapping_add(below)
    }
}
