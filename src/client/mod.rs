//! The HTTP client that the command line uses (cli.md 3).
//!
//! Every call goes over mutual TLS to the first server of a list that answers, and is repeated after network errors and 503. Names
//! are checked before anything is sent, so that each becomes exactly one path segment. What a server says reaches the caller in
//! its current wording; older wordings are translated.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::{
    client::{ResolvesClientCert, danger::ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    sign::SingleCertAndKey,
};
use rustls_pki_types::CertificateDer;
use tokio::sync::Mutex;

use self::{
    credential::Credential,
    endpoint::Endpoint,
    error::{Cause, Error},
    listing::Kind,
    order::Order,
    proxy::Proxies,
    transport::{Call, Reply, Transport},
    trust::{Shown, Trust, Verifier},
};
use crate::{
    name,
    wire::{
        outgoing,
        reply::{Decrypted, Encrypted, Generated, Hmac},
        response::{ApiRoute, KeyInfo, Status, Version},
    },
};

mod access;
mod answer;
pub mod credential;
pub mod endpoint;
pub mod error;
pub mod follow;
pub mod listing;
mod order;
pub mod probe;
pub mod proxy;
mod stream;
mod transport;
pub mod trust;

/// Longest response, in bytes; api.md 14.4.
const RESPONSE_LIMIT: usize = 1 << 20;
/// Longest response of `/version`.
const VERSION_LIMIT: usize = 1 << 10;
/// What stays as it is in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// When a call is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often a call is sent at most.
    pub attempts: u32,
    /// Time between two attempts.
    pub pause: Duration,
    /// Longest random time that is added to the pause.
    pub jitter: Duration,
}

/// Three attempts, 200 to 1000 ms apart (cli.md 3.2).
impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            pause: Duration::from_millis(200),
            jitter: Duration::from_millis(800),
        }
    }
}

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The servers; those on this computer are asked first.
    pub endpoints: Vec<Endpoint>,
    /// What the client proves itself with, if it does.
    pub credential: Option<Credential>,
    /// Which servers it talks to.
    pub trust: Trust,
    /// When a call is repeated.
    pub retry: Retry,
    /// Longest time for a call and all its attempts; streams are not limited.
    pub timeout: Option<Duration>,
    /// How servers elsewhere are reached, if not directly.
    pub proxies: Option<Proxies>,
    /// Is told of every exchange.
    pub watch: Option<Watch>,
}

/// An exchange with a server, as it is told to a [`Watch`].
#[derive(Clone, Debug)]
pub struct Exchange<'a> {
    /// Method and address.
    pub request: &'a str,
    /// Version of TLS, cipher suite and HTTP, if the handshake was completed.
    pub protocol: &'a str,
    /// Status, or why there is none.
    pub outcome: String,
    /// From opening the connection, if there was none, to the end of the answer.
    pub took: Duration,
}

