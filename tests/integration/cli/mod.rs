//! The command line, run as users run it: the built program, its files, its two outputs and its exit code.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

mod config;
mod connection;
mod docs;
mod identity;
mod identity_new;
mod new;
mod policy;
mod script;
mod usage;

/// cli.md 21.
const API_KEY: &str = "kes:v1:AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
const IDENTITY: &str = "a050837d85070582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5";

/// A variable that tells a test what to do, as to write its expectations anew.
#[expect(
    clippy::disallowed_methods,
    reason = "who runs the tests sets these, and nobody else reads them"
)]
fn wish(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// How a run of the program ended.
#[derive(Debug)]
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    /// Standard output of a run that went well and said nothing else.
    fn quietly(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// Standard output of a run that went well.
    fn well(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }

    /// Standard error of a run that failed with `code` and printed no result.
    fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.err);
        self.err
    }
}

/// Runs `kes` in a folder, with an environment of these variables alone and this input.
struct Kes<'a> {
    dir: &'a Path,
    env: &'a [(&'a str, &'a str)],
    input: &'a [u8],
}

impl<'a> Kes<'a> {
    fn new(dir: &'a Path) -> Self {
        Self {
            dir,
            env: &[],
            input: b"",
        }
    }

    fn env(self, env: &'a [(&'a str, &'a str)]) -> Self {
        Self { env, ..self }
    }

    fn input(self, input: &'a [u8]) -> Self {
        Self { input, ..self }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kes"))
            .args(arguments)
            .current_dir(self.dir)
            .env_clear()
            .envs(self.env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        // A program that does not read its input may have closed it.
        drop(stdin.write_all(self.input));
        drop(stdin);
        let output = child.wait_with_output().expect("the program ends");
        let text = |bytes| String::from_utf8(bytes).expect("output is text");
        Run {
            code: output.status.code().expect("no signal ended the program"),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// Runs `kes` in the temporary folder of the system.
fn kes(arguments: &[&str]) -> Run {
    Kes::new(&std::env::temp_dir()).run(arguments)
}
