//! Integration tests: one binary, linked once.

mod compat;
