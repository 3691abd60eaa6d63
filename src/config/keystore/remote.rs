//! The sections of keystores that are services (config.md 9.2): every key of a section is checked, whether or not this build can
//! open such a keystore.

use std::{path::PathBuf, time::Duration};

use zeroize::Zeroizing;

use super::says_something;
use crate::{
    config::{defaults, report::Report, validate::positive, view::View},
    keystore::settings::{
        Aws, AwsCredentials, Azure, AzureLogin, Entrust, Fortanix, Gcp, GcpCredentials, Jwt,
        KeySecure, Remote, Transit, Vault, VaultLogin, VaultVersion,
    },
    secret::Secret,
};

/// Reads the section `view`, whose key within `keystore` is `section`. `None` if something is wrong with it, which was reported.
pub(super) fn read(section: &[&str], view: View<'_>, report: &mut Report) -> Option<Remote> {
    let mut part = Part { view, report };
    match section {
        ["aws", _] => part.aws().map(Remote::Aws),
        ["azure", _] => part.azure().map(Remote::Azure),
        ["entrust", _] => part.entrust().map(Remote::Entrust),
        ["fortanix", _] => part.fortanix().map(Remote::Fortanix),
        ["gcp", _] => part.gcp().map(Remote::Gcp),
        ["gemalto", _] => part.keysecure().map(Remote::KeySecure),
        ["vault"] => part.vault().map(Remote::Vault),
        _ => None,
    }
}

/// Something is wrong, and was said.
struct Reported;

/// A section, or one of its own, and where to tell what is wrong with it.
struct Part<'a, 'r> {
    view: View<'a>,
    report: &'r mut Report,
}

