//! [`Server`]: the real program, on a port of the kernel's choice, killed when it is dropped.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read},
    net::{SocketAddr, TcpListener},
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt as _, chown},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::watch;

use super::{Cert, Client};

/// Longest time that anything a test waits for may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How the server of a test is configured.
pub(crate) struct Setup {
    admin: String,
    policies: String,
    api: String,
    tls: String,
    more: String,
    fs: bool,
    files: Option<u32>,
    zone: Option<&'static str>,
    flags: Vec<&'static str>,
    /// The user whose the files are, and what starts the server as that user.
    way: Option<(u32, Vec<String>)>,
    env: Vec<(&'static str, OsString)>,
    /// Whether the file names neither administrator, nor key, nor certificate.
    bare: bool,
    /// A listening socket, as a service manager passes it.
    passed: Option<TcpListener>,
    /// Its certificate and key, as PEM, where the test brings its own.
    shown: Option<(String, String)>,
}

impl Setup {
    /// A server with keys in memory, whose admin is `admin`.
    pub(crate) fn new(admin: &Cert) -> Self {
        Self {
            admin: admin.identity.clone(),
            policies: String::new(),
            api: String::new(),
            tls: String::new(),
            more: String::new(),
            fs: false,
            files: None,
            zone: None,
            flags: Vec::new(),
            way: None,
            env: Vec::new(),
            bare: false,
            passed: None,
            shown: None,
        }
    }

    /// A server whose admin has this identity.
    pub(crate) fn with_admin(identity: &str) -> Self {
        let mut setup = Self::new(&Cert::client());
        identity.clone_into(&mut setup.admin);
        setup
    }

    /// A server whose file leaves to flags what it can.
    pub(crate) fn bare() -> Self {
        let mut setup = Self::new(&Cert::client());
        setup.bare = true;
        setup
    }

    /// Shows this certificate, rather than one of its own.
    pub(crate) fn shows(mut self, cert: String, key: String) -> Self {
        self.shown = Some((cert, key));
        self
    }

    /// The private key is encrypted.
    pub(crate) fn key_password(mut self, password: &str) -> Self {
        let _ = writeln!(self.tls, "  password: {}", serde_json::json!(password));
        self
    }

    /// Lets the server open no more than `limit` files.
    pub(crate) fn files(mut self, limit: u32) -> Self {
        self.files = Some(limit);
        self
    }

    /// Keeps keys in files, in [`Server::keys`].
    pub(crate) fn keys_in_files(mut self) -> Self {
        self.fs = true;
        self
    }

    /// A policy and who has it.
    pub(crate) fn policy(
        mut self,
        name: &str,
        allow: &[&str],
        deny: &[&str],
        who: &[&Cert],
    ) -> Self {
        let who: Vec<&str> = who.iter().map(|cert| cert.identity.as_str()).collect();
        let _ = write!(
            self.policies,
            "  {name}:\n    allow: {}\n    deny: {}\n    identities: {}\n",
            serde_json::json!(allow),
            serde_json::json!(deny),
            serde_json::json!(who),
        );
        self
    }

    /// Opens a route to everybody.
    pub(crate) fn open_to_all(mut self, path: &str) -> Self {
        let _ = write!(self.api, "  {path}:\n    skip_auth: true\n");
        self
    }

    /// Sets a route's time limit.
    pub(crate) fn timeout(mut self, path: &str, limit: &str) -> Self {
        let _ = write!(self.api, "  {path}:\n    timeout: {limit}\n");
        self
    }

    /// Verifies clients against `authority`; `folder` is where its certificate is put.
    pub(crate) fn verify_clients(mut self, authority: &Cert, folder: &Path) -> Self {
        self.tls.push_str("  auth: on\n");
        self.trust(authority, folder)
    }

    /// Trusts `authority`, which alone asks nothing of clients.
    pub(crate) fn trust(mut self, authority: &Cert, folder: &Path) -> Self {
        let path = folder.join("ca.pem");
        fs::write(&path, authority.pem()).unwrap();
        let _ = writeln!(self.tls, "  ca: {}", path.display());
        self
    }

    /// Adds to the section `tls`.
    pub(crate) fn tls(mut self, yaml: &str) -> Self {
        let _ = writeln!(self.tls, "  {yaml}");
        self
    }

    /// Sets the process's time zone.
    pub(crate) fn zone(mut self, zone: &'static str) -> Self {
        self.zone = Some(zone);
        self
    }

    /// Adds top-level YAML.
    pub(crate) fn with(mut self, yaml: &str) -> Self {
        self.more.push_str(yaml);
        self.more.push('\n');
        self
    }

