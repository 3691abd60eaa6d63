//! Handlers of `/v1/identity/…` (api.md 7.18 to 7.20).

use super::{
    error::{Error, Named},
    policy::rules,
    route::{Call, Reply},
};
use crate::{
    identity::Identity,
    policy::Pattern,
    state::State,
    wire::response::{
        IdentityInfo, IdentityList, OldIdentityLine, OldRules, OldSelfInfo, Rules, SelfInfo,
    },
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
    if call.state.compat.ndjson_lists {
        let identities = pattern.select(identities.into_iter());
        return Reply::lines(
            identities
                .into_iter()
                .map(|name| old_line(call.state, name)),
        );
    }
    Reply::json(&IdentityList {
        identities: pattern.select(identities.into_iter()),
        continue_at: String::new(),
    })
}

/// An identity as older releases listed it.
fn old_line(state: &State, identity: String) -> OldIdentityLine {
    let assigned = state.identities.get(identity.as_str());
    let admin = identity == state.admin.as_str();
    OldIdentityLine {
        identity,
        admin,
        policy: assigned.map_or_else(String::new, |assigned| assigned.name.to_string()),
        created_at: state.started,
        created_by: if admin {
            String::new()
        } else {
            state.admin.to_string()
        },
    }
}

/// `GET /v1/identity/self/describe`: tells any caller who it is and what it may do.
pub(super) async fn describe_self(call: Call<'_>) -> Result<Reply, Error> {
    let state = call.state;
    let unknown = Error::NotFound(Named::Identity);
    let Some(identity) = call.permit.identity() else {
        return Err(unknown);
    };
    if state.compat.legacy_self_describe {
        return old_self(state, identity);
    }
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

/// What a caller is told about itself in the form of older releases (minio.md B4).
fn old_self(state: &State, identity: &Identity) -> Result<Reply, Error> {
    let admin = *identity == state.admin;
    let assigned = state.identities.get(identity);
    if !admin && assigned.is_none() {
        return Err(Error::NotFound(Named::Identity));
    }
    let texts = |rules: &[Pattern]| rules.iter().map(|rule| rule.as_str().to_owned()).collect();
    Reply::json(&OldSelfInfo {
        identity: identity.to_string(),
        admin,
        policy_name: assigned.map_or_else(String::new, |assigned| assigned.name.to_string()),
        created_at: state.started,
        created_by: if admin {
            String::new()
        } else {
            state.admin.to_string()
        },
        policy: assigned.map_or_else(OldRules::default, |assigned| OldRules {
            allow: texts(assigned.policy.allow()),
            deny: texts(assigned.policy.deny()),
        }),
    })
}
