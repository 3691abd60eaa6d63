//! Response bodies of the routes of api.md 7, in the order of their fields. The server writes them, the client reads them; bodies that
//! hold secrets are written by [`super::write`] instead.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;

/// `GET /version` (7.1).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// The release.
    pub version: String,
    /// The commit the server was built from; absent from some older servers.
    #[serde(default)]
    pub commit: String,
}

/// `GET /v1/status` (7.3).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The release.
    pub version: String,
    /// The operating system, by its Go name.
    pub os: String,
    /// The processor, by its Go name.
    pub arch: String,
    /// Seconds since the server started.
    pub uptime: u64,
    /// Processors of the machine.
    pub num_cpu: u64,
    /// Processors that the server may use.
    pub num_cpu_used: u64,
    /// Heap in use, in bytes.
    pub mem_heap_used: u64,
    /// Stacks, in bytes.
    pub mem_stack_used: u64,
    /// How long the keystore took to answer, in milliseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub keystore_latency: u64,
    /// The keystore cannot be reached.
    #[serde(skip_serializing_if = "is_false")]
    pub keystore_unreachable: bool,
    /// The keystore cannot serve, for this or another reason.
    #[serde(skip_serializing_if = "is_false")]
    pub keystore_unavailable: bool,
}

/// One element of `GET /v1/api` (7.5).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiRoute {
    /// The method.
    pub method: String,
    /// The path, with its slash at the end where it takes a name.
    pub path: String,
    /// Largest body in bytes.
    #[serde(default)]
    pub max_body: u64,
    /// Time limit in seconds; 0 for none.
    #[serde(default)]
    pub timeout: u64,
}

/// `GET /v1/key/describe/` (7.8).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyInfo {
    /// The key.
    pub name: String,
    /// `AES256` or `ChaCha20`; absent from some older servers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub algorithm: String,
    /// When it was made.
    #[serde(with = "timestamp", default = "timestamp::none")]
    pub created_at: OffsetDateTime,
    /// The identity that made it; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_by: String,
}

/// `GET /v1/key/list/` (7.9). `continue_at` is absent at the end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeyList {
    /// The names, sorted. Some older servers say `null` for none.
    #[serde(default, deserialize_with = "or_empty")]
    pub names: Vec<String>,
    /// What to list next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub continue_at: String,
}

/// `GET /v1/policy/list/` (7.17). Never paged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PolicyList {
    /// The names, sorted.
    pub names: Vec<String>,
    /// Always empty.
    #[serde(default)]
    pub continue_at: String,
}

/// `GET /v1/identity/list/` (7.19). Never paged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IdentityList {
    /// The identities, sorted.
    pub identities: Vec<String>,
    /// Always empty.
    #[serde(default)]
    pub continue_at: String,
}

/// A set of rules: each an empty object under its own text.
pub type Rules = BTreeMap<String, Empty>;

/// `{}`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Empty {}

/// `GET /v1/policy/describe/` (7.15).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyInfo {
    /// The policy.
    pub name: String,
    /// When it took effect.
    #[serde(with = "timestamp", default = "timestamp::none")]
    pub created_at: OffsetDateTime,
    /// The admin.
    #[serde(default)]
    pub created_by: String,
}

/// `GET /v1/policy/read/` (7.16).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyRules {
    /// The policy.
    #[serde(default)]
    pub name: String,
    /// What it allows.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub allow: Rules,
    /// What it denies.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub deny: Rules,
    /// When it took effect.
    #[serde(with = "timestamp", default = "timestamp::none")]
    pub created_at: OffsetDateTime,
    /// The admin.
    #[serde(default)]
    pub created_by: String,
}

/// `GET /v1/identity/describe/` (7.18).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IdentityInfo {
    /// Whether it is the admin.
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
    /// Its policy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// When it took effect.
    #[serde(with = "timestamp", default = "timestamp::none")]
    pub created_at: OffsetDateTime,
    /// The admin; empty for the admin itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_by: String,
}

/// `GET /v1/identity/self/describe` (7.20).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SelfInfo {
    /// The caller.
    pub identity: String,
    /// Whether it is the admin.
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
    /// When its policy took effect.
    #[serde(with = "timestamp", default = "timestamp::none")]
    pub created_at: OffsetDateTime,
    /// The admin; empty for the admin itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Its policy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub allow: Rules,
    /// What it may not do.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub deny: Rules,
}

