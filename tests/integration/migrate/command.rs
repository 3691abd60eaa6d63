//! `kes migrate` as users type it.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::record;
use crate::support::need::{all_met, works};

/// A folder with two configuration files, `from.yml` and `to.yml`, and keys at the first one's end.
struct Place(TempDir);

impl Place {
    fn new(keys: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.config("from.yml", "source");
        place.config("to.yml", "target");
        fs::create_dir(place.path().join("source")).unwrap();
        for (name, seed) in keys {
            place.put("source", name, &record(seed));
        }
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn config(&self, file: &str, store: &str) {
        let text = format!("keystore:\n  fs:\n    path: {store}\n");
        fs::write(self.path().join(file), text).unwrap();
    }

    fn put(&self, store: &str, name: &str, text: &str) {
        fs::create_dir_all(self.path().join(store)).unwrap();
        fs::write(self.path().join(store).join(name), text).unwrap();
    }

    fn get(&self, store: &str, name: &str) -> Option<String> {
        fs::read_to_string(self.path().join(store).join(name)).ok()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kes"));
        command
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env_clear()
            .stdin(Stdio::null());
        command
    }

    /// Runs a line; returns code, standard output and standard error.
    fn run(&self, line: &str) -> (i32, String, String) {
        read(self.command(line).output().unwrap())
    }

    /// Runs `kes migrate --from from.yml --to to.yml` with more flags.
    fn migrate(&self, flags: &str) -> (i32, String, String) {
        self.run(&format!("migrate --from from.yml --to to.yml {flags}"))
    }

    /// The same; it must fail with `code`, print nothing and say all of `expected`.
    fn fails(&self, line: &str, code: i32, expected: &[&str]) {
        let (is, out, err) = self.run(line);
        assert_eq!((is, out.as_str()), (code, ""), "{line}: {err}");
        for text in expected {
            assert!(err.contains(text), "{line}: no '{text}' in\n{err}");
        }
    }
}

fn read(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().expect("it ends by itself"),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn success_is_told_in_the_words_of_the_predecessor_and_in_counts() {
    let place = Place::new(&[("a", "1"), ("b", "2")]);
    let (code, out, err) = place.migrate("");
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        out,
        "Migrated 2 keys successfully!\n2 found: 2 copied, 0 overwritten, 0 there already, 0 skipped, 0 failed\n"
    );
    // That the target keeps keys in plain text is all there is to say, and no progress without a terminal.
    assert!(
        err.starts_with("Warning: target: keys in 'target' are in plain text"),
        "{err}"
    );
    assert_eq!(err.lines().count(), 1, "{err}");
    let (code, out, _) = place.migrate("");
    assert_eq!(
        (code, out.as_str()),
        (
            0,
            "Migration succeeded! No keys migrated.\n2 found: 0 copied, 0 overwritten, 2 there already, 0 skipped, 0 failed\n"
        )
    );
    place.put("source", "c", &record("3"));
    let (_, out, _) = place.migrate("-q");
    assert!(out.starts_with("Migrated 1 key successfully!\n"), "{out}");
    assert_eq!(place.get("target", "c"), Some(record("3")));
}

#[test]
fn documented_spellings_work() {
    for line in [
        "migrate --from from.yml --to to.yml",
        "migrate --source from.yml --target to.yml --quiet",
        "migrate --from=from.yml --to=to.yml --merge *",
        "migrate --from from.yml --target to.yml -f -y",
        "migrate -from from.yml -to to.yml -force -quiet",
        "migrate --from from.yml --to to.yml --verify --concurrency 1",
        "migrate --from from.yml --to to.yml --verify=false",
        "migrate --from from.yml --to to.yml --no-verify --concurrency=256",
    ] {
        let place = Place::new(&[("a", "1")]);
        let (code, out, err) = place.run(line);
        assert_eq!(code, 0, "{line}: {err}");
        assert!(
            out.starts_with("Migrated 1 key successfully!\n"),
            "{line}: {out}"
        );
        assert_eq!(place.get("target", "a"), Some(record("1")), "{line}");
    }
}

#[test]
fn another_value_is_named_with_what_to_do_about_it() {
    let place = Place::new(&[("a", "1"), ("b", "2")]);
    place.put("target", "a", &record("other"));
    let (code, out, err) = place.migrate("--concurrency 1");
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(
        err.contains("Error: key 'a': the target has another value under this name\n"),
        "{err}"
    );
    assert!(
        err.contains(
            "Error: the migration is not complete: 1 key failed, 1 key not tried of 2\nHint: "
        ) && err.contains("--merge")
            && err.contains("--force"),
        "{err}"
    );
    let (code, out, _) = place.migrate("--continue-on-error");
    assert_eq!(code, 1);
    assert!(out.starts_with("Migrated 1 key.\n"), "{out}");
    let (code, out, _) = place.migrate("--merge");
    assert_eq!(code, 0);
    assert!(
        out.ends_with("2 found: 0 copied, 0 overwritten, 1 there already, 1 skipped, 0 failed\n"),
        "{out}"
    );
    let (code, out, _) = place.migrate("--force");
    assert_eq!(code, 0);
    assert!(
        out.ends_with("2 found: 0 copied, 1 overwritten, 1 there already, 0 skipped, 0 failed\n"),
        "{out}"
    );
    assert_eq!(place.get("target", "a"), Some(record("1")));
    assert_eq!(
        fs::read_dir(place.path().join("target")).unwrap().count(),
        2
    );
}

#[test]
fn misuse_is_refused_before_anything_is_opened() {
    let place = Place::new(&[("a", "1")]);
    for (line, expected) in [
        ("migrate --to to.yml", "--from"),
        ("migrate --from from.yml", "--to FILE is missing"),
        (
            "migrate --from from.yml --to to.yml --force --merge",
            "--merge",
        ),
        ("migrate --from from.yml --to to.yml a b", "'b'"),
        ("migrate --from from.yml --to to.yml a[", "class"),
        (
            "migrate --from from.yml --to to.yml --concurrency 0",
            "1 to 256",
        ),
        (
            "migrate --from from.yml --to to.yml --concurrency 257",
            "1 to 256",
        ),
        (
            "migrate --from from.yml --to to.yml --verify=maybe",
            "maybe",
        ),
        (
            "migrate --from from.yml --to to.yml --no-verify --verify=true",
            "--verify",
        ),
    ] {
        place.fails(line, 2, &["Error: ", expected]);
    }
    assert!(!place.path().join("target").exists());
}

#[test]
fn the_vendors_newer_server_is_declined() {
    let place = Place::new(&[("a", "1")]);
    for line in [
        "migrate --from from.yml --server h --enclave e --api-key k",
        "migrate --from from.yml -s h -e e -a k -k",
        "migrate --from from.yml --to to.yml -s h",
    ] {
        place.fails(
            line,
            1,
            &[
                "does not migrate to the vendor's newer key server",
                "--to FILE",
            ],
        );
    }
    let mut command = place.command("migrate --from from.yml");
    let (code, _, err) = read(command.env("MINIO_KMS_SERVER", "h").output().unwrap());
    assert_eq!(code, 1);
    assert!(err.contains("newer key server"), "{err}");
    // Beside --to the variables mean nothing: they are MinIO's own.
    let mut command = place.command("migrate --from from.yml --to to.yml");
    let (code, _, err) = read(command.env("MINIO_KMS_SERVER", "h").output().unwrap());
    assert_eq!(code, 0, "{err}");
}

#[test]
fn a_store_is_not_migrated_to_itself_by_whatever_path() {
    let place = Place::new(&[("a", "1")]);
    symlink("source", place.path().join("link")).unwrap();
    let absolute = place.path().join("source");
    for same in [
        "source",
        "./source/",
        "link",
        "link/../source",
        "source/below",
        "link/not/there/yet",
        absolute.to_str().unwrap(),
    ] {
        place.config("to.yml", same);
        for flags in ["", "--force", "--dry-run"] {
            let line = format!("migrate --from from.yml --to to.yml {flags}");
            place.fails(
                &line,
                1,
                &["Error: source and target are the same keystore"],
            );
        }
    }
    place.fails(
        "migrate --from from.yml --to from.yml",
        1,
        &["the same keystore"],
    );
    assert_eq!(
        fs::read_dir(place.path().join("source")).unwrap().count(),
        1
    );
    assert_eq!(place.get("source", "a"), Some(record("1")));
    // Beside it, or around it, is another one.
    place.config("to.yml", ".");
    assert_eq!(place.migrate("").0, 0);
}

#[test]
fn only_the_keystore_of_the_files_is_asked_for() {
    let place = Place::new(&[("a", "1")]);
    let text =
        "address: nonsense\ntls:\n  key: /none\nadmin: {}\nkeystore:\n  fs:\n    path: source\n";
    fs::write(place.path().join("from.yml"), text).unwrap();
    assert_eq!(place.migrate("").0, 0);
    for (text, expected) in [
        (
            "address: 0.0.0.0:7373\n",
            "from.yml: keystore: no keystore is specified",
        ),
        (
            "keystore:\n  fs: {}\n",
            "from.yml:2: keystore.fs.path: no path specified",
        ),
        (
            "keystore:\n  fs:\n    path: nowhere\n",
            "cannot open the source: keystore unreachable: fs: the directory 'nowhere' does not exist",
        ),
        ("keystore: [\n", "from.yml:"),
    ] {
        fs::write(place.path().join("from.yml"), text).unwrap();
        place.fails(
            "migrate --from from.yml --to to.yml",
            1,
            &["Error: ", expected],
        );
    }
    place.fails(
        "migrate --from none.yml --to to.yml",
        1,
        &["none.yml", "cannot be read"],
    );
    assert!(!place.path().join("nowhere").exists());
}

#[test]
fn the_report_is_json_also_of_a_failure() {
    let place = Place::new(&[("a", "1"), ("b", "2"), ("c", "3")]);
    place.put("target", "b", &record("other"));
    place.put("source", "x", "");
    let (code, out, err) = place.migrate("--json --continue-on-error");
    assert_eq!(code, 1);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out.lines().count(), 1);
    for (field, expected) in [
        ("found", 4),
        ("copied", 2),
        ("present", 0),
        ("skipped", 0),
        ("overwritten", 0),
        ("restored", 0),
        ("failed", 2),
        ("remaining", 0),
    ] {
        assert_eq!(report[field], expected, "{field}: {out}");
    }
    assert_eq!(report["complete"], false);
    assert_eq!(report["dry_run"], false);
    assert_eq!(report["source"], "Filesystem: source");
    assert_eq!(report["errors"][0]["name"], "b");
    let empty = report["errors"][1]["error"].as_str().unwrap();
    assert!(empty.contains("is empty"), "{empty}");
    let error: Value = serde_json::from_str(err.lines().last().unwrap()).unwrap();
    assert_eq!(
        error["error"]["message"],
        "the migration is not complete: 2 keys failed of 4"
    );
    let (code, out, _) = place.migrate("--json --dry-run --force a");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &report["complete"], &report["dry_run"]),
        (0, &true.into(), &true.into())
    );
}

