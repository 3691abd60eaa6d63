//! From a configuration to what serves it. Used at start and at reload alike: everything is built and checked before anything is
//! swapped.

use std::{collections::HashMap, io, sync::Arc};

use http::HeaderName;
use tokio::runtime::Handle;

use super::{Error, Process};
use crate::{
    api::ROUTES,
    config::{self, Config},
    crypto::{Cipher, KeyVersion},
    keyring::{self, Keyring},
    keystore::{self, Keystore},
    secret::Secret,
    state::{Assigned, Proxies, RouteSettings, State},
    tls::{self, Tls, Watch},
};

/// What a configuration becomes.
pub(super) struct Assembled {
    pub(super) state: State,
    pub(super) tls: Tls,
    /// What notices that the TLS files change; `None` if there are none.
    pub(super) watch: Option<Watch>,
    pub(super) store: Arc<dyn Keystore>,
    /// What the operator should know about the keystore.
    pub(super) warnings: Vec<String>,
}

/// Reads the TLS files, opens the keystore and folds the policies; writes nothing. `kept` is the store of the configuration before,
/// if it may go on being used.
pub(super) async fn assemble(
    config: &Config,
    process: &Process,
    kept: Option<Arc<dyn Keystore>>,
) -> Result<Assembled, Error> {
    let routes = route_settings(config);
    let (watch, tls) = match &process.dev {
        Some(dev) => (None, dev.tls()?),
        None => {
            let (watch, tls) = load_tls(config, process, &routes).await?;
            (Some(watch), tls)
        }
    };
    let (store, mut warnings) = match kept {
        Some(store) => (store, Vec::new()),
        None => {
            let opened = keystore::open(&config.keystore).await;
            let opened = opened.map_err(Error::Keystore)?;
            (opened.store, opened.warnings)
        }
    };
    warnings.extend(tls.warning().map(ToOwned::to_owned));
    let keys = Keyring::new(
        store.clone(),
        config.cache,
        process.clock.clone(),
        &Handle::current(),
    );
    let mut policies = std::collections::BTreeMap::new();
    let mut identities = HashMap::new();
    for (name, entry) in &config.policies {
        let policy = Arc::new(entry.policy.clone());
        policies.insert(name.clone(), policy.clone());
        for identity in &entry.identities {
            let assigned = Assigned {
                name: name.clone(),
                policy: policy.clone(),
            };
            identities.insert(identity.clone(), assigned);
        }
    }
    let state = State {
        admin: config.admin.clone(),
        policies,
        identities,
        proxies: proxies(&config.tls.proxy),
        balancers: config.proxy_protocol.clone(),
        keys: Arc::new(keys),
        routes,
        compat: config.compat,
        telemetry: process.telemetry.clone(),
        started: process.started,
        clock: process.clock.clone(),
    };
    Ok(Assembled {
        state,
        tls,
        watch,
        store,
        warnings,
    })
}

/// Reads the TLS files, on a thread where that may take its time: a file system may be slow, and a key's password is meant to be.
async fn load_tls(
    config: &Config,
    process: &Process,
    routes: &[RouteSettings],
) -> Result<(Watch, Tls), Error> {
    let password = config.tls.password.as_ref();
    let settings = tls::Settings {
        cert: config.tls.cert.clone(),
        key: config.tls.key.clone(),
        password: password.map(|password| Secret::copy_from(password.expose())),
        password_file: config.tls.password_file.clone(),
        verify_clients: config.tls.auth,
        ca: config.tls.ca.clone(),
        optional: routes.iter().any(|route| route.skip_auth),
    };
    let now = process.clock.elapsed();
    let loaded = tokio::task::spawn_blocking(move || Watch::start(settings, now)).await;
    Ok(loaded.map_err(io::Error::from)??)
}

/// The TLS proxies; `None` if there are none, which costs a request one branch.
fn proxies(proxy: &config::Proxy) -> Option<Proxies> {
    let header = HeaderName::from_bytes(proxy.header.as_ref()?.as_bytes());
    (!proxy.identities.is_empty()).then_some(Proxies {
        identities: proxy.identities.iter().cloned().collect(),
        // The configuration has checked it.
        header: header.ok()?,
    })
}

/// The route table's settings, as the configuration changes them.
fn route_settings(config: &Config) -> Vec<RouteSettings> {
    let configured = |path| config.api.iter().find(|entry| entry.path == path);
    ROUTES
        .iter()
        .map(|route| {
            let entry = configured(route.path);
            let timeout = entry.and_then(|entry| entry.timeout);
            RouteSettings {
                timeout: timeout.or(route.timeout),
                skip_auth: entry.is_some_and(|entry| entry.skip_auth),
            }
        })
        .collect()
}

/// Creates the keys under `keys`, in the admin's name. One that exists is left alone.
pub(super) async fn create_keys(
    config: &Config,
    process: &Process,
    keys: &Keyring,
) -> Result<(), Error> {
    for name in &config.keys {
        let key = KeyVersion::generate(
            Cipher::for_this_cpu(),
            config.admin.as_str(),
            process.clock.now_utc(),
        )
        .map_err(Error::Randomness)?;
        match keys.create(name, &key).await {
            Ok(()) => {}
            Err(error) if error.kind() == keyring::Kind::Exists => {}
            Err(source) => {
                return Err(Error::PredefinedKey {
                    name: name.clone(),
                    source,
                });
            }
        }
    }
    Ok(())
}
