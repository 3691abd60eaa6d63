//! The commands that the predecessor did not have, against a real server.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::support::{Cert, Server, Setup};

mod doctor;
mod keystore;
mod profile;
mod rotate;
mod schema;
mod sealed_file;
mod top;
mod validate;
mod whoami;

/// How a run ended; its output as it is.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) code: Option<i32>,
    pub(super) out: Vec<u8>,
    pub(super) err: String,
}

impl Run {
    /// Standard output of a run that went well and said nothing else.
    pub(super) fn quietly(self) -> Vec<u8> {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""));
        self.out
    }

    /// The same as text.
    pub(super) fn text(self) -> String {
        String::from_utf8(self.quietly()).unwrap()
    }

    /// The same as JSON, which ends in a line's end.
    pub(super) fn json(self) -> serde_json::Value {
        let text = self.text();
        assert!(text.ends_with('\n'), "{text:?}");
        serde_json::from_str(&text).unwrap()
    }

    /// Standard error of a run that failed with `code`.
    pub(super) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}", self.err);
        assert!(self.err.starts_with("Error: "), "{}", self.err);
        self.err
    }
}

/// A server, its admin, and a folder to work in.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) admin: Cert,
    folder: TempDir,
}

impl Scene {
    /// A server with keys in memory.
    pub(super) async fn start() -> Self {
        Self::with(|setup| setup).await
    }

    /// A server that is set up further.
    pub(super) async fn with(more: impl FnOnce(Setup) -> Setup) -> Self {
        let admin = Cert::client();
        let server = more(Setup::new(&admin)).start().await;
        let folder = tempfile::tempdir().unwrap();
        let scene = Self {
            server,
            admin,
            folder,
        };
        scene.proof("admin", &scene.admin);
        scene
    }

    /// Puts files of a client's into the folder.
    pub(super) fn proof(&self, name: &str, cert: &Cert) {
        self.write(&format!("{name}.pem"), cert.pem().as_bytes());
        self.write(&format!("{name}.key"), cert.key_pem().as_bytes());
    }

    /// A file in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// The names in the folder but for those of `proof`, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let proof = |name: &String| [".pem", ".key"].iter().any(|ending| name.ends_with(ending));
        let mut names: Vec<_> = names.filter(|name| !proof(name)).collect();
        names.sort();
        names
    }

    /// `kes` in the folder, as the admin, with the server's own certificate as its authority.
    pub(super) fn command(&self) -> Command {
        self.command_of("admin")
    }

    /// The same as another client, or with an empty name as nobody.
    pub(super) fn command_of(&self, client: &str) -> Command {
        let mut command = bare(self.folder.path());
        command
            .env("KES_SERVER", self.server.address.to_string())
            .env("KES_CA", self.server.folder().join("server.pem"));
        if !client.is_empty() {
            command
                .env("KES_CLIENT_CERT", format!("{client}.pem"))
                .env("KES_CLIENT_KEY", format!("{client}.key"));
        }
        command
    }

    /// Runs the admin's `kes`.
    pub(super) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, b"")
    }

    /// Runs it with this input.
    pub(super) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Run {
        run(self.command().args(arguments), input)
    }
}

/// `kes` in `folder`, with an empty environment.
pub(super) fn bare(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kes"));
    command.current_dir(folder).env_clear();
    command
}

/// Runs a command with this input.
pub(super) fn run(command: &mut Command, input: &[u8]) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that does not read its input may have closed it; one that does may write meanwhile.
    let feeding = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    Run {
        code: output.status.code(),
        out: output.stdout,
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