#[test]
fn a_value_is_never_shown() {
    let place = Place::new(&[("a", "1")]);
    let canary = "pSst-Canary";
    for (name, text) in [
        ("text", canary.to_owned()),
        ("json", format!("{{\"bytes\":\"{canary}\"}}")),
        ("line", format!("{canary}\n")),
    ] {
        place.put("source", name, &text);
    }
    place.put("target", "text", &format!("{canary} too"));
    for flags in [
        "",
        "--continue-on-error",
        "--allow-unreadable --continue-on-error",
        "--json --dry-run --merge",
    ] {
        let (_, out, err) = place.migrate(flags);
        assert!(
            !out.contains(canary) && !err.contains(canary),
            "{flags}: {out}{err}"
        );
    }
}

#[test]
fn an_interrupted_run_says_so_and_the_next_one_goes_on() {
    let place = Place::new(&[]);
    for i in 0..400 {
        place.put("source", &format!("key-{i:03}"), &record(&i.to_string()));
    }
    let target = place.path().join("target");
    let line = "migrate --from from.yml --to to.yml --concurrency 1 --json";
    let mut child = place
        .command(line)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let some = |path: &PathBuf| fs::read_dir(path).map_or(0, Iterator::count);
    while some(&target) < 5 {
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&report["interrupted"], &report["failed"]),
        (&true.into(), &0.into())
    );
    let copied = usize::try_from(report["copied"].as_u64().unwrap()).unwrap();
    assert!((4..400).contains(&copied), "{copied}");
    assert_eq!(some(&target), copied, "no key half-way, none uncounted");
    assert!(
        err.contains("interrupted: ") && err.contains("\"hint\":\"run the same command again"),
        "{err}"
    );
    let (code, out, _) = place.migrate("");
    assert_eq!(code, 0);
    assert!(
        out.starts_with(&format!("Migrated {} keys successfully!\n", 400 - copied)),
        "{out}"
    );
}

