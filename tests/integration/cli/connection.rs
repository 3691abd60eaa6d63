//! What client commands say when there is nobody to talk to, or no way to (cli.md 2, 3 and 19.4).

use std::{fs, net::TcpListener};

use super::{API_KEY, Kes};

/// The address of a port on which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn a_client_without_credential_is_told_how_to_get_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let error = Kes::new(dir.path()).run(&["status"]).failed(1);
    assert!(
        error.contains("MINIO_KES_API_KEY") && error.contains("Hint: "),
        "{error}"
    );
    let empty = [("KES_API_KEY", ""), ("KES_CLIENT_KEY", "")];
    let same = Kes::new(dir.path())
        .env(&empty)
        .run(&["key", "ls"])
        .failed(1);
    assert_eq!(error, same);
}

#[test]
fn a_server_that_is_not_there_is_named_with_the_origin_of_its_address() {
    let dir = tempfile::tempdir().expect("a folder");
    let address = nobody();
    let env = [("KES_API_KEY", API_KEY), ("KES_SERVER", address.as_str())];
    let kes = Kes::new(dir.path()).env(&env);
    let error = kes.run(&["key", "create", "k"]).failed(1);
    let expected = format!(
        "Error: failed to create key \"k\": kes: connection error: POST https://{address}/v1/key/create/k: "
    );
    assert!(error.starts_with(&expected), "{error}");
    assert!(error.contains("comes from KES_SERVER"), "{error}");
    let other = nobody();
    let error = kes.run(&["status", "--server", &other]).failed(1);
    assert!(error.contains("comes from --server"), "{error}");
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("text"), "no PEM").expect("written");
    let key = ("KES_API_KEY", API_KEY);
    for (env, arguments, expected) in [
        (
            &[key, ("KES_SERVER", "https://a/x")][..],
            &["key", "ls"][..],
            "KES_SERVER",
        ),
        (&[key, ("KES_CA", "none")], &["key", "ls"], "none"),
        (
            &[key],
            &["key", "ls", "--ca", "text"],
            "no certificate in 'text'",
        ),
        (
            &[("KES_API_KEY", "kes:v1:nonsense")],
            &["key", "ls"],
            "KES_API_KEY",
        ),
        (
            &[key, ("KES_CLIENT_CERT", "c")],
            &["key", "ls"],
            "KES_CLIENT_CERT",
        ),
        (
            &[("KES_CLIENT_CERT", "c")],
            &["key", "ls"],
            "KES_CLIENT_KEY",
        ),
        (
            &[("KES_CLIENT_CERT", "text"), ("KES_CLIENT_KEY", "text")],
            &["key", "ls"],
            "no certificate",
        ),
        (
            &[],
            &["key", "ls", "--client-key", "k"],
            "MINIO_KES_CERT_FILE",
        ),
    ] {
        let error = Kes::new(dir.path()).env(env).run(arguments).failed(1);
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(
            !error.contains("nonsense"),
            "a slip in a secret is not shown: {error}"
        );
    }
}

#[test]
fn what_is_wrong_with_the_arguments_is_told_without_a_server() {
    let dir = tempfile::tempdir().expect("a folder");
    let address = nobody();
    let env = [("KES_API_KEY", API_KEY), ("KES_SERVER", address.as_str())];
    for (arguments, expected) in [
        (&["key", "create", "a/b"][..], "key name 'a/b'"),
        (&["key", "rm", ".."], "key name '..'"),
        (&["key", "ls", "a b"], "listing pattern 'a b'"),
        (&["key", "decrypt", "k", "!"], "the ciphertext is not"),
        (&["key", "dek", "k", "!"], "the context is not"),
        (
            &["key", "encrypt", "k", "m", "--context", "!"],
            "the context is not",
        ),
        (&["key", "import", "k", "AAAA"], "3 bytes"),
        (&["key", "import", "k", "--file", "none"], "none"),
    ] {
        let error = Kes::new(dir.path()).env(&env).run(arguments).failed(1);
        assert!(
            error.starts_with("Error: ") && error.contains(expected),
            "{arguments:?}: {error}"
        );
        assert!(!error.contains("connection"), "{error}");
    }
}
