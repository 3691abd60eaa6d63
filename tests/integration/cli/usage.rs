//! Help, versions and misuse (cli.md 5 and 7, decisions 14 and 22).

use super::kes;

#[test]
fn help_that_is_asked_for_is_a_result() {
    for line in [
        &["--help"][..],
        &["-h"],
        &["help"],
        &["key", "--help"],
        &["key", "ls", "--help"],
        &["help", "key", "ls"],
        &["identity", "new", "-h"],
        &["status", "--help"],
    ] {
        let help = kes(line).quietly();
        assert!(help.contains("Usage: kes"), "{line:?}: {help}");
    }
}

#[test]
fn no_command_shows_the_commands_and_is_misuse() {
    for (line, expected) in [(&[][..], "identity"), (&["key"], "decrypt")] {
        let help = kes(line).failed(2);
        assert!(help.contains(expected) && !help.contains("rror:"), "{help}");
    }
}

#[test]
fn misuse_is_an_error_with_its_own_code() {
    for (line, expected) in [
        (&["keys"][..], "'key'"),
        (&["key", "creat", "k"], "'create'"),
        (&["key", "create"], "<NAME>"),
        (&["key", "rm", "--yess", "k"], "'--yes'"),
        (&["status", "extra"], "extra"),
        (&["key", "info", "a", "b"], "'b'"),
        (&["--color", "sometimes", "version"], "sometimes"),
        (&["identity", "of", "--hash", "SHA512", "f"], "SHA512"),
        (&["key", "import", "k", "x", "--generate"], "--generate"),
        (
            &[
                "key",
                "encrypt",
                "k",
                "m",
                "--context",
                "AA==",
                "--context-raw",
                "x",
            ],
            "--context-raw",
        ),
        (&["key", "dek", "k", "AA==", "--context-raw", "x"], "twice"),
    ] {
        let error = kes(line).failed(2);
        assert!(error.starts_with("Error: "), "{line:?}: {error}");
        assert!(error.contains(expected), "{line:?}: {error}");
    }
    let error = kes(&["key", "creat", "k"]).failed(2);
    assert!(error.contains("Hint: "), "{error}");
}

#[test]
fn the_version_has_four_lines_and_a_commit() {
    for line in [&["--version"][..], &["-v"], &["version"]] {
        let text = kes(line).quietly();
        let labels: Vec<_> = text
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(labels, ["Version", "Runtime", "License", "Copyright"]);
        assert!(
            text.contains(env!("CARGO_PKG_VERSION")) && text.contains("commit="),
            "{text}"
        );
    }
    let json = kes(&["version", "--json"]).quietly();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn long_flags_with_one_dash_work_and_are_told_of() {
    let run = kes(&["identity", "of", "-json", super::API_KEY]);
    assert!(run.err.contains("--json"), "{}", run.err);
    assert!(run.well().contains(super::IDENTITY));
    let dir = std::env::temp_dir();
    let silent = super::Kes::new(&dir).env(&[("KES_NO_DEPRECATION_NOTES", "1")]);
    silent
        .run(&["identity", "of", "-json", super::API_KEY])
        .quietly();
}

#[test]
fn output_is_styled_only_when_asked_for() {
    let plain = kes(&["version"]).quietly();
    assert!(!plain.contains('\x1b'));
    for line in [
        ["--color", "ALWAYS", "version"],
        ["version", "--color", "always"],
    ] {
        assert!(kes(&line).quietly().contains('\x1b'));
    }
    assert_eq!(kes(&["version", "--color", ""]).quietly(), plain);
    let error = kes(&["identity", "of", "none", "--color", "always"]).failed(1);
    assert!(error.starts_with("\x1b[31mError:\x1b[0m "), "{error:?}");
}
