//! The HTTP API of the real program, spoken to over raw HTTPS.

mod key;
mod path;
mod route;
mod walk;
