//! The last step: a tree of checked types becomes [`Config`]. Every check is made, and every problem collected, before anything
//! outside the file is touched (config.md 5.6).

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{
    compat::Compat,
    identity::Identity,
    keyring::Expiry,
    keystore::Settings,
    name::KeyName,
    secret::Secret,
    telemetry::{self, Format, Level},
};

use super::{
    Config, Context, MAX_DRAIN, Proxy, Tls, access, address, defaults, network, proxy,
    report::Report, view::View,
};

/// Checks `file` and makes a [`Config`] of it, or gives the report back. `keystore` is `None` if its problem is in the report.
pub(super) fn config(
    file: &View<'_>,
    keystore: Option<Settings>,
    context: &Context<'_>,
    mut report: Report,
) -> Result<Config, Report> {
    let report_ref = &mut report;
    version(&file.get("version"), report_ref);
    let address = address(&file.get("address"), report_ref);
    let admin = admin(file, context, report_ref);
    let proxy = proxy::proxy(&file.find(&["tls", "proxy"]), admin.as_ref(), report_ref);
    let policies = access::policies(
        &file.get("policy"),
        admin.as_ref(),
        &proxy.identities,
        context,
        report_ref,
    );
    let tls = tls(&file.get("tls"), proxy, context, report_ref);
    let api = access::api(&file.get("api"), context, report_ref);
    let cache = cache(&file.find(&["cache", "expiry"]), report_ref);
    let log = log(&file.get("log"), report_ref);
    let keys = keys(&file.get("keys"), report_ref);
    let proxy_protocol = network::networks(&file.find(&["proxy_protocol", "from"]), report_ref);
    let drain = drain(&file.find(&["shutdown", "drain"]), report_ref);
    match (admin, tls, keystore) {
        (Some(admin), Some(tls), Some(keystore)) if report.is_clean() => Ok(Config {
            address,
            admin,
            tls,
            api,
            policies,
            cache,
            log,
            keys,
            keystore,
            compat: compat(&file.get("compat")),
            proxy_protocol,
            drain,
            warnings: report.into_warnings(),
        }),
        _ => Err(report),
    }
}

fn version(version: &View<'_>, report: &mut Report) {
    if let Some(text) = version.text()
        && *text.text != "v1"
    {
        report.error(
            version.line,
            &version.path,
            format!("invalid server config version {}", text.shown()),
        );
    }
}

fn address(view: &View<'_>, report: &mut Report) -> String {
    let Some(text) = view.text() else {
        return defaults::ADDRESS.to_owned();
    };
    address::parse(&text.text).unwrap_or_else(|why| {
        let reason = format!("invalid address {}: {why}", text.shown());
        report.error_with_hint(
            view.line,
            &view.path,
            reason,
            "an address is HOST:PORT, like 0.0.0.0:7373, [::1]:7373 or :7373",
        );
        String::new()
    })
}

fn admin(file: &View<'_>, context: &Context<'_>, report: &mut Report) -> Option<Identity> {
    let view = file.find(&["admin", "identity"]);
    let flag = context
        .fallback
        .root
        .as_deref()
        .and_then(Identity::from_text);
    let Some(text) = view.text() else {
        if flag.is_none() && !view.is_broken() {
            let reason = if view.is_from_env() {
                format!("no admin identity: the value {} is empty", view.shown())
            } else {
                "no admin identity".to_owned()
            };
            report.error_with_hint(
                view.line,
                &view.path,
                reason,
                "set it to the identity of the administrator's certificate, or to 'disabled'",
            );
        }
        return flag;
    };
    let admin = Identity::from_text(&text.text)?;
    if flag.is_some_and(|flag| flag != admin) {
        report.warn(
            view.line,
            &view.path,
            "the flag '--root' names another identity and is ignored",
            None,
        );
    }
    if !admin.is_hash() && is_upper_case_hash(&admin) {
        report.warn(
            view.line,
            &view.path,
            "matches no client: identities have lower-case digits",
            None,
        );
    }
    Some(admin)
}

fn is_upper_case_hash(identity: &Identity) -> bool {
    Identity::from_text(&identity.as_str().to_ascii_lowercase())
        .is_some_and(|lower| lower.is_hash())
}

fn tls(view: &View<'_>, proxy: Proxy, context: &Context<'_>, report: &mut Report) -> Option<Tls> {
    let Context { fallback, .. } = context;
    let key = path(
        &view.get("key"),
        fallback.key.as_ref(),
        ("--key", "no private key"),
        report,
    );
    let cert = path(
        &view.get("cert"),
        fallback.cert.as_ref(),
        ("--cert", "no certificate"),
        report,
    );
    let auth = auth(&view.get("auth"), fallback.auth, report);
    Some(Tls {
        key: key?,
        cert: cert?,
        password: view
            .get("password")
            .text()
            .map(|text| Secret::copy_from(text.text.as_bytes())),
        password_file: password_file(view, context, report),
        auth,
        ca: view.get("ca").text().map(|text| text.text.as_str().into()),
        proxy,
    })
}

/// The file with the private key's password. A relative path is that of a credential, where a service manager passes some
/// (systemd.exec(5), `LoadCredential=`).
fn password_file(view: &View<'_>, context: &Context<'_>, report: &mut Report) -> Option<PathBuf> {
    let file = view.get("password_file");
    let path = PathBuf::from(file.text()?.text.as_str());
    if view.get("password").text().is_some() {
        let reason = "the password is in 'tls.password' already";
        report.error_with_hint(file.line, &file.path, reason, "remove one of the two");
    }
    match context.env.value("CREDENTIALS_DIRECTORY") {
        Ok(folder) if !folder.is_empty() => Some(PathBuf::from(folder.as_str()).join(path)),
        _ => Some(path),
    }
}

