//! The flags of every command that talks to a server, and the client they make.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use zeroize::Zeroizing;

use super::{
    error::Error,
    output::Output,
    password,
    settings::{self, Environment, Given, Proof, ProofFlags},
};
use crate::{
    apikey::ApiKey,
    client::{
        self, Client, Retry, Settings,
        credential::Credential,
        endpoint::Endpoint,
        trust::{self, Trust},
    },
    clock::Clock,
    identity::Identity,
};

/// How to reach a server and who to be.
#[derive(Args, Clone)]
#[command(next_help_heading = "Connection")]
#[expect(
    clippy::doc_markdown,
    reason = "these are texts of the help, shown as they are"
)]
pub(super) struct ConnectArgs {
    /// Servers to ask, in this order [env: KES_SERVER, default: 127.0.0.1:7373]
    #[arg(short, long, value_name = "HOST[:PORT],...")]
    server: Option<String>,
    /// API key; others on this computer can see it in the list of processes [env: KES_API_KEY]
    #[arg(short, long, value_name = "KEY")]
    api_key: Option<String>,
    /// Private key of the client certificate [env: KES_CLIENT_KEY]
    #[arg(long, value_name = "FILE")]
    client_key: Option<String>,
    /// File with the password of the private key [env: KES_CLIENT_KEY_PASSWORD has the password itself]
    #[arg(long, value_name = "FILE")]
    key_password_file: Option<PathBuf>,
    /// Client certificate [env: KES_CLIENT_CERT]
    #[arg(long, value_name = "FILE")]
    client_cert: Option<String>,
    /// Also trust the certificates in this file or directory [env: KES_CA]
    #[arg(long, value_name = "PATH")]
    ca: Option<String>,
    /// Trust only what --ca names, not the system's authorities
    #[arg(long)]
    ca_only: bool,
    /// Talk to any server, whoever it is
    #[arg(short = 'k', long)]
    insecure: bool,
    /// Has no effect: there are no enclaves any more
    #[arg(short, long, value_name = "NAME", hide = true)]
    enclave: Option<String>,
}

/// Who is spoken to, and as whom: what hints are made of.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// The servers, as a list of addresses.
    pub(super) servers: String,
    /// The flag or variable they come from.
    pub(super) origin: String,
    /// Whom the servers take this client for.
    pub(super) identity: Option<Identity>,
}

/// A client and what is known of its peer.
pub(super) struct Session {
    pub(super) client: Client,
    peer: Peer,
}

impl ConnectArgs {
    /// The client that these flags and the environment ask for.
    pub(super) fn session(&self, env: &Environment, out: &Output) -> Result<Session, Error> {
        if let Some(enclave) = &self.enclave
            && !matches!(enclave.as_str(), "" | "default")
        {
            out.note("--enclave has no effect: there are no enclaves any more");
        }
        let servers = settings::servers(self.server.as_deref(), env);
        let invalid = |source| Error::Endpoint {
            origin: servers.origin.to_owned(),
            source,
        };
        let endpoints = Endpoint::parse_list(&servers.value).map_err(invalid)?;
        if endpoints.is_empty() {
            return Err(Error::Invalid(format!(
                "{} names no server",
                servers.origin
            )));
        }
        let credential = self.credential(env, out)?;
        let list: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
        let peer = Peer {
            servers: list.join(", "),
            origin: servers.origin.to_owned(),
            identity: Some(credential.identity().clone()),
        };
        let settings = Settings {
            endpoints,
            credential: Some(credential),
            trust: self.trust(env)?,
            retry: Retry::default(),
        };
        let client = Client::new(settings).map_err(|error| Error::Setup(Box::new(error)))?;
        Ok(Session { client, peer })
    }

    fn credential(&self, env: &Environment, out: &Output) -> Result<Credential, Error> {
        let flags = ProofFlags {
            api_key: self.api_key.clone().map(Zeroizing::new),
            certificate: self.client_cert.clone(),
            key: self.client_key.clone(),
        };
        match settings::proof(flags, env)? {
            Proof::ApiKey(given) => {
                let key = ApiKey::parse(given.value.trim())
                    .map_err(|error| Error::Invalid(format!("{}: {error}", given.origin)))?;
                Ok(Credential::from_api_key(&key, Clock::system().now_utc())?)
            }
            Proof::Files { certificate, key } => {
                for given in [&certificate, &key] {
                    if settings::DEPRECATED.contains(&given.origin) {
                        out.note(&format!(
                            "{} is deprecated, use KES_CLIENT_CERT and KES_CLIENT_KEY",
                            given.origin
                        ));
                    }
                }
                let (chain, private) = (read(&certificate)?, read(&key)?);
                let file = self.key_password_file.as_deref();
                let password = Credential::needs_password(&private)
                    .then(|| password::of_key(file, &key.value, env))
                    .transpose()?;
                Credential::from_pem(&chain, &private, password.as_ref()).map_err(|source| {
                    Error::Credential {
                        certificate: certificate.value.to_string(),
                        key: key.value.to_string(),
                        source,
                    }
                })
            }
        }
    }

    fn trust(&self, env: &Environment) -> Result<Trust, Error> {
        if self.insecure {
            return Ok(Trust::Anyone);
        }
        let extra = match settings::ca(self.ca.as_deref(), env) {
            Some(path) => trust::certificates_at(Path::new(path.value.as_str()))?,
            None if self.ca_only => {
                return Err(Error::Usage(
                    "--ca-only needs --ca PATH or KES_CA".to_owned(),
                ));
            }
            None => Vec::new(),
        };
        Ok(Trust::Known {
            system: !self.ca_only,
            extra,
        })
    }
}

/// The content of a file that may hold a private key.
fn read(path: &Given) -> Result<Zeroizing<Vec<u8>>, Error> {
    let content = fs::read(path.value.as_str()).map_err(|source| Error::File {
        doing: "read",
        path: path.value.to_string(),
        source,
    })?;
    Ok(Zeroizing::new(content))
}

impl Session {
    /// Awaits a call; if it fails, says what was `doing`.
    pub(super) async fn call<T>(
        &self,
        doing: impl Into<String>,
        call: impl Future<Output = Result<T, client::error::Error>>,
    ) -> Result<T, Error> {
        call.await.map_err(|source| Error::Call {
            doing: doing.into(),
            source,
            peer: Box::new(self.peer.clone()),
        })
    }
}

/// Runs `work` to its end or to the interrupt key, on this thread.
pub(super) fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Setup(Box::new(source)))?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            Ok(()) = tokio::signal::ctrl_c() => Err(Error::Interrupted),
        }
    });
    // Does not wait for a name that is still being resolved.
    runtime.shutdown_background();
    outcome
}
