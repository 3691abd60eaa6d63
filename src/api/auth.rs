//! The one door: who may call what (api.md 3).
//!
//! [`authorize`] is the only maker of a [`Permit`], and every handler is called with one. To see how a request is refused, read
//! this file.

use crate::{
    identity::Identity,
    policy::{Pattern, Policy, Verdict},
    state::{RouteSettings, State},
    tls::Peer,
};

use super::error::Error;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Nothing: anybody who got through the handshake.
    Open,
    /// Nothing, but the identity counts: the route tells a caller about itself.
    Identify,
    /// To be the admin, or to have a policy that allows the path.
    Policy,
}

/// Proof that a request has passed this door. It cannot be made anywhere else.
#[derive(Debug)]
pub struct Permit {
    identity: Option<Identity>,
}

impl Permit {
    /// Who calls; `None` if that is not known and the route does not need it.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

/// Decides whether `peer` may call a route that asks for `auth`, at the canonical `path`.
///
/// # Errors
/// [`Error::Identity`] if the certificates give no identity; [`Error::Denied`] if the identity is not the admin and has no policy,
/// or one that does not allow the path.
pub(super) fn authorize(
    state: &State,
    peer: &Peer,
    auth: Auth,
    settings: RouteSettings,
    path: &str,
) -> Result<Permit, Error> {
    if is_open(auth, settings.skip_auth) {
        let identity = peer.identity().ok().cloned();
        return Ok(Permit { identity });
    }
    let identity = peer.identity()?;
    let granted = Permit {
        identity: Some(identity.clone()),
    };
    let policy = || {
        let assigned = state.identities.get(identity)?;
        Some(&*assigned.policy)
    };
    match decide(*identity == state.admin, policy, path) {
        Decision::Open | Decision::Admin | Decision::Allowed(_) => Ok(granted),
        Decision::Denied(_) | Decision::NoPolicy | Decision::NoRule => Err(Error::Denied),
    }
}

/// What the door decides, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision<'a> {
    /// Everybody may: the route asks for no policy.
    Open,
    /// The admin may.
    Admin,
    /// This allow rule matches, and no deny rule.
    Allowed(&'a Pattern),
    /// This deny rule matches.
    Denied(&'a Pattern),
    /// The identity has no policy.
    NoPolicy,
    /// No rule of the policy matches.
    NoRule,
}

/// Whether a route asks nobody for a policy.
pub(super) fn is_open(auth: Auth, skip_auth: bool) -> bool {
    auth != Auth::Policy || skip_auth
}

/// Decides on a route that asks for a policy. `policy` is not looked for on behalf of the admin.
#[inline]
pub(super) fn decide<'a>(
    is_admin: bool,
    policy: impl FnOnce() -> Option<&'a Policy>,
    path: &str,
) -> Decision<'a> {
    if is_admin {
        return Decision::Admin;
    }
    let Some(policy) = policy() else {
        return Decision::NoPolicy;
    };
    match policy.judge(path) {
        Verdict::Allowed(rule) => Decision::Allowed(rule),
        Verdict::Denied(rule) => Decision::Denied(rule),
        Verdict::NoRule => Decision::NoRule,
    }
}
