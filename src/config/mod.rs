//! The configuration file: text to types (config.md).
