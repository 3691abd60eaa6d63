//! `kes ls`, and the listings of `kes key`, `kes policy` and `kes identity` (cli.md 11.1).

use serde::Serialize;

use self::long::Row;
use super::{
    connect::{self, ConnectArgs},
    error::Error,
    output::{Format, Output},
    settings::Environment,
};
use crate::{
    client::{error, listing::Kind},
    policy::Pattern,
};

mod long;

/// Arguments of `kes ls`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes ls
  kes ls 'tenant-*' --long
  kes ls --policy --json
  kes ls --identity --count")]
pub(super) struct Args {
    /// List keys, as without it
    #[arg(long, conflicts_with_all = ["identity", "policy"])]
    key: bool,
    /// List identities
    #[arg(short, long, conflicts_with = "policy")]
    identity: bool,
    /// List policies
    #[arg(short, long)]
    policy: bool,
    #[command(flatten)]
    list: ListArgs,
}

/// Arguments of every listing.
#[derive(clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a command line has as many switches as it has"
)]
pub(super) struct ListArgs {
    /// Start of the names, or a pattern with '*', '?' and '[a-z]'
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pattern: String,
    /// Show when each was made, and by whom
    #[arg(short, long)]
    long: bool,
    /// Leave out the header
    #[arg(long)]
    no_header: bool,
    /// Print only how many there are
    #[arg(long, conflicts_with = "long")]
    count: bool,
    /// Show times in UTC
    #[arg(long)]
    utc: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, env: &Environment, out: &Output) -> Result<(), Error> {
    let kind = match (args.identity, args.policy) {
        (true, _) => Kind::Identities,
        (_, true) => Kind::Policies,
        _ => Kind::Keys,
    };
    args.list.run(kind, out.is_terminal(), env, out)
}

/// A name for programs that read line by line, as earlier releases wrote it.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Line<'a> {
    Name(&'a str),
    Identity(&'a str),
}

impl ListArgs {
    /// Lists what there is of a kind. `header` is whether there is one, unless flags say otherwise.
    pub(super) fn run(
        &self,
        kind: Kind,
        header: bool,
        env: &Environment,
        out: &Output,
    ) -> Result<(), Error> {
        let session = self.connect.session(env, out)?;
        let (doing, title) = match kind {
            Kind::Keys => ("failed to list keys", "Key"),
            Kind::Policies => ("failed to list policies", "Policy"),
            Kind::Identities => ("failed to list identities", "Identity"),
        };
        let header = !self.no_header && (header || out.format() == Format::Table);
        let (prefix, filter) = split(&self.pattern)?;
        connect::run(async {
            let mut names = session
                .call(doing, session.client.list(kind, prefix))
                .await?;
            if let Some(filter) = &filter {
                names.retain(|name| filter.grants(name));
            }
            if self.count {
                return count(names.len(), out);
            }
            if self.long {
                let rows = long::describe(session, kind, names).await?;
                return self.print_long(&rows, header.then_some(title), out);
            }
            print(&names, kind, header.then_some(title), out)
        })
    }

    fn print_long(&self, rows: &[Row], header: Option<&str>, out: &Output) -> Result<(), Error> {
        match out.format() {
            Format::Jsonl => rows.iter().try_for_each(|row| out.document(row)),
            Format::Json | Format::Yaml => out.document(rows),
            Format::Text | Format::Table => long::print(rows, header, self.utc, out),
        }
    }
}

fn count(count: usize, out: &Output) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Count {
        count: usize,
    }
    out.show(&Count { count }, || out.text(&count.to_string()))
}

fn print(names: &[String], kind: Kind, header: Option<&str>, out: &Output) -> Result<(), Error> {
    match out.format() {
        Format::Jsonl => names.iter().try_for_each(|name| {
            out.document(&match kind {
                Kind::Identities => Line::Identity(name),
                Kind::Keys | Kind::Policies => Line::Name(name),
            })
        }),
        Format::Json | Format::Yaml => out.document(names),
        Format::Text | Format::Table => match header {
            Some(header) => out.table(header, names),
            None if names.is_empty() => Ok(()),
            None => out.text(&names.join("\n")),
        },
    }
}

/// What a pattern begins with, which the server looks for, and the whole pattern if there is more to it than a star at its end.
fn split(pattern: &str) -> Result<(&str, Option<Pattern>), Error> {
    let Some(at) = pattern.find(['*', '?', '[', '\\']) else {
        return Ok((pattern, None));
    };
    let (prefix, rest) = pattern.split_at(at);
    if rest == "*" {
        return Ok((prefix, None));
    }
    let invalid = |_| Error::Usage(error::Error::InvalidPattern(pattern.to_owned()).to_string());
    Ok((prefix, Some(Pattern::parse(pattern).map_err(invalid)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_prefix_for_the_server_and_a_glob_for_us() {
        for (pattern, prefix, filtered) in [
            ("", "", false),
            ("*", "", false),
            ("my", "my", false),
            ("my*", "my", false),
            ("my-?", "my-", true),
            ("*-a", "", true),
            ("a[0-9]*", "a", true),
        ] {
            let (start, filter) = split(pattern).unwrap();
            assert_eq!((start, filter.is_some()), (prefix, filtered), "{pattern}");
        }
        let (_, filter) = split("a*z").unwrap();
        let filter = filter.unwrap();
        assert!(filter.grants("abz") && !filter.grants("ab"));
        assert!(split("a[").is_err());
    }
}
