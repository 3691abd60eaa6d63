//! Handlers of `/v1/identity/…` (api.md 7.18 to 7.20).

use super::{
    error::{Error, Named},
    policy::rules,
    route::{Call, Reply},
};
use crate::{
    identity::Identity,
    wire::response::{IdentityInfo, IdentityList, Rules, SelfInfo},
};

/// `GET /v1/identity/describe/`.
pub(super) async fn describe(call: Call<'_>) -> Result<Reply, Error> {
    let state = call.state;
    if call.resource == state.admin.as_str() {
        return Reply::json(&IdentityInfo {
            admin: true,
            policy: String::new(),
            created_at: state.started,
            created_by: String::new(),
        });
    }
    let assigned = state.identities.get(call.resource);
    let assigned = assigned.ok_or(Error::NotFound(Named::Identity))?;
    Reply::json(&IdentityInfo {
        admin: false,
        policy: assigned.name.to_string(),
        created_at: state.started,
        created_by: state.admin.to_string(),
    })
}

/// `GET /v1/identity/list/`: all identities that have a policy, and the admin.
pub(super) async fn list(call: Call<'_>) -> Result<Reply, Error> {
    let pattern = call.pattern()?;
    let mut identities: Vec<&str> = call.state.identities.keys().map(Identity::as_str).collect();
    identities.push(call.state.admin.as_str());
    identities.sort_unstable();
    Reply::json(&IdentityList {
        identities: pattern.select(identities.into_iter()),
        continue_at: String::new(),
    })
}

/// `GET /v1/identity/self/describe`: tells any caller who it is and what it may do.
pub(super) async fn describe_self(call: Call<'_>) -> Result<Reply, Error> {
    let state = call.state;
    let unknown = Error::NotFound(Named::Identity);
    let Some(identity) = call.permit.identity() else {
        return Err(unknown);
    };
    if *identity == state.admin {
        return Reply::json(&SelfInfo {
            identity: identity.to_string(),
            admin: true,
            created_at: state.started,
            created_by: String::new(),
            policy: String::new(),
            allow: Rules::new(),
            deny: Rules::new(),
        });
    }
    let assigned = state.identities.get(identity).ok_or(unknown)?;
    Reply::json(&SelfInfo {
        identity: identity.to_string(),
        admin: false,
        created_at: state.started,
        created_by: state.admin.to_string(),
        policy: assigned.name.to_string(),
        allow: rules(assigned.policy.allow()),
        deny: rules(assigned.policy.deny()),
    })
}
