//! What a reload leaves behind, seen from inside. `tests/integration/tls/` sees it from outside.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Weak,
    time::Duration,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tempfile::TempDir;
use time::UtcOffset;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock::Clock,
    keystore::Page,
    name::KeyName,
    secret::Secret,
    server::{Fallback, Options},
    state::Shared,
    telemetry::{Output, Telemetry},
};

/// A server without a listener.
struct Bench {
    folder: TempDir,
    process: Process,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        let cert = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("tls.crt"), cert.pem()).unwrap();
        fs::write(folder.path().join("tls.key"), key.serialize_pem()).unwrap();
        let clock = Clock::system();
        let output = Output {
            audit: Box::new(std::io::sink()),
            error: Box::new(std::io::sink()),
        };
        let settings = crate::telemetry::Settings::default();
        let process = Process {
            started: clock.now_utc(),
            telemetry: Telemetry::start(settings, UtcOffset::UTC, &clock, output).unwrap(),
            clock,
            options: Options {
                source: Source::File {
                    path: folder.path().join("kes.yml"),
                    fallback: Fallback::default(),
                },
                address: None,
                require_mlock: false,
                banner: false,
                styled: false,
            },
            dev: None,
            locked: false,
            connections: 16,
        };
        let bench = Self { folder, process };
        bench.write("");
        bench
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, more: &str) -> PathBuf {
        let path = self.path().display();
        let text = format!(
            "address: 127.0.0.1:0\nadmin:\n  identity: disabled\ntls:\n  key: {path}/tls.key\n  cert: {path}/tls.crt\nkeystore:\n  fs:\n    path: {path}/keys\ncache:\n  expiry:\n    offline: 1m\n{more}"
        );
        fs::write(self.config(), text).unwrap();
        self.path().join("keys")
    }

    fn config(&self) -> PathBuf {
        self.path().join("kes.yml")
    }

    fn load(&self) -> Config {
        load(&self.config(), &Fallback::default()).unwrap()
    }

    async fn start(&self) -> Running<'_> {
        let config = self.load();
        let assembled = assemble(&config, &self.process, None).await.unwrap();
        let stopping = CancellationToken::new();
        let certificates = Certificates::new(assembled.watch, &assembled.tls);
        Running {
            process: &self.process,
            context: Arc::new(Context {
                shared: Arc::new(Shared::new(assembled.state)),
                generation: ArcSwap::from_pointee(Generation::new(assembled.tls, &stopping)),
                telemetry: self.process.telemetry.clone(),
                clock: self.process.clock.clone(),
                stopping,
                ended: std::sync::atomic::AtomicUsize::new(0),
            }),
            config,
            store: assembled.store,
            certificates,
            addresses: vec![([127, 0, 0, 1], 0).into()],
            debugging: false,
        }
    }
}

/// Waits until no more than `count` tasks are alive; those that are aborted need a moment.
async fn settle(count: usize) {
    let settled = async {
        while Handle::current().metrics().num_alive_tasks() > count {
            tokio::task::yield_now().await;
        }
    };
    let settled = tokio::time::timeout(Duration::from_secs(10), settled).await;
    assert!(settled.is_ok(), "tasks are left behind");
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn a_store_outlives_a_reload_as_long_as_a_request_uses_it() {
    let bench = Bench::new();
    let mut running = bench.start().await;
    let before = tasks();
    assert!(before >= 2, "the keyring has tasks");
    let store: Weak<dyn Keystore> = Arc::downgrade(&running.store);
    let request = running.context.shared.current();
    running.reload().await.unwrap();
    assert!(store.upgrade().is_some());
    assert!(tasks() > before);
    drop(request);
    settle(before).await;
    assert!(store.upgrade().is_none());
}

#[tokio::test]
async fn any_number_of_reloads_leaves_nothing_behind() {
    let bench = Bench::new();
    let mut running = bench.start().await;
    let before = tasks();
    for _ in 0..20 {
        running.reload().await.unwrap();
    }
    settle(before).await;
}

#[tokio::test]
async fn a_reload_that_fails_changes_nothing_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let mut running = bench.start().await;
    let before = tasks();
    let (state, store) = (running.context.shared.current(), running.store.clone());
    let good = fs::read_to_string(bench.config()).unwrap();
    bench.write("nonsense: [\n");
    running.reload().await.unwrap_err();
    bench.write("admin: {}\n");
    running.reload().await.unwrap_err();
    fs::write(bench.config(), good).unwrap();
    fs::remove_file(bench.path().join("tls.key")).unwrap();
    running.reload().await.unwrap_err();
    settle(before).await;
    assert!(Arc::ptr_eq(&state, &running.context.shared.current()));
    assert!(Arc::ptr_eq(&store, &running.store));
}

/// Holds nothing and takes nothing.
struct Stubborn;

impl fmt::Display for Stubborn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stubborn")
    }
}

#[async_trait]
impl Keystore for Stubborn {
    async fn status(&self) -> Result<Duration, keystore::Error> {
        Ok(Duration::ZERO)
    }

    async fn create(&self, _: &KeyName, _: &Secret) -> Result<(), keystore::Error> {
        Err(keystore::Error::Malformed("no".into()))
    }

    async fn get(&self, _: &KeyName) -> Result<Secret, keystore::Error> {
        Err(keystore::Error::NotFound)
    }

    async fn delete(&self, _: &KeyName) -> Result<(), keystore::Error> {
        Err(keystore::Error::NotFound)
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Page, keystore::Error> {
        Err(keystore::Error::NotFound)
    }
}

#[tokio::test]
async fn a_store_that_was_connected_for_nothing_is_let_go() {
    let bench = Bench::new();
    bench.write("keys:\n- name: a\n");
    let config = bench.load();
    let before = tasks();
    let store: Arc<dyn Keystore> = Arc::new(Stubborn);
    let kept = Some(store.clone());
    let assembled = assemble(&config, &bench.process, kept).await.unwrap();
    let created = create_keys(&config, &bench.process, &assembled.state.keys).await;
    assert!(matches!(created, Err(Error::PredefinedKey { .. })));
    drop(assembled);
    settle(before).await;
    assert_eq!(Arc::strong_count(&store), 1);
}
