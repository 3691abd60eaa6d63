//! What a server says and does about locking memory, and what the kernel says about the server (config.md 15, decision 28).

use std::{fs, os::unix::fs::MetadataExt as _};

use super::{MEMLOCK, NOBODY, may_read_memory, scan};
use crate::support::{Cert, Server, Setup, client::Payload};

const WARNING: &str = "memory for keys cannot be locked: keys may be written to swap";
const REMEDY: &str = "grant CAP_IPC_LOCK or raise RLIMIT_MEMLOCK";

/// Starts a server and makes a key, so that there is something to lock.
async fn serving(setup: Setup, admin: &Cert) -> Server {
    let server = setup.start().await;
    let client = server.client(admin);
    client.put("/v1/key/create/a", Payload::None).await.empty();
    client.put("/v1/key/generate/a", "{}").await.json();
    server
}

fn warnings(server: &Server) -> Vec<String> {
    let lines = server.errors().into_iter();
    lines.filter(|line| line.contains(WARNING)).collect()
}

#[tokio::test]
async fn a_user_with_the_common_limit_has_locked_keys_and_no_warning() {
    if !may_read_memory() {
        return;
    }
    let admin = Cert::client();
    let setup = Setup::new(&admin).run_by(NOBODY, MEMLOCK).flag("--mlock");
    let mut server = serving(setup, &admin).await;
    server.said(1, "MLock       enabled").await;
    assert_eq!(warnings(&server), [""; 0]);
    assert!(scan::locked_bytes(server.process()) > 0);
}

#[tokio::test]
async fn a_user_who_may_lock_nothing_is_served_and_warned_once() {
    if !may_read_memory() {
        return;
    }
    let admin = Cert::client();
    let setup = Setup::new(&admin).run_by(NOBODY, 0);
    let mut server = serving(setup, &admin).await;
    server.complained(1, WARNING).await;
    let warnings = warnings(&server);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("level=WARN") && warnings[0].contains(REMEDY));
    assert!(!server.output().iter().any(|line| line.contains("MLock")));
    assert_eq!(scan::locked_bytes(server.process()), 0);
}

#[test]
fn a_server_that_must_lock_and_may_not_says_what_helps() {
    if !may_read_memory() {
        return;
    }
    let setup = Setup::new(&Cert::client())
        .run_by(NOBODY, 0)
        .flag("--mlock");
    let (code, errors) = setup.fail();
    assert_eq!(code, Some(1), "{errors}");
    let lines: Vec<&str> = errors.lines().collect();
    assert!(
        matches!(lines[..], [error, hint]
            if error.starts_with("Error: failed to lock memory") && error.contains(WARNING)
                && hint.starts_with("Hint: ") && hint.contains("RLIMIT_MEMLOCK")),
        "{errors}"
    );
}

#[tokio::test]
async fn a_server_leaves_no_core_and_its_memory_to_nobody_but_root() {
    if !may_read_memory() {
        return;
    }
    let admin = Cert::client();
    let setup = Setup::new(&admin).run_by(NOBODY, MEMLOCK);
    let server = serving(setup, &admin).await;
    let folder = format!("/proc/{}", server.process());
    let limits = fs::read_to_string(format!("{folder}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<&str> = core.unwrap().split_ascii_whitespace().collect();
    assert_eq!(words[4..], ["0", "0", "bytes"]);
    // The kernel gives the files of a process that cannot be dumped to root: its own user may neither read its memory nor trace it.
    let owner = fs::metadata(format!("{folder}/mem")).unwrap().uid();
    let status = scan::status(server.process());
    let user = status["Uid"].split_ascii_whitespace().next().unwrap();
    assert_eq!((owner, user), (0, "65534"));
}
