//! TLS proxies: the section `tls.proxy` (config.md 11.4).

use http::HeaderName;

use crate::identity::Identity;

use super::{Proxy, report::Report, view::View};

/// Checks everything but whether a proxy is in a policy, which the policies know.
pub(super) fn proxy(view: &View<'_>, admin: Option<&Identity>, report: &mut Report) -> Proxy {
    let list = view.get("identities");
    let identities = identities(&list, admin, report);
    let header = view.find(&["header", "cert"]);
    if !identities.is_empty() {
        self::header(&header, report);
    }
    Proxy {
        identities,
        header: header.text().map(|text| String::clone(&text.text)),
    }
}

fn identities(list: &View<'_>, admin: Option<&Identity>, report: &mut Report) -> Vec<Identity> {
    let mut identities: Vec<Identity> = Vec::new();
    for item in list.items() {
        let Some(text) = item.text() else {
            // Templates have a list of one empty text.
            if item.is_from_env() {
                let reason = format!("the identity {} is empty", item.shown());
                report.error(item.line, &item.path, reason);
            }
            continue;
        };
        let Some(identity) = Identity::from_text(&text.text) else {
            continue;
        };
        if admin == Some(&identity) {
            let reason = format!("identity {} is already admin", text.shown());
            report.error(item.line, &item.path, reason);
        } else if identities.contains(&identity) {
            let reason = format!("identity {} is already in the list", text.shown());
            report.error_with_hint(item.line, &item.path, reason, "name each proxy once");
        } else if !identity.is_hash() {
            report.warn(
                item.line,
                &item.path,
                "matches no proxy: an identity has 64 lower-case hexadecimal digits",
                None,
            );
        }
        identities.push(identity);
    }
    identities
}

/// A proxy without a header to read, or with one that no request can have, would be taken for its clients, or refused for ever.
fn header(view: &View<'_>, report: &mut Report) {
    let hint = "set it to the name of the header in which the proxies forward a certificate, like X-Tls-Client-Cert";
    match view.text() {
        None if view.is_broken() => {}
        None => report.error_with_hint(view.line, &view.path, "no header specified", hint),
        Some(text) if HeaderName::from_bytes(text.text.as_bytes()).is_err() => {
            let reason = format!("{} is no name of an HTTP header", text.shown());
            report.error_with_hint(view.line, &view.path, reason, hint);
        }
        Some(_) => {}
    }
}