/// Runs `kes` in a terminal, where somebody types `input`. Returns its exit code and what the terminal shows.
fn in_terminal(place: &Place, flags: &str, input: &str) -> (i32, String) {
    let line = format!(
        "exec '{}' migrate --from from.yml --to to.yml {flags}",
        env!("CARGO_BIN_EXE_kes")
    );
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept open to the end: its end would end the terminal.
    let mut keyboard = child.stdin.take().unwrap();
    keyboard.write_all(input.as_bytes()).unwrap();
    let mut shown = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut shown)
        .unwrap();
    (child.wait().unwrap().code().unwrap(), shown)
}

#[test]
fn a_terminal_shows_progress_and_asks_before_it_replaces() {
    if !all_met(&[("script (bsdutils)", works("script", &["--version"]))]) {
        return;
    }
    let place = Place::new(&[("a", "1"), ("b", "2")]);
    place.put("target", "a", &record("other"));
    let (code, shown) = in_terminal(&place, "--force", "no\n");
    assert_eq!(code, 1, "{shown}");
    assert!(
        shown.contains("Type 'yes' to replace keys in the keystore of 'to.yml':"),
        "{shown}"
    );
    assert!(shown.contains("not confirmed, nothing was done"), "{shown}");
    assert_eq!(place.get("target", "a"), Some(record("other")));
    assert_eq!(place.get("target", "b"), None);

    // A dry run and --yes do not ask; a quiet run shows no progress.
    let (code, shown) = in_terminal(&place, "--force --dry-run -q", "");
    assert_eq!(code, 0, "{shown}");
    assert!(
        !shown.contains("Type 'yes'") && !shown.contains("..."),
        "{shown}"
    );
    let (code, shown) = in_terminal(&place, "--force", "yes\n");
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("\r\x1b[KMigrated      0 key ... "),
        "{shown:?}"
    );
    assert!(shown.contains("Migrated 2 keys successfully!"), "{shown}");
    assert_eq!(place.get("target", "a"), Some(record("1")));
    let (code, shown) = in_terminal(&place, "--force --yes", "");
    assert_eq!(code, 0, "{shown}");
}
