//! Every keystore against one suite, and each against its own surroundings.
//!
//! [`conformance`] holds the suite and is written once. A store is a [`Subject`](subject::Subject) and one line in the list below;
//! every case then is a test of its own, `keystore::conforms::<store>::<case>`. What only one store can do wrong stands in that store's file.
//!
//! The faults of a network (keystores.md 13, cases 7 and 8: wrong answers, lost answers, slow answers, expired tokens) will be a second
//! suite of the same form, `fault.rs`, with a list of its own below: it needs a proxy in front of the store, which stores without a
//! network do not have. Reloading under load (case 11) is the server's.

pub(crate) mod child;
mod conformance;
pub(crate) mod fs;
pub(crate) mod mem;
pub(crate) mod subject;

/// The stores that conform.
mod conforms {
    use super::conformance::every_case;

    every_case!(fs, crate::keystore::fs::Files);
    every_case!(mem, crate::keystore::mem::Memory);
}
