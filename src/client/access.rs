//! Policies and identities, as servers of every generation describe them (minio.md B4, cli.md 3.4).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use time::OffsetDateTime;

use super::{Client, answer, error::Error, get, path, stored_name};
use crate::wire::response::{
    Empty, IdentityInfo, PolicyInfo, PolicyRules, Rules, SelfInfo, timestamp,
};

/// Rules: a list of patterns, or an object whose members they are, or `null`.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyRules {
    List(Vec<String>),
    Map(BTreeMap<String, IgnoredAny>),
}

fn rules<'de, D: Deserializer<'de>>(json: D) -> Result<Rules, D::Error> {
    let patterns = match Option::<AnyRules>::deserialize(json)? {
        None => return Ok(Rules::new()),
        Some(AnyRules::List(list)) => list,
        Some(AnyRules::Map(map)) => map.into_keys().collect(),
    };
    Ok(patterns
        .into_iter()
        .map(|pattern| (pattern, Empty {}))
        .collect())
}

/// A policy, with or without its name.
#[derive(Deserialize)]
#[serde(default)]
struct AnyPolicy {
    name: String,
    #[serde(deserialize_with = "rules")]
    allow: Rules,
    #[serde(deserialize_with = "rules")]
    deny: Rules,
    /// What is allowed, until v0.14.
    #[serde(deserialize_with = "rules")]
    paths: Rules,
    #[serde(with = "timestamp")]
    created_at: OffsetDateTime,
    created_by: String,
}

impl Default for AnyPolicy {
    fn default() -> Self {
        Self {
            name: String::new(),
            allow: Rules::new(),
            deny: Rules::new(),
            paths: Rules::new(),
            created_at: timestamp::none(),
            created_by: String::new(),
        }
    }
}

/// The policy of a self-description: its name, or the policy itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum Described {
    Name(String),
    Policy(Box<AnyPolicy>),
}

#[derive(Deserialize)]
#[serde(default)]
struct AnySelf {
    identity: String,
    admin: bool,
    policy_name: String,
    policy: Option<Described>,
    #[serde(with = "timestamp")]
    created_at: OffsetDateTime,
    created_by: String,
    #[serde(deserialize_with = "rules")]
    allow: Rules,
    #[serde(deserialize_with = "rules")]
    deny: Rules,
}

impl Default for AnySelf {
    fn default() -> Self {
        Self {
            identity: String::new(),
            admin: false,
            policy_name: String::new(),
            policy: None,
            created_at: timestamp::none(),
            created_by: String::new(),
            allow: Rules::new(),
            deny: Rules::new(),
        }
    }
}

impl From<AnySelf> for SelfInfo {
    fn from(any: AnySelf) -> Self {
        let mut info = Self {
            identity: any.identity,
            admin: any.admin,
            created_at: any.created_at,
            created_by: any.created_by,
            policy: any.policy_name,
            allow: any.allow,
            deny: any.deny,
        };
        match any.policy {
            None => {}
            Some(Described::Name(name)) => info.policy = name,
            Some(Described::Policy(policy)) => {
                if !policy.name.is_empty() {
                    info.policy = policy.name;
                }
                info.allow.extend(policy.allow);
                info.deny.extend(policy.deny);
            }
        }
        info
    }
}

impl Client {
    /// When a policy was made, and by whom.
    pub async fn describe_policy(&self, name: &str) -> Result<PolicyInfo, Error> {
        let call = get(path("policy/describe", stored_policy(name)?));
        let policy: AnyPolicy = answer::json(&self.call(call).await?)?;
        Ok(PolicyInfo {
            // Older servers do not repeat it.
            name: name.to_owned(),
            created_at: policy.created_at,
            created_by: policy.created_by,
        })
    }

    /// The rules of a policy.
    pub async fn read_policy(&self, name: &str) -> Result<PolicyRules, Error> {
        let call = get(path("policy/read", stored_policy(name)?));
        let mut policy: AnyPolicy = answer::json(&self.call(call).await?)?;
        policy.allow.append(&mut policy.paths);
        Ok(PolicyRules {
            name: name.to_owned(),
            allow: policy.allow,
            deny: policy.deny,
            created_at: policy.created_at,
            created_by: policy.created_by,
        })
    }

    /// What a server knows of an identity.
    pub async fn describe_identity(&self, identity: &str) -> Result<IdentityInfo, Error> {
        if stored_name(identity).is_err() {
            return Err(Error::InvalidIdentity(identity.to_owned()));
        }
        answer::json(&self.call(get(path("identity/describe", identity))).await?)
    }

    /// What a server knows of this client.
    pub async fn describe_self(&self) -> Result<SelfInfo, Error> {
        let call = get("/v1/identity/self/describe".to_owned());
        let any: AnySelf = answer::json(&self.call(call).await?)?;
        Ok(any.into())
    }
}

fn stored_policy(name: &str) -> Result<&str, Error> {
    stored_name(name).map_err(|_| Error::InvalidPolicyName(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(json: &str) -> (String, Vec<String>, Vec<String>) {
        let info: SelfInfo = serde_json::from_str::<AnySelf>(json).unwrap().into();
        (
            info.policy,
            info.allow.into_keys().collect(),
            info.deny.into_keys().collect(),
        )
    }

    #[test]
    fn every_generation_of_self_descriptions_is_read() {
        let expected = || {
            (
                "p".to_owned(),
                vec!["/a".to_owned(), "/b".to_owned()],
                vec!["/c".to_owned()],
            )
        };
        for json in [
            r#"{"identity":"i","policy_name":"p","created_at":"2023-01-01T00:00:00Z","policy":{"allow":["/b","/a"],"deny":["/c"]}}"#,
            r#"{"identity":"i","policy":"p","allow":{"/a":{},"/b":{}},"deny":{"/c":{}}}"#,
            r#"{"identity":"i","policy":{"name":"p","allow":{"/a":{},"/b":{}},"deny":{"/c":{}},"created_by":"x"},"new":[1]}"#,
        ] {
            assert_eq!(described(json), expected(), "{json}");
        }
        let admin =
            r#"{"identity":"i","admin":true,"created_at":"2023-01-01T00:00:00Z","policy":{}}"#;
        assert_eq!(described(admin), (String::new(), vec![], vec![]));
    }

    #[test]
    fn every_generation_of_policies_is_read() {
        for (json, allow, deny) in [
            (r#"{"paths":["/a"]}"#, 1, 0),
            (r#"{"allow":["/a","/b"],"deny":null}"#, 2, 0),
            (
                r#"{"allow":{"/a":{}},"deny":{"/b":{},"/c":{}},"created_at":"2023-01-01T00:00:00Z"}"#,
                1,
                2,
            ),
            ("{}", 0, 0),
        ] {
            let policy: AnyPolicy = serde_json::from_str(json).unwrap();
            assert_eq!(
                (policy.allow.len() + policy.paths.len(), policy.deny.len()),
                (allow, deny),
                "{json}"
            );
        }
    }
}
