//! The banner that a server prints when it is up (config.md 14.1). Scripts wait for its last line and read its rows.

use std::{
    fmt::{self, Write as _},
    net::{IpAddr, SocketAddr},
};

use crate::{telemetry, telemetry::Level};

/// Width of the column of labels.
const LABEL: usize = 12;

/// What the banner shows.
pub(super) struct Banner<'a> {
    /// How the keystore describes itself.
    pub(super) keystore: String,
    /// Where the server listens.
    pub(super) address: SocketAddr,
    /// The admin identity, if it can be a client's.
    pub(super) admin: Option<&'a str>,
    /// Levels of the consoles.
    pub(super) levels: telemetry::Settings,
    /// Whether keys are locked in memory.
    pub(super) locked: bool,
    /// The last line, after its arrow.
    pub(super) event: &'a str,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        row(
            &mut text,
            "Version",
            &[format!("{:<22} commit={}", crate::VERSION, crate::COMMIT)],
        );
        let runtime = format!("rust {}/{}", telemetry::os(), telemetry::arch());
        row(
            &mut text,
            "Runtime",
            &[format!("{runtime:<22} compiler=rustc")],
        );
        row(
            &mut text,
            "License",
            &["Apache-2.0             https://www.apache.org/licenses/LICENSE-2.0".to_owned()],
        );
        row(&mut text, "Copyright", &["The kes authors".to_owned()]);
        text.push('\n');
        row(&mut text, "KMS", std::slice::from_ref(&self.keystore));
        let port = self.address.port();
        let endpoints: Vec<_> = reachable(self.address.ip())
            .into_iter()
            .map(|ip| format!("· https://{}", SocketAddr::new(ip, port)))
            .collect();
        row(&mut text, "API", &endpoints);
        text.push('\n');
        row(
            &mut text,
            "Admin",
            &[self.admin.unwrap_or("<disabled>").to_owned()],
        );
        let mut logs = vec![format!("error=stderr level={}", self.levels.error)];
        if self.levels.audit <= Level::INFO {
            logs.push(format!("audit=stdout level={}", self.levels.audit));
        }
        row(&mut text, "Logs", &logs);
        if self.locked {
            row(&mut text, "MLock", &["enabled".to_owned()]);
        }
        write!(f, "{text}\n=> {}", self.event)
    }
}

fn row(text: &mut String, label: &str, values: &[String]) {
    for (i, value) in values.iter().enumerate() {
        let label = if i == 0 { label } else { "" };
        let _ = writeln!(text, "{label:<LABEL$}{value}");
    }
}

/// The addresses under which clients reach a server bound to `ip`: itself, or those of all interfaces that are up.
fn reachable(ip: IpAddr) -> Vec<IpAddr> {
    if !ip.is_unspecified() {
        return vec![ip];
    }
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_multicast(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_multicast(),
    };
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    let mut all: Vec<_> = all
        .iter()
        .map(if_addrs::Interface::ip)
        .filter(usable)
        .collect();
    if all.iter().any(IpAddr::is_ipv4) {
        all.retain(IpAddr::is_ipv4);
    }
    all.sort_unstable();
    all.dedup();
    all
}
