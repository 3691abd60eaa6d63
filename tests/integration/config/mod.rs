//! The configuration file: samples, dialect, references, checks, and input that nobody would write.

use kes::config::{Config, Context, Env, Errors, Fallback, Note, parse};

mod check;
mod dialect;
mod document;
mod files;
mod garbage;
mod inspect;
mod keystore;
mod reference;
mod sample;
mod spelling;

/// The paths of all routes, as the server will pass them (api.md 7 and decision 2).
const ROUTES: &[&str] = &[
    "/version",
    "/v1/ready",
    "/v1/status",
    "/v1/metrics",
    "/v1/api",
    "/v1/key/create/",
    "/v1/key/import/",
    "/v1/key/describe/",
    "/v1/key/list/",
    "/v1/key/delete/",
    "/v1/key/encrypt/",
    "/v1/key/generate/",
    "/v1/key/decrypt/",
    "/v1/key/hmac/",
    "/v1/key/bulk/decrypt/",
    "/v1/policy/describe/",
    "/v1/policy/read/",
    "/v1/policy/list/",
    "/v1/identity/describe/",
    "/v1/identity/list/",
    "/v1/identity/self/describe",
    "/v1/log/error",
    "/v1/log/audit",
];

/// Two identities that a certificate can have.
const ALICE: &str = "93e97fd09ef109cc7e7fd6397fdbb90b1f4a18f636c4fbebddefa870416900fd";
const BOB: &str = "2d37798850b6b1ce1ad1b1bc092cb48e9eea4c498476eab8cc210b973de9d539";

/// What a file needs beside what a test is about.
const REST: &str =
    "admin: { identity: disabled }\ntls: { key: k, cert: c }\nkeystore: { fs: { path: keys } }\n";

fn load(file: impl AsRef<[u8]>, env: &[(&str, &str)]) -> Result<Config, Errors> {
    load_with(file, env, Fallback::default())
}

fn load_with(
    file: impl AsRef<[u8]>,
    env: &[(&str, &str)],
    fallback: Fallback,
) -> Result<Config, Errors> {
    let env = Env::of(env.iter().copied());
    let context = Context {
        env: &env,
        routes: ROUTES,
        fallback,
    };
    parse("kes.yml", file.as_ref(), &context)
}

/// Loads `head` and [`REST`], which must succeed.
fn good(head: &str) -> Config {
    match load(format!("{head}\n{REST}"), &[]) {
        Ok(config) => config,
        Err(errors) => panic!("{head}\n{errors}"),
    }
}

/// Loads `head` and [`REST`], which must fail; the problems as they are shown, without hints.
fn bad(head: &str) -> Vec<String> {
    problems(load(format!("{head}\n{REST}"), &[]))
}

fn problems(result: Result<Config, Errors>) -> Vec<String> {
    let errors = result.err().expect("the file must not load");
    assert!(!errors.problems.is_empty());
    lines(&errors.problems)
}

fn lines(notes: &[Note]) -> Vec<String> {
    notes.iter().map(Note::to_string).collect()
}
