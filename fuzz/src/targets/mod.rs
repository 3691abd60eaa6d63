//! One function per parser of bytes from outside: each takes any bytes and panics if the parser breaks a promise.
//!
//! Shared by the fuzz targets and by `tests/integration/corpus.rs`, which runs every seed in `fuzz/corpus`.

mod access;
mod configuration;
mod file;
mod front;
mod key;
mod tls;
mod wire;

pub use access::{name, policy, request_path};
pub use configuration::config;
pub use file::file;
pub use front::{forwarded, proxy_protocol};
pub use key::{ciphertext, sealed, stored_key};
pub use tls::{certificate, pem};
pub use wire::{answer, body_end, request_body};

/// What runs one input.
pub type Target = fn(&[u8]);

/// All targets by the names of their programs and of their folders in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("answer", answer),
    ("body_end", body_end),
    ("certificate", certificate),
    ("ciphertext", ciphertext),
    ("config", config),
    ("file", file),
    ("forwarded", forwarded),
    ("name", name),
    ("pem", pem),
    ("policy", policy),
    ("proxy_protocol", proxy_protocol),
    ("request_body", request_body),
    ("request_path", request_path),
    ("sealed", sealed),
    ("stored_key", stored_key),
];
