//! What the server tells about itself: audit events, the error log, metrics (api.md 10, 11).
