//! `kes config`: files are checked, shown, migrated and described without a server.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use serde_json::Value;

use super::{Kes, Run};
use crate::support::Cert;

const ALICE: &str = "93e97fd09ef109cc7e7fd6397fdbb90b1f4a18f636c4fbebddefa870416900fd";

/// A folder with a certificate, its key and a configuration file.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(cert: &Cert, yaml: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("server.crt", &cert.pem());
        folder.write("server.key", &cert.key_pem());
        folder.write("kes.yml", yaml);
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file that its owner alone can read.
    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Kes::new(self.path())
            .env(&[("ALICE", ALICE)])
            .run(arguments)
    }

    /// The lines of `kes config check`, which ends with `code` and says nothing else.
    fn check(&self, code: i32, more: &[&str]) -> Vec<String> {
        let run = self.run(&[&["config", "check", "kes.yml"][..], more].concat());
        assert_eq!((run.code, run.err.as_str()), (code, ""), "{}", run.out);
        run.out.lines().map(str::to_owned).collect()
    }
}

fn yaml(more: &str) -> String {
    format!(
        "admin: {{ identity: disabled }}\ntls: {{ key: server.key, cert: server.crt }}\nkeystore: {{ fs: {{ path: keys }} }}\n{more}"
    )
}

#[test]
fn a_good_file_is_good() {
    let folder = Folder::new(&Cert::server(), &yaml(""));
    let said = folder.check(0, &[]);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].starts_with("kes.yml: certificate: serial "),
        "{said:?}"
    );
    assert_eq!(said[1], "kes.yml: no problems, no warnings");
    assert!(!folder.path().join("keys").exists());
}

#[test]
fn problems_have_file_line_key_reason_and_remedy() {
    let folder = Folder::new(
        &Cert::server(),
        &yaml("cache: { expiry: { any: 5 } }\nlgo: {}\n"),
    );
    assert_eq!(
        folder.check(1, &[]),
        [
            "Error: kes.yml:4: cache.expiry.any: invalid duration '5': a duration needs a unit",
            "Hint: write the unit, like '30s', '5m' or '1h30m'",
            "Warning: kes.yml:5: lgo: unknown key, ignored",
            "Hint: did you mean 'log'?",
            "kes.yml: 1 problem, 1 warning",
        ]
    );
    let run = folder.run(&["config", "check", "kes.yml", "--json"]);
    assert_eq!(run.code, 1);
    let document: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(document["ok"], false);
    let problem = &document["files"][0]["problems"][0];
    assert_eq!(problem["line"], 4);
    assert_eq!(problem["key"], "cache.expiry.any");
    assert_eq!(
        problem["reason"],
        "invalid duration '5': a duration needs a unit"
    );
    assert_eq!(
        document["files"][0]["warnings"][0]["hint"],
        "did you mean 'log'?"
    );
}

#[test]
fn every_file_is_checked_and_one_bad_one_is_enough() {
    let folder = Folder::new(&Cert::server(), &yaml(""));
    let run = folder.run(&["config", "check", "kes.yml", "absent.yml", "kes.yml"]);
    assert_eq!(run.code, 1);
    let said: Vec<_> = run.out.lines().collect();
    assert_eq!(said.len(), 6, "{said:?}");
    assert_eq!(
        said[2],
        "Error: absent.yml: the file cannot be read: No such file or directory (os error 2)"
    );
    assert_eq!(said[3], "absent.yml: 1 problem, no warnings");
    folder.run(&["config", "check"]).failed(2);
}

