//! Handlers of `/v1/policy/…` (api.md 7.15 to 7.17). Policies are what the configuration says; they cannot be changed here.

use std::sync::Arc;

use super::{
    error::{Error, Named},
    route::{Call, Reply},
};
use crate::{
    name::PolicyName,
    policy::{Pattern, Policy},
    wire::response::{Empty, PolicyInfo, PolicyList, PolicyRules, Rules},
};

/// `GET /v1/policy/describe/`.
pub(super) async fn describe(call: Call<'_>) -> Result<Reply, Error> {
    find(&call)?;
    Reply::json(&PolicyInfo {
        name: call.resource.to_owned(),
        created_at: call.state.started,
        created_by: call.state.admin.to_string(),
    })
}

/// `GET /v1/policy/read/`.
pub(super) async fn read(call: Call<'_>) -> Result<Reply, Error> {
    let policy = find(&call)?;
    Reply::json(&PolicyRules {
        name: call.resource.to_owned(),
        allow: rules(policy.allow()),
        deny: rules(policy.deny()),
        created_at: call.state.started,
        created_by: call.state.admin.to_string(),
    })
}

/// `GET /v1/policy/list/`.
pub(super) async fn list(call: Call<'_>) -> Result<Reply, Error> {
    let pattern = call.pattern()?;
    let names = call.state.policies.keys().map(PolicyName::as_str);
    if call.state.compat.ndjson_lists {
        let names = pattern.select(names).into_iter();
        return Reply::lines(names.map(|name| PolicyInfo {
            name,
            created_at: call.state.started,
            created_by: call.state.admin.to_string(),
        }));
    }
    Reply::json(&PolicyList {
        names: pattern.select(names),
        continue_at: String::new(),
    })
}

/// Rules as they travel.
pub(super) fn rules(rules: &[Pattern]) -> Rules {
    rules
        .iter()
        .map(|rule| (rule.as_str().to_owned(), Empty {}))
        .collect()
}

fn find(call: &Call<'_>) -> Result<Arc<Policy>, Error> {
    let policy = call.state.policies.get(call.resource);
    policy.cloned().ok_or(Error::NotFound(Named::Policy))
}
