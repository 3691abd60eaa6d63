//! [`Callers`]: who asks most, counted from the audit stream.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Most identities that are counted apart; the rest is one.
const MAX: usize = 10_000;
/// What stands for requests without an identity, and for those beyond [`MAX`].
const NOBODY: &str = "<none>";
const OTHERS: &str = "<others>";

/// Requests of one identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Caller {
    pub(super) identity: String,
    /// Since the begin, and of those the refused or failed ones.
    pub(super) requests: u64,
    pub(super) errors: u64,
    /// Since the last look.
    pub(super) recent: u64,
}

/// Requests by identity.
#[derive(Debug, Default)]
pub(super) struct Callers {
    by_identity: HashMap<String, Caller>,
}

#[derive(Deserialize)]
struct Event {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    identity: String,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    code: u16,
}

impl Callers {
    /// Counts a line of the audit stream. What is no event is nothing.
    pub(super) fn count(&mut self, line: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Event>(line) else {
            return;
        };
        let mut identity = event.request.identity;
        if identity.is_empty() {
            NOBODY.clone_into(&mut identity);
        }
        // It ends up on a terminal.
        identity.retain(|c| !c.is_control());
        if self.by_identity.len() >= MAX && !self.by_identity.contains_key(&identity) {
            OTHERS.clone_into(&mut identity);
        }
        let caller = self.by_identity.entry(identity.clone());
        let caller = caller.or_insert_with(|| Caller {
            identity,
            ..Caller::default()
        });
        caller.requests += 1;
        caller.recent += 1;
        caller.errors += u64::from(event.response.code >= 400);
    }

    /// The busiest since the last look, and of equals those that were busiest before; at most `most`.
    pub(super) fn busiest(&self, most: usize) -> Vec<Caller> {
        let mut all: Vec<_> = self.by_identity.values().cloned().collect();
        all.sort_by(|one, other| {
            let key = |caller: &Caller| (caller.recent, caller.requests);
            key(other)
                .cmp(&key(one))
                .then_with(|| one.identity.cmp(&other.identity))
        });
        all.truncate(most);
        all
    }

    /// Looks away: what comes now is recent.
    pub(super) fn next(&mut self) {
        for caller in self.by_identity.values_mut() {
            caller.recent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(identity: &str, code: u16) -> Vec<u8> {
        format!(r#"{{"time":"2024-01-01T00:00:00Z","request":{{"path":"/","identity":"{identity}"}},"response":{{"code":{code},"time":1}}}}"#).into_bytes()
    }

    #[test]
    fn the_busiest_come_first() {
        let mut callers = Callers::default();
        for (identity, code) in [("b", 200), ("a", 200), ("a", 403), ("", 400)] {
            callers.count(&event(identity, code));
        }
        callers.count(b"no event");
        let shown = |callers: &Callers| {
            let shown = callers.busiest(2).into_iter();
            shown
                .map(|caller| {
                    (
                        caller.identity,
                        caller.requests,
                        caller.errors,
                        caller.recent,
                    )
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(
            shown(&callers),
            [("a".to_owned(), 2, 1, 2), (NOBODY.to_owned(), 1, 1, 1)]
        );
        callers.next();
        callers.count(&event("b", 200));
        assert_eq!(
            shown(&callers),
            [("b".to_owned(), 2, 0, 1), ("a".to_owned(), 2, 1, 0)]
        );
    }

    #[test]
    fn their_number_is_bounded() {
        let mut callers = Callers::default();
        for number in 0..MAX + 10 {
            callers.count(&event(&format!("{number}"), 200));
        }
        assert_eq!(callers.by_identity.len(), MAX + 1);
        assert_eq!(callers.busiest(1)[0].requests, 10);
    }
}
