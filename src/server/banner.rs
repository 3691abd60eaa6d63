//! The banner that a server prints when it is up (config.md 14.1). Scripts wait for its last line and read its rows.

use std::{
    fmt::{self, Write as _},
    net::{IpAddr, SocketAddr},
};

use super::Dev;
use crate::{telemetry, telemetry::Level};

/// Width of the column of labels.
const LABEL: usize = 12;
/// Width of a value that a comment follows.
const VALUE: usize = 22;

/// What the banner shows.
pub(super) struct Banner<'a> {
    /// How the keystore describes itself.
    pub(super) keystore: String,
    /// Where the server listens.
    pub(super) addresses: &'a [SocketAddr],
    /// The admin identity, if it can be a client's.
    pub(super) admin: Option<&'a str>,
    /// Levels of the consoles.
    pub(super) levels: telemetry::Settings,
    /// Whether keys are locked in memory.
    pub(super) locked: bool,
    /// What development mode has made.
    pub(super) dev: Option<&'a Dev>,
    /// The last line, after its arrow.
    pub(super) event: &'a str,
    /// Whether labels and comments are coloured.
    pub(super) styled: bool,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program(f)?;
        f.write_char('\n')?;
        let endpoints = self.endpoints();
        self.row(f, "KMS", std::slice::from_ref(&self.keystore))?;
        self.row(f, "API", &endpoints)?;
        f.write_char('\n')?;
        self.row(f, "Docs", &["kes server --help".to_owned()])?;
        f.write_char('\n')?;
        if let Some(dev) = self.dev {
            self.label(f, "API Key")?;
            dev.write_api_key(f)?;
            f.write_char('\n')?;
        }
        self.row(f, "Admin", &[self.admin.unwrap_or("<disabled>").to_owned()])?;
        let mut logs = vec![format!("error=stderr level={}", self.levels.error)];
        if self.levels.audit <= Level::INFO {
            logs.push(format!("audit=stdout level={}", self.levels.audit));
        }
        self.row(f, "Logs", &logs)?;
        if self.locked {
            self.row(f, "MLock", &["enabled".to_owned()])?;
        }
        if let Some(dev) = self.dev {
            f.write_char('\n')?;
            dev.write_exports(f, self.addresses)?;
        }
        write!(f, "\n=> {}", self.event)
    }
}

impl Banner<'_> {
    /// What runs: the rows of `kes --version`.
    fn program(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let platform = format!("rust {}/{}", telemetry::os(), telemetry::arch());
        let commit = format!("commit={}", crate::COMMIT);
        let licence = "https://www.apache.org/licenses/LICENSE-2.0";
        for (label, value, comment) in [
            ("Version", crate::VERSION, commit.as_str()),
            ("Runtime", &platform, "compiler=rustc"),
            ("License", "Apache-2.0", licence),
        ] {
            let comment = self.styled("2", comment);
            self.row(f, label, &[format!("{value:<VALUE$} {comment}")])?;
        }
        self.row(f, "Copyright", &["The kes authors".to_owned()])
    }

    /// Where clients reach it.
    fn endpoints(&self) -> Vec<String> {
        let mut all = Vec::new();
        for address in self.addresses {
            for ip in reachable(address.ip()) {
                let line = format!("· https://{}", SocketAddr::new(ip, address.port()));
                if !all.contains(&line) {
                    all.push(line);
                }
            }
        }
        all
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, label: &str, values: &[String]) -> fmt::Result {
        for (i, value) in values.iter().enumerate() {
            self.label(f, if i == 0 { label } else { "" })?;
            writeln!(f, "{value}")?;
        }
        Ok(())
    }

    fn label(&self, f: &mut fmt::Formatter<'_>, label: &str) -> fmt::Result {
        f.write_str(&self.styled("34", &format!("{label:<LABEL$}")))
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.styled && !text.trim().is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The addresses under which clients reach a server bound to `ip`: itself, or those of all interfaces that are up.
pub(super) fn reachable(ip: IpAddr) -> Vec<IpAddr> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn banner(styled: bool) -> String {
        let banner = Banner {
            keystore: "In Memory".to_owned(),
            addresses: &[
                SocketAddr::from(([127, 0, 0, 1], 7373)),
                SocketAddr::from(([10, 0, 0, 1], 7374)),
            ],
            admin: None,
            levels: telemetry::Settings {
                error: Level::OFF,
                audit: Level::new(-2),
                ..telemetry::Settings::default()
            },
            locked: true,
            dev: None,
            event: "Up",
            styled,
        };
        banner.to_string()
    }

    #[test]
    fn rows_are_aligned_and_have_what_is_documented() {
        let text = banner(false);
        let rows: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(
            rows,
            [
                "",
                "KMS         In Memory",
                "API         · https://127.0.0.1:7373",
                "            · https://10.0.0.1:7374",
                "",
                "Docs        kes server --help",
                "",
                "Admin       <disabled>",
                "Logs        error=stderr level=ERROR+1",
                "            audit=stdout level=DEBUG+2",
                "MLock       enabled",
                "",
                "=> Up",
            ]
        );
        assert!(text.starts_with(&format!("Version     {:<22} commit=", crate::VERSION)));
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let styled = banner(true);
        assert!(styled.contains("\x1b[34mKMS         \x1b[0mIn Memory"));
        let plain = ["\x1b[34m", "\x1b[2m", "\x1b[0m"]
            .iter()
            .fold(styled, |text, code| text.replace(code, ""));
        assert_eq!(plain, banner(false));
    }
}
