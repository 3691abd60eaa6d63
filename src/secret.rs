//! [`Secret`]: bytes that are wiped when dropped and never shown.
//!
//! A `Secret` has no `Debug`, `Display`, `Clone`, `PartialEq` or `Serialize`. The only way to its bytes is
//! [`Secret::expose`], so that a search for `expose` lists every use of key material in the crate. A struct that holds a
//! `Secret` cannot derive `Debug`: that is the lock.
//!
//! ```compile_fail
//! let secret = kes::secret::Secret::copy_from(b"key");
//! println!("{secret:?}");
//! ```
//! ```compile_fail
//! let secret = kes::secret::Secret::copy_from(b"key");
//! let again = secret.clone();
//! ```
//! ```compile_fail
//! let secret = kes::secret::Secret::copy_from(b"key");
//! println!("{secret}");
//! ```

use crate::memory::Region;

/// The system's random generator failed. Nothing was made.
#[derive(Debug, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct NoRandomness(#[source] getrandom::Error);

/// Bytes that are wiped when dropped and never shown; they live in the locked pages of [`crate::memory`].
pub struct Secret {
    region: Region,
}

impl Secret {
    /// A secret of `len` bytes, written in place by `fill` (which sees zeroes).
    pub fn with(len: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut region = Region::zeroed(len);
        fill(region.as_mut_slice());
        Self { region }
    }

    /// A copy of `bytes`. The caller wipes the original.
    pub fn copy_from(bytes: &[u8]) -> Self {
        Self::with(bytes.len(), |out| out.copy_from_slice(bytes))
    }

    /// `len` bytes of the system's randomness.
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has none to give.
    pub fn random(len: usize) -> Result<Self, NoRandomness> {
        let mut region = Region::zeroed(len);
        random(region.as_mut_slice())?;
        Ok(Self { region })
    }

    /// The bytes: the one door. Do not copy them without wiping the copy; never log them.
    pub fn expose(&self) -> &[u8] {
        self.region.as_slice()
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.region.as_slice().len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Fills `bytes` with the system's randomness: the one source of keys, nonces and data keys.
///
/// # Errors
/// [`NoRandomness`] if the system has none to give.
pub fn random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(NoRandomness)
}
