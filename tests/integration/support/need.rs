//! What a test needs of the machine: tools, rights. What is missing skips it with the reason printed, or fails it where
//! `KES_REQUIRE_TOOLS` is set, as in CI.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// A variable of the environment; nothing if it is unset or empty.
#[expect(
    clippy::disallowed_methods,
    reason = "these variables are settings of the tests, not of the server"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Whether all that a test needs is there. If not, says so; where everything must be there, fails.
pub(crate) fn all_met(needs: &[(&str, bool)]) -> bool {
    let unmet: Vec<&str> = needs
        .iter()
        .filter(|(_, met)| !met)
        .map(|(what, _)| *what)
        .collect();
    if unmet.is_empty() {
        return true;
    }
    let unmet = unmet.join(", ");
    assert!(variable("KES_REQUIRE_TOOLS").is_none(), "missing: {unmet}");
    // Past the test program, which shows what tests print only when they fail.
    let _ = writeln!(std::io::stderr(), "skipped: missing: {unmet}");
    false
}

/// Whether a command can be run, and succeeds.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether this is root.
pub(crate) fn root() -> bool {
    rustix::process::geteuid().is_root()
}