/// A path that the file or a flag must name.
fn path(
    view: &View<'_>,
    flag: Option<&PathBuf>,
    (flag_name, missing): (&str, &str),
    report: &mut Report,
) -> Option<PathBuf> {
    let Some(text) = view.text() else {
        if flag.is_none() && !view.is_broken() {
            let hint = format!("set '{}' to the path of a PEM file", view.path);
            report.error_with_hint(view.line, &view.path, missing, hint);
        }
        return flag.cloned();
    };
    let path = PathBuf::from(text.text.as_str());
    if flag.is_some_and(|flag| *flag != path) {
        report.warn(
            view.line,
            &view.path,
            format!("the flag '{flag_name}' names another file and is ignored"),
            None,
        );
    }
    Some(path)
}

fn auth(view: &View<'_>, flag: Option<bool>, report: &mut Report) -> bool {
    let file = match view.text() {
        None => false,
        Some(text) if text.text.eq_ignore_ascii_case("on") => true,
        Some(text) if text.text.eq_ignore_ascii_case("off") => {
            if flag == Some(true) {
                report.warn(
                    view.line,
                    &view.path,
                    "the flag '--auth' is stricter and wins: client certificates are verified",
                    None,
                );
            }
            false
        }
        Some(text) => {
            let reason = format!("invalid auth {}", text.shown());
            report.error_with_hint(view.line, &view.path, reason, "write 'on' or 'off'");
            false
        }
    };
    file || flag.unwrap_or(false)
}

/// The duration of `nanos`, if it is above zero.
pub(super) fn positive(nanos: i64) -> Option<Duration> {
    match u64::try_from(nanos) {
        Ok(nanos) if nanos > 0 => Some(Duration::from_nanos(nanos)),
        _ => None,
    }
}

fn cache(view: &View<'_>, report: &mut Report) -> Expiry {
    let mut expiry = |key: &str| {
        let view = view.get(key);
        let nanos = view.nanos().unwrap_or(0);
        if nanos < 0 {
            let reason = format!("invalid expiry {}: negative", view.shown());
            report.error(view.line, &view.path, reason);
        }
        positive(nanos)
    };
    Expiry {
        any: expiry("any").unwrap_or(defaults::CACHE_ANY),
        unused: expiry("unused").unwrap_or(defaults::CACHE_UNUSED),
        offline: expiry("offline"),
    }
}

fn log(view: &View<'_>, report: &mut Report) -> telemetry::Settings {
    let mut level = |key: &str, default: Level| {
        let view = view.get(key);
        let Some(text) = view.text() else {
            return default;
        };
        // White space alone is as good as nothing.
        if text.text.trim().is_empty() {
            return default;
        }
        Level::parse(&text.text).unwrap_or_else(|_| {
            let reason = format!("invalid log level {}", text.shown());
            report.error_with_hint(
                view.line,
                &view.path,
                reason,
                "write on, off, debug, info, warn or error, perhaps with a number, like warn+1",
            );
            default
        })
    };
    let (error, audit) = (
        level("error", defaults::LOG_ERROR),
        level("audit", defaults::LOG_AUDIT),
    );
    telemetry::Settings {
        error,
        audit,
        format: log_format(&view.get("format"), report),
    }
}

fn log_format(view: &View<'_>, report: &mut Report) -> Format {
    let Some(text) = view.text() else {
        return defaults::LOG_FORMAT;
    };
    match text.text.trim().to_ascii_lowercase().as_str() {
        "" => defaults::LOG_FORMAT,
        "json" => Format::Json,
        "text" => Format::Text,
        _ => {
            let reason = format!("invalid log format {}", text.shown());
            report.error_with_hint(view.line, &view.path, reason, "write 'text' or 'json'");
            defaults::LOG_FORMAT
        }
    }
}

fn keys(list: &View<'_>, report: &mut Report) -> Vec<KeyName> {
    let mut lines: BTreeMap<KeyName, Option<usize>> = BTreeMap::new();
    let mut keys = Vec::new();
    for item in list.items() {
        let view = item.get("name");
        if view.is_broken() {
            continue;
        }
        let text = view.text().map_or("", |text| &text.text);
        let shown = view.shown();
        let name = match KeyName::parse(text) {
            Ok(name) => name,
            Err(why) => {
                let reason = format!("key name {shown} is {why}");
                report.error(view.line, &view.path, reason);
                continue;
            }
        };
        if let Some(first) = lines.get(&name) {
            let line = first.map_or(String::new(), |line| format!(", first in line {line}"));
            let reason = format!("key {shown} is defined multiple times{line}");
            report.error(view.line, &view.path, reason);
            continue;
        }
        lines.insert(name.clone(), view.line);
        keys.push(name);
    }
    keys
}

fn drain(view: &View<'_>, report: &mut Report) -> Duration {
    let Some(nanos) = view.nanos() else {
        return defaults::SHUTDOWN_DRAIN;
    };
    match positive(nanos) {
        Some(drain) if drain <= MAX_DRAIN => drain,
        _ => {
            let reason = format!("invalid time {}", view.shown());
            let hint = "write a time above zero, of at most 10m";
            report.error_with_hint(view.line, &view.path, reason, hint);
            defaults::SHUTDOWN_DRAIN
        }
    }
}

fn compat(view: &View<'_>) -> Compat {
    Compat {
        legacy_errors: view.get("legacy_errors").is_on(),
        ndjson_lists: view.get("ndjson_lists").is_on(),
        legacy_self_describe: view.get("legacy_self_describe").is_on(),
        legacy_names: view.get("legacy_names").is_on(),
    }
}
