//! [`State`]: everything a request is judged and answered by, as one immutable snapshot; [`Shared`]: the one place where a reload
//! swaps it.
//!
//! A request takes one snapshot when it begins and uses no other, so it never sees half a change.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use http::HeaderName;
use ipnet::IpNet;
use time::OffsetDateTime;

use crate::{
    clock::Clock, compat::Compat, identity::Identity, keyring::Keyring, name::PolicyName,
    policy::Policy, telemetry::Telemetry,
};

/// What a configuration says about one route.
#[derive(Clone, Copy, Debug)]
pub struct RouteSettings {
    /// Longest time a request may take; `None` for log streams.
    pub timeout: Option<Duration>,
    /// Whether anybody may call it.
    pub skip_auth: bool,
}

/// What an assigned identity may do.
#[derive(Clone, Debug)]
pub struct Assigned {
    /// The name of its policy.
    pub name: PolicyName,
    /// The rules.
    pub policy: Arc<Policy>,
}

/// Who forwards certificates of clients, and how. There is at least one.
#[derive(Clone, Debug)]
pub struct Proxies {
    /// Whose forwarded certificates are believed.
    pub identities: HashSet<Identity>,
    /// The header that holds them.
    pub header: HeaderName,
}

/// One snapshot of the server.
pub struct State {
    /// Who may do everything.
    pub admin: Identity,
    /// The policies by name.
    pub policies: BTreeMap<PolicyName, Arc<Policy>>,
    /// Who has which policy.
    pub identities: HashMap<Identity, Assigned>,
    /// The TLS proxies, if there are any.
    pub proxies: Option<Proxies>,
    /// Load balancers that send the PROXY protocol.
    pub balancers: Vec<IpNet>,
    /// The keys.
    pub keys: Arc<Keyring>,
    /// Settings of the routes, in the order of the route table.
    pub routes: Vec<RouteSettings>,
    /// What is different for clients of old releases.
    pub compat: Compat,
    /// Counters and logs; they outlive this snapshot.
    pub telemetry: Arc<Telemetry>,
    /// When the process started.
    pub started: OffsetDateTime,
    /// The time.
    pub clock: Clock,
}

impl State {
    /// Whether a connection from `ip` begins with a header of the PROXY protocol.
    pub fn is_balancer(&self, ip: IpAddr) -> bool {
        is_in(&self.balancers, ip)
    }

    /// How long the process has been up.
    pub fn uptime(&self) -> Duration {
        self.clock.elapsed()
    }
}

/// The current snapshot.
pub struct Shared(ArcSwap<State>);

impl Shared {
    /// Starts with `state`.
    pub fn new(state: State) -> Self {
        Self(ArcSwap::from_pointee(state))
    }

    /// The snapshot that a request keeps to its end. Costs no write to memory that other cores read, as counting references would.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that loads the snapshot"
    )]
    pub fn current(&self) -> impl std::ops::Deref<Target = Arc<State>> + use<> {
        self.0.load()
    }

    /// Puts `state` in the place of the current one. Requests under way keep theirs.
    pub fn replace(&self, state: State) {
        self.0.store(Arc::new(state));
    }
}

fn is_in(networks: &[IpNet], ip: IpAddr) -> bool {
    // A dual-stack listener shows IPv4 clients as mapped addresses.
    let ip = ip.to_canonical();
    networks.iter().any(|network| network.contains(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dual_stack_listeners_ipv4_clients_are_in_ipv4_networks() {
        let networks =
            ["10.1.0.0/16", "192.0.2.7/32", "fd00::/8"].map(|text| text.parse().unwrap());
        for (ip, is) in [
            ("10.1.255.1", true),
            ("::ffff:10.1.2.3", true),
            ("192.0.2.7", true),
            ("fd00::1", true),
            ("10.2.0.1", false),
            ("::ffff:192.0.2.8", false),
            ("::1", false),
        ] {
            assert_eq!(is_in(&networks, ip.parse().unwrap()), is, "{ip}");
        }
        assert!(!is_in(&[], [10, 1, 2, 3].into()));
    }
}
