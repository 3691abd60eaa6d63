//! `kes key encrypt-file`, `decrypt-file` and `hmac` (docs/file-format.md).

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kes::crypto::file::Header;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Scene, run};
use crate::support::{Version, server::PATIENCE};

const CHUNK: usize = 65536;
const TAG: usize = 16;

async fn scene() -> Scene {
    let scene = Scene::start().await;
    scene.run(&["key", "create", "my-key", "other"]).quietly();
    scene
}

/// Bytes that repeat nowhere near.
fn content(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at * at / 251 + at).to_le_bytes()[0])
        .collect()
}

#[tokio::test]
async fn a_file_comes_back_as_it_was() {
    let scene = scene().await;
    for (len, cipher) in [
        (0, "AES256"),
        (1, "ChaCha20"),
        (CHUNK, "AES256"),
        (3 * CHUNK + 7, "ChaCha20"),
    ] {
        scene.write("data", &content(len));
        let report = scene
            .run(&[
                "key",
                "encrypt-file",
                "my-key",
                "data",
                "--cipher",
                cipher,
                "--json",
                "-f",
            ])
            .json();
        assert_eq!(
            report,
            json!({"file": "data.kes", "key": "my-key", "cipher": cipher, "size": len})
        );
        let sealed = scene.read("data.kes");
        let (header, header_len) = Header::parse(&sealed).unwrap();
        assert_eq!(header.key().as_str(), "my-key");
        let chunks = len.div_ceil(CHUNK).max(1);
        assert_eq!(sealed.len(), header_len + len + chunks * TAG);

        fs::remove_file(scene.path("data")).unwrap();
        let report = scene
            .run(&["key", "decrypt-file", "data.kes", "--json"])
            .json();
        assert_eq!(
            report,
            json!({"file": "data", "key": "my-key", "cipher": cipher, "size": len})
        );
        assert!(scene.read("data") == content(len));
        let mode = fs::metadata(scene.path("data")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        assert_eq!(scene.names(), ["data", "data.kes"]);
    }
}

#[tokio::test]
async fn it_works_in_a_pipe() {
    let scene = scene().await;
    let plain = content(2 * CHUNK);
    let sealed = scene
        .run_with(&["key", "encrypt-file", "my-key"], &plain)
        .quietly();
    let opened = scene
        .run_with(&["key", "decrypt-file", "-", "-o", "-"], &sealed)
        .quietly();
    assert!(opened == plain);
    let again = scene
        .run_with(&["key", "encrypt-file", "my-key", "-"], &plain)
        .quietly();
    assert_ne!(sealed, again, "two files never look alike");
    scene
        .run_with(&["key", "decrypt-file", "-o", "out"], &sealed)
        .quietly();
    assert!(scene.read("out") == plain);
    let report = scene.run_with(&["key", "decrypt-file", "--check", "--json"], &sealed);
    let cipher = Header::parse(&sealed).unwrap().0.cipher().to_string();
    assert_eq!(
        report.json(),
        json!({"key": "my-key", "cipher": cipher, "size": plain.len()})
    );
    assert_eq!(scene.names(), ["out"]);
}

#[tokio::test]
async fn what_exists_is_kept_unless_forced() {
    let scene = scene().await;
    scene.write("data", b"new");
    scene.write("data.kes", b"precious");
    let error = scene
        .run(&["key", "encrypt-file", "my-key", "data"])
        .failed(1);
    assert!(
        error.contains("'data.kes' exists") && error.contains("Hint: "),
        "{error}"
    );
    assert_eq!(scene.read("data.kes"), b"precious");
    scene
        .run(&["key", "encrypt-file", "my-key", "data", "--force"])
        .quietly();
    scene.run(&["key", "decrypt-file", "data.kes"]).failed(1);
    scene
        .run(&["key", "decrypt-file", "data.kes", "-f"])
        .quietly();
    assert_eq!(scene.read("data"), b"new");
    // A device would be replaced by a file, not written to.
    for arguments in [
        &["key", "encrypt-file", "my-key", "data", "-fo", "/dev/null"][..],
        &["key", "decrypt-file", "data.kes", "-fo", "/dev/null"],
    ] {
        let error = scene.run(arguments).failed(1);
        assert!(error.contains("no regular file"), "{error}");
    }
    assert_eq!(scene.names(), ["data", "data.kes"]);
}

#[tokio::test]
async fn a_damaged_file_leaves_nothing_behind() {
    let scene = scene().await;
    let plain = content(3 * CHUNK + 7);
    let sealed = scene
        .run_with(&["key", "encrypt-file", "my-key"], &plain)
        .quietly();
    let header = Header::parse(&sealed).unwrap().1;
    let chunk = |index: usize| {
        let start = header + index * (CHUNK + TAG);
        start..sealed.len().min(start + CHUNK + TAG)
    };
    let mut flipped = sealed.clone();
    flipped[chunk(2).start + 5] ^= 1;
    let swapped = [
        &sealed[..header],
        &sealed[chunk(1)],
        &sealed[chunk(0)],
        &sealed[chunk(2).start..],
    ]
    .concat();
    let cases = [
        ("flipped", flipped, 2 * CHUNK, "chunk 2"),
        (
            "cut",
            sealed[..sealed.len() - 1].to_vec(),
            3 * CHUNK,
            "chunk 3",
        ),
        (
            "shortened",
            sealed[..chunk(2).end].to_vec(),
            2 * CHUNK,
            "chunk 2",
        ),
        ("longer", [&sealed[..], b"x"].concat(), 3 * CHUNK, "chunk 3"),
        ("swapped", swapped, 0, "chunk 0"),
        (
            "headless",
            sealed[..header - 1].to_vec(),
            0,
            "ends within its header",
        ),
        ("other", b"plain text".to_vec(), 0, "no file that"),
    ];
    for (name, file, genuine, said) in cases {
        let to_file = scene.run_with(&["key", "decrypt-file", "-o", "out"], &file);
        let error = to_file.failed(1);
        assert!(error.contains(said), "{name}: {error}");
        assert_eq!(scene.names(), Vec::<String>::new(), "{name}");
        // On standard output stands what came before, and nothing that is not genuine.
        let to_stdout = scene.run_with(&["key", "decrypt-file", "-o", "-"], &file);
        assert!(to_stdout.out == plain[..genuine], "{name}");
        to_stdout.failed(1);
        scene
            .run_with(&["key", "decrypt-file", "--check"], &file)
            .failed(1);
    }
}

#[tokio::test]
async fn the_server_unwraps_a_data_key_for_its_own_header_only() {
    let scene = scene().await;
    let sealed = |key: &str| {
        scene
            .run_with(&["key", "encrypt-file", key], b"text")
            .quietly()
    };
    let (one, two) = (sealed("my-key"), sealed("my-key"));
    let (header, _) = Header::parse(&one).unwrap();
    let at = header.context().len() + 2;
    let mut moved = one.clone();
    let len = header.wrapped().len();
    moved[at..at + len].copy_from_slice(&two[at..at + len]);
    let mut renamed = one.clone();
    let name = header.context().len() - "my-key".len();
    renamed[name..name + 6].copy_from_slice(b"other2");
    scene.run(&["key", "create", "other2"]).quietly();
    let mut identified = one.clone();
    identified[11] ^= 1;
    for file in [&moved, &renamed, &identified] {
        let error = scene.run_with(&["key", "decrypt-file"], file).failed(1);
        assert!(error.contains("ciphertext is not authentic"), "{error}");
    }
    // Another key is not the one, whatever it is called; the right one is under any name.
    scene
        .run_with(&["key", "decrypt-file", "--key", "other"], &one)
        .failed(1);
    let opened = scene.run_with(&["key", "decrypt-file", "--key", "my-key"], &one);
    assert_eq!(opened.quietly(), b"text");
}

#[tokio::test]
async fn the_header_has_a_mac_of_its_own() {
    let scene = scene().await;
    let sealed = scene
        .run_with(&["key", "encrypt-file", "my-key"], b"text")
        .quietly();
    let (_, len) = Header::parse(&sealed).unwrap();
    let mut altered = sealed.clone();
    altered[len - 1] ^= 1;
    let error = scene.run_with(&["key", "decrypt-file"], &altered).failed(1);
    assert!(error.contains("the header was altered"), "{error}");
}

#[tokio::test]
async fn misuse_is_told_before_anything_is_asked() {
    let scene = scene().await;
    scene.write("data", b"");
    for (arguments, code, said) in [
        (
            &["key", "decrypt-file", "data"][..],
            2,
            "does not end in '.kes'",
        ),
        (&["key", "decrypt-file", ".kes"], 2, "does not end in"),
        (&["key", "encrypt-file", "a/b", "data"], 1, "key name 'a/b'"),
        (&["key", "encrypt-file", "my-key", "none"], 1, "none"),
        (&["key", "encrypt-file", "my-key", "."], 1, "directory"),
        (
            &["key", "encrypt-file", "my-key", "data", "-o", "no/x"],
            1,
            "no/x",
        ),
        (
            &["key", "encrypt-file", "none", "data"],
            1,
            "key does not exist",
        ),
        (
            &["key", "decrypt-file", "--check", "-o", "x", "data"],
            2,
            "--output",
        ),
    ] {
        let error = scene.run(arguments).failed(code);
        assert!(error.contains(said), "{arguments:?}: {error}");
        assert_eq!(scene.names(), ["data"], "{arguments:?}");
    }
}

#[tokio::test]
async fn memory_does_not_grow_with_the_file() {
    let scene = scene().await;
    let file = File::create(scene.path("large")).unwrap();
    file.set_len(24 << 20).unwrap();
    // Half as much writable memory in all, stacks of threads included.
    let limited = |arguments: &[&str]| {
        let mut shell = Command::new("sh");
        shell
            .args(["-ec", "ulimit -d 12288; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_kes"))
            .args(arguments)
            .current_dir(scene.path(""))
            .env_clear();
        for (name, value) in scene.command().get_envs() {
            shell.env(name, value.unwrap());
        }
        run(&mut shell, b"").quietly()
    };
    limited(&["key", "encrypt-file", "my-key", "large"]);
    limited(&["key", "decrypt-file", "large.kes", "-o", "again"]);
    assert_eq!(fs::metadata(scene.path("again")).unwrap().len(), 24 << 20);
}

#[tokio::test]
async fn a_signal_takes_the_half_file_away() {
    let scene = scene().await;
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut child = scene
            .command()
            .args(["key", "encrypt-file", "my-key", "-", "-o", "out"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&content(2 * CHUNK)).unwrap();
        // It waits for more now; what there is of the file lies beside its destination.
        let patient = Instant::now() + PATIENCE;
        while scene.names().is_empty() {
            assert!(Instant::now() < patient, "no file was begun");
            thread::yield_now();
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{signal:?}");
        assert_eq!(scene.names(), Vec::<String>::new(), "{signal:?}");
    }
}

#[tokio::test]
async fn an_hmac_is_the_one_that_is_known() {
    let scene = scene().await;
    let vectors: Value =
        serde_json::from_str(include_str!("../../compat/vectors/hmac.json")).unwrap();
    let client = scene.server.client(&scene.admin);
    for (index, vector) in vectors["vectors"].as_array().unwrap().iter().enumerate() {
        let name = format!("hmac-{index}");
        let import = json!({
            "key": STANDARD.encode([0; 32]), "cipher": "AES256", "hmac": vector["hmac_key"],
        });
        let path = format!("/v1/key/import/{name}");
        let reply = client.send(Version::H1, "PUT", &path, import).await;
        assert_eq!(reply.status, 200);
        let message = STANDARD
            .decode(vector["message"].as_str().unwrap())
            .unwrap();
        let sum = vector["sum"].as_str().unwrap();
        let printed = scene.run_with(&["key", "hmac", &name], &message);
        assert_eq!(printed.text(), format!("{{\"hmac\":\"{sum}\"}}\n"));
        let raw = scene.run_with(&["key", "hmac", &name, "--raw", "-"], &message);
        assert_eq!(raw.quietly(), STANDARD.decode(sum).unwrap());
        scene.write("message", &message);
        let read = scene.run(&["key", "hmac", &name, "--file", "message", "--json"]);
        assert_eq!(read.json(), json!({ "hmac": sum }));
    }
    let error = scene.run(&["key", "hmac", "none", "text"]).failed(1);
    assert!(error.contains("key does not exist"), "{error}");
}
