//! What the tests of the whole program stand on: certificates made at run time, the real binary as a process, and HTTPS clients that
//! share no code with ours.

pub(crate) mod cert;
pub(crate) mod client;
pub(crate) mod need;
pub(crate) mod pty;
pub(crate) mod raw;
pub(crate) mod recorded;
pub(crate) mod server;

pub(crate) use cert::Cert;
pub(crate) use client::{Client, Payload, Reply, Version};
pub(crate) use server::{Server, Setup};
