//! See `targets::request_path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kes_fuzz::targets::request_path(data));
