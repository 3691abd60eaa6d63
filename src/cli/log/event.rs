//! Events of the logs, and which of them are shown.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{policy::Pattern, wire::response::timestamp};

/// What was asked of a server, and how it ended (api.md 10.3). Members that are not known are dropped.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Audit {
    #[serde(with = "timestamp", default = "timestamp::none")]
    pub(super) time: OffsetDateTime,
    #[serde(default)]
    pub(super) request: Request,
    #[serde(default)]
    pub(super) response: Response,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Request {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) ip: String,
    pub(super) path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) identity: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Response {
    /// HTTP status.
    pub(super) code: u16,
    /// Nanoseconds.
    pub(super) time: u64,
}

/// What went wrong in a server.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Message {
    pub(super) message: String,
}

/// Which events are shown. Errors carry none of these, so that filters leave them alone.
#[derive(clap::Args, Clone)]
pub(super) struct Filter {
    /// Only events of identities that begin with this
    #[arg(long, value_name = "IDENTITY")]
    identity: Option<String>,
    /// Only events of paths that fit this rule, as in a policy
    #[arg(long, value_name = "PATTERN", value_parser = |text: &str| Pattern::parse(text))]
    path: Option<Pattern>,
    /// Only events with these statuses, as 403, 4xx or 200,5xx
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    status: Vec<Status>,
}

/// A status, or all of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Class(u16),
    One(u16),
}

fn status(text: &str) -> Result<Status, String> {
    let wanted = || "a status is written as 403 or 4xx".to_owned();
    if let Some(class) = text.strip_suffix("xx") {
        let class = class.parse().map_err(|_| wanted())?;
        return if (1..=5).contains(&class) {
            Ok(Status::Class(class))
        } else {
            Err(wanted())
        };
    }
    let one = text.parse().map_err(|_| wanted())?;
    if (100..600).contains(&one) {
        Ok(Status::One(one))
    } else {
        Err(wanted())
    }
}

impl Filter {
    /// Whether an event is shown.
    pub(super) fn lets(&self, event: &Audit) -> bool {
        let identity = self
            .identity
            .as_ref()
            .is_none_or(|identity| event.request.identity.starts_with(identity.as_str()));
        let path = self
            .path
            .as_ref()
            .is_none_or(|pattern| pattern.grants(&event.request.path));
        let status = self.status.is_empty()
            || self.status.iter().any(|status| match *status {
                Status::Class(class) => event.response.code / 100 == class,
                Status::One(one) => event.response.code == one,
            });
        identity && path && status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Audit {
        serde_json::from_str(
            r#"{"time":"2024-09-11T08:00:01.9Z","request":{"ip":"::1","path":"/v1/key/create/k","identity":"a050","new":1},"response":{"code":403,"time":9}}"#,
        )
        .unwrap()
    }

    #[test]
    fn each_filter_lets_what_fits_and_nothing_else() {
        let none = || Filter {
            identity: None,
            path: None,
            status: Vec::new(),
        };
        let path = |text: &str| Some(Pattern::parse(text).unwrap());
        for (filter, lets) in [
            (none(), true),
            (
                Filter {
                    identity: Some("a0".into()),
                    ..none()
                },
                true,
            ),
            (
                Filter {
                    identity: Some("b".into()),
                    ..none()
                },
                false,
            ),
            (
                Filter {
                    path: path("/v1/key/*"),
                    ..none()
                },
                true,
            ),
            (
                Filter {
                    path: path("/v1/key/decrypt/*"),
                    ..none()
                },
                false,
            ),
            (
                Filter {
                    status: vec![Status::One(200), Status::Class(4)],
                    ..none()
                },
                true,
            ),
            (
                Filter {
                    status: vec![Status::One(404)],
                    ..none()
                },
                false,
            ),
        ] {
            assert_eq!(filter.lets(&event()), lets);
        }
    }

    #[test]
    fn a_status_is_a_number_or_a_class() {
        assert_eq!(status("403"), Ok(Status::One(403)));
        assert_eq!(status("4xx"), Ok(Status::Class(4)));
        for bad in ["", "xx", "9xx", "99", "600", "4x"] {
            assert!(status(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_event_keeps_the_members_that_are_known() {
        assert_eq!(
            serde_json::to_string(&event()).unwrap(),
            r#"{"time":"2024-09-11T08:00:01.9Z","request":{"ip":"::1","path":"/v1/key/create/k","identity":"a050"},"response":{"code":403,"time":9}}"#,
        );
    }
}