    /// Adds an argument.
    pub(crate) fn flag(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// Passes it a socket that listens (`LISTEN_FDS`), in place of an address.
    pub(crate) fn passing(mut self, socket: TcpListener) -> Self {
        self.passed = Some(socket);
        self
    }

    /// Runs the server as `user`, who may lock `memlock` KiB. Needs root.
    pub(crate) fn run_by(self, user: u32, memlock: u64) -> Self {
        let way = format!("prlimit --memlock={0}:{0}", memlock << 10);
        let become_user = format!("setpriv --reuid={user} --regid={user} --clear-groups");
        let words = [way, become_user].join(" ");
        self.by_way_of(user, words.split(' ').map(ToOwned::to_owned).collect())
    }

    /// Has another program start the server: `words`, then the server's path and arguments. It is to run as `user`, whose all files
    /// will be. Needs root.
    pub(crate) fn by_way_of(mut self, user: u32, words: Vec<String>) -> Self {
        self.way = Some((user, words));
        self
    }

    /// Starts a server that is to fail at once; its exit code and standard error.
    pub(crate) fn fail(&self) -> (Option<i32>, String) {
        let folder = tempfile::tempdir().unwrap();
        let output = self.command(folder.path()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), errors)
    }

    /// The command that starts it. Writes the server's files to `folder`.
    pub(crate) fn command(&self, folder: &Path) -> Command {
        let (cert, key) = self.shown.clone().unwrap_or_else(|| {
            let cert = Cert::server();
            (cert.pem(), cert.key_pem())
        });
        let path = folder.join("server.key");
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(folder.join("server.pem"), cert).unwrap();
        fs::write(folder.join("kes.yml"), self.yaml(folder)).unwrap();
        let program = env!("CARGO_BIN_EXE_kes");
        let mut command = match (&self.way, self.files, &self.passed) {
            (None, None, None) => Command::new(program),
            (None, None, Some(socket)) => {
                let mut command = Command::new("sh");
                // The protocol of sd_listen_fds(3): from descriptor 3 on, for the process of this number.
                command
                    .args([
                        "-ec",
                        "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"",
                    ])
                    .arg(program)
                    .stdin(OwnedFd::from(socket.try_clone().unwrap()));
                command
            }
            (None, Some(limit), _) => {
                let mut command = Command::new("sh");
                command
                    .args(["-ec", "ulimit -n \"$0\"; exec \"$@\""])
                    .arg(limit.to_string())
                    .arg(program);
                command
            }
            (Some((user, words)), ..) => {
                chown(folder, Some(*user), Some(*user)).unwrap();
                for entry in fs::read_dir(folder).unwrap() {
                    chown(entry.unwrap().path(), Some(*user), Some(*user)).unwrap();
                }
                let mut command = Command::new(&words[0]);
                // Through a descriptor, because that user may not be able to walk to the program.
                command
                    .args(&words[1..])
                    .arg("/proc/self/fd/0")
                    .stdin(fs::File::open(program).unwrap())
                    // Cargo's, for libraries of the compiler.
                    .env_remove("LD_LIBRARY_PATH")
                    .current_dir("/");
                command
            }
        };
        command
            .args(["server", "--config"])
            .arg(folder.join("kes.yml"))
            .args(&self.flags);
        if let Some(zone) = self.zone {
            command.env("TZ", zone);
        }
        for (name, value) in &self.env {
            command.env(name, value);
        }
        command
    }

    /// Starts it and does not wait for it.
    pub(crate) fn launch(&self) -> Server {
        Server::spawn(self)
    }

    /// Starts it.
    pub(crate) async fn start(self) -> Server {
        Server::start(self).await
    }

    /// Tries to start it, which must fail; what it says on standard error.
    pub(crate) async fn refused(self) -> String {
        let mut server = Server::spawn(&self);
        assert!(server.stderr.end().await, "the server started");
        assert_eq!(server.child.wait().unwrap().code(), Some(1));
        server.stderr.all().join("\n")
    }

    fn yaml(&self, folder: &Path) -> String {
        let folder_text = folder.display();
        if self.bare {
            return format!("address: 127.0.0.1:0\n{}", self.more);
        }
        let mut yaml = format!(
            "address: 127.0.0.1:0\nadmin:\n  identity: {}\ntls:\n  key: {folder_text}/server.key\n  cert: {folder_text}/server.pem\n{}",
            self.admin, self.tls
        );
        for (section, text) in [("policy", &self.policies), ("api", &self.api)] {
            if !text.is_empty() {
                let _ = write!(yaml, "{section}:\n{text}");
            }
        }
        if self.fs {
            let _ = write!(yaml, "keystore:\n  fs:\n    path: {folder_text}/keys\n");
        }
        yaml + &self.more
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    folder: TempDir,
    stdout: Lines,
    stderr: Lines,
}

impl Server {
    fn spawn(setup: &Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = setup.command(folder.path());
        if setup.way.is_none() && setup.passed.is_none() {
            command.stdin(Stdio::null());
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            child,
            folder,
            stdout,
            stderr,
        }
    }

