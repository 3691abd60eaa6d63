//! Replacing a value at the target, over a store that can only create and delete: never without a durable copy of what is replaced.
//!
//! 1. The old value is written under another name ([`aside`]) and read back.
//! 2. The key is deleted.
//! 3. The key is created with the new value, and read back.
//! 4. The entry of step 1 is deleted.
//!
//! A run that is cut off leaves the entry. [`Migration::recover`] finds it at the beginning of the next run, and puts the old value back
//! if the name is free: so a key is, after any two runs, what it was or what it should become. An entry is deleted only when its value,
//! or the value of the source, has been read under the key's own name.

use super::{Failure, Migration, Problem, Unlisted, aside, ends::is_same};
use crate::{keystore::Error, name::KeyName, secret::Secret};

impl Migration {
    /// Puts `new` in the place of `old`.
    pub(super) async fn replace(
        &self,
        name: &KeyName,
        old: &Secret,
        new: &Secret,
    ) -> Result<(), Problem> {
        let place = self.set_aside(name, old).await.map_err(Problem::Aside)?;
        let kept = |source| Problem::Replace {
            place: place.clone(),
            source,
        };
        match self.target.delete(name).await {
            Ok(()) | Err(Error::NotFound) => {}
            // Refused for good: nothing happened, and nothing will.
            Err(error @ (Error::Refused { .. } | Error::Malformed(_))) => {
                return Err(self.give_up(name, old, &place, error).await);
            }
            // It may still happen. The next run looks.
            Err(error) => return Err(kept(error)),
        }
        let created = self.target.create(name, new).await;
        match (created, self.target.has(name, new).await) {
            (_, Ok(true)) => match self.target.delete(&place).await {
                Ok(()) | Err(Error::NotFound) => Ok(()),
                Err(source) => Err(Problem::Tidy { place, source }),
            },
            (Err(error), Err(Error::NotFound)) => match self.target.create(name, old).await {
                Ok(()) => Err(self.give_up(name, old, &place, error).await),
                Err(_) => Err(kept(error)),
            },
            (Err(error), _) | (Ok(()), Err(error)) => Err(kept(error)),
            (Ok(()), Ok(false)) => Err(kept(Error::Malformed(
                "what was read back is not what was written".to_owned(),
            ))),
        }
    }

    /// The old value is back, or was never gone: proves it, and clears away its copy.
    async fn give_up(
        &self,
        name: &KeyName,
        old: &Secret,
        place: &KeyName,
        error: Error,
    ) -> Problem {
        match self.target.has(name, old).await {
            Ok(true) => match self.target.delete(place).await {
                Ok(()) | Err(Error::NotFound) => Problem::Restored(error),
                Err(_) => Problem::Replace {
                    place: place.clone(),
                    source: error,
                },
            },
            _ => Problem::Replace {
                place: place.clone(),
                source: error,
            },
        }
    }

    /// Writes the old value of a key under another name, and returns that. It is there when this returns.
    async fn set_aside(&self, name: &KeyName, old: &Secret) -> Result<KeyName, Error> {
        let place = aside::place(name).map_err(|error| Error::Malformed(error.to_string()))?;
        let entry = aside::entry(name, old);
        match self.target.create(&place, &entry).await {
            // Its own, of a moment ago: the answer got lost.
            Ok(()) | Err(Error::Exists) => {}
            Err(error) => return Err(error),
        }
        if self.target.has(&place, &entry).await? {
            Ok(place)
        } else {
            Err(Error::Malformed(format!(
                "'{place}' holds something else than was written"
            )))
        }
    }

    /// Brings to an end what earlier runs were cut off in. Returns how many old values were put back, and what could not be.
    pub(super) async fn recover(&self) -> Result<(usize, Vec<Failure>), Unlisted> {
        let listed = self.target.names(aside::PREFIX).await;
        let places = listed.map_err(|source| Unlisted {
            end: "target",
            source,
        })?;
        let (mut restored, mut failures) = (0, Vec::new());
        for place in places.iter().filter(|name| aside::is_reserved(name)) {
            match self.recover_one(place).await {
                Ok(true) => restored += 1,
                Ok(false) => {}
                Err(failure) => failures.push(failure),
            }
        }
        Ok((restored, failures))
    }

    /// Ends the replacement whose old value rests at `place`. Returns whether that was put back.
    async fn recover_one(&self, place: &KeyName) -> Result<bool, Failure> {
        let fail = |name: &KeyName, problem| Failure {
            name: name.clone(),
            problem,
        };
        let entry = match self.target.get(place).await {
            Ok(entry) => entry,
            Err(Error::NotFound) => return Ok(false),
            Err(error) => return Err(fail(place, Problem::Verify(error))),
        };
        // A key that happens to have such a name.
        let Some((name, old)) = aside::read(&entry) else {
            return Ok(false);
        };
        if self.options.dry_run {
            return Ok(self.is_free(&name).await);
        }
        let kept = |source| Problem::Replace {
            place: place.clone(),
            source,
        };
        let restored = match self.target.create(&name, &old).await {
            Ok(()) => true,
            Err(Error::Exists) => false,
            Err(error) => return Err(fail(&name, kept(error))),
        };
        let now = self.target.get(&name).await;
        let now = now.map_err(|error| fail(&name, kept(error)))?;
        let known = is_same(&now, &old)
            || self
                .source
                .get(&name)
                .await
                .is_ok_and(|new| is_same(&now, &new));
        if !known {
            return Err(fail(&name, Problem::Left(place.clone())));
        }
        match self.target.delete(place).await {
            Ok(()) | Err(Error::NotFound) => Ok(restored),
            Err(source) => {
                let place = place.clone();
                Err(fail(&name, Problem::Tidy { place, source }))
            }
        }
    }

    async fn is_free(&self, name: &KeyName) -> bool {
        matches!(self.target.get(name).await, Err(Error::NotFound))
    }
}