#[test]
fn certificates_are_loaded_and_must_hold() {
    let server = Cert::server();
    for (cert, key, expected) in [
        (
            Cert::expired_server().pem(),
            None,
            "kes.yml:2: tls.cert: the certificate has expired: serial ",
        ),
        (
            Cert::client().pem(),
            Some(Cert::client().key_pem()),
            "kes.yml:2: tls.cert: ",
        ),
        (
            server.pem(),
            Some(Cert::server().key_pem()),
            "kes.yml:2: tls.cert: ",
        ),
        (
            server.pem(),
            Some("nothing".to_owned()),
            "kes.yml:2: tls.key: failed to read TLS private key: server.key: ",
        ),
        (
            "nothing".to_owned(),
            None,
            "kes.yml:2: tls.cert: failed to read TLS certificate: server.crt: ",
        ),
    ] {
        let expired = Cert::expired_server();
        let folder = Folder::new(&server, &yaml(""));
        let (cert, key) = match key {
            Some(key) => (cert, key),
            None if cert == "nothing" => (cert, server.key_pem()),
            None => (expired.pem(), expired.key_pem()),
        };
        folder.write("server.crt", &cert);
        folder.write("server.key", &key);
        let said = folder.check(1, &[]);
        assert!(
            said[0].starts_with(&format!("Error: {expected}")),
            "{said:?}"
        );
    }
    let folder = Folder::new(&server, &yaml(""));
    fs::remove_file(folder.path().join("server.key")).unwrap();
    let said = folder.check(1, &[]);
    assert!(
        said[0].contains("tls.key: failed to read TLS private key: server.key: "),
        "{said:?}"
    );
}

#[test]
fn what_is_probably_not_meant_is_warned_about() {
    let rules = format!(
        "policy:\n  a:\n    allow: [ /v1/key/list, /v1/status, /v1/status ]\n    identities: [ {ALICE} ]\n"
    );
    let folder = Folder::new(
        &Cert::server(),
        &yaml(&rules).replace("server.crt }", "server.crt, password: hunter2 }"),
    );
    for name in ["server.key", "kes.yml"] {
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let said = folder.check(0, &[]);
    let warnings: Vec<_> = said
        .iter()
        .filter(|line| line.starts_with("Warning: "))
        .collect();
    assert_eq!(
        warnings,
        [
            "Warning: kes.yml:2: tls.key: everybody on this machine can use the private key (mode 0644)",
            "Warning: kes.yml:2: tls.password: a secret that everybody on this machine can read (mode 0644)",
            "Warning: kes.yml:6: policy.a.allow[0]: the rule '/v1/key/list' matches no API path",
            "Warning: kes.yml:6: policy.a.allow[2]: the rule '/v1/status' is in the list already in line 6",
        ]
    );
    assert!(!said.join("\n").contains("hunter2"));
    assert_eq!(said.last().unwrap(), "kes.yml: no problems, 4 warnings");
}

#[test]
fn the_keystore_is_asked_only_when_told_to() {
    let folder = Folder::new(&Cert::server(), &yaml("keys: [ { name: my-key } ]\n"));
    let said = folder.check(0, &["--connect"]);
    assert_eq!(
        said[0],
        "Warning: kes.yml:3: keystore.fs.path: the directory does not exist; a server makes it when it starts"
    );
    let keys = folder.path().join("keys");
    assert!(!keys.exists());
    fs::create_dir(&keys).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).unwrap();
    let said = folder.check(0, &["--connect"]);
    assert!(
        said.iter()
            .any(|line| line.starts_with("kes.yml: keystore: Filesystem: keys answered in ")),
        "{said:?}"
    );
    assert_eq!(
        fs::read_dir(&keys).unwrap().count(),
        0,
        "nothing was created"
    );
    // A file in the place of the directory.
    fs::remove_dir(&keys).unwrap();
    fs::write(&keys, "").unwrap();
    let said = folder.check(1, &["--connect"]);
    assert!(
        said[0].starts_with("Error: kes.yml:3: keystore: "),
        "{said:?}"
    );
    folder.check(0, &[]);
}

#[test]
fn a_keystore_of_another_build_is_a_problem_among_others() {
    let text = yaml("").replace(
        "fs: { path: keys }",
        "gcp: { secretmanager: { project_id: p } }",
    );
    let folder = Folder::new(&Cert::expired_server(), &text);
    let said = folder.check(1, &["--connect"]);
    let errors: Vec<_> = said
        .iter()
        .filter(|line| line.starts_with("Error: "))
        .collect();
    assert_eq!(errors.len(), 2, "{said:?}");
    assert!(errors[0].contains("the certificate has expired"));
    assert!(errors[1].ends_with("this build has no GCP SecretManager keystore yet"));
}

