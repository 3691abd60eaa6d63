//! What a migration says when it is over.

use std::error;

use serde::Serialize;

use super::{Args, ends::Ends};
use crate::{
    cli::{error::Error, output::Output},
    migrate::{Problem, Report},
};

/// Most failures that are told one by one to a person. JSON has all.
const TOLD: usize = 100;

/// The report in JSON. Fields are added and never changed.
#[derive(Serialize)]
struct Document<'a> {
    source: String,
    target: &'a str,
    dry_run: bool,
    /// Whether every key is at the target, or was left out as asked.
    complete: bool,
    interrupted: bool,
    found: usize,
    copied: usize,
    present: usize,
    skipped: usize,
    overwritten: usize,
    restored: usize,
    failed: usize,
    remaining: usize,
    errors: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    error: String,
}

/// Tells what was done, and fails if that is not all.
pub(super) fn tell(report: &Report, ends: &Ends, args: &Args, out: &Output) -> Result<(), Error> {
    if out.wants_document() {
        out.document(&document(report, ends, args))?;
    } else {
        for failure in report.failures.iter().take(TOLD) {
            let name = &failure.name;
            out.failure(&format!("key '{name}': {}", chain(&failure.problem)));
        }
        let more = report.failures.len().saturating_sub(TOLD);
        if more > 0 {
            out.failure(&format!("and {more} more; --json tells of all"));
        }
        if report.restored > 0 {
            let verb = if args.dry_run { "would be" } else { "was" };
            out.warning(&format!(
                "an earlier run was cut off while it replaced keys: the old value of {} {} {verb} put back first",
                report.restored,
                keys(report.restored)
            ));
        }
        if report.is_complete() || report.migrated() > 0 {
            out.text(&summary(report, args.dry_run))?;
        }
    }
    if report.is_complete() {
        return Ok(());
    }
    Err(Error::Unmigrated {
        text: shortfall(report),
        hint: hint(report),
    })
}

fn document<'a>(report: &Report, ends: &'a Ends, args: &Args) -> Document<'a> {
    Document {
        source: ends.source.to_string(),
        target: &ends.target_name,
        dry_run: args.dry_run,
        complete: report.is_complete(),
        interrupted: report.interrupted,
        found: report.found,
        copied: report.copied,
        present: report.present,
        skipped: report.kept,
        overwritten: report.replaced,
        restored: report.restored,
        failed: report.failures.len(),
        remaining: report.remaining(),
        errors: report
            .failures
            .iter()
            .map(|failure| Entry {
                name: failure.name.to_string(),
                error: chain(&failure.problem),
            })
            .collect(),
    }
}

/// Two lines: what scripts of the predecessor look for, and the counts.
fn summary(report: &Report, dry_run: bool) -> String {
    let Report {
        copied,
        present,
        kept,
        replaced,
        ..
    } = *report;
    let migrated = report.migrated();
    let first = match (report.is_complete(), dry_run, migrated) {
        (_, true, 0) => "Dry run: no keys would be migrated.".to_owned(),
        (_, true, _) => format!("Dry run: {migrated} {} would be migrated.", keys(migrated)),
        (true, false, 0) => "Migration succeeded! No keys migrated.".to_owned(),
        (true, false, _) => format!("Migrated {migrated} {} successfully!", keys(migrated)),
        (false, false, _) => format!("Migrated {migrated} {}.", keys(migrated)),
    };
    let failed = report.failures.len();
    format!(
        "{first}\n{} found: {copied} copied, {replaced} overwritten, {present} there already, {kept} skipped, {failed} failed",
        report.found
    )
}

/// What is missing.
fn shortfall(report: &Report) -> String {
    let failed = report.failures.len();
    let remaining = report.remaining();
    let mut parts = Vec::new();
    if failed > 0 {
        parts.push(format!("{failed} {} failed", keys(failed)));
    }
    if remaining > 0 {
        parts.push(format!("{remaining} {} not tried", keys(remaining)));
    }
    let why = if report.interrupted {
        "interrupted"
    } else {
        "the migration is not complete"
    };
    if parts.is_empty() {
        return why.to_owned();
    }
    format!("{why}: {} of {}", parts.join(", "), report.found)
}

/// What helps, by the first thing that went wrong.
fn hint(report: &Report) -> &'static str {
    let first = report.failures.first().map(|failure| &failure.problem);
    match first {
        _ if report.interrupted => {
            "run the same command again: it goes on where it stopped, and keys that are there already are not touched"
        }
        Some(Problem::Differs) => {
            "compare the two keys ('kes key info'): --merge leaves the target's in place, --force replaces it; whatever was encrypted with \
             the one that goes is lost"
        }
        Some(Problem::Unreadable(_) | Problem::Read(_)) if report.remaining() > 0 => {
            "nothing can be decrypted with what cannot be read, here or there: look at this entry first; --continue-on-error migrates all others"
        }
        Some(Problem::Unreadable(_) | Problem::Read(_)) => {
            "nothing can be decrypted with what cannot be read, here or there: restore the entry from a backup, or remove it if it never was a \
             key; --allow-unreadable copies it as it is"
        }
        Some(Problem::Unprintable(_)) => {
            "stop its server, take the line breaks out of the entry ('tr -d \"\\n\"'), which changes nothing of the key, and run the same command again"
        }
        Some(Problem::Left(_)) => {
            "find out who wrote the key; the kept value is JSON with the old one in base64, and can be deleted like a key when it is not needed"
        }
        _ => "see to it and run the same command again: it goes on where it stopped",
    }
}

/// `key` or `keys`.
pub(super) fn keys(count: usize) -> &'static str {
    if count <= 1 { "key" } else { "keys" }
}

/// An error and its causes, in one line.
pub(super) fn chain(error: &dyn error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