impl<'a> Part<'a, '_> {
    /// The section at `key` of this one.
    fn part(&mut self, key: &str) -> Part<'a, '_> {
        Part {
            view: self.view.get(key),
            report: self.report,
        }
    }

    /// The section at `key`, if anything in it says something: templates are full of empty ones.
    fn meant(&mut self, key: &str) -> Option<Part<'a, '_>> {
        let part = self.part(key);
        let node = part.view.node()?;
        says_something(node, part.view.shape()).then_some(part)
    }

    fn text(&self, key: &str) -> Option<String> {
        let text = self.view.get(key).text()?;
        Some(String::clone(&text.text))
    }

    fn text_or(&self, key: &str, default: &str) -> String {
        self.text(key).unwrap_or_else(|| default.to_owned())
    }

    fn file(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    fn secret(&self, key: &str) -> Option<Secret> {
        let text = self.view.get(key).text()?;
        Some(Secret::copy_from(text.text.as_bytes()))
    }

    /// The text at `key`, which must be there; to people it is `what`.
    fn required(&mut self, key: &str, what: &str) -> Option<String> {
        self.demand(key, what);
        self.text(key)
    }

    fn required_secret(&mut self, key: &str, what: &str) -> Option<Secret> {
        self.demand(key, what);
        self.secret(key)
    }

    fn demand(&mut self, key: &str, what: &str) {
        let view = self.view.get(key);
        if view.text().is_none() && !view.is_broken() {
            let reason = format!("no {what} specified");
            self.report.error(view.line, &view.path, reason);
        }
    }

    /// A URL that must be there.
    fn url(&mut self, schemes: &[&str]) -> Option<String> {
        let url = self.required("endpoint", "endpoint")?;
        let view = self.view.get("endpoint");
        let rest = url.split_once("://").and_then(|(scheme, rest)| {
            let known = schemes
                .iter()
                .any(|known| scheme.eq_ignore_ascii_case(known));
            known.then_some(rest)
        });
        let valid = rest.is_some_and(|rest| {
            !rest.trim_start_matches('/').is_empty() && !rest.contains(|c: char| c.is_whitespace())
        });
        if valid {
            return Some(url);
        }
        let reason = format!("{} is not a URL", view.shown());
        let hint = format!("write it with its scheme, like {}://HOST", schemes.first()?);
        self.report
            .error_with_hint(view.line, &view.path, reason, hint);
        None
    }

    /// A time above zero. What is unset or zero is the default.
    fn time(&mut self, key: &str, default: Duration) -> Option<Duration> {
        let view = self.view.get(key);
        if view.is_broken() {
            return None;
        }
        let nanos = view.nanos().unwrap_or(0);
        if nanos < 0 {
            let reason = format!("invalid time {}: negative", view.shown());
            self.report.error(view.line, &view.path, reason);
            return None;
        }
        Some(positive(nanos).unwrap_or(default))
    }

    fn several_logins(&mut self, first: &str, second: &str) {
        let (first, second) = (self.view.get(first), self.view.get(second));
        let reason = format!(
            "more than one authentication method specified: '{}' and '{}'",
            first.path, second.path
        );
        let hint = "keep one of the two";
        self.report
            .error_with_hint(second.line, &second.path, reason, hint);
    }

    fn aws(&mut self) -> Option<Aws> {
        let endpoint = self.required("endpoint", "endpoint");
        let region = self.required("region", "region");
        let credentials = match self.meant("credentials") {
            None => Some(None),
            Some(mut part) => part.aws_credentials().map(Some),
        };
        Some(Aws {
            endpoint: endpoint?,
            region: region?,
            kmskey: self.text("kmskey"),
            credentials: credentials?,
        })
    }

    fn aws_credentials(&mut self) -> Option<AwsCredentials> {
        let accesskey = self.required("accesskey", "access key");
        let secretkey = self.required_secret("secretkey", "secret key");
        Some(AwsCredentials {
            accesskey: accesskey?,
            secretkey: secretkey?,
            token: self.secret("token"),
        })
    }

    fn azure(&mut self) -> Option<Azure> {
        let endpoint = self.url(&["https", "http"]);
        let secret = self.meant("credentials").map(|mut part| {
            let tenant_id = part.required("tenant_id", "tenant ID");
            let client_id = part.required("client_id", "client ID");
            let client_secret = part.required_secret("client_secret", "client secret");
            Some(AzureLogin::Secret {
                tenant_id: tenant_id?,
                client_id: client_id?,
                client_secret: client_secret?,
            })
        });
        let managed = self.meant("managed_identity").map(|mut part| {
            let client_id = part.required("client_id", "client ID")?;
            Some(AzureLogin::ManagedIdentity { client_id })
        });
        if secret.is_some() && managed.is_some() {
            self.several_logins("credentials", "managed_identity");
            return None;
        }
        Some(Azure {
            endpoint: endpoint?,
            login: secret.or(managed).unwrap_or(Some(AzureLogin::Default))?,
        })
    }

    fn entrust(&mut self) -> Option<Entrust> {
        let endpoint = self.url(&["https", "http"]);
        let vault_id = self.required("vault_id", "vault ID");
        let box_id = self.required("box_id", "box ID");
        let mut part = self.part("credentials");
        let username = part.required("username", "username");
        let password = part.required_secret("password", "password");
        Some(Entrust {
            endpoint: endpoint?,
            vault_id: vault_id?,
            box_id: box_id?,
            username: username?,
            password: password?,
            ca: self.part("tls").file("ca"),
        })
    }

    fn fortanix(&mut self) -> Option<Fortanix> {
        let endpoint = self.url(&["https", "http"]);
        let key = self.part("credentials").required_secret("key", "API key");
        Some(Fortanix {
            endpoint: endpoint?,
            group_id: self.text("group_id"),
            key: key?,
            ca: self.part("tls").file("ca"),
        })
    }

    fn gcp(&mut self) -> Option<Gcp> {
        let project_id = self.required("project_id", "project ID");
        let credentials = match self.meant("credentials") {
            None => Some(None),
            Some(mut part) => part.gcp_credentials().map(Some),
        };
        let scopes = self.view.get("scopes");
        let scopes = scopes.items().filter_map(|scope| {
            let text = scope.text()?;
            Some(String::clone(&text.text))
        });
        Some(Gcp {
            project_id: project_id?,
            endpoint: self.text("endpoint"),
            scopes: scopes.collect(),
            credentials: credentials?,
        })
    }

    fn gcp_credentials(&mut self) -> Option<GcpCredentials> {
        let client_email = self.required("client_email", "client email");
        let client_id = self.required("client_id", "client ID");
        let private_key_id = self.required("private_key_id", "client private key ID");
        self.demand("private_key", "client private key");
        let private_key = self.view.get("private_key").text().map(|text| {
            // In single quotes YAML leaves '\n' alone.
            let lines = Zeroizing::new(text.text.replace("\\n", "\n"));
            Secret::copy_from(lines.as_bytes())
        });
        Some(GcpCredentials {
            client_email: client_email?,
            client_id: client_id?,
            private_key_id: private_key_id?,
            private_key: private_key?,
        })
    }

    fn keysecure(&mut self) -> Option<KeySecure> {
        let endpoint = self.url(&["https", "http"]);
        let mut part = self.part("credentials");
        let token = part.required_secret("token", "token");
        let domain = part.text("domain");
        let retry = part.time("retry", defaults::KEYSECURE_RETRY);
        Some(KeySecure {
            endpoint: endpoint?,
            token: token?,
            domain,
            retry: retry?,
            ca: self.part("tls").file("ca"),
        })
    }

    fn vault(&mut self) -> Option<Vault> {
        let endpoint = self.url(&["https", "http", "unix"]);
        let version = self.vault_version();
        let login = self.vault_login();
        let transit = match self.meant("transit") {
            None => Some(None),
            Some(mut part) => part.required("key", "key name").map(|key| {
                let engine = part.text_or("engine", defaults::VAULT_TRANSIT);
                Some(Transit { engine, key })
            }),
        };
        let mut tls = self.part("tls");
        let client = tls.vault_client();
        let ca = tls.file("ca");
        let ping = self.part("status").time("ping", defaults::VAULT_PING);
        Some(Vault {
            endpoint: endpoint?,
            engine: self.text_or("engine", defaults::VAULT_ENGINE),
            version: version?,
            namespace: self.text("namespace"),
            prefix: self.text("prefix"),
            transit: transit?,
            login: login?,
            client: client.ok()?,
            ca,
            ping: ping?,
        })
    }

    fn vault_version(&mut self) -> Option<VaultVersion> {
        let view = self.view.get("version");
        match view.text().map(|text| text.text.as_str()) {
            None if view.is_broken() => None,
            None | Some("v1") => Some(VaultVersion::V1),
            Some("v2") => Some(VaultVersion::V2),
            Some(_) => {
                let reason = format!("invalid engine API version {}", view.shown());
                let hint = "write 'v1' or 'v2'";
                self.report
                    .error_with_hint(view.line, &view.path, reason, hint);
                None
            }
        }
    }

    fn vault_login(&mut self) -> Option<VaultLogin> {
        let approle = self.meant("approle").map(|mut part| {
            let id = part.required("id", "approle ID");
            let secret = part.required_secret("secret", "approle secret");
            Some(VaultLogin::AppRole {
                engine: part.text_or("engine", defaults::VAULT_APPROLE),
                namespace: part.text("namespace"),
                id: id?,
                secret: secret?,
            })
        });
        let kubernetes = self.meant("kubernetes").map(|mut part| {
            let role = part.required("role", "role");
            let jwt = part.jwt();
            Some(VaultLogin::Kubernetes {
                engine: part.text_or("engine", defaults::VAULT_KUBERNETES),
                namespace: part.text("namespace"),
                role: role?,
                jwt: jwt?,
            })
        });
        match (approle, kubernetes) {
            (Some(_), Some(_)) => {
                self.several_logins("approle", "kubernetes");
                None
            }
            (Some(login), None) | (None, Some(login)) => login,
            (None, None) => {
                self.report.error_with_hint(
                    self.view.line,
                    &self.view.path,
                    "no authentication method specified",
                    "fill in 'approle' or 'kubernetes'",
                );
                None
            }
        }
    }

    /// The token, or the file that holds it: a text with a slash, or the name of a file that exists unless it looks like a token.
    /// No message holds the text: who can tell a path from a token?
    fn jwt(&mut self) -> Option<Jwt> {
        self.demand("jwt", "JWT");
        let view = self.view.get("jwt");
        let text = view.text()?;
        let path = PathBuf::from(text.text.as_str());
        let is_token = text.text.split('.').count() == 3;
        let is_path = text.text.contains('/') || (!is_token && path.is_file());
        if !is_path {
            return Some(Jwt::Text(Secret::copy_from(text.text.as_bytes())));
        }
        // Only whether it can be read: the token is read anew at every login.
        match std::fs::File::open(&path).and_then(|file| file.metadata()) {
            Ok(about) if about.is_dir() => {
                let reason = "the token is to be read from a directory";
                self.report.error(view.line, &view.path, reason);
                None
            }
            Ok(_) => Some(Jwt::File(path)),
            Err(error) => {
                let reason = format!("the file with the token cannot be read: {error}");
                let hint = "a text with a slash is the path of a file that holds the token";
                self.report
                    .error_with_hint(view.line, &view.path, reason, hint);
                None
            }
        }
    }

    /// Key and certificate, both or none.
    fn vault_client(&mut self) -> Result<Option<(PathBuf, PathBuf)>, Reported> {
        match (self.file("key"), self.file("cert")) {
            (None, None) => Ok(None),
            (Some(key), Some(cert)) => Ok(Some((key, cert))),
            (Some(_), None) => {
                self.lacks("cert", "no TLS certificate provided");
                Err(Reported)
            }
            (None, Some(_)) => {
                self.lacks("key", "no TLS private key provided");
                Err(Reported)
            }
        }
    }

    fn lacks(&mut self, key: &str, reason: &str) {
        let view = self.view.get(key);
        if !view.is_broken() {
            let hint = "set key and cert, or neither";
            self.report
                .error_with_hint(view.line, &view.path, reason, hint);
        }
    }
}

#[cfg(test)]
mod tests;
