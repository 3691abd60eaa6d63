//! Settings of the keystores that this build cannot open yet. A configuration that names one is checked as a whole all the same,
//! and what was read stands here, complete and with its defaults. Each moves into the file of its keystore when that comes.
//!
//! Nothing here has `Debug`: it holds credentials.

use std::{path::PathBuf, time::Duration};

use crate::secret::Secret;

/// A keystore that is a service.
pub enum Remote {
    /// AWS Secrets Manager.
    Aws(Aws),
    /// Azure Key Vault.
    Azure(Azure),
    /// Entrust `KeyControl`.
    Entrust(Entrust),
    /// Fortanix SDKMS.
    Fortanix(Fortanix),
    /// GCP Secret Manager.
    Gcp(Gcp),
    /// Gemalto `KeySecure`.
    KeySecure(KeySecure),
    /// HashiCorp Vault.
    Vault(Vault),
}

/// HashiCorp Vault (keystores.md 5).
pub struct Vault {
    /// An `http`, `https` or `unix` URL.
    pub endpoint: String,
    /// Path of the key-value engine, as written; slashes around it mean nothing.
    pub engine: String,
    /// Version of that engine.
    pub version: VaultVersion,
    /// Namespace of all requests.
    pub namespace: Option<String>,
    /// What the names of keys are put behind.
    pub prefix: Option<String>,
    /// What encrypts keys before they are stored.
    pub transit: Option<Transit>,
    /// How to get a token.
    pub login: VaultLogin,
    /// Files with private key and certificate to show to the server.
    pub client: Option<(PathBuf, PathBuf)>,
    /// File or directory with the only roots to trust.
    pub ca: Option<PathBuf>,
    /// How often to ask whether the server is sealed.
    pub ping: Duration,
}

/// Version of Vault's key-value engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultVersion {
    /// Without versions of values.
    V1,
    /// With versions, and with check-and-set.
    V2,
}

/// Vault's transit engine.
pub struct Transit {
    /// Path of the engine.
    pub engine: String,
    /// Name of the key.
    pub key: String,
}

/// A login at Vault. `namespace` is that of the login; `None` inherits, `/` is the root.
pub enum VaultLogin {
    /// By role and secret.
    AppRole {
        /// Path of the login.
        engine: String,
        /// Where to log in.
        namespace: Option<String>,
        /// The role.
        id: String,
        /// Its secret.
        secret: Secret,
    },
    /// By the token of a Kubernetes service account.
    Kubernetes {
        /// Path of the login.
        engine: String,
        /// Where to log in.
        namespace: Option<String>,
        /// The role.
        role: String,
        /// The token.
        jwt: Jwt,
    },
}

/// Where a service account's token is.
pub enum Jwt {
    /// In a file, to be read at every login, without white space at its end.
    File(PathBuf),
    /// Here.
    Text(Secret),
}

/// Fortanix SDKMS (keystores.md 10).
pub struct Fortanix {
    /// An `http` or `https` URL.
    pub endpoint: String,
    /// Group of new keys.
    pub group_id: Option<String>,
    /// API key of the application.
    pub key: Secret,
    /// File or directory with the only roots to trust.
    pub ca: Option<PathBuf>,
}

/// Gemalto `KeySecure`, now Thales `CipherTrust` Manager (keystores.md 9).
pub struct KeySecure {
    /// An `http` or `https` URL.
    pub endpoint: String,
    /// Refresh token.
    pub token: Secret,
    /// Domain of the token; `None` is the root domain.
    pub domain: Option<String>,
    /// How long to wait before a failed login is tried again.
    pub retry: Duration,
    /// File or directory with the only roots to trust.
    pub ca: Option<PathBuf>,
}

/// GCP Secret Manager (keystores.md 7).
pub struct Gcp {
    /// The project.
    pub project_id: String,
    /// Host, `host:port` or URL in place of Google's.
    pub endpoint: Option<String>,
    /// OAuth scopes, none of them empty; if there are none, the service's.
    pub scopes: Vec<String>,
    /// A service account; `None` means the credentials of the machine.
    pub credentials: Option<GcpCredentials>,
}

/// A Google service account.
pub struct GcpCredentials {
    /// Its e-mail address.
    pub client_email: String,
    /// Its ID.
    pub client_id: String,
    /// The ID of its private key.
    pub private_key_id: String,
    /// Its private key, PEM with real line breaks.
    pub private_key: Secret,
}

/// AWS Secrets Manager (keystores.md 6).
pub struct Aws {
    /// Host or URL.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The KMS key that encrypts secrets; `None` is the account's default key.
    pub kmskey: Option<String>,
    /// Static credentials; `None` means those of the environment or the machine.
    pub credentials: Option<AwsCredentials>,
}

/// AWS credentials.
pub struct AwsCredentials {
    /// Access key ID.
    pub accesskey: String,
    /// Secret access key.
    pub secretkey: Secret,
    /// Session token.
    pub token: Option<Secret>,
}

/// Azure Key Vault (keystores.md 8).
pub struct Azure {
    /// An `http` or `https` URL.
    pub endpoint: String,
    /// Who logs in.
    pub login: AzureLogin,
}

/// A login at Azure.
pub enum AzureLogin {
    /// The default chain: environment, workload identity, managed identity.
    Default,
    /// A managed identity of the machine.
    ManagedIdentity {
        /// Its client ID.
        client_id: String,
    },
    /// An application with its secret.
    Secret {
        /// The tenant.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
    },
}

/// Entrust `KeyControl` (keystores.md 11).
pub struct Entrust {
    /// An `http` or `https` URL.
    pub endpoint: String,
    /// The vault.
    pub vault_id: String,
    /// The box, by ID or name.
    pub box_id: String,
    /// The user.
    pub username: String,
    /// The user's password.
    pub password: Secret,
    /// File or directory with roots to trust beside the system's.
    pub ca: Option<PathBuf>,
}
