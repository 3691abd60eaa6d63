//! `kes`: a stateless key-encryption service.
//!
//! Storage servers call it over mutual TLS to create keys, make data keys and decrypt them. It knows a client by the hash of its
//! certificate's public key, matches that to a policy, keeps keys in a pluggable keystore, caches them in locked memory, and persists
//! nothing else.
//!
//! This page is the map of the tree, foundations first. A module uses only what stands above it; `tests/integration/house.rs` holds
//! the exact table.

pub mod apikey;
pub mod certificate;
pub mod clock;
pub mod compat;
pub mod identity;
pub mod memory;
pub mod name;
pub mod pem;
pub mod policy;
pub mod secret;

pub mod crypto;
pub mod wire;

pub mod keystore;
pub mod telemetry;
pub mod tls;

pub mod keyring;
pub mod migrate;

pub mod config;

pub mod state;

pub mod api;

pub mod server;

pub mod client;

pub mod cli;

/// The release, semantic, from the manifest.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that the binary was built from, or `<unknown>`.
pub const COMMIT: &str = env!("KES_COMMIT");
