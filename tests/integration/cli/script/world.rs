//! What a script runs in: a folder, an environment, and maybe a server.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    cli::{API_KEY, IDENTITY},
    support::{Cert, Server, Setup, recorded::Recorded},
};

/// The key of an application with the policy `my-app`, and its identity (cli.md 21).
const APP_KEY: &str = "kes:v1:ACQpoGqx3rHHjT938Hfu5hVVQJHZWSqVI2Xp1KlYxFVw";
const APP_IDENTITY: &str = "0426fa9a04bc2756b92fbe8a97e1a1e07b53ecf04ed33da22c33e5c9faeb8cbb";
/// A key that no server knows.
const STRANGER_KEY: &str = "kes:v1:AP8BAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

/// What a script runs in.
pub(super) struct World {
    folder: TempDir,
    address: String,
    /// Ends with this.
    _server: Option<(Server, Runtime)>,
}

impl World {
    /// The world of a script that names this server.
    pub(super) fn of(server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/cli/script");
        for file in fs::read_dir(scripts.join("files")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        let (server, address) = match server {
            "none" => (None, nobody()),
            "ours" => ours(folder.path()),
            file => {
                let path = scripts.join("recorded").join(file);
                let recorded = Recorded::start(&fs::read_to_string(path).unwrap());
                fs::write(folder.path().join("ca.crt"), recorded.certificate()).unwrap();
                let address = recorded.address();
                (None, address)
            }
        };
        Self {
            folder,
            address,
            _server: server,
        }
    }

    /// A command in this world.
    pub(super) fn prepared<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let program = Path::new(env!("CARGO_BIN_EXE_kes"));
        let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
        let ca = self.folder.path().join("ca.crt");
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .env("TZ", "UTC")
            .env("KES_SERVER", &self.address)
            .env("KES_API_KEY", API_KEY)
            .env("APP_KEY", APP_KEY)
            .env("STRANGER_KEY", STRANGER_KEY);
        if ca.exists() {
            command.env("KES_CA", "ca.crt");
        }
        command
    }

    /// What has a name in scripts.
    pub(super) fn names(&self) -> Vec<(String, &'static str)> {
        let program = Path::new(env!("CARGO_BIN_EXE_kes"));
        let (host, port) = self.address.split_once(':').unwrap();
        vec![
            (self.folder.path().display().to_string(), "[DIR]"),
            (program.display().to_string(), "[KES]"),
            (self.address.clone(), "[SERVER]"),
            (format!("{host} {port}"), "[SERVER]"),
            (format!("localhost:{port}"), "localhost:[PORT]"),
            (IDENTITY.to_owned(), "[ADMIN]"),
            (APP_IDENTITY.to_owned(), "[APP]"),
        ]
    }
}

fn ours(folder: &Path) -> (Option<(Server, Runtime)>, String) {
    let runtime = Runtime::new().unwrap();
    let mut admin = Cert::client();
    IDENTITY.clone_into(&mut admin.identity);
    let mut app = Cert::client();
    APP_IDENTITY.clone_into(&mut app.identity);
    let setup = Setup::new(&admin).policy(
        "my-app",
        &[
            "/v1/key/create/my-*",
            "/v1/key/generate/my-*",
            "/v1/key/decrypt/my-*",
        ],
        &["/v1/key/create/my-secret*"],
        &[&app],
    );
    let server = runtime.block_on(setup.start());
    fs::copy(server.folder().join("server.pem"), folder.join("ca.crt")).unwrap();
    let address = server.address.to_string();
    (Some((server, runtime)), address)
}

/// The address of a port on which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
