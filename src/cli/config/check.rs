//! `kes config check`: everything that can be told about configuration files without running a server (cli.md 19.3).

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use super::context;
use crate::{
    cli::{
        error::Error,
        output::{Output, Style},
    },
    clock::Clock,
    config::{self, Env, Inspection, Note},
    keystore::{self, Settings},
    secret::Secret,
    telemetry::chain,
    tls::{self, Standing, Watch},
};

/// Longest time that opening the keystore, or its answer, may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Arguments of `kes config check`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  kes config check /etc/kes/config.yaml
  kes config check --connect --json /etc/kes/config.yaml")]
pub(super) struct Args {
    /// Configuration files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Open the keystore, too, and ask how it is; nothing is created
    #[arg(long)]
    connect: bool,
}

/// What is known about one file.
#[derive(Serialize)]
struct Findings {
    file: String,
    ok: bool,
    problems: Vec<Finding>,
    warnings: Vec<Finding>,
    /// What is good to know.
    facts: Vec<String>,
}

/// A problem or a warning.
#[derive(Serialize)]
struct Finding {
    line: Option<usize>,
    key: String,
    reason: String,
    hint: Option<String>,
    #[serde(skip)]
    shown: String,
}

impl From<Note> for Finding {
    fn from(note: Note) -> Self {
        Self {
            shown: note.to_string(),
            line: note.line,
            key: note.key,
            reason: note.text,
            hint: note.hint,
        }
    }
}

pub(super) fn run(args: &Args, out: &Output) -> Result<(), Error> {
    let files: Vec<Findings> = args
        .files
        .iter()
        .map(|file| check(file, args.connect))
        .collect::<Result<_, _>>()?;
    let ok = files.iter().all(|file| file.ok);
    if out.wants_document() {
        out.document_for_reading(&serde_json::json!({ "ok": ok, "files": files }))?;
    } else {
        for file in &files {
            out.text(&file.text(out))?;
        }
    }
    if ok { Ok(()) } else { Err(Error::Negative) }
}

fn check(path: &Path, connect: bool) -> Result<Findings, Error> {
    let env = Env::process();
    let routes = crate::api::configurable();
    let file = match config::inspect(path, &context(&env, &routes)) {
        Ok(file) => file,
        Err(errors) => {
            return Ok(Findings::of(
                path,
                errors.problems,
                errors.warnings,
                Vec::new(),
            ));
        }
    };
    let mut problems: Vec<Note> = file.refused().cloned().into_iter().collect();
    let mut warnings = file.warnings().to_vec();
    let mut facts = Vec::new();
    warnings.extend(file.review());
    certificates(&file, &mut problems, &mut warnings, &mut facts);
    permissions(path, &file, &mut warnings);
    if let (true, Some(settings)) = (connect, file.keystore()) {
        ask(&file, settings, &mut problems, &mut warnings, &mut facts)?;
    }
    problems.sort_by_key(|note| note.line);
    warnings.sort_by_key(|note| note.line);
    Ok(Findings::of(path, problems, warnings, facts))
}

/// Loads what a start would load.
fn certificates(
    file: &Inspection,
    problems: &mut Vec<Note>,
    warnings: &mut Vec<Note>,
    facts: &mut Vec<String>,
) {
    let settings = file.tls();
    let password = settings.password.as_ref();
    let settings = tls::Settings {
        cert: settings.cert.clone(),
        key: settings.key.clone(),
        password: password.map(|password| Secret::copy_from(password.expose())),
        password_file: settings.password_file.clone(),
        verify_clients: settings.auth,
        ca: settings.ca.clone(),
        optional: file.api().iter().any(|entry| entry.skip_auth),
    };
    let tls = match Watch::start(settings, Duration::ZERO) {
        Ok((_, tls)) => tls,
        Err(error) => {
            let key = match error {
                tls::Error::Key { .. } | tls::Error::UnknownKey { .. } => "key",
                tls::Error::Ca { .. } | tls::Error::NoRoots(_) => "ca",
                _ => "cert",
            };
            problems.push(file.note(&["tls", key], chain(&error), error.hint()));
            return;
        }
    };
    let Some(validity) = tls.validity() else {
        return;
    };
    let now = Clock::system().now_utc();
    let replace = Some("replace the file: a server that runs takes it over by itself".to_owned());
    let place = ["tls", "cert"];
    match validity.standing(now) {
        Standing::Expired => {
            problems.push(file.note(
                &place,
                format!("the certificate has expired: {validity}"),
                replace,
            ));
        }
        Standing::NotYetValid => {
            let text = format!(
                "the certificate is not valid before {}",
                validity.not_before
            );
            problems.push(file.note(&place, text, replace));
        }
        Standing::Ending(_) => {
            warnings.push(file.note(
                &place,
                format!("the certificate ends soon: {validity}"),
                replace,
            ));
        }
        Standing::Valid => {}
    }
    let days = (validity.not_after - now).whole_days();
    facts.push(format!("certificate: {validity} ({days} days)"));
}

