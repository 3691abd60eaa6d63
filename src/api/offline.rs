//! The door without a server: what a request would meet that a client sends to a server with some configuration. The path is read,
//! the route is found and the verdict is made by the code that serves requests.

use http::Method;

use super::{
    auth::{self, Decision},
    error::Error,
    path::Path,
    route::{self, Route},
};
use crate::{identity::Identity, policy::Policy};

/// Who asks.
#[derive(Clone, Copy)]
pub enum Caller<'a> {
    /// A client with this identity.
    Identity(&'a Identity),
    /// Whoever has this policy.
    Policy(&'a Policy),
}

/// What a configuration tells the door.
pub trait Door {
    /// Who may do everything.
    fn admin(&self) -> &Identity;
    /// The policy of an identity.
    fn policy_of(&self, identity: &Identity) -> Option<&Policy>;
    /// Whether the route of this path is open to everybody.
    fn is_open(&self, path: &str) -> bool;
}

/// What a request meets.
pub enum Outcome<'a> {
    /// It reaches a route, and the door decides.
    Decided {
        /// The route.
        route: &'static Route,
        /// The path that policies are held against.
        path: String,
        /// What is decided, and by what.
        decision: Decision<'a>,
    },
    /// It is answered before the door: no such route, the wrong method, a path that cannot be read.
    Turned(Error),
    /// Its path has a `%` that is no escape.
    Unreadable,
}

/// Decides on a request for `target`, the path of a URL, perhaps with a query.
pub fn ask<'a>(
    door: &'a impl Door,
    caller: Caller<'a>,
    method: &Method,
    target: &str,
) -> Outcome<'a> {
    let raw = target.split(['?', '#']).next().unwrap_or_default();
    let Ok(path) = Path::parse(raw) else {
        return Outcome::Unreadable;
    };
    let found = match route::find(&path) {
        Ok(found) => found,
        Err(error) => return Outcome::Turned(error),
    };
    let route = found.route;
    if !route.method.takes(method) {
        return Outcome::Turned(Error::Method {
            received: method.to_string(),
            expected: route.method.as_str(),
        });
    }
    let decision = if auth::is_open(route.auth, door.is_open(route.path)) {
        Decision::Open
    } else {
        match caller {
            Caller::Identity(identity) => {
                let policy = || door.policy_of(identity);
                auth::decide(identity == door.admin(), policy, &found.path)
            }
            Caller::Policy(policy) => auth::decide(false, || Some(policy), &found.path),
        }
    };
    Outcome::Decided {
        route,
        path: found.path.into_owned(),
        decision,
    }
}
