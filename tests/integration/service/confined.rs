//! The server at work inside of what the unit permits.
//!
//! Limits, user, capabilities and `NoNewPrivileges` are imposed. Under them all kinds of work are done while strace records every
//! system call; the record is then held against the unit's filters. A test shows that this is not blind: with a needed call
//! filtered, it finds it.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use rustix::process::{Resource, getrlimit};
use serde_json::json;

use super::{filter::Groups, setting, settings, unit_text};
use crate::support::{Cert, Server, Setup, Version, client::Payload, need};

/// The user without privileges.
const NOBODY: u32 = 65534;
/// More connections than it takes for the server to give memory back to the system when they have ended.
const MANY: usize = 300;

fn can_confine() -> bool {
    need::all_met(&[
        ("root", need::root()),
        ("strace", need::works("strace", &["-V"])),
        ("prlimit", need::works("prlimit", &["--version"])),
        ("setpriv", need::works("setpriv", &["--version"])),
        (
            "systemd-analyze",
            need::works("systemd-analyze", &["--version"]),
        ),
    ])
}

/// Bytes of a setting such as `64M`.
fn bytes(text: &str) -> u64 {
    text.strip_suffix('M').map_or_else(
        || text.parse().unwrap(),
        |number| number.parse::<u64>().unwrap() << 20,
    )
}

/// What starts a program as the unit does, recording its system calls in `record`.
fn confinement(unit: &str, record: &Path) -> Vec<String> {
    // Where even root may not go as far as the unit, less is the harder test.
    let limit = |name, resource| {
        let here = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        bytes(&setting(unit, name)).min(here)
    };
    assert_eq!(setting(unit, "NoNewPrivileges"), "yes");
    let words = [
        "strace -D -f -q --signal=none -e trace=all -o".to_owned(),
        record.display().to_string(),
        format!(
            "prlimit --memlock={} --nofile={} --core={}",
            limit("LimitMEMLOCK", Resource::Memlock),
            limit("LimitNOFILE", Resource::Nofile),
            limit("LimitCORE", Resource::Core)
        ),
        format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"),
        "--inh-caps=-all --ambient-caps=-all --bounding-set=-all --no-new-privs".to_owned(),
    ];
    let words = words.iter().flat_map(|words| words.split(' '));
    words.map(ToOwned::to_owned).collect()
}

/// Everything that a server does in its life, short of what needs other machines.
async fn work(server: &mut Server, admin: &Cert, setup: &Setup) {
    let client = server.client(admin);
    for version in [Version::H1, Version::H2] {
        let mut connection = client.connect(version).await.unwrap();
        let name = format!("key-{version:?}");
        let path = |route: &str| format!("/v1/key/{route}/{name}");
        connection
            .send("PUT", &path("create"), Payload::None)
            .await
            .empty();
        let sealed = connection.send("PUT", &path("generate"), "{}").await.json();
        let body = json!({ "ciphertext": sealed["ciphertext"] });
        let opened = connection.send("PUT", &path("decrypt"), body).await.json();
        assert_eq!(opened["plaintext"], sealed["plaintext"]);
        let body = json!({ "message": "aGVsbG8=" });
        connection.send("PUT", &path("hmac"), body).await.json();
        connection
            .send("GET", "/v1/key/list/", Payload::None)
            .await
            .json();
        connection
            .send("GET", &path("describe"), Payload::None)
            .await
            .json();
        connection
            .send("DELETE", &path("delete"), Payload::None)
            .await
            .empty();
        let key =
            json!({ "key": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "cipher": "AES256" });
        connection.send("PUT", &path("import"), key).await.empty();
        for path in ["/v1/status", "/v1/ready", "/v1/metrics", "/version"] {
            let reply = connection.send("GET", path, Payload::None).await;
            assert_eq!(reply.status, 200, "{path}: {reply:?}");
        }
        let mut stream = client.connect(version).await.unwrap();
        let log = stream
            .open("GET", "/v1/log/audit", &[], Payload::None)
            .await;
        assert_eq!(log.unwrap().status(), 200);
    }
    let mut open = Vec::new();
    for _ in 0..MANY {
        open.push(client.connect(Version::H1).await.unwrap());
    }
    drop(open);
    // A new configuration, and new certificates without one.
    server.reload(setup);
    server
        .said(1, "Reloading configuration after SIGHUP signal completed")
        .await;
    let renewed = Cert::server();
    fs::write(server.folder().join("server.key"), renewed.key_pem()).unwrap();
    fs::write(server.folder().join("server.pem"), renewed.pem()).unwrap();
    server.complained(1, "reloaded: ").await;
}

