//! See `targets::forwarded`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kes_fuzz::targets::forwarded(data));