/// Is called after every exchange.
#[derive(Clone)]
pub struct Watch(pub Arc<dyn Fn(&Exchange<'_>) + Send + Sync>);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// A client of one group of servers that hold the same keys.
pub struct Client {
    transport: Transport,
    timeout: Option<Duration>,
}

/// The state of a server, and which one it is.
#[derive(Clone, Debug)]
pub struct ServerStatus {
    /// What the server says.
    pub status: Status,
    /// The server that answered.
    pub endpoint: Endpoint,
    /// How long the answer took, including the connection if a new one was needed.
    pub took: Duration,
}

impl Client {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Setup`] if the TLS library refuses the settings.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let shown = Shown::default();
        let verifier = Verifier::new(settings.trust, provider.clone(), shown.clone());
        let config = tls_config(Arc::new(verifier), settings.credential, provider)?;
        Ok(Self {
            transport: Transport {
                order: Order::of(&settings.endpoints),
                endpoints: settings.endpoints,
                proxies: settings.proxies,
                tls: Arc::new(config),
                shown,
                retry: settings.retry,
                watch: settings.watch,
                open: Mutex::new(None),
            },
            timeout: settings.timeout,
        })
    }

    /// Release and commit of the server.
    pub async fn version(&self) -> Result<Version, Error> {
        let call = Call {
            limit: VERSION_LIMIT,
            ..get("/version".to_owned())
        };
        answer::json(&self.call(call).await?)
    }

    /// State of the server.
    pub async fn status(&self) -> Result<ServerStatus, Error> {
        let reply = self.call(get("/v1/status".to_owned())).await?;
        Ok(ServerStatus {
            status: answer::json(&reply)?,
            endpoint: reply.endpoint,
            took: reply.took,
        })
    }

    /// Routes of the server.
    pub async fn routes(&self) -> Result<Vec<ApiRoute>, Error> {
        answer::json(&self.call(get("/v1/api".to_owned())).await?)
    }

    /// Whether the server can serve; succeeds if it can.
    pub async fn ready(&self) -> Result<(), Error> {
        self.call(get("/v1/ready".to_owned())).await.map(drop)
    }

    /// Figures of the server, in the Prometheus text format.
    pub async fn metrics(&self) -> Result<String, Error> {
        let reply = self.call(get("/v1/metrics".to_owned())).await?;
        Ok(String::from_utf8_lossy(&reply.body).into_owned())
    }

    /// The certificates that the first server shows which can be reached, leaf first, whether or not they are trusted.
    pub async fn presented(&self) -> Result<(Endpoint, Vec<CertificateDer<'static>>), Error> {
        Box::pin(self.transport.presented()).await
    }

    /// Creates a key.
    pub async fn create_key(&self, name: &str) -> Result<(), Error> {
        let call = post("create", new_name(name)?, None);
        self.call(call).await.map(drop)
    }

    /// Creates a key from 32 bytes of the caller's. `cipher` is `AES256` or `ChaCha20`.
    pub async fn import_key(
        &self,
        name: &str,
        key: &[u8],
        cipher: &str,
        hmac: Option<&[u8]>,
    ) -> Result<(), Error> {
        let body = outgoing::import(key, cipher, hmac);
        let call = post("import", new_name(name)?, Some(body));
        self.call(call).await.map(drop)
    }

    /// What is known of a key. `algorithm` is `AES256` or `ChaCha20` whatever the server calls them, and never empty.
    pub async fn describe_key(&self, name: &str) -> Result<KeyInfo, Error> {
        let path = key_path("describe", stored_name(name)?);
        let mut info: KeyInfo = answer::json(&self.call(get(path)).await?)?;
        match info.algorithm.as_str() {
            "" | "AES256-GCM_SHA256" => "AES256".clone_into(&mut info.algorithm),
            "XCHACHA20-POLY1305" => "ChaCha20".clone_into(&mut info.algorithm),
            _ => {}
        }
        Ok(info)
    }

    /// All keys whose names start with `prefix`, in ascending order. One trailing star is ignored.
    pub async fn list_keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.list(Kind::Keys, prefix).await
    }

    /// Deletes a key. What it encrypted is lost.
    pub async fn delete_key(&self, name: &str) -> Result<(), Error> {
        let call = Call {
            method: "DELETE",
            ..get(key_path("delete", stored_name(name)?))
        };
        self.call(call).await.map(drop)
    }

    /// Encrypts `plaintext`, bound to `context`.
    pub async fn encrypt(
        &self,
        key: &str,
        plaintext: &[u8],
        context: &[u8],
    ) -> Result<Encrypted, Error> {
        let body = outgoing::encrypt(plaintext, context);
        let call = post("encrypt", stored_name(key)?, Some(body));
        answer::json(&self.call(call).await?)
    }

    /// Decrypts what [`Self::encrypt`] or [`Self::generate`] made with the same `context`.
    pub async fn decrypt(
        &self,
        key: &str,
        ciphertext: &[u8],
        context: &[u8],
    ) -> Result<Decrypted, Error> {
        let body = outgoing::decrypt(ciphertext, context);
        let call = post("decrypt", stored_name(key)?, Some(body));
        answer::json(&self.call(call).await?)
    }

    /// Makes a data key, in clear and encrypted, bound to `context`.
    pub async fn generate(&self, key: &str, context: &[u8]) -> Result<Generated, Error> {
        let call = post(
            "generate",
            stored_name(key)?,
            Some(outgoing::generate(context)),
        );
        answer::json(&self.call(call).await?)
    }

    /// The HMAC of `message`.
    pub async fn hmac(&self, key: &str, message: &[u8]) -> Result<Hmac, Error> {
        let call = Call {
            method: "PUT",
            ..post("hmac", stored_name(key)?, Some(outgoing::hmac(message)))
        };
        answer::json(&self.call(call).await?)
    }

    async fn call(&self, call: Call) -> Result<Reply, Error> {
        // The future holds a whole handshake; on the heap it does not weigh on every caller's.
        let sent = Box::pin(self.transport.send(&call));
        let reply = match self.timeout {
            None => sent.await?,
            Some(limit) => match tokio::time::timeout(limit, sent).await {
                Ok(reply) => reply?,
                Err(_) => {
                    return Err(Error::Connection {
                        request: format!("{} {}", call.method, call.path),
                        source: Cause::Timeout {
                            step: "answer",
                            limit,
                        },
                    });
                }
            },
        };
        answer::success(reply, &call)
    }
}

/// How connections are encrypted, and what proves each side to the other.
fn tls_config(
    verifier: Arc<dyn ServerCertVerifier>,
    credential: Option<Credential>,
    provider: Arc<CryptoProvider>,
) -> Result<rustls::ClientConfig, Error> {
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(Error::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match credential {
        // Sent even if the server names other issuers: an API key's certificate is its own issuer.
        Some(credential) => {
            let certified = SingleCertAndKey::from(credential.certified);
            let resolver: Arc<dyn ResolvesClientCert> = Arc::new(certified);
            config.with_client_cert_resolver(resolver)
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn get(path: String) -> Call {
    Call {
        method: "GET",
        path,
        body: None,
        limit: RESPONSE_LIMIT,
    }
}

/// A change or a cryptographic operation. Older servers know only POST, current ones accept it beside PUT (cli.md 3.4).
fn post(operation: &str, name: &str, body: Option<Bytes>) -> Call {
    Call {
        method: "POST",
        body,
        ..get(key_path(operation, name))
    }
}

fn key_path(operation: &str, argument: &str) -> String {
    path(&format!("key/{operation}"), argument)
}

/// A route and its argument, which becomes exactly one segment.
fn path(route: &str, argument: &str) -> String {
    format!("/v1/{route}/{}", utf8_percent_encode(argument, SEGMENT))
}

/// A name that a new key may have.
fn new_name(name: &str) -> Result<&str, Error> {
    if name::is_valid(name) {
        Ok(name)
    } else {
        Err(Error::InvalidName(name.to_owned()))
    }
}

/// A name that a key may have: `.`, `:` and `+` were allowed once, and such keys can still be used.
fn stored_name(name: &str) -> Result<&str, Error> {
    let once = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+".contains(&byte);
    let dots = matches!(name, "." | "..");
    if (1..=name::MAX_LEN).contains(&name.len()) && name.bytes().all(once) && !dots {
        Ok(name)
    } else {
        Err(Error::InvalidName(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