    /// One that somebody else has started, with its standard output as a pipe.
    pub(crate) fn adopt(mut child: Child) -> Self {
        let stderr = child.stderr.take();
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            folder: tempfile::tempdir().unwrap(),
            stdout: Lines::of(child.stdout.take().unwrap()),
            stderr: match stderr {
                Some(pipe) => Lines::of(pipe),
                None => Lines::of(std::io::empty()),
            },
            child,
        }
    }

    async fn start(setup: Setup) -> Self {
        let mut server = Self::spawn(&setup);
        if !server
            .stdout
            .wait_for(1, "=> Server is up and running...")
            .await
        {
            panic!("the server did not start: {:?}", server.stderr.all());
        }
        server.find_address();
        server
    }

    /// Waits until it serves or has ended; whether it serves.
    pub(crate) async fn is_up(&mut self) -> bool {
        let up = self.stdout.wait_for(1, "=> Server is up and running...");
        let up = up.await;
        if up {
            self.find_address();
        }
        up
    }

    /// Takes its address from the banner.
    pub(crate) fn find_address(&mut self) {
        let banner = self.stdout.all();
        let line = banner
            .iter()
            .find(|line| line.starts_with("API  "))
            .unwrap();
        let (_, address) = line.rsplit_once("https://").unwrap();
        self.address = address.parse().unwrap();
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// A client that shows `cert`.
    pub(crate) fn client(&self, cert: &Cert) -> Client {
        Client::new(self.address, Some(cert))
    }

    /// A client without a certificate.
    pub(crate) fn nobody(&self) -> Client {
        Client::new(self.address, None)
    }

    /// Where keys in files are.
    pub(crate) fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// Where its files are: `server.pem`, `server.key` and `kes.yml`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Asks for the configuration to be read again, as it is.
    pub(crate) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Writes a new configuration and asks for it to be read. The answer is in the output.
    pub(crate) fn reload(&self, setup: &Setup) {
        self.reload_text(&setup.yaml(self.folder.path()));
    }

    /// The same with any text.
    pub(crate) fn reload_text(&self, yaml: &str) {
        fs::write(self.folder.path().join("kes.yml"), yaml).unwrap();
        self.signal(Signal::HUP);
    }

    /// Waits until `text` has been in `count` lines of the standard output; the first of them.
    pub(crate) async fn said(&mut self, count: usize, text: &str) -> String {
        let said = self.stdout.wait_for(count, text).await;
        assert!(said, "no {text:?} in {:?}", self.stdout.all());
        self.stdout.first(text)
    }

    /// Waits until `text` has been in `count` lines of the standard error; the first of them.
    pub(crate) async fn complained(&mut self, count: usize, text: &str) -> String {
        let said = self.stderr.wait_for(count, text).await;
        assert!(said, "no {text:?} in {:?}", self.stderr.all());
        self.stderr.first(text)
    }

    /// All of standard output so far.
    pub(crate) fn output(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// All of standard error so far.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// A figure of its memory in bytes, as the kernel counts it: `VmRSS` is what it has, `VmHWM` the most it ever had.
    pub(crate) fn memory(&self, figure: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let mut lines = status.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(name, _)| *name == figure).unwrap();
        let value = value.trim().strip_suffix(" kB").unwrap();
        value.parse::<usize>().unwrap() * 1024
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        // The output ends with the process.
        assert!(self.stdout.end().await, "the server does not stop");
        self.child.wait().unwrap()
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("standard error of the server: {:#?}", self.stderr.all());
        }
    }
}

/// What a process writes, line by line.
struct Lines(watch::Receiver<Vec<String>>);

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(Vec::new());
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                sender.send_modify(|lines: &mut Vec<String>| lines.push(line));
            }
        });
        Self(receiver)
    }

    fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    fn first(&self, text: &str) -> String {
        let lines = self.0.borrow();
        let line = lines.iter().find(|line| line.contains(text));
        line.cloned().unwrap_or_default()
    }

    async fn wait_for(&mut self, count: usize, text: &str) -> bool {
        let found =
            |lines: &Vec<String>| lines.iter().filter(|line| line.contains(text)).count() >= count;
        let wait = tokio::time::timeout(PATIENCE, self.0.wait_for(found)).await;
        matches!(wait, Ok(Ok(_)))
    }

    async fn end(&mut self) -> bool {
        let closed = async { while self.0.changed().await.is_ok() {} };
        tokio::time::timeout(PATIENCE, closed).await.is_ok()
    }
}
