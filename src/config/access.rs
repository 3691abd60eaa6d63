//! Who may call what: the sections `api` and `policy` (config.md 6 and 7).

use std::collections::BTreeMap;

use crate::{
    identity::Identity,
    name::{self, PolicyName},
    policy::{Doubt, Pattern, Policy},
};

use super::{
    ApiEntry, Context, PolicyEntry,
    report::{Report, quoted},
    validate::positive,
    view::View,
    yaml::Value,
};

/// Routes that may be opened to everybody (decision 7); `/version` is open anyway.
const OPEN_ROUTES: [&str; 5] = [
    "/v1/ready",
    "/v1/status",
    "/v1/metrics",
    "/v1/api",
    "/version",
];

/// The settings of known routes.
pub(super) fn api(view: &View<'_>, context: &Context<'_>, report: &mut Report) -> Vec<ApiEntry> {
    let mut entries: Vec<ApiEntry> = Vec::new();
    for (key, entry) in view.entries() {
        let line = entry.line.unwrap_or_default();
        let bare = key.trim().trim_matches('/');
        let mut routes = context.routes.iter();
        let Some(path) = routes.find(|route| route.trim_matches('/') == bare) else {
            let reason = "unknown API path, ignored";
            report.warn(line, &entry.path, reason, None);
            continue;
        };
        if *path != key {
            let hint = Some(format!("write '{path}'"));
            report.warn(line, &entry.path, "not the spelling of an API path", hint);
        }
        let timeout = entry.get("timeout");
        let nanos = timeout.nanos().unwrap_or(0);
        if nanos < 0 {
            let reason = format!("invalid timeout {}: negative", timeout.shown());
            report.error(timeout.line, &timeout.path, reason);
        }
        let skip = entry.get("skip_auth");
        let skip_auth = skip.is_on();
        if skip_auth && !OPEN_ROUTES.contains(path) {
            report.error_with_hint(
                skip.line,
                &skip.path,
                "authentication cannot be skipped for this API",
                "only /v1/ready, /v1/status, /v1/metrics and /v1/api can be opened to everybody",
            );
        }
        if let Some(first) = entries.iter().find(|entry| entry.path == *path) {
            let reason = format!(
                "ambiguous API configuration for '{path}': it is also in line {}",
                first.line
            );
            report.error(line, &entry.path, reason);
        }
        entries.push(ApiEntry {
            path: (*path).to_owned(),
            line,
            skip_auth,
            timeout: positive(nanos),
        });
    }
    entries
}

/// The policies with a valid name, and their identities.
pub(super) fn policies(
    view: &View<'_>,
    admin: Option<&Identity>,
    proxies: &[Identity],
    context: &Context<'_>,
    report: &mut Report,
) -> BTreeMap<PolicyName, PolicyEntry> {
    let mut policies = BTreeMap::new();
    // Which policy has which identity.
    let mut owners: BTreeMap<Identity, (String, Option<usize>)> = BTreeMap::new();
    for (key, entry) in view.entries() {
        let name = PolicyName::parse(key);
        if let Err(why) = &name {
            let reason = format!("policy name {} is {why}", quoted(key));
            report.error(entry.line, &entry.path, reason);
        }
        let allow = rules(&entry.get("allow"), context, report);
        let deny = rules(&entry.get("deny"), context, report);
        let mut identities = Vec::new();
        let items = entry.get("identities");
        for item in items.items().filter(|item| !item.is_broken()) {
            let Some(identity) = policy_identity(&item, report) else {
                continue;
            };
            let shown = item.shown();
            if admin == Some(&identity) {
                let reason = format!("identity {shown} is already admin");
                report.error(item.line, &item.path, reason);
            }
            if proxies.contains(&identity) {
                let reason = format!("identity {shown} is already a TLS proxy");
                report.error(item.line, &item.path, reason);
            }
            if let Some((owner, line)) = owners.get(&identity) {
                let owner = quoted(owner);
                let line = line.map_or(String::new(), |line| format!(" in line {line}"));
                report.error_with_hint(
                    item.line,
                    &item.path,
                    format!("identity {shown} already has a policy: {owner}{line}"),
                    "an identity can be in one policy, once",
                );
                continue;
            }
            owners.insert(identity.clone(), (key.to_owned(), item.line));
            identities.push(identity);
        }
        if let Ok(name) = name {
            let policy = Policy::new(allow, deny);
            policies.insert(name, PolicyEntry { policy, identities });
        }
    }
    policies
}

fn policy_identity(item: &View<'_>, report: &mut Report) -> Option<Identity> {
    let text = item.text().map_or("", |text| &text.text);
    let identity = Identity::from_text(text).filter(|_| name::is_valid(text));
    match &identity {
        None => {
            let shown = item.shown();
            let why = name::InvalidName;
            report.error(item.line, &item.path, format!("identity {shown} is {why}"));
        }
        Some(identity) if !identity.is_hash() => report.warn(
            item.line,
            &item.path,
            "matches no client: an identity has 64 lower-case hexadecimal digits",
            None,
        ),
        Some(_) => {}
    }
    identity
}

fn rules(list: &View<'_>, context: &Context<'_>, report: &mut Report) -> Vec<Pattern> {
    let nodes = list.nodes();
    let mut rules = Vec::with_capacity(nodes.len());
    for (i, node) in nodes.iter().enumerate() {
        let text = match &node.value {
            Value::Invalid => continue,
            Value::Text(text) => text.text.as_str(),
            _ => "",
        };
        // Where a rule stands is found out only if something is said about it: there may be tens of thousands.
        let rule = match Pattern::parse(text) {
            Ok(rule) => rule,
            Err(why) => {
                let item = list.item(i, node);
                report.error(item.line, &item.path, why.to_string());
                continue;
            }
        };
        for doubt in rule.doubts(context.routes) {
            let hint = match &doubt {
                Doubt::NoRoute { instead } => {
                    instead.as_ref().map(|instead| format!("write '{instead}'"))
                }
                Doubt::Glob => None,
            };
            let item = list.item(i, node);
            let text = format!("the rule {} {doubt}", quoted(text));
            report.warn(item.line, &item.path, text, hint);
        }
        rules.push(rule);
    }
    rules
}
