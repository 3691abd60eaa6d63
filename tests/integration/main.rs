//! Integration tests: one binary, linked once.
//!
//! Modules are marked as tests, which they are anyway, so that lints let their helpers panic, too.

#[cfg(test)]
mod api;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod compat;
#[cfg(test)]
mod config;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod defects;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod house;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod keystore;
#[cfg(test)]
mod life;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod migrate;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod service;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod vectors_authz;
