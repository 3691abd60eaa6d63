//! In which order the servers of a list are asked (cli.md 3.2): those on this computer first, the others from a random one on, and
//! those that failed a short time ago last.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{endpoint::Endpoint, proxy};
use crate::secret;

/// How long a server that failed is asked last.
const SHUNNED: Duration = Duration::from_secs(30);

/// The order of a list of servers.
pub(super) struct Order {
    /// Indices, in the order of preference.
    preferred: Vec<usize>,
    /// When each failed last.
    failures: Mutex<Vec<Option<Instant>>>,
}

impl Order {
    pub(super) fn of(endpoints: &[Endpoint]) -> Self {
        let mut random = [0; 8];
        // Without randomness all begin with the first, which harms nobody.
        drop(secret::random(&mut random));
        let random = usize::try_from(u64::from_ne_bytes(random) >> 1).unwrap_or_default();
        // What this computer's addresses are matters only if there is a choice.
        let own = if endpoints.len() > 1 {
            if_addrs::get_if_addrs().unwrap_or_default()
        } else {
            Vec::new()
        };
        let own: Vec<IpAddr> = own.into_iter().map(|interface| interface.ip()).collect();
        let is_here = |host: &str| {
            proxy::is_local(host) || host.parse().is_ok_and(|address| own.contains(&address))
        };
        let here: Vec<bool> = endpoints
            .iter()
            .map(|endpoint| is_here(endpoint.host()))
            .collect();
        Self {
            preferred: preferred(&here, random),
            failures: Mutex::new(vec![None; endpoints.len()]),
        }
    }

    /// The indices of all servers.
    pub(super) fn now(&self) -> Vec<usize> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let shunned = |index: &usize| {
            let failed = failures.get(*index).copied().flatten();
            failed.is_some_and(|failed| failed.elapsed() < SHUNNED)
        };
        let (last, mut first): (Vec<usize>, Vec<usize>) =
            self.preferred.iter().partition(|index| shunned(index));
        first.extend(last);
        first
    }

    /// Notes how the server of this index did.
    pub(super) fn note(&self, index: usize, failed: bool) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = failures.get_mut(index) {
            *failure = failed.then(Instant::now);
        }
    }
}

/// Those that are here, then the others in turn.
fn preferred(here: &[bool], random: usize) -> Vec<usize> {
    let indices = 0..here.len();
    let (mut order, mut others): (Vec<usize>, Vec<usize>) =
        indices.partition(|&index| here.get(index) == Some(&true));
    if !others.is_empty() {
        let start = random % others.len();
        others.rotate_left(start);
    }
    order.extend(others);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_computer_is_asked_first_and_the_others_in_turn() {
        assert_eq!(preferred(&[false, true, false, false], 0), [1, 0, 2, 3]);
        assert_eq!(preferred(&[false, true, false, false], 4), [1, 2, 3, 0]);
        assert_eq!(preferred(&[true, true], 1), [0, 1]);
        assert!(preferred(&[], 7).is_empty());
    }

    #[test]
    fn who_failed_is_asked_last_until_it_does_well() {
        let endpoints = Endpoint::parse_list("127.0.0.1:1,127.0.0.1:2,127.0.0.1:3").unwrap();
        let order = Order::of(&endpoints);
        assert_eq!(order.now(), [0, 1, 2]);
        order.note(0, true);
        assert_eq!(order.now(), [1, 2, 0]);
        order.note(0, false);
        assert_eq!(order.now(), [0, 1, 2]);
    }
}
