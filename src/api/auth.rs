//! The one door: who may call what (api.md 3).
//!
//! [`authorize`] is the only maker of a [`Permit`], and every handler is called with one. To see how a request is refused, read
//! this file.

use crate::{
    identity::Identity,
    policy::Verdict,
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
    if auth != Auth::Policy || settings.skip_auth {
        let identity = peer.identity().ok().cloned();
        return Ok(Permit { identity });
    }
    let identity = peer.identity()?;
    let granted = Permit {
        identity: Some(identity.clone()),
    };
    if *identity == state.admin {
        return Ok(granted);
    }
    let assigned = state.identities.get(identity).ok_or(Error::Denied)?;
    match assigned.policy.judge(path) {
        Verdict::Allowed(_) => Ok(granted),
        Verdict::Denied(_) | Verdict::NoRule => Err(Error::Denied),
    }
}
