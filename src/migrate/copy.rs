//! One key: read, looked at, written, read back.

use super::{Conflict, Migration, Outcome, Problem, aside, ends::is_same};
use crate::{
    crypto::KeyVersion,
    keystore::{Error, check_value},
    name::KeyName,
    secret::Secret,
};

impl Migration {
    /// Brings one key to the target, or tells what that would do.
    pub(super) async fn migrate(&self, name: &KeyName) -> Result<Outcome, Problem> {
        let value = self.source.get(name).await.map_err(|error| match error {
            Error::NotFound => Problem::Gone,
            error => Problem::Read(error),
        })?;
        if aside::is_reserved(name)
            && let Some((of, _)) = aside::read(&value)
        {
            return Err(Problem::SetAside(of));
        }
        if !self.options.allow_unreadable {
            KeyVersion::from_stored(&value).map_err(Problem::Unreadable)?;
        }
        // Said here, for a dry run finds it, too.
        check_value(&value).map_err(Problem::Unprintable)?;
        let Some(old) = self.write(name, &value).await? else {
            return Ok(Outcome::Copied);
        };
        match self.options.conflict {
            _ if is_same(&old, &value) => Ok(Outcome::Present),
            Conflict::Fail => Err(Problem::Differs),
            Conflict::Keep => Ok(Outcome::Kept),
            Conflict::Replace if self.options.dry_run => Ok(Outcome::Replaced),
            Conflict::Replace => {
                self.replace(name, &old, &value).await?;
                Ok(Outcome::Replaced)
            }
        }
    }

    /// Writes a key that the target does not have, or returns the value that it has.
    async fn write(&self, name: &KeyName, value: &Secret) -> Result<Option<Secret>, Problem> {
        if self.options.dry_run {
            return match self.target.get(name).await {
                Ok(old) => Ok(Some(old)),
                Err(Error::NotFound) => Ok(None),
                Err(error) => Err(Problem::Verify(error)),
            };
        }
        match self.target.create(name, value).await {
            Ok(()) if !self.options.verify => Ok(None),
            Ok(()) => match self.target.has(name, value).await {
                Ok(true) => Ok(None),
                Ok(false) => Err(Problem::Altered),
                Err(error) => Err(Problem::Verify(error)),
            },
            Err(Error::Exists) => match self.target.get(name).await {
                Ok(old) => Ok(Some(old)),
                Err(error) => Err(Problem::Verify(error)),
            },
            Err(error) => Err(Problem::Write(error)),
        }
    }
}
