//! What the server says of the client: whether it knows it, what it lets it do, and how the keystore is.

use super::check::Check;
use crate::{
    cli::connect::Session,
    client::error::{Answer, Error as Call},
    policy::{Pattern, Policy, Verdict},
    wire::response::{Rules, SelfInfo, Status},
};

/// What storage servers and people do most: a word for it, and the route.
const COMMON: [(&str, &str); 7] = [
    ("create", "/v1/key/create/"),
    ("generate", "/v1/key/generate/"),
    ("encrypt", "/v1/key/encrypt/"),
    ("decrypt", "/v1/key/decrypt/"),
    ("describe", "/v1/key/describe/"),
    ("delete", "/v1/key/delete/"),
    ("list", "/v1/key/list/"),
];

/// Identity, permission and keystore.
pub(super) async fn checks(session: &Session, key: &str) -> Vec<Check> {
    let mut checks = match session.client.describe_self().await {
        Ok(info) => of_self(&info, key),
        Err(error) => vec![
            unknown(error, session),
            Check::skipped("permission", "without an identity"),
        ],
    };
    checks.push(match session.client.status().await {
        Ok(server) => of_status(&server.status),
        Err(Call::Answer(Answer { status: 403, .. })) => {
            let detail = "this client may not ask for the server's status";
            Check::skipped("keystore", detail)
        }
        Err(error) => Check::of_error("keystore", &session.failure("", error)),
    });
    checks
}

/// Why the server does not say who the client is.
fn unknown(error: Call, session: &Session) -> Check {
    if let Call::Answer(Answer {
        status: 404,
        message,
        ..
    }) = &error
        && message == "identity does not exist"
    {
        return Check::failed("identity", "the server has no policy for this client").remedy(
            "add the identity to a policy in the server's configuration, and let it reload"
                .to_owned(),
        );
    }
    Check::of_error("identity", &session.failure("", error))
}

fn of_self(info: &SelfInfo, key: &str) -> Vec<Check> {
    if info.admin {
        return vec![
            Check::ok("identity", "the server's admin"),
            Check::ok("permission", "everything"),
        ];
    }
    let name = match info.policy.as_str() {
        "" => "a policy without a name".to_owned(),
        name => format!("the policy '{name}'"),
    };
    vec![
        Check::ok("identity", format!("known, with {name}")),
        permission(info, key),
    ]
}

/// What the rules say of the common calls.
fn permission(info: &SelfInfo, key: &str) -> Check {
    let patterns = |rules: &Rules| {
        let patterns = rules.keys().map(|rule| Pattern::parse(rule));
        patterns.collect::<Result<Vec<_>, _>>()
    };
    let (Ok(allow), Ok(deny)) = (patterns(&info.allow), patterns(&info.deny)) else {
        return Check::skipped(
            "permission",
            "there is a rule that this program does not understand",
        );
    };
    let policy = Policy::new(allow, deny);
    let (may, may_not): (Vec<_>, Vec<_>) = COMMON.into_iter().partition(|(word, route)| {
        let argument = if *word == "list" { "" } else { key };
        matches!(
            policy.judge(&format!("{route}{argument}")),
            Verdict::Allowed(_)
        )
    });
    let words = |calls: &[(&str, &str)]| {
        let words: Vec<_> = calls.iter().map(|(word, _)| *word).collect();
        words.join(", ")
    };
    let (yes, no) = (words(&may), words(&may_not));
    if may.is_empty() {
        let rule = format!("/v1/key/generate/{key}");
        return Check::failed("permission", format!("nothing with the key '{key}'")).remedy(format!(
            "the policy must allow what the client is for, as '{rule}'; --key NAME asks about another key"
        ));
    }
    let but = if no.is_empty() {
        String::new()
    } else {
        format!("; not {no}")
    };
    Check::ok("permission", format!("with the key '{key}': {yes}{but}"))
}

fn of_status(status: &Status) -> Check {
    if status.keystore_unreachable || status.keystore_unavailable {
        let state = if status.keystore_unreachable {
            "unreachable"
        } else {
            "unavailable"
        };
        return Check::failed("keystore", format!("it is {state}"))
            .remedy("look at the server's error log; 'kes doctor --config FILE' there asks the keystore itself".to_owned());
    }
    let latency = match status.keystore_latency {
        0 => String::new(),
        latency => format!(" in {latency} ms"),
    };
    Check::ok("keystore", format!("it answers{latency}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::doctor::check::State, wire::response::Empty};

    fn info(allow: &[&str], deny: &[&str]) -> SelfInfo {
        let rules = |rules: &[&str]| {
            let rules = rules.iter().map(|rule| ((*rule).to_owned(), Empty {}));
            rules.collect()
        };
        let mut info: SelfInfo = serde_json::from_str(r#"{"identity":"i","policy":"p"}"#).unwrap();
        info.allow = rules(allow);
        info.deny = rules(deny);
        info
    }

    #[test]
    fn the_rules_are_read_as_the_server_reads_them() {
        let allow = [
            "/v1/key/generate/my-*",
            "/v1/key/decrypt/my-*",
            "/v1/key/list/*",
        ];
        let check = permission(&info(&allow, &["/v1/key/decrypt/my-k"]), "my-k");
        assert_eq!(check.state, State::Ok);
        assert!(
            check.detail.contains("generate, list; not create"),
            "{}",
            check.detail
        );
        // A rule without the star matches no listing.
        let check = permission(&info(&["/v1/key/list"], &[]), "my-k");
        assert_eq!(check.state, State::Failed);
        assert!(check.remedy.unwrap().contains("/v1/key/generate/my-k"));
        let check = permission(&info(&["/v1/[key"], &[]), "my-k");
        assert_eq!(check.state, State::Skipped);
    }

    #[test]
    fn a_dead_keystore_fails() {
        let dead = |json: &str| of_status(&serde_json::from_str(json).unwrap()).state;
        assert_eq!(dead("{}"), State::Ok);
        assert_eq!(dead(r#"{"keystore_unreachable":true}"#), State::Failed);
        assert_eq!(dead(r#"{"keystore_unavailable":true}"#), State::Failed);
    }
}
