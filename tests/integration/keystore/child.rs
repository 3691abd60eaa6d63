//! Tests that need a process of their own: another user, other mounts, a violent end.
//!
//! Such a test calls itself: the test program is started again with the test's name and a variable, and the same function then finds
//! itself to be the child.

use std::{
    fs::File,
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::{MetadataExt as _, chown},
            process::CommandExt as _,
        },
    },
    path::{Path, PathBuf},
    process::Command,
};

/// The variable with the place where a child works.
const PLACE: &str = "KES_TEST_PLACE";

/// The user, and the group, without privileges.
pub(crate) const NOBODY: u32 = 65534;

/// In a child, the place where it works.
#[expect(
    clippy::disallowed_methods,
    reason = "the variable is how a test talks to its own second process"
)]
pub(crate) fn place() -> Option<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from)
}

/// The command that runs `test` again in a process of its own.
pub(crate) fn again(test: &str, place: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments(test)).env(PLACE, place);
    command
}

/// The command that runs `test` again under `program`, which takes a command line behind its own `options`.
pub(crate) fn again_under(program: &str, options: &[String], test: &str, place: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(options)
        .arg(std::env::current_exe().unwrap())
        .args(arguments(test))
        .env(PLACE, place);
    command
}

/// Runs `test` again, where the shell has run `mounts` in a mount name space of its own before; `$PLACE` is the place.
pub(crate) fn run_mounted(test: &str, place: &Path, mounts: &str) {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !is_root() {
        // Whoever is root in a user name space may mount there as well.
        command.arg("--map-root-user");
    }
    command
        .args(["sh", "-ec"])
        .arg(format!("PLACE=${PLACE}\n{mounts}\nexec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(arguments(test))
        .env(PLACE, place);
    expect_one_passed(command);
}

/// Runs `test` again as a user without privileges, who is given the files `owned`.
pub(super) fn run_unprivileged(test: &str, place: &Path, owned: &[&Path]) {
    if !is_root() {
        expect_one_passed(again(test, place));
        return;
    }
    for path in owned {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    // Through a descriptor, because that user may not be able to walk to the program.
    let program = File::open(std::env::current_exe().unwrap()).unwrap();
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command
        .args(arguments(test))
        .env(PLACE, place)
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY);
    expect_one_passed(command);
}

fn arguments(test: &str) -> [&str; 4] {
    [test, "--exact", "--nocapture", "--test-threads=1"]
}

/// Runs a child to its end. A child that found no test of that name would be content, too.
fn expect_one_passed(mut command: Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("test result: ok. 1 passed"),
        "{}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
}

pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}
