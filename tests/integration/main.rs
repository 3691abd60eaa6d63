//! Integration tests: one binary, linked once.
#![expect(
    clippy::expect_used,
    reason = "a test's helper fails the test by panicking"
)]

mod cli;
mod identity;
