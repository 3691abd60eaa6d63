//! The HTTP API of the real program, spoken to over raw HTTPS.

mod body;
mod console;
mod key;
mod life;
mod list;
mod log;
mod metrics;
mod path;
mod policy;
mod route;
mod status;
mod store;
mod tls;
mod walk;
