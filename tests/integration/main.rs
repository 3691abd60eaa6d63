//! Integration tests: one binary, linked once.

mod vectors_authz;
