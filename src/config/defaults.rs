//! Every default, with its reason and its source.

use std::time::Duration;

use crate::telemetry::{Format, Level};

/// Where to listen: all IPv4 interfaces, the port that clients of the predecessor know (config.md 5.2).
pub const ADDRESS: &str = "0.0.0.0:7373";

/// How long a key is cached however often it is used. Five minutes bound how long a key that another server deleted stays
/// usable; as documented to users (config.md 8).
pub const CACHE_ANY: Duration = Duration::from_mins(5);

/// How long a key is cached while nobody uses it. Half a minute, as documented to users (config.md 8); the predecessor's last
/// releases put this value into the wrong field.
pub const CACHE_UNUSED: Duration = Duration::from_secs(30);

/// The error log is on: whoever starts a server wants to see what fails (config.md 10).
pub const LOG_ERROR: Level = Level::INFO;

/// The audit log on the console is off, as documented to users (config.md 10); the log streams do not depend on it.
pub const LOG_AUDIT: Level = Level::OFF;

/// Console lines are what scripts that read the predecessor's expect (api.md 10.1).
pub const LOG_FORMAT: Format = Format::Text;

/// How long requests under way may go on when the server stops: as long as the predecessor let them (config.md 16.3).
pub const SHUTDOWN_DRAIN: Duration = Duration::from_secs(1);

/// Where Vault's key-value engine is, as documented to users (config.md 4).
pub const VAULT_ENGINE: &str = "kv";
/// Where Vault's transit engine is.
pub const VAULT_TRANSIT: &str = "transit";
/// Where Vault's `AppRole` login is.
pub const VAULT_APPROLE: &str = "approle";
/// Where Vault's Kubernetes login is.
pub const VAULT_KUBERNETES: &str = "kubernetes";
/// How often Vault is asked whether it is sealed: ten seconds, as documented to users (keystores.md 5.6).
pub const VAULT_PING: Duration = Duration::from_secs(10);

/// How long to wait before a failed login at `KeySecure` is tried again (keystores.md 9.1).
pub const KEYSECURE_RETRY: Duration = Duration::from_secs(5);
