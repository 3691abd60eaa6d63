//! Where keys are in a running server's memory, and where they are not (crypto.md 6, decision 28).
//!
//! The tests start the real program, use every route that touches a key, and after each step, once the response has come, read all
//! memory of the process: heap, stacks of all threads, static data, the program itself. What they look for is in [`needle`], how they
//! read in [`scan`]. Guard pages cannot be read and hold nothing. The kernel's own buffers (of sockets, of files) are not memory of
//! the process, and out of reach of any program.

mod locking;
mod needle;
mod residue;
mod scan;

/// The user, and the group, without privileges.
const NOBODY: u32 = 65534;
/// How much a user may commonly lock into memory, in KiB.
const MEMLOCK: u64 = 8 << 10;

/// Whether this test may read the memory of another process that forbids it; if not, says so, and fails where nobody would read that.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says whether anybody watches"
)]
fn may_read_memory() -> bool {
    // linux/capability.h
    const SYS_PTRACE: u32 = 19;
    let capabilities = scan::status(std::process::id())["CapEff"].clone();
    let has = u64::from_str_radix(&capabilities, 16).unwrap() >> SYS_PTRACE & 1 == 1;
    if !has {
        assert!(std::env::var_os("CI").is_none(), "this test needs root");
        eprintln!("skipped: only root (CAP_SYS_PTRACE) may read the memory of a server");
    }
    has
}