/// One line of `GET /v1/key/list/` in its old form (minio.md B5).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct OldKeyLine<'a> {
    /// The name.
    pub name: &'a str,
}

/// One line of `GET /v1/identity/list/` in its old form (minio.md B5). Policies are listed as [`PolicyInfo`].
#[derive(Clone, Debug, Serialize)]
pub struct OldIdentityLine {
    /// The identity.
    pub identity: String,
    /// Whether it is the admin.
    #[serde(skip_serializing_if = "is_false")]
    pub admin: bool,
    /// Its policy.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// When its policy took effect.
    #[serde(with = "timestamp")]
    pub created_at: OffsetDateTime,
    /// The admin; empty for the admin itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created_by: String,
}

/// `GET /v1/identity/self/describe` in its old form (minio.md B4).
#[derive(Clone, Debug, Serialize)]
pub struct OldSelfInfo {
    /// The caller.
    pub identity: String,
    /// Whether it is the admin.
    #[serde(skip_serializing_if = "is_false")]
    pub admin: bool,
    /// The name of its policy.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policy_name: String,
    /// When its policy took effect.
    #[serde(with = "timestamp")]
    pub created_at: OffsetDateTime,
    /// The admin; empty for the admin itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// What it may do. An admin has no rules.
    pub policy: OldRules,
}

/// Rules in their old form: lists, in the order of the configuration.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OldRules {
    /// What is allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// What is denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

/// Times as RFC 3339 with up to nine fraction digits, trailing zeros removed (6.1).
pub mod timestamp {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _, ser::Error as _};
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};

    /// The time that stands for "none": `0001-01-01T00:00:00Z`.
    pub fn none() -> OffsetDateTime {
        time::macros::datetime!(0001-01-01 0:00 UTC)
    }

    /// Writes a time.
    ///
    /// # Errors
    /// If the year is not between 0 and 9999.
    pub fn serialize<S: Serializer>(at: &OffsetDateTime, out: S) -> Result<S::Ok, S::Error> {
        let text = at.format(&Rfc3339).map_err(S::Error::custom)?;
        out.serialize_str(&text)
    }

    /// Reads a time.
    ///
    /// # Errors
    /// If it is not RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(json: D) -> Result<OffsetDateTime, D::Error> {
        let text = String::deserialize(json)?;
        OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)
    }
}

/// `null` for empty.
fn or_empty<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(json)?.unwrap_or_default())
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(it: &bool) -> bool {
    !*it
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn what_other_servers_leave_out_is_tolerated() {
        let list: KeyList = serde_json::from_str(r#"{"names":null}"#).unwrap();
        assert!(list.names.is_empty() && list.continue_at.is_empty());
        let info: KeyInfo = serde_json::from_str(r#"{"name":"k","new":[1]}"#).unwrap();
        assert_eq!(info.created_at, timestamp::none());
        let status: Status = serde_json::from_str(r#"{"keystore_unreachable":true}"#).unwrap();
        assert!(status.keystore_unreachable && !status.keystore_unavailable);
        let route: ApiRoute = serde_json::from_str(r#"{"method":"GET","path":"/"}"#).unwrap();
        assert_eq!((route.max_body, route.timeout), (0, 0));
    }

    #[test]
    fn times_lose_their_trailing_zeros_and_keep_their_offset() {
        let text = |at| {
            let info = PolicyInfo {
                name: "p".into(),
                created_at: at,
                created_by: String::new(),
            };
            serde_json::to_value(info).unwrap()["created_at"].clone()
        };
        assert_eq!(
            text(datetime!(2024-01-12 10:39:20.886816 UTC)),
            "2024-01-12T10:39:20.886816Z"
        );
        assert_eq!(
            text(datetime!(2024-01-12 10:39:20.000000005 UTC)),
            "2024-01-12T10:39:20.000000005Z"
        );
        assert_eq!(
            text(datetime!(2024-01-12 10:39:20 +02:00)),
            "2024-01-12T10:39:20+02:00"
        );
        assert_eq!(text(timestamp::none()), "0001-01-01T00:00:00Z");
    }
}
