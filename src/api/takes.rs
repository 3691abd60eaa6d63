//! [`Takes`]: what follows a route's path, and whether it is of that form (api.md 4, decision 20).

use super::error::{Error, Named};
use crate::{
    compat::Compat,
    name::{self, KeyName, ListPattern},
};

/// What follows a route's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// The name of an identity.
    Identity,
    /// The name of a key.
    Key,
    /// A pattern of names of keys, perhaps empty; of old ones too where `compat.legacy_names` is on.
    KeyPattern,
    /// Nothing: the path is all.
    Nothing,
    /// The name of a key that must be there already; an old one too where `compat.legacy_names` is on (decision 20).
    OldKey,
    /// A pattern, perhaps empty.
    Pattern,
    /// The name of a policy.
    PolicyName,
}

impl Takes {
    pub(super) fn check(self, resource: &str, compat: Compat) -> Result<(), Error> {
        match self {
            Self::Nothing => return Ok(()),
            Self::Pattern | Self::KeyPattern => return self.pattern(resource, compat).map(drop),
            // What is a name today was one ever since.
            _ if name::is_valid(resource) => return Ok(()),
            Self::Key | Self::OldKey => return self.key_name(resource, compat).map(drop),
            Self::Identity | Self::PolicyName => {}
        }
        let what = if self == Self::Identity {
            Named::Identity
        } else {
            Named::Policy
        };
        Err(refuse(what, resource))
    }

    pub(super) fn key_name(self, resource: &str, compat: Compat) -> Result<KeyName, Error> {
        let name = if self == Self::OldKey && compat.legacy_names {
            KeyName::parse_old(resource)
        } else {
            KeyName::parse(resource)
        };
        name.map_err(|_| refuse(Named::Key, resource))
    }

    pub(super) fn pattern(self, resource: &str, compat: Compat) -> Result<ListPattern, Error> {
        let pattern = if self == Self::KeyPattern && compat.legacy_names {
            ListPattern::parse_old(resource)
        } else {
            ListPattern::parse(resource)
        };
        pattern.map_err(|_| refuse(Named::Pattern, resource))
    }
}

fn refuse(what: Named, resource: &str) -> Error {
    Error::Name {
        what,
        resource: resource.to_owned(),
    }
}