/// Runs a server through its life, confined; the system calls it made, one a line, from its own first one.
async fn lived() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record");
    let admin = Cert::client();
    // All interfaces: their addresses are looked up for the banner.
    let setup = || {
        Setup::new(&admin)
            .keys_in_files()
            .with("log:\n  audit: on")
            .flag("--mlock")
    };
    let way = confinement(&unit_text(), &record);
    let mut server = setup().by_way_of(NOBODY, way).start().await;
    server.said(1, "MLock       enabled").await;
    work(&mut server, &admin, &setup()).await;
    server.terminate();
    assert!(server.end().await.success());
    let ended = async {
        loop {
            let text = fs::read_to_string(&record).unwrap_or_default();
            if text.trim_end().ends_with("+++ exited with 0 +++") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await; // between two looks
        }
    };
    let text = tokio::time::timeout(Duration::from_secs(30), ended).await;
    let text = text.expect("strace does not end");
    // What comes before is prlimit and setpriv.
    let start = text.rfind("execve(\"/proc/self/fd/0\"").unwrap();
    text[start..].lines().map(ToOwned::to_owned).collect()
}

/// The system call of a line, with its arguments: `123 read(4, "", 8) = 0`, the number not on the first line.
fn call(line: &str) -> Option<(&str, &str)> {
    let rest = line
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .trim_start();
    let (name, arguments) = rest.split_once('(')?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, arguments))
}

fn names(lines: &[String]) -> BTreeSet<String> {
    let calls = lines.iter().filter_map(|line| call(line));
    calls.map(|(name, _)| name.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_all_its_work_inside_of_what_the_unit_permits() {
    if !can_confine() {
        return;
    }
    let unit = unit_text();
    let lines = lived().await;
    let used = names(&lines);
    for expected in ["accept4", "mlock", "fsync", "prctl"] {
        assert!(used.contains(expected), "{expected} is missing in {used:?}");
    }
    let groups = Groups::ask();
    let mut filter = settings(&unit, "SystemCallFilter");
    let permitted = groups.permitted(&filter);
    let refused: Vec<_> = used.difference(&permitted).collect();
    assert!(refused.is_empty(), "the unit does not permit {refused:?}");
    // It would have been seen.
    filter.push("~@memlock".to_owned());
    let permitted = groups.permitted(&filter);
    let refused: Vec<_> = used.difference(&permitted).collect();
    assert_eq!(refused, ["mlock"]);

    let families = setting(&unit, "RestrictAddressFamilies");
    let families: BTreeSet<&str> = families.split(' ').collect();
    for (name, arguments) in lines.iter().filter_map(|line| call(line)) {
        if name == "socket" || name == "socketpair" {
            let (family, _) = arguments.split_once(',').unwrap();
            assert!(families.contains(family), "{name}({arguments}");
        }
        // MemoryDenyWriteExecute=
        let executable = arguments.contains("PROT_EXEC");
        let denied = match name {
            "mmap" => executable && arguments.contains("PROT_WRITE"),
            "mprotect" | "pkey_mprotect" => executable,
            "shmat" => arguments.contains("SHM_EXEC"),
            _ => false,
        };
        assert!(
            !denied,
            "memory would be writable and executable: {name}({arguments}"
        );
        if name.starts_with("open") && !arguments.contains("ENOENT") {
            check_open(arguments);
        }
    }
}

/// `ProtectSystem=`, `ProtectHome=`, `PrivateDevices=`, `ProcSubset=`: what is opened, and what for.
fn check_open(arguments: &str) {
    let Some((_, rest)) = arguments.split_once('"') else {
        return;
    };
    let (path, flags) = rest.split_once('"').unwrap();
    let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TMPFILE"]
        .iter()
        .any(|flag| flags.contains(flag));
    // In the unit the folder of keys is /var/lib/kes.
    let temporary = std::env::temp_dir();
    let own = Path::new(path).starts_with(temporary) || !path.starts_with('/');
    assert!(!writes || own, "opened for writing: {path}");
    for hidden in ["/home/", "/root/", "/run/user/"] {
        assert!(!path.starts_with(hidden), "opened: {path}");
    }
    if let Some(rest) = path.strip_prefix("/proc/") {
        let process = rest.split('/').next().unwrap();
        let is_process = process == "self" || process.bytes().all(|b| b.is_ascii_digit());
        // The C library's heap looks how it may give memory back, and does without an answer.
        let is_heap = path == "/proc/sys/vm/overcommit_memory";
        assert!(is_process || is_heap, "opened: {path}");
    }
    if let Some(device) = path.strip_prefix("/dev/") {
        assert!(
            ["null", "random", "urandom", "zero"].contains(&device),
            "opened: {path}"
        );
    }
}
