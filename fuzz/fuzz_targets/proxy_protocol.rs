//! See `targets::proxy_protocol`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kes_fuzz::targets::proxy_protocol(data));
