//! Development mode (config.md 13): a server out of nothing, for trying things and for tests of other programs.
//!
//! Keys are in memory, certificate and administrator are made at the start, and nothing is left when it ends. The administrator's
//! API key stands in the banner, where the scripts of other projects look for it: who may read the output may do everything.

use std::{
    fmt::{self, Write as _},
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _},
    path::PathBuf,
};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use time::Duration;
use zeroize::Zeroizing;

use super::{Error, banner::reachable, listen::Sockets};
use crate::{
    api,
    apikey::ApiKey,
    clock::Clock,
    config::{self, Config, Env, Fallback},
    name::KeyName,
    pem,
    secret::{self, Secret},
    tls::{self, Tls},
};

/// Where it listens, if nothing else is said (decision 21).
const ADDRESS: &str = "127.0.0.1:7373";
/// How long its certificate holds.
const LIFE: Duration = Duration::days(90);
/// From how long before, because clocks differ.
const EARLIER: Duration = Duration::minutes(5);

/// What the command line may want of development mode.
#[derive(Default)]
pub struct Wishes {
    /// The administrator's API key; a new one if absent.
    pub api_key: Option<ApiKey>,
    /// Keys to be there from the start.
    pub keys: Vec<KeyName>,
    /// Where to write the server's certificate.
    pub certificate: Option<PathBuf>,
}

/// What is made in place of files.
pub(super) struct Dev {
    /// The administrator's API key, as text.
    api_key: Secret,
    /// PEM.
    certificate: Secret,
    /// PEM.
    key: Secret,
    path: Option<PathBuf>,
}

impl Dev {
    /// Makes what `wishes` leaves open, and the configuration of a server on `address`, or on the sockets that were `passed`.
    pub(super) fn new(
        wishes: &Wishes,
        address: Option<&str>,
        passed: Option<&Sockets>,
        clock: &Clock,
    ) -> Result<(Self, Config), Error> {
        let address = address.unwrap_or(ADDRESS);
        let new;
        let api_key = match &wishes.api_key {
            Some(key) => key,
            None => {
                new = ApiKey::generate().map_err(Error::Randomness)?;
                &new
            }
        };
        let hosts = match passed {
            Some(sockets) => sockets.addresses.iter().map(SocketAddr::ip).collect(),
            None => hosts(address).map_err(|source| Error::Bind {
                address: address.to_owned(),
                source,
            })?,
        };
        let (certificate, key) = certificate(&hosts, name(address), clock)?;
        let dev = Self {
            api_key: api_key.text(),
            certificate,
            key,
            path: wishes.certificate.clone(),
        };
        let mut text = format!(
            "address: '{address}'\n\
             admin:\n  identity: {}\n\
             tls:\n  key: in memory\n  cert: in memory\n\
             cache:\n  expiry:\n    any: 5m\n    unused: 30s\n\
             log:\n  error: on\n  audit: on\n\
             keys:\n",
            api_key.identity()
        );
        for name in &wishes.keys {
            let _ = writeln!(text, "- name: '{name}'");
        }
        let context = config::Context {
            env: &Env::of::<String, String>([]),
            routes: &api::configurable(),
            fallback: Fallback::default(),
        };
        let config = config::parse("development mode", text.as_bytes(), &context);
        let mut config = config.map_err(Error::Config)?;
        // That no keystore is named is no oversight here.
        config.warnings.clear();
        Ok((dev, config))
    }

    /// The certificate and its key; any client's certificate will do.
    pub(super) fn tls(&self) -> Result<Tls, tls::Error> {
        Tls::in_memory(&self.certificate, &self.key)
    }

    /// Writes the certificate where it is wanted.
    pub(super) fn show_certificate(&self) -> Result<(), Error> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let written = fs::write(path, self.certificate.expose());
        written.map_err(|source| Error::DevCertificate {
            path: path.clone(),
            source,
        })
    }

    /// Writes the administrator's API key.
    pub(super) fn write_api_key(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::str::from_utf8(self.api_key.expose());
        f.write_str(text.map_err(|_| fmt::Error)?)
    }

    /// Writes what to paste into a shell to be its administrator. No line holds the label of the banner's row.
    pub(super) fn write_exports(
        &self,
        f: &mut fmt::Formatter<'_>,
        addresses: &[SocketAddr],
    ) -> fmt::Result {
        let server = addresses.first().map(|address| match address.ip() {
            ip if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
            _ => *address,
        });
        f.write_str("To use it, in another shell:\n\n")?;
        if let Some(server) = server {
            writeln!(f, "export KES_SERVER={server}")?;
        }
        f.write_str("export KES_API_KEY=")?;
        self.write_api_key(f)?;
        f.write_char('\n')?;
        match &self.path {
            Some(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                writeln!(f, "export KES_CA={}", quoted(&path.display().to_string()))
            }
            None => {
                f.write_str("# and add -k to each command, or start with --dev-cert-out FILE\n")
            }
        }
    }
}

/// A text as a word of the shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=".contains(c);
    if text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The addresses that `HOST:PORT` stands for.
fn hosts(address: &str) -> io::Result<Vec<IpAddr>> {
    if address.starts_with(':') {
        return Ok(vec![Ipv6Addr::UNSPECIFIED.into()]);
    }
    Ok(address.to_socket_addrs()?.map(|found| found.ip()).collect())
}

/// The host of `HOST:PORT`, if it is a name.
fn name(address: &str) -> Option<&str> {
    let (host, _) = address.rsplit_once(':')?;
    let is_name = !host.is_empty() && !host.starts_with('[') && host.parse::<IpAddr>().is_err();
    is_name.then_some(host)
}

/// A certificate for a server on `hosts`, of this `name`, and its private key, both PEM.
fn certificate(
    hosts: &[IpAddr],
    name: Option<&str>,
    clock: &Clock,
) -> Result<(Secret, Secret), Error> {
    let mut names: Vec<IpAddr> = hosts.iter().copied().flat_map(reachable).collect();
    names.extend([
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ]);
    names.sort_unstable();
    names.dedup();
    let mut serial = [0; 16];
    secret::random(&mut serial).map_err(Error::Randomness)?;
    // Positive, and of full length.
    let [first, ..] = &mut serial;
    *first = *first & 0x7f | 0x40;
    let now = clock.now_utc();
    let mut dns = vec!["localhost".to_owned()];
    dns.extend(
        name.filter(|name| *name != "localhost")
            .map(ToOwned::to_owned),
    );
    let mut params = CertificateParams::new(dns).map_err(Error::Certificate)?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    let names = names.into_iter().map(SanType::IpAddress);
    params.subject_alt_names.extend(names);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = now - EARLIER;
    params.not_after = now + LIFE;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(Error::Certificate)?;
    let certificate = params.self_signed(&pair).map_err(Error::Certificate)?;
    let key = Zeroizing::new(pair.serialize_der());
    Ok((
        pem::encode("CERTIFICATE", certificate.der()),
        pem::encode("PRIVATE KEY", &key),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_shell_are_quoted_where_they_have_to_be() {
        assert_eq!(quoted("/tmp/kes-1.pem"), "/tmp/kes-1.pem");
        assert_eq!(quoted("/tmp/it's $HOME"), r"'/tmp/it'\''s $HOME'");
    }

    #[test]
    fn a_name_is_told_from_an_address() {
        for (address, expected) in [
            ("kes.test:7373", Some("kes.test")),
            (":7373", None),
            ("127.0.0.1:7373", None),
            ("[::1]:7373", None),
        ] {
            assert_eq!(name(address), expected);
        }
    }
}