/// Warns of files that more people can read than should.
fn permissions(path: &Path, file: &Inspection, warnings: &mut Vec<Note>) {
    // Files that a group can read are how secrets are mounted into pods.
    let open = |path: &Path| {
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
        (mode & 0o007 != 0).then_some(mode)
    };
    let key = &file.tls().key;
    if let Some(mode) = open(key) {
        let text = format!("everybody on this machine can use the private key (mode {mode:04o})");
        let hint = format!("chmod 600 '{}'", key.display());
        warnings.push(file.note(&["tls", "key"], text, Some(hint)));
    }
    if let (Some(mode), Some(secret)) = (open(path), file.literal_secret()) {
        let text = format!("a secret that everybody on this machine can read (mode {mode:04o})");
        let hint = format!(
            "chmod 600 '{}', or put the secret into the environment and write '${{NAME}}'",
            path.display()
        );
        warnings.push(Note {
            text,
            hint: Some(hint),
            ..secret
        });
    }
}

/// Opens the keystore and probes it.
fn ask(
    file: &Inspection,
    settings: &Settings,
    problems: &mut Vec<Note>,
    warnings: &mut Vec<Note>,
    facts: &mut Vec<String>,
) -> Result<(), Error> {
    if let Settings::Fs(fs) = settings
        && !fs.path.exists()
    {
        // To open it would make it.
        let text = "the directory does not exist; a server makes it when it starts".to_owned();
        warnings.push(file.note(&["keystore", "fs", "path"], text, None));
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Setup(Box::new(error)))?;
    let asked = runtime.block_on(async {
        let limit = |what: &str| format!("no answer within {} s: {what}", PATIENCE.as_secs());
        let opened = tokio::time::timeout(PATIENCE, keystore::open(settings));
        let opened = opened
            .await
            .map_err(|_| limit("opening the keystore"))?
            .map_err(|error| chain(&error))?;
        let status = tokio::time::timeout(PATIENCE, opened.store.status());
        let latency = status
            .await
            .map_err(|_| limit("asking the keystore"))?
            .map_err(|error| chain(&error))?;
        Ok::<_, String>((opened, latency))
    });
    // A store that hangs must not keep the program.
    runtime.shutdown_background();
    match asked {
        Ok((opened, latency)) => {
            let notes = opened.warnings.into_iter();
            warnings.extend(notes.map(|text| file.note(&["keystore"], text, None)));
            facts.push(format!(
                "keystore: {} answered in {latency:.1?}",
                opened.store
            ));
        }
        Err(text) => problems.push(file.note(&["keystore"], text, None)),
    }
    Ok(())
}

impl Findings {
    fn of(path: &Path, problems: Vec<Note>, warnings: Vec<Note>, facts: Vec<String>) -> Self {
        Self {
            file: path.display().to_string(),
            ok: problems.is_empty(),
            problems: problems.into_iter().map(Finding::from).collect(),
            warnings: warnings.into_iter().map(Finding::from).collect(),
            facts,
        }
    }

    fn text(&self, out: &Output) -> String {
        let mut lines = Vec::new();
        for (label, style, findings) in [
            ("Error:", Style::Red, &self.problems),
            ("Warning:", Style::Yellow, &self.warnings),
        ] {
            for finding in findings {
                lines.push(format!("{} {}", out.styled(style, label), finding.shown));
                if let Some(hint) = &finding.hint {
                    lines.push(format!("{} {hint}", out.styled(Style::Bold, "Hint:")));
                }
            }
        }
        let file = &self.file;
        lines.extend(self.facts.iter().map(|fact| format!("{file}: {fact}")));
        let count = |count, what: &str| match count {
            0 => format!("no {what}s"),
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        lines.push(format!(
            "{file}: {}, {}",
            count(self.problems.len(), "problem"),
            count(self.warnings.len(), "warning")
        ));
        lines.join("\n")
    }
}
