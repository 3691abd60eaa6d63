//! [`Problem`]: why a key was not migrated. Says nothing of its value.

use crate::{crypto::MalformedRecord, keystore, name::KeyName};

/// Why a key was not migrated.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The old value could not be set aside, so nothing was replaced.
    #[error("cannot set the old value aside at the target; nothing was replaced")]
    Aside(#[source] keystore::Error),
    /// Another value came back than was written.
    #[error("what was read back from the target is not what was written")]
    Altered,
    /// The target has another value.
    #[error("the target has another value under this name")]
    Differs,
    /// The key was removed from the source.
    #[error("it was removed from the source during the run")]
    Gone,
    /// The key came to the source.
    #[error("it was created at the source during the run")]
    Late,
    /// An old value rests beside a name whose value nobody here knows.
    #[error(
        "an earlier run was cut off while it replaced this key, and since then somebody else wrote it; the value of before is kept as '{0}'"
    )]
    Left(KeyName),
    /// The target does not list the key.
    #[error("the target does not list it, although it was there")]
    Missing,
    /// The source cannot be read.
    #[error("cannot read it from the source")]
    Read(#[source] keystore::Error),
    /// Neither value could be proven to be there; the old one rests beside.
    #[error(
        "cannot replace it; the old value is kept as '{place}' and is put back by the next run"
    )]
    Replace {
        /// The name that the old value rests under.
        place: KeyName,
        /// What went wrong.
        #[source]
        source: keystore::Error,
    },
    /// The new value could not be written, and the old one is back.
    #[error("cannot replace it; the old value was put back")]
    Restored(#[source] keystore::Error),
    /// The source is the target of a run that was cut off.
    #[error(
        "it is the old value of key '{0}', which a 'kes migrate --force' to this source was cut off in replacing; run that one again first"
    )]
    SetAside(KeyName),
    /// The new value is in place, but the old one still rests beside.
    #[error(
        "it was replaced, but the old value is still there as '{place}'; the next run removes it"
    )]
    Tidy {
        /// The name that the old value rests under.
        place: KeyName,
        /// Why it could not be removed.
        #[source]
        source: keystore::Error,
    },
    /// The entry can be read, and no store would take it.
    #[error(
        "its entry has a line break or another character that no keystore takes, so it cannot be copied as it is"
    )]
    Unprintable(#[source] keystore::Error),
    /// What the source holds cannot be read as a key.
    #[error("what the source holds under this name is no key that can be read")]
    Unreadable(#[source] MalformedRecord),
    /// The value cannot be read back from the target.
    #[error("cannot read it back from the target")]
    Verify(#[source] keystore::Error),
    /// The value cannot be written to the target.
    #[error("cannot write it to the target")]
    Write(#[source] keystore::Error),
}
