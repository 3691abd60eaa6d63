//! `docs/configuration.md`: the table of all keys, for people.

use std::fmt::Write as _;

use super::{
    normalise,
    table::{Change, Holds, Kind, REQUIRED, ROWS, Row},
};

/// What stands above the tables. What stands in them cannot become untrue; this is held by tests of what it describes.
const HEAD: &str = "# The configuration file

Made by `kes config schema --markdown` from the table that the program itself reads files by; a test holds this page equal to it. For editors there is
[a JSON Schema](config.schema.json), made by `kes config schema`. Samples are in [`config/`](../config/).

`kes config check FILE` tells what is wrong with a file and where, `kes config show FILE` what it amounts to, and `kes config migrate FILE` turns old spellings into current ones.

## How it is read

- **YAML**, the first document of the file, at most 16 MiB of UTF-8. Anchors, aliases and merge keys work. A key that stands twice in one mapping is an error.
- **Unknown keys** are ignored with a warning that names the key that was probably meant. If no keystore is specified, they are errors.
- **Nothing, `~` and `\"\"`** mean that a key is not set. A section in which every value is empty is not there.
- **References**: a text that is `${NAME}`, and nothing else, is replaced by the environment variable of that name. A text that begins with `${` and ends with `}` may have several:
  `${HOST}:${PORT}`. A variable that is not set is an error. Everywhere else `${` is plain text, with a warning. What a variable holds is never shown.
- **Switches** take `on`, `off`, `yes`, `no`, `true`, `false`, `y` and `n`.
- **Durations** are numbers with units, like `30s`, `1h30m` or `1.5h`; units are `ns`, `us`, `ms`, `s`, `m`, `h` and `d`. Zero means the default, where it makes sense at all.
- **Identities** are 64 lower-case hexadecimal digits: the SHA-256 of a certificate's public key. `kes identity of FILE` prints it.
- **Log levels** are `on` (the same as `info`), `off`, `debug`, `info`, `warn`, `error`, one of these with a number (`warn+1`), or a number: -4 is debug, 8 is error.
- **API paths** in rules: without `*`, `?`, `[` and `\\` the path itself; with a single `*` at the end, everything that begins like it; else a pattern for each part between slashes.
  A deny rule wins over every allow rule.
- **Paths of files** are relative to the working directory of the server.

## Columns

*env*: whether references are replaced. *takes effect*: at a reload (SIGHUP), or at the next start only. *since*: the release that brought the key, where that is recorded; those that begin with `v` or are dates
are the predecessor's, which this server follows. A key marked *secret* is never shown by any command. *required* is so where its section is in use.

";

/// A part of the page.
struct Section {
    title: &'static str,
    /// Its keys begin with one of these.
    keys: &'static [&'static str],
    text: &'static str,
}

const SECTIONS: &[Section] = &[
    section("General", &["version", "address", "admin"], ""),
    section("`tls`", &["tls"], ""),
    section(
        "`proxy_protocol`",
        &["proxy_protocol"],
        "An element is an IP address, or a network like `10.0.0.0/8`.",
    ),
    section(
        "`api`",
        &["api"],
        "The keys are paths of APIs, as `kes status --api` shows them. A path that no API has is ignored with a warning.",
    ),
    section(
        "`policy`",
        &["policy"],
        "The keys are names of your choice: 1 to 80 characters of `0-9 A-Z a-z - _`. `kes policy test` and `kes policy explain` tell what a file allows to whom.",
    ),
    section("`cache`", &["cache"], ""),
    section("`log`", &["log"], ""),
    section("`keys`", &["keys"], ""),
    section(
        "`compat`",
        &["compat"],
        "Switches for clients and keys of old releases; see [differences](differences.md).",
    ),
    section("`shutdown`", &["shutdown"], ""),
    section(
        "`keystore`",
        &["keystore.fs"],
        "One keystore is in use: the section with a `path`, `endpoint` or `project_id`. Without any, keys are kept in memory and lost when the server stops.",
    ),
    section(
        "`keystore.vault`",
        &["keystore.vault"],
        "HashiCorp Vault. Exactly one of `approle` and `kubernetes` is needed.",
    ),
    section("`keystore.fortanix`", &["keystore.fortanix"], ""),
    section("`keystore.gemalto`", &["keystore.gemalto"], ""),
    section("`keystore.gcp`", &["keystore.gcp"], ""),
    section("`keystore.aws`", &["keystore.aws"], ""),
    section("`keystore.azure`", &["keystore.azure"], ""),
    section("`keystore.entrust`", &["keystore.entrust"], ""),
];

const fn section(
    title: &'static str,
    keys: &'static [&'static str],
    text: &'static str,
) -> Section {
    Section { title, keys, text }
}

impl Section {
    fn has(&self, row: &Row) -> bool {
        self.keys.iter().any(|key| {
            let rest = row.path.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }
}

/// The page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for section in SECTIONS {
        let _ = writeln!(page, "## {}\n", section.title);
        if !section.text.is_empty() {
            let _ = writeln!(page, "{}\n", section.text);
        }
        page.push_str("| key | type | default | unit | env | takes effect | since | meaning |\n");
        page.push_str("|---|---|---|---|---|---|---|---|\n");
        for row in ROWS.iter().filter(|row| section.has(row)) {
            let _ = writeln!(page, "{}", line(row));
        }
        page.push('\n');
    }
    page.push_str("## Old spellings\n\nEach is read as the current one, with a warning; `kes config migrate` rewrites it.\n\n");
    page.push_str("| old | current |\n|---|---|\n");
    for alias in normalise::aliases() {
        let what = if alias.old == ["keys"] {
            ", if it is a mapping"
        } else {
            ""
        };
        let (old, new) = (alias.old.join("."), alias.new.join("."));
        let _ = writeln!(page, "| `{old}`{what} | `{new}` |");
    }
    page
}

fn line(row: &Row) -> String {
    let Row {
        path, since, doc, ..
    } = row;
    let default = match row.default {
        "" => String::new(),
        REQUIRED => REQUIRED.to_owned(),
        default => format!("`{default}`"),
    };
    let unit = if row.kind == Kind::Duration {
        "`ns` to `d`"
    } else {
        ""
    };
    let env = if row.holds == Holds::Fixed {
        "no"
    } else {
        "yes"
    };
    let secret = if row.holds == Holds::Secret {
        ", secret"
    } else {
        ""
    };
    let change = match row.change {
        Change::Reload => "reload",
        Change::Restart => "restart",
    };
    let kind = kind(row.kind);
    format!(
        "| `{path}` | {kind}{secret} | {default} | {unit} | {env} | {change} | {since} | {doc} |"
    )
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Address => "`HOST:PORT`".to_owned(),
        Kind::Bool => "switch".to_owned(),
        Kind::Duration => "duration".to_owned(),
        Kind::Header => "HTTP header".to_owned(),
        Kind::Identity => "identity".to_owned(),
        Kind::Ignored => "anything".to_owned(),
        Kind::KeyName => "key name".to_owned(),
        Kind::Level => "log level".to_owned(),
        Kind::Network => "network".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Rule => "API path".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Url => "URL".to_owned(),
        Kind::Word(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_section() {
        for row in ROWS {
            let sections = SECTIONS.iter().filter(|section| section.has(row));
            assert_eq!(sections.count(), 1, "{}", row.path);
        }
    }
}
