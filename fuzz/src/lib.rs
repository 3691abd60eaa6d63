//! What the fuzz targets of `kes` call; see `README.md`.

pub mod targets;
