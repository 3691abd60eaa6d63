//! Names that the server knows, for completion: asked for once, shortly, and without a word if that fails.

use std::{ffi::OsStr, time::Duration};

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use super::beginning_with;
use crate::{
    cli::{
        connect::{self, ConnectArgs},
        globals::Globals,
        output::Output,
        settings::Environment,
    },
    client::listing::Kind,
};

/// Longer than this nobody waits for a key to have an effect.
const PATIENCE: Duration = Duration::from_secs(1);

/// Completes names of keys.
pub(in crate::cli) fn keys() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| names(Kind::Keys, current))
}

/// Completes names of policies.
pub(in crate::cli) fn policies() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| names(Kind::Policies, current))
}

/// Completes identities.
pub(in crate::cli) fn identities() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| names(Kind::Identities, current))
}

/// Flags on the command line are not looked at: the environment says who asks whom.
fn names(kind: Kind, current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(prefix) = current.to_str() else {
        return Vec::new();
    };
    let env = Environment::of_process();
    let out = Output::new(&Globals::silent(), &env);
    let Ok(session) = ConnectArgs::for_completion(PATIENCE).session(&env, &out) else {
        return Vec::new();
    };
    let listed = connect::run(async {
        let call = session.client.list(kind, prefix);
        session.call("", call).await
    });
    beginning_with(current, listed.unwrap_or_default())
}
