//! The store in files is durable: what it acknowledged outlives SIGKILL and power failures, and what it did not is whole or absent.
//!
//! - [`power`] takes the power away from a file system right after each acknowledgement, and in the midst of work. It also shows that
//!   it is not blind: with any one flush of the store taken out, it finds the loss.
//! - [`kill`] ends a working process two hundred times at random moments.
//! - [`predecessor`] starts on what crashes of the predecessor have left.
//!
//! The first two work on a real store in a process of its own ([`worker`]), and compares with what that process said ([`churn`]).
//! What they lack (root, a tool) skips a test with the reason printed, or fails it where `KES_REQUIRE_TOOLS` is set, as in CI.

use std::{path::Path, sync::Arc};

use kes::keystore::{self, Keystore, Opened, Settings};

use crate::support::need::variable;

mod churn;
pub(crate) mod disk;
mod kill;
mod power;
mod predecessor;
mod worker;

/// How many times as much to do as in CI: `KES_DURABILITY`, 1 if unset.
pub(crate) fn times() -> usize {
    variable("KES_DURABILITY").map_or(1, |text| text.parse().unwrap())
}

/// Opens the store in the directory `path`.
async fn open(path: &Path) -> Arc<dyn Keystore> {
    open_warned(path).await.store
}

/// Opens the store in the directory `path`, and says what its operator should know.
async fn open_warned(path: &Path) -> Opened {
    let path = path.to_owned();
    let settings = Settings::Fs(keystore::fs::Settings { path });
    keystore::open(&settings).await.unwrap()
}

/// Numbers that a seed decides (`SplitMix64`): for picking moments, not for keys.
pub(crate) struct Random(u64);

impl Random {
    /// From `KES_TEST_SEED`, or new. Prints the seed, which is seen when the test fails.
    pub(crate) fn new() -> Self {
        let seed = variable("KES_TEST_SEED")
            .map_or_else(|| getrandom::u64().unwrap(), |text| text.parse().unwrap());
        println!("KES_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
