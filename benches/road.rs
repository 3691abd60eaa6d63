//! What the parts of one request cost, each alone: `make bench-micro`. Figures to compare two commits with on one machine; what a request
//! costs on its whole road is measured by `bench/` (docs/performance.md).
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up has to stop"
)]

use divan::{Bencher, black_box};
use kes::{
    api,
    clock::Clock,
    crypto::{Cipher, KeyVersion},
    policy::{Pattern, Policy},
    wire,
};

fn main() {
    divan::main();
}

const CIPHERS: [&str; 2] = ["AES256", "ChaCha20"];
/// What storage servers bind data keys to.
const CONTEXT: &[u8] = br#"{"bucket":"bench/object-0001"}"#;

fn key(cipher: &str) -> KeyVersion {
    let now = Clock::test().now_utc();
    KeyVersion::generate(Cipher::parse(cipher).unwrap(), "", now).unwrap()
}

#[divan::bench(args = CIPHERS)]
fn seal(bencher: Bencher<'_, '_>, cipher: &str) {
    let key = key(cipher);
    bencher.bench_local(|| key.seal(black_box(&[7; 32]), CONTEXT).unwrap());
}

#[divan::bench(args = CIPHERS)]
fn seal_data_key(bencher: Bencher<'_, '_>, cipher: &str) {
    let key = key(cipher);
    bencher.bench_local(|| key.seal_data_key(black_box(CONTEXT)).unwrap());
}

#[divan::bench(args = CIPHERS)]
fn open(bencher: Bencher<'_, '_>, cipher: &str) {
    let key = key(cipher);
    let sealed = key.seal(&[7; 32], CONTEXT).unwrap();
    bencher.bench_local(|| key.open(black_box(&sealed), CONTEXT).unwrap());
}

#[divan::bench]
fn hmac(bencher: Bencher<'_, '_>) {
    let key = key("AES256");
    bencher.bench_local(|| key.hmac(black_box(&[7; 32])).unwrap());
}

/// Policies of so many rules, of which the last one allows.
#[divan::bench(args = [1, 50])]
fn judge(bencher: Bencher<'_, '_>, rules: usize) {
    let rule = |i: usize| {
        if i + 1 == rules {
            "/v1/key/*".to_owned()
        } else {
            format!("/v1/key/decrypt/p-{i}*")
        }
    };
    let allow = (0..rules).map(|i| Pattern::parse(&rule(i)).unwrap());
    let policy = Policy::new(allow.collect(), Vec::new());
    bencher.bench_local(|| {
        let verdict = policy.judge(black_box("/v1/key/decrypt/bench"));
        matches!(verdict, kes::policy::Verdict::Allowed(_))
    });
}

#[divan::bench(args = ["/v1/key/decrypt/bench", "//v1/key/decrypt/%62ench/", "/v1/no/such/path"])]
fn route(path: &str) -> Option<&'static str> {
    api::reached(black_box(path))
}

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let sealed = key("AES256").seal(&[7; 32], CONTEXT).unwrap();
    let body = wire::outgoing::decrypt(&sealed, CONTEXT);
    bencher.bench_local(|| wire::request::Decrypt::parse(black_box(&body)).unwrap());
}

#[divan::bench]
fn write() -> bytes::Bytes {
    wire::write::secrets(black_box(&[("plaintext", &[7; 32][..])]))
}