#[test]
fn a_file_is_shown_without_secrets() {
    let text = yaml("policy: { a: { identities: [ '${ALICE}' ] } }\n")
        .replace("server.crt }", "server.crt, password: hunter2 }");
    let folder = Folder::new(&Cert::server(), &text);
    let shown = folder.run(&["config", "show", "kes.yml"]).quietly();
    assert!(
        shown.contains("  password: \"(hidden)\"\n") && shown.contains("- \"${ALICE}\"\n"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2") && !shown.contains(ALICE));
    let shown = folder
        .run(&["config", "show", "kes.yml", "--json"])
        .quietly();
    let document: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(document["cache"]["expiry"]["any"], "5m");
    folder.write("kes.yml", "tls: [\n");
    let error = folder.run(&["config", "show", "kes.yml"]).failed(1);
    assert!(error.starts_with("Error: kes.yml:"), "{error}");
}

const OLD: &str = "# mine\nroot: disabled # nobody\ntls: { key: server.key, cert: server.crt }\nfs: { path: keys }\n";
const NEW: &str = "# mine\nadmin:\n  identity: disabled # nobody\ntls: { key: server.key, cert: server.crt }\nkeystore:\n  fs: { path: keys }\n";

#[test]
fn a_file_is_migrated_to_the_output_or_to_another_file() {
    let folder = Folder::new(&Cert::server(), OLD);
    let run = folder.run(&["config", "migrate", "kes.yml"]);
    assert_eq!((run.code, run.out.as_str()), (0, NEW));
    assert_eq!(
        run.err,
        "Note: kes.yml: fs: is 'keystore.fs' now\nNote: kes.yml: root: is 'admin.identity' now\n"
    );
    assert_eq!(folder.read("kes.yml"), OLD);
    assert_eq!(
        folder
            .run(&["config", "migrate", "kes.yml", "-o", "new.yml"])
            .well(),
        ""
    );
    assert_eq!(folder.read("new.yml"), NEW);
    let error = folder.run(&["config", "migrate", "kes.yml", "-o", "new.yml"]);
    assert_eq!(error.code, 1);
    assert!(
        error.err.contains("Error: the file 'new.yml' exists"),
        "{}",
        error.err
    );
    folder
        .run(&["config", "migrate", "kes.yml", "-o", "x", "--in-place"])
        .failed(2);
    folder.check(0, &[]);
}

#[test]
fn a_file_is_migrated_in_its_place_and_kept() {
    let folder = Folder::new(&Cert::server(), OLD);
    fs::set_permissions(
        folder.path().join("kes.yml"),
        fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    // Through a link, which stays.
    symlink("kes.yml", folder.path().join("link.yml")).unwrap();
    let run = folder.run(&["config", "migrate", "--in-place", "link.yml"]);
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
    assert_eq!(folder.read("kes.yml"), NEW);
    assert_eq!(folder.read("kes.yml.bak"), OLD);
    assert!(folder.path().join("link.yml").is_symlink());
    for name in ["kes.yml", "kes.yml.bak"] {
        let mode = fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640, "{name}");
    }
    // There is nothing more to do, and nothing is touched.
    let run = folder.run(&["config", "migrate", "--in-place", "kes.yml"]);
    assert_eq!(run.code, 0);
    assert_eq!(folder.read("kes.yml.bak"), OLD);
    // What was kept is not overwritten.
    folder.write("kes.yml", OLD);
    let run = folder.run(&["config", "migrate", "--in-place", "kes.yml"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("kes.yml.bak' exists"), "{}", run.err);
    assert_eq!(folder.read("kes.yml"), OLD);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 5, "{left:?}");
}

#[test]
fn the_schema_is_printed() {
    let folder = Folder::new(&Cert::server(), "");
    let schema = folder.run(&["config", "schema"]).quietly();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
}
