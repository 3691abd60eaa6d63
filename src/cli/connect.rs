//! The flags of every command that talks to a server, and the client they make.

use std::{fs, io, path::Path, time::Duration};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::{
    duration,
    error::Error,
    file,
    output::Output,
    password, profile,
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
    secret::Secret,
};

/// How to reach a server and who to be. Flattened into the arguments of every command that talks to a server.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Connection")]
#[expect(
    clippy::doc_markdown,
    reason = "these are texts of the help, shown as they are"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a command line has as many switches as it has"
)]
pub(super) struct ConnectArgs {
    /// Profile to use, below flags and variables [env: KES_PROFILE]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Servers to ask [env: KES_SERVER, default: 127.0.0.1:7373]
    #[arg(short, long, value_name = "HOST[:PORT],...")]
    server: Option<String>,
    /// API key; others on this computer can see it in the list of processes [env: KES_API_KEY]
    #[arg(short, long, value_name = "KEY")]
    api_key: Option<String>,
    /// Read the API key from this file; '-' is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "api_key")]
    api_key_file: Option<String>,
    /// Private key of the client certificate [env: KES_CLIENT_KEY]
    #[arg(long, value_name = "FILE")]
    client_key: Option<String>,
    /// Client certificate [env: KES_CLIENT_CERT]
    #[arg(long, value_name = "FILE")]
    client_cert: Option<String>,
    /// File with the password of the private key [env: KES_CLIENT_KEY_PASSWORD has the password itself]
    #[arg(long, value_name = "FILE")]
    key_password_file: Option<String>,
    /// Also trust the certificates in this file or directory [env: KES_CA]
    #[arg(long, value_name = "PATH")]
    ca: Option<String>,
    /// Trust only what --ca names, not the system's authorities
    #[arg(long)]
    ca_only: bool,
    /// Talk to any server, whoever it is
    #[arg(short = 'k', long)]
    insecure: bool,
    /// Whether nobody is there to be asked for a password, as while a line is completed.
    #[arg(skip)]
    unattended: bool,
    /// Longest time to wait for an answer, all attempts together, as 30s
    #[arg(long, value_name = "DURATION", value_parser = duration::positive)]
    timeout: Option<Duration>,
    /// How often a request is repeated after a network error or a 503 [default: 2]
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// Has no effect: there are no enclaves any more
    #[arg(short, long, value_name = "NAME", hide = true)]
    enclave: Option<String>,
    /// The server is one of the profile's, although it is given here.
    #[arg(skip)]
    of_profile: bool,
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
        let env = &self.above_profile(env)?;
        let (credential, _) = self.credential(env, out)?;
        self.session_as(Some(credential), env, out)
    }

    /// The environment, and below it the profile that flags or environment choose.
    fn above_profile(&self, env: &Environment) -> Result<Environment, Error> {
        Ok(env.above(profile::chosen(self.profile.as_deref(), env)?))
    }

    /// The credential, and the flag or variable that it comes from.
    pub(super) fn who(
        &self,
        env: &Environment,
        out: &Output,
    ) -> Result<(Credential, &'static str), Error> {
        self.credential(&self.above_profile(env)?, out)
    }

    /// A client that proves itself with what [`Self::who`] found: an API key on standard input is read once.
    pub(super) fn session_with(
        &self,
        credential: Credential,
        env: &Environment,
        out: &Output,
    ) -> Result<Session, Error> {
        self.session_as(Some(credential), &self.above_profile(env)?, out)
    }

    /// Which servers are trusted.
    pub(super) fn trusted(&self, env: &Environment) -> Result<Trust, Error> {
        self.trust(&self.above_profile(env)?)
    }

    /// The servers that flags, environment and profile name, and where they are named.
    pub(super) fn named(&self, env: &Environment) -> Result<(Vec<Endpoint>, &'static str), Error> {
        self.endpoints(&self.above_profile(env)?)
    }

    /// Arguments that ask once and wait no longer than this.
    pub(super) fn for_completion(timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            retries: Some(0),
            unattended: true,
            ..Self::default()
        }
    }

    /// A client that only looks at the server `host`, or at those of the flags and the environment: it trusts anybody and says
    /// nothing of itself.
    pub(super) fn session_to_look(
        &self,
        host: Option<&str>,
        env: &Environment,
        out: &Output,
    ) -> Result<Session, Error> {
        let look = Self {
            server: host.map(str::to_owned).or_else(|| self.server.clone()),
            insecure: true,
            ..self.clone()
        };
        look.session_as(None, &look.above_profile(env)?, out)
    }

    /// The same, but without a credential if none is given: for routes that may be open to everybody.
    pub(super) fn session_of_anybody(
        &self,
        env: &Environment,
        out: &Output,
    ) -> Result<Session, Error> {
        let env = &self.above_profile(env)?;
        match self.credential(env, out) {
            Ok((credential, _)) => self.session_as(Some(credential), env, out),
            Err(Error::Stranger) => self.session_as(None, env, out),
            Err(error) => Err(error),
        }
    }

    /// A client of each server of the list alone.
    pub(super) fn sessions(&self, env: &Environment, out: &Output) -> Result<Vec<Session>, Error> {
        let (endpoints, origin) = self.named(env)?;
        endpoints
            .iter()
            .map(|endpoint| {
                let alone = Self {
                    server: Some(endpoint.to_string()),
                    of_profile: origin == settings::PROFILE,
                    ..self.clone()
                };
                alone.session(env, out)
            })
            .collect()
    }

    /// The servers that these flags and the environment name, and where they are named.
    fn endpoints(&self, env: &Environment) -> Result<(Vec<Endpoint>, &'static str), Error> {
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
        Ok((endpoints, servers.origin))
    }

    fn session_as(
        &self,
        credential: Option<Credential>,
        env: &Environment,
        out: &Output,
    ) -> Result<Session, Error> {
        self.note_enclave(env, out);
        let (endpoints, origin) = self.endpoints(env)?;
        let list: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
        let peer = Peer {
            servers: list.join(", "),
            origin: origin.to_owned(),
            identity: credential
                .as_ref()
                .map(|credential| credential.identity().clone()),
        };
        let settings = Settings {
            endpoints,
            credential,
            trust: self.trust(env)?,
            retry: self.retry(),
            timeout: self.timeout,
            proxies: settings::proxies(env),
            watch: out.is_verbose().then(|| out.watch()),
        };
        let client = Client::new(settings).map_err(|error| Error::Setup(Box::new(error)))?;
        Ok(Session { client, peer })
    }

    fn note_enclave(&self, env: &Environment, out: &Output) {
        let flag = self.enclave.clone().map(|name| (name, "--enclave"));
        let named = flag.or_else(|| Some((env.get("KES_ENCLAVE")?, "KES_ENCLAVE")));
        if let Some((name, origin)) = named
            && !matches!(name.as_str(), "" | "default")
        {
            out.note(&format!(
                "{origin} has no effect: there are no enclaves any more"
            ));
        }
    }

    fn retry(&self) -> Retry {
        let usual = Retry::default();
        Retry {
            attempts: self
                .retries
                .map_or(usual.attempts, |retries| retries.saturating_add(1)),
            ..usual
        }
    }

    fn api_key(&self) -> Result<Option<Given>, Error> {
        let Some(path) = self.api_key_file.as_deref() else {
            let flag = self.api_key.clone();
            return Ok(flag.map(|value| settings::given(value, "--api-key")));
        };
        let text = match path {
            "-" => file::stdin()?,
            path => file::read(Path::new(path))?,
        };
        let key = std::str::from_utf8(&text).unwrap_or("?").trim();
        Ok(Some(settings::given(key.to_owned(), "--api-key-file")))
    }

    /// The password of the private key in the file `key`: as it was given, else as somebody types it.
    fn password(&self, key: &str, env: &Environment) -> Result<Secret, Error> {
        match settings::key_password(self.key_password_file.as_deref(), env) {
            Some(given) => password::given(&given, env),
            None if self.unattended => Err(Error::NoPassword {
                key: key.to_owned(),
                source: io::Error::other("nobody is to be asked"),
            }),
            None => password::typed(key),
        }
    }

    fn credential(
        &self,
        env: &Environment,
        out: &Output,
    ) -> Result<(Credential, &'static str), Error> {
        let flags = ProofFlags {
            api_key: self.api_key()?,
            certificate: self.client_cert.clone(),
            key: self.client_key.clone(),
        };
        match settings::proof(flags, env)? {
            Proof::ApiKey(given) => {
                let key = ApiKey::parse(given.value.trim())
                    .map_err(|error| Error::Proof(format!("{}: {error}", given.origin)))?;
                let credential = Credential::from_api_key(&key, Clock::system().now_utc())?;
                Ok((credential, given.origin))
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
                let password = Credential::needs_password(&private)
                    .then(|| self.password(&key.value, env))
                    .transpose()?;
                let credential = Credential::from_pem(&chain, &private, password.as_ref());
                let credential = credential.map_err(|source| Error::Credential {
                    certificate: certificate.value.to_string(),
                    key: key.value.to_string(),
                    source,
                })?;
                Ok((credential, certificate.origin))
            }
        }
    }

    fn trust(&self, env: &Environment) -> Result<Trust, Error> {
        // A profile's trust holds for its own servers only.
        let server = settings::servers(self.server.as_deref(), env);
        let own = env
            .profile()
            .filter(|_| self.of_profile || server.origin == settings::PROFILE);
        if self.insecure || own.is_some_and(|profile| profile.insecure) {
            return Ok(Trust::Anyone);
        }
        let ca_only = self.ca_only || own.is_some_and(|profile| profile.ca_only);
        let ca = settings::ca(self.ca.as_deref(), env);
        let ca = ca.or_else(|| Some(settings::given(own?.ca.clone()?, settings::PROFILE)));
        let extra = match ca {
            Some(path) => trust::certificates_at(Path::new(path.value.as_str()))?,
            None if ca_only => {
                return Err(Error::Usage(
                    "--ca-only needs --ca PATH or KES_CA".to_owned(),
                ));
            }
            None => Vec::new(),
        };
        Ok(Trust::Known {
            system: !ca_only,
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
    /// The servers, as a list of addresses.
    pub(super) fn servers(&self) -> &str {
        &self.peer.servers
    }

    /// Whom the servers take this client for, if it has a credential.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.peer.identity.as_ref()
    }

    /// Awaits a call; if it fails, says what was `doing`.
    pub(super) async fn call<T>(
        &self,
        doing: impl Into<String>,
        call: impl Future<Output = Result<T, client::error::Error>>,
    ) -> Result<T, Error> {
        call.await.map_err(|source| self.failure(doing, source))
    }

    /// A call that failed while `doing` something.
    pub(super) fn failure(&self, doing: impl Into<String>, source: client::error::Error) -> Error {
        Error::Call {
            doing: doing.into(),
            source,
            peer: Box::new(self.peer.clone()),
        }
    }
}

/// Runs `work` to its end or to the interrupt key, on this thread.
pub(super) fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    on_this_thread(async {
        tokio::select! {
            outcome = work => outcome,
            Ok(()) = tokio::signal::ctrl_c() => Err(Error::Interrupted),
        }
    })
}

/// Runs `work` that goes on for ever: that it is interrupted, or asked to end, is no failure.
pub(super) fn run_until_interrupt(
    work: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    on_this_thread(async {
        let mut terminate =
            signal(SignalKind::terminate()).map_err(|source| Error::Setup(Box::new(source)))?;
        tokio::select! {
            outcome = work => outcome,
            Ok(()) = tokio::signal::ctrl_c() => Ok(()),
            _ = terminate.recv() => Ok(()),
        }
    })
}

fn on_this_thread<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Setup(Box::new(source)))?;
    let outcome = runtime.block_on(work);
    // Does not wait for a name that is still being resolved.
    runtime.shutdown_background();
    outcome
}
